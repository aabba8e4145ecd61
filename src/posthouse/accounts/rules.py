"""What names, passwords, devices, profiles and account data may be. Plain functions."""

import hashlib
import re
from typing import Any, Final

from posthouse.accounts.errors import (
    ProfileKeyTooLarge,
    ProfileTooLarge,
    ReservedDeviceId,
    ReservedType,
    ValueTooLarge,
    WeakPassword,
    WrongProfileValue,
)
from posthouse.matrix import (
    DeviceId,
    InvalidParam,
    Refusal,
    ServerName,
    UserId,
    check_new_localpart,
    localpart_of,
    parse_device_id,
    parse_mxc_uri,
    parse_user_id,
    server_of,
)

PASSWORD_LENGTH_MAX: Final = 1_024
DISPLAY_NAME_LENGTH_MAX: Final = 256
PROFILE_BYTES_MAX: Final = 65_535
CONTENT_BYTES_MAX: Final = 65_536
DEVICE_ID_LENGTH: Final = 10

_SERVER_OWNED: Final = frozenset({"m.fully_read", "m.push_rules"})
_PROFILE_KEY: Final = re.compile(r"[a-z][a-z0-9_\-]*(?:\.[a-z0-9_\-]+)+")
_PLAIN_PROFILE_KEYS: Final = frozenset({"displayname", "avatar_url"})
_PUBLIC_KEY: Final = re.compile(r"[A-Za-z0-9+/\-_]{43}")
_FILTER_ID: Final = re.compile(r"[A-Za-z0-9_\-]{16}")
_REGISTRATION_TOKEN: Final = re.compile(r"[A-Za-z0-9._~\-]{1,64}")


def new_user_id(username: str, server: ServerName) -> UserId:
    """The id that a username asks for; capitals are taken for small letters."""
    return check_new_localpart(username.lower(), server)


def named_user(name: str, server: ServerName) -> UserId | None:
    """Who is meant at sign-in, by localpart or whole id; None where nobody here can be."""
    try:
        user = parse_user_id(name if name.startswith("@") else f"@{name}:{server}")
    except Refusal:
        return None
    if server_of(user) != server:
        return None
    return UserId(f"@{localpart_of(user).lower()}:{server}")


def check_password(password: str, *, length_min: int) -> None:
    """Raises WeakPassword where a new password may not be this one."""
    if len(password) < length_min:
        raise WeakPassword(f"A password has at least {length_min} characters.")
    if len(password) > PASSWORD_LENGTH_MAX:
        raise WeakPassword(f"A password has at most {PASSWORD_LENGTH_MAX} characters.")


def new_device_id(text: str) -> DeviceId:
    """A device's id as a client may choose it at sign-in."""
    device_id = parse_device_id(text)
    if not text.isprintable():
        raise InvalidParam("A device id has printable characters only.")
    if _PUBLIC_KEY.fullmatch(text):
        raise ReservedDeviceId
    return device_id


def check_device_name(display_name: str) -> None:
    if len(display_name) > DISPLAY_NAME_LENGTH_MAX:
        raise InvalidParam(f"A device's name has at most {DISPLAY_NAME_LENGTH_MAX} characters.")


def routing_tag(user_id: UserId) -> str:
    """Four hex digits by which a proxy finds a person's stream; part of every token."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:4]


def token_hash(token: str) -> bytes:
    """What is kept of a token. It has 256 random bits, so that a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def is_filter_id(text: str) -> bool:
    """Does it look like an id that this server gave a filter?"""
    return _FILTER_ID.fullmatch(text) is not None


def is_registration_token(text: str) -> bool:
    return _REGISTRATION_TOKEN.fullmatch(text) is not None


def check_profile_key(key: str) -> None:
    """Raises where a profile can't have a field of that name."""
    if len(key.encode("utf-8", "surrogatepass")) > 255:
        raise ProfileKeyTooLarge
    if key not in _PLAIN_PROFILE_KEYS and not _PROFILE_KEY.fullmatch(key):
        raise InvalidParam("A profile has no field of that name.")


def check_profile_value(key: str, value: Any) -> None:
    """Raises where a field can't have that value; custom fields take any JSON."""
    match key:
        case "displayname":
            if not isinstance(value, str):
                raise WrongProfileValue("A display name is a string.")
            if len(value) > DISPLAY_NAME_LENGTH_MAX:
                raise WrongProfileValue(
                    f"A display name has at most {DISPLAY_NAME_LENGTH_MAX} characters."
                )
        case "avatar_url":
            if not isinstance(value, str):
                raise WrongProfileValue("An avatar is an mxc:// URI.")
            if value:
                parse_mxc_uri(value)
        case "m.tz":
            if not isinstance(value, str) or len(value) > 255:
                raise WrongProfileValue("A time zone is a name of at most 255 characters.")


def clears_field(key: str, value: Any) -> bool:
    """Does setting this value remove the field? Clients clear a name or a picture with ""."""
    return key in _PLAIN_PROFILE_KEYS and value == ""


def check_profile_size(fields: dict[str, int]) -> None:
    """`fields` has the bytes of each field's value; the total counts as one JSON object."""
    quotes_and_separators = 4
    total = 2 + sum(len(key) + size + quotes_and_separators for key, size in fields.items())
    if total > PROFILE_BYTES_MAX:
        raise ProfileTooLarge


def check_data_type(event_type: str) -> None:
    """Raises where clients may not write account data of this type."""
    if event_type in _SERVER_OWNED:
        raise ReservedType(f"{event_type} is set through an endpoint of its own.")
    if not is_data_type(event_type):
        raise InvalidParam("A type has 1 to 255 bytes and no NUL.")


def is_data_type(text: str) -> bool:
    """Can account data be stored under it?"""
    return 0 < len(text.encode("utf-8", "surrogatepass")) <= 255 and "\x00" not in text


def check_content(content: bytes) -> None:
    if len(content) > CONTENT_BYTES_MAX:
        raise ValueTooLarge
