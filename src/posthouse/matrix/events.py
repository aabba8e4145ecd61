"""Events as they are kept and hashed: PDUs, their two hashes, their ids, and what redaction leaves.

A PDU here is a plain dict without `event_id` (an id is a hash of what it names). All of it came
through `parse_json_object` or was made by the server, so it is encoded without a second check.
https://spec.matrix.org/v1.19/server-server-api/#signing-events
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from posthouse.matrix import event_types
from posthouse.matrix.canonical import encode_parsed
from posthouse.matrix.errors import InvalidParam, TooLarge
from posthouse.matrix.ids import EventId, RoomId
from posthouse.matrix.room_versions import RoomVersion
from posthouse.matrix.unpadded_base64 import (
    decode_urlsafe_base64,
    encode_base64,
    encode_urlsafe_base64,
)

Pdu = Mapping[str, Any]

EVENT_BYTES_MAX: Final = 65_536
"""Of a whole PDU as canonical JSON, signatures included."""


def content_hash(pdu: Pdu, version: RoomVersion) -> bytes:
    """SHA-256 over the whole event, unredacted content included; the same in every version."""
    hashed = dict(pdu)
    for key in ("unsigned", "signatures", "hashes"):
        hashed.pop(key, None)
    return sha256(encode_parsed(hashed)).digest()


def reference_hash(pdu: Pdu, version: RoomVersion) -> bytes:
    """SHA-256 over what redaction leaves: the same before and after it, and so the event's id.

    `pdu` carries its content hash in `hashes` already.
    """
    essential = redact(pdu, version)
    essential.pop("signatures", None)
    return sha256(encode_parsed(essential)).digest()


def with_content_hash(pdu: Pdu, version: RoomVersion) -> dict[str, Any]:
    """The event with its content hash in `hashes`, ready to be named and kept."""
    return {**pdu, "hashes": {"sha256": encode_base64(content_hash(pdu, version))}}


def event_id_of(reference: bytes) -> EventId:
    return EventId("$" + encode_urlsafe_base64(reference))


def room_id_of(create_reference: bytes) -> RoomId:
    """From version 12 on, a room's id is its create event's with another sigil."""
    return RoomId("!" + encode_urlsafe_base64(create_reference))


def hash_in(identifier: EventId | RoomId) -> bytes:
    """The 32 bytes that an event id, or a room id of version 12, spells; raises InvalidParam.

    Exact: an id whose last character has bits too many spells the same bytes, and is refused.
    """
    reference = decode_urlsafe_base64(identifier[1:])
    if len(reference) != 32 or encode_urlsafe_base64(reference) != identifier[1:]:
        raise InvalidParam(f"This id is not that of a hash: {identifier[:64]!a}")
    return reference


def check_event_size(pdu_bytes: bytes, *, allowance: int = 0) -> None:
    """Raises TooLarge for a PDU that may not be; `pdu_bytes` is its canonical JSON.

    `allowance` is for what is still to be added: hashes and a signature.
    """
    size = len(pdu_bytes) + allowance
    if size > EVENT_BYTES_MAX:
        raise TooLarge(f"The event has {size} bytes; {EVENT_BYTES_MAX} are allowed.")


def redaction_target(pdu: Pdu, version: RoomVersion) -> EventId | None:
    """The event that a redaction is of; None where it names none."""
    holder = pdu.get("content", {}) if version.redacts_in_content else pdu
    target = holder.get("redacts")
    return EventId(target) if isinstance(target, str) else None


def redact(pdu: Pdu, version: RoomVersion) -> dict[str, Any]:
    """What is left of an event when it is redacted: the keys that the room's rules stand on.

    https://spec.matrix.org/v1.19/rooms/v11/#redactions and, for version 10, rooms/v9
    """
    if version.keeps_more_when_redacted:
        keys, kept = _KEYS_V11, _CONTENT_V11
    else:
        keys, kept = _KEYS_V9, _CONTENT_V9
    left = {key: value for key, value in pdu.items() if key in keys}
    if "content" in left:
        prune = kept.get(pdu.get("type", ""))
        left["content"] = prune(left["content"]) if prune else {}
    return left


_Prune = Callable[[Mapping[str, Any]], dict[str, Any]]


def _only(*keys: str) -> _Prune:
    def prune(content: Mapping[str, Any]) -> dict[str, Any]:
        return {key: content[key] for key in keys if key in content}

    return prune


def _member_v11(content: Mapping[str, Any]) -> dict[str, Any]:
    """Of a third-party invite only the part that was signed stays."""
    left = _only("membership", "join_authorised_via_users_server")(content)
    invite = content.get("third_party_invite")
    if isinstance(invite, Mapping) and "signed" in invite:
        left["third_party_invite"] = {"signed": invite["signed"]}
    return left


_KEYS_V11: Final = frozenset(
    {
        "event_id",
        "type",
        "room_id",
        "sender",
        "state_key",
        "content",
        "hashes",
        "signatures",
        "depth",
        "prev_events",
        "auth_events",
        "origin_server_ts",
    }
)
_KEYS_V9: Final = _KEYS_V11 | {"prev_state", "origin", "membership"}

_LEVELS: Final = (
    "ban",
    "events",
    "events_default",
    "kick",
    "redact",
    "state_default",
    "users",
    "users_default",
)
_CONTENT_V9: Final[Mapping[str, _Prune]] = {
    event_types.MEMBER: _only("membership", "join_authorised_via_users_server"),
    event_types.CREATE: _only("creator"),
    event_types.JOIN_RULES: _only("join_rule", "allow"),
    event_types.POWER_LEVELS: _only(*_LEVELS),
    event_types.HISTORY_VISIBILITY: _only("history_visibility"),
}
_CONTENT_V11: Final[Mapping[str, _Prune]] = {
    event_types.MEMBER: _member_v11,
    event_types.CREATE: dict,
    event_types.JOIN_RULES: _only("join_rule", "allow"),
    event_types.POWER_LEVELS: _only(*_LEVELS, "invite"),
    event_types.HISTORY_VISIBILITY: _only("history_visibility"),
    event_types.REDACTION: _only("redacts"),
}
