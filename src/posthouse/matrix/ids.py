"""Identifiers: who, where, what, as types, so that one is never passed for another.

What comes from outside goes through a `parse_…` once and is trusted from there on. Nothing ever
splits a room id at ':': from room version 12 on a room id has no domain.
https://spec.matrix.org/v1.19/appendices/#identifier-grammar
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NewType

from posthouse.matrix.errors import InvalidParam, InvalidUsername

UserId = NewType("UserId", str)
RoomId = NewType("RoomId", str)
EventId = NewType("EventId", str)
RoomAlias = NewType("RoomAlias", str)
DeviceId = NewType("DeviceId", str)
ServerName = NewType("ServerName", str)
MxcUri = NewType("MxcUri", str)

ID_BYTES_MAX: Final = 255
"""Of every identifier, of an event's type and of its state key: sigil and domain included, UTF-8."""

# A DNS name or an IPv4 literal, or an IPv6 literal; then a port. Labels are not empty, which the
# grammar leaves open, so that no server name is a way out of a folder.
_SERVER: Final = r"(?:[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
_OPAQUE: Final = r"[^:\x00]"
_HASH: Final = r"[A-Za-z0-9_\-]{43}"

_SERVER_NAME: Final = re.compile(_SERVER)
# Historical localparts may hold anything but ':' and NUL, and may be empty; what a new account
# may be called is `check_new_localpart`'s to say.
_USER_ID: Final = re.compile(rf"@{_OPAQUE}*:{_SERVER}", re.DOTALL)
_ROOM_ID: Final = re.compile(rf"!(?:{_HASH}|{_OPAQUE}+:{_SERVER})")
_ROOM_ALIAS: Final = re.compile(rf"#{_OPAQUE}*:{_SERVER}")
_EVENT_ID: Final = re.compile(r"\$[^\x00]+")
_DEVICE_ID: Final = re.compile(r"[^\x00]+")
_MXC_URI: Final = re.compile(rf"mxc://{_SERVER}/[A-Za-z0-9_\-]{{1,255}}")
_NEW_LOCALPART: Final = re.compile(r"[a-z0-9._=\-/+]+")


def parse_user_id(text: str) -> UserId:
    return UserId(_parse(_USER_ID, text, "user id"))


def parse_room_id(text: str) -> RoomId:
    """Both forms: `!` and the 43 characters of a hash (version 12), or a localpart with domain."""
    return RoomId(_parse(_ROOM_ID, text, "room id"))


def parse_event_id(text: str) -> EventId:
    return EventId(_parse(_EVENT_ID, text, "event id"))


def parse_room_alias(text: str) -> RoomAlias:
    return RoomAlias(_parse(_ROOM_ALIAS, text, "room alias"))


def parse_device_id(text: str) -> DeviceId:
    return DeviceId(_parse(_DEVICE_ID, text, "device id"))


def parse_server_name(text: str) -> ServerName:
    return ServerName(_parse(_SERVER_NAME, text, "server name"))


def parse_mxc_uri(text: str) -> MxcUri:
    """The media id is held to URL-safe characters, so that none can climb out of a folder."""
    return MxcUri(_parse(_MXC_URI, text, "mxc URI"))


PARSERS: Final[Mapping[object, Callable[[str], str]]] = MappingProxyType(
    {
        UserId: parse_user_id,
        RoomId: parse_room_id,
        EventId: parse_event_id,
        RoomAlias: parse_room_alias,
        DeviceId: parse_device_id,
        ServerName: parse_server_name,
        MxcUri: parse_mxc_uri,
    }
)
"""Each identifier's type, to what makes one of a stranger's text or raises InvalidParam."""


def is_user_id(text: object) -> bool:
    """Whether `parse_user_id` would take it."""
    return isinstance(text, str) and _fits(_USER_ID, text)


def user_id(localpart: str, server: ServerName) -> UserId:
    """The id of a localpart on a server; raises InvalidParam where the two don't make one."""
    return parse_user_id(f"@{localpart}:{server}")


def localpart_of(user: UserId) -> str:
    return user[1:].partition(":")[0]


def server_of(name: UserId | RoomAlias) -> ServerName:
    return ServerName(name.partition(":")[2])


def media_id_of(uri: MxcUri) -> str:
    return uri.rpartition("/")[2]


def media_server_of(uri: MxcUri) -> ServerName:
    return ServerName(uri[len("mxc://") :].partition("/")[0])


def check_new_localpart(localpart: str, server: ServerName) -> UserId:
    """The id of an account to be made; raises InvalidUsername, which says what is allowed.

    Stricter than `parse_user_id`: no new account gets a historical name.
    """
    if not _NEW_LOCALPART.fullmatch(localpart):
        raise InvalidUsername("A name has the letters a to z, digits and . _ = - / + only.")
    candidate = f"@{localpart}:{server}"
    if len(candidate) > ID_BYTES_MAX:
        raise InvalidUsername(f"This name is too long: {candidate[:32]}…")
    return UserId(candidate)


def check_event_type(event_type: str) -> str:
    """The type as it came; raises InvalidParam where no event may have it."""
    if not event_type:
        raise InvalidParam("An event type is not empty.")
    _check_key(event_type, "event type")
    return event_type


def check_state_key(state_key: str) -> str:
    """The state key as it came, often empty; raises InvalidParam where no event may have it."""
    _check_key(state_key, "state key")
    return state_key


def _check_key(text: str, kind: str) -> None:
    if "\x00" in text:
        raise InvalidParam(f"There is no NUL in a {kind}.")
    if not _is_short(text):
        raise InvalidParam(f"The {kind} is longer than {ID_BYTES_MAX} bytes, or is not Unicode.")


def _parse(pattern: re.Pattern[str], text: str, kind: str) -> str:
    if not _fits(pattern, text):
        raise InvalidParam(f"Not a {kind}: {text[:64]!a}")
    return text


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None and _is_short(text)


def _is_short(text: str) -> bool:
    """Whether it is legal Unicode of at most 255 bytes; a lone surrogate has no UTF-8."""
    if text.isascii():
        return len(text) <= ID_BYTES_MAX
    try:
        return len(text.encode()) <= ID_BYTES_MAX
    except UnicodeEncodeError:
        return False
