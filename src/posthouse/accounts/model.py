"""What accounts are made of: people, their devices, their tokens, their profile."""

from typing import Final

from msgspec import Struct

from posthouse.matrix import DeviceId, MxcUri, RoomId, UserId

GLOBAL_DATA: Final = RoomId("")
"""The room of account data that belongs to no room."""


class User(Struct, frozen=True):
    """An account. `password_hash` is a PHC string, or None where no password opens it."""

    user_id: UserId
    created_ms: int
    password_hash: str | None
    is_admin: bool
    deactivated_ms: int | None
    erased: bool

    @property
    def is_active(self) -> bool:
        return self.deactivated_ms is None


class Device(Struct, frozen=True):
    """A sign-in. When it was last seen is known to the hour, from where only at sign-in."""

    device_id: DeviceId
    display_name: str | None
    created_ms: int
    last_seen_ms: int
    last_seen_ip: str | None


class AccessToken(Struct, frozen=True):
    """What the server keeps of an access token; the token itself it doesn't know.

    `fresh` holds from a refresh until the token is used for the first time: that use is the
    proof that the client has it, and revokes what it replaces.
    """

    token_hash: bytes
    user_id: UserId
    device_id: DeviceId
    expires_ms: int | None
    refresh_hash: bytes | None
    fresh: bool


class RefreshToken(Struct, frozen=True):
    """What the server keeps of a refresh token."""

    token_hash: bytes
    user_id: UserId
    device_id: DeviceId
    fresh: bool


class Issued(Struct, frozen=True):
    """Tokens as the client gets them, once."""

    access_token: str
    refresh_token: str | None
    expires_in_ms: int | None


class SignIn(Struct, frozen=True):
    """Somebody signed in on a device."""

    user_id: UserId
    device_id: DeviceId
    tokens: Issued


class DeviceWish(Struct, frozen=True):
    """What a client asks for its sign-in. A known `device_id` is taken over, keys and all."""

    device_id: DeviceId | None = None
    display_name: str | None = None
    refreshable: bool = False
    address: str | None = None


class Profile(Struct, frozen=True):
    """The two fields that rooms copy into a membership."""

    displayname: str | None = None
    avatar_url: MxcUri | None = None


class AccountDatum(Struct, frozen=True):
    """One piece of account data. `content` is the JSON object as bytes; `room_id` may be empty."""

    room_id: RoomId
    type: str
    content: bytes
    position: int


class RegistrationToken(Struct, frozen=True):
    """An invitation to register; None means no bound."""

    token: str
    uses_allowed: int | None
    completed: int
    expires_ms: int | None
