"""Events as JSON text: the base bytes that are made once, and what is spliced onto them."""

from typing import Final

import orjson

from posthouse.matrix import EventId, RoomId, UserId
from posthouse.rooms.model import Event

_STRIPPED_KEEPS: Final = b'{"content":'


def base_bytes(
    *,
    content: bytes,
    event_id: EventId,
    ts: int,
    sender: UserId,
    type_: str,
    state_key: str | None,
    redacts: EventId | None,
) -> bytes:
    """The client's view of an event up to where `room_id` and `unsigned` go."""
    parts = [
        _STRIPPED_KEEPS,
        content,
        b',"event_id":"',
        event_id.encode(),
        b'","origin_server_ts":',
        str(ts).encode(),
        b',"sender":',
        orjson.dumps(sender),
        b',"type":',
        orjson.dumps(type_),
    ]
    if state_key is not None:
        parts += (b',"state_key":', orjson.dumps(state_key))
    if redacts is not None:
        # From version 11 on it lies in the content; clients of the time before look here.
        parts += (b',"redacts":', orjson.dumps(redacts))
    return b"".join(parts)


def served_content(content: bytes, redacts: EventId | None) -> bytes:
    """The content as clients get it. That of a redaction names its target in every room version:
    before version 11 it lies beside the content, where newer clients don't look.

    https://spec.matrix.org/v1.19/client-server-api/#mroomredaction
    """
    if redacts is None or "redacts" in (said := orjson.loads(content)):
        return content
    return orjson.dumps({**said, "redacts": redacts}, option=orjson.OPT_SORT_KEYS)


def pruned_base(event: Event, content: bytes) -> bytes:
    """The base bytes of an event after its redaction, which leaves this content. What a redaction
    names is taken from it too: only a content that keeps it still does.
    """
    return base_bytes(
        content=content,
        event_id=event.event_id,
        ts=event.ts,
        sender=event.sender,
        type_=event.type,
        state_key=event.state_key,
        redacts=None,
    )


def room_field(room_id: RoomId) -> bytes:
    """What is spliced where an event travels without its room around it."""
    return b',"room_id":' + orjson.dumps(room_id)


def render(
    event: Event,
    *,
    now_ms: int,
    room: bytes = b"",
    device: tuple[str, str] | None = None,
    membership: str | None = None,
) -> bytes:
    """An event for one reader: `room` from `room_field`, `device` the reader's (user, device),
    `membership` the reader's own at the event.
    """
    age = now_ms - event.ts
    parts = [event.base, room, b',"unsigned":{"age":%d' % (age if age > 0 else 0)]
    if event.prev_content is not None:
        parts += (b',"prev_content":', event.prev_content)
    if event.replaces_id is not None:
        parts += (b',"replaces_state":"', event.replaces_id.encode(), b'"')
    if event.because is not None:
        parts += (b',"redacted_because":', event.because)
    if membership is not None:
        parts += (b',"membership":"', membership.encode(), b'"')
    if (
        event.txn_id is not None
        and device is not None
        and device[1] == event.txn_device
        and device[0] == event.sender
    ):
        parts += (b',"transaction_id":', orjson.dumps(event.txn_id[1:]))
    parts.append(b"}}")
    return b"".join(parts)


def render_stripped(event: Event) -> bytes:
    """The stripped form for invites and knocks: content, sender, state key, type."""
    return b"".join(
        (
            _STRIPPED_KEEPS,
            event.content,
            b',"sender":',
            orjson.dumps(event.sender),
            b',"state_key":',
            orjson.dumps(event.state_key),
            b',"type":',
            orjson.dumps(event.type),
            b"}",
        )
    )
