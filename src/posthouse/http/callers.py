"""Who is asking, and who can tell."""

import enum
from typing import Protocol

from msgspec import Struct

from posthouse.matrix import DeviceId, UserId


class Caller(Struct, frozen=True):
    """The person and device that an access token stands for."""

    user_id: UserId
    device_id: DeviceId
    token_id: bytes
    """SHA-256 of the access token."""
    is_admin: bool = False


class Auth(enum.Enum):
    """Whether an endpoint asks for an access token."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    """Works without one; one that is given must be valid."""
    NONE = "none"


class Authenticator(Protocol):
    """Turns access tokens into callers; `app` gives one, `accounts` holds the truth."""

    def cached(self, token: str) -> Caller | None:
        """The caller if this process knows the token already. Plain and fast: the hot path."""
        ...

    async def authenticate(self, token: str) -> Caller:
        """Raises `UnknownToken` for a token that is not, or not any more, good."""
        ...
