"""Judging and building one event inside the writer: a plain function of what is pending."""

from functools import partial
from hashlib import sha256
from typing import Any, Final

import orjson
from msgspec import Struct, structs

from posthouse.matrix import (
    EventId,
    EventView,
    Forbidden,
    RoomVersion,
    UserId,
    auth_types,
    authorise,
    check_event_size,
    encode_base64,
    encode_parsed,
    event_id_of,
    redact,
    reference_hash,
)
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import Event, Head, JsonObject, StateEvent, TransactionKey
from posthouse.rooms.room import PendingState, Room
from posthouse.rooms.store import (
    CURRENT_STATE,
    EVENTS,
    REDACT,
    ROOMS,
    pack_positions,
    short_hash,
)
from posthouse.rooms.wire import base_bytes, pruned_base, served_content
from posthouse.streams import Batch, row_id

_SIGNATURE_ALLOWANCE: Final = 256
"""What a signature by this server adds to a PDU; it is made when it is first needed."""


class Draft(Struct, frozen=True):
    """An event that somebody wants to send."""

    type: str
    sender: UserId
    content: JsonObject
    state_key: str | None = None
    redacts: Event | None = None
    """The event to be redacted, read beforehand."""
    transaction: TransactionKey | None = None


class Built(Struct, frozen=True):
    """An event with its hashes."""

    event_id: EventId
    hash: bytes
    content_hash: bytes
    content: bytes


def build(
    room: Room, draft: Draft, *, head: Head, auth: list[EventId], ts: int, is_create: bool
) -> Built:
    """Hashes an event that follows `head`. Raises TooLarge."""
    return build_pdu(
        room.version,
        None if is_create and room.version.room_id_is_create_hash else room.room_id,
        draft,
        head=head,
        auth=auth,
        ts=ts,
    )


def build_pdu(
    version: RoomVersion,
    room_id: str | None,
    draft: Draft,
    *,
    head: Head,
    auth: list[EventId],
    ts: int,
) -> Built:
    pdu: dict[str, Any] = {
        "auth_events": auth,
        "content": draft.content,
        "depth": head.depth + 1,
        "origin_server_ts": ts,
        "prev_events": [head.event_id] if head.event_id else [],
        "sender": draft.sender,
        "type": draft.type,
    }
    if room_id is not None:
        pdu["room_id"] = room_id
    if draft.state_key is not None:
        pdu["state_key"] = draft.state_key
    if draft.redacts is not None and not version.redacts_in_content:
        pdu["redacts"] = draft.redacts.event_id
    encoded = encode_parsed(pdu)
    check_event_size(encoded, allowance=_SIGNATURE_ALLOWANCE)
    content_hash = sha256(encoded).digest()
    pdu["hashes"] = {"sha256": encode_base64(content_hash)}
    event_hash = reference_hash(pdu, version)
    return Built(event_id_of(event_hash), event_hash, content_hash, encode_parsed(draft.content))


class Appender:
    """Adds events to batches; every write to a room's log goes through `append`."""

    def __init__(self, memory: RoomMemory) -> None:
        self._memory = memory

    def append(self, batch: Batch, room: Room, draft: Draft, now_ms: int) -> Event:
        """Judges an event on what is pending and puts it into the batch.

        Raises Forbidden or TooLarge before the batch is touched, and Cold where state must be
        read first. A state event that changes nothing is answered with the one that stands.
        """
        state = PendingState(room)
        replaced: StateEvent | None = None
        if draft.state_key is not None:
            replaced = state.get(draft.type, draft.state_key)
            if (
                replaced is not None
                and replaced.sender == draft.sender
                and replaced.content == draft.content
            ):
                return replaced.event
        types = auth_types(draft.type, draft.sender, draft.state_key, draft.content, room.version)
        auth = [found for key in types if (found := state.get(*key)) is not None]
        is_create = draft.type == "m.room.create"
        head = room.pending.head if room.pending else room.head
        authorise(
            EventView(
                type=draft.type,
                state_key=draft.state_key,
                sender=draft.sender,
                room_id=None if is_create and room.version.room_id_is_create_hash else room.room_id,
                content=draft.content,
                prev_events=(head.event_id,) if head.event_id else (),
            ),
            state,
            room.version,
        )
        if draft.redacts is not None:
            _may_redact(room, state, draft, draft.redacts)
            if draft.redacts.state_key is not None:
                # Whether it still stands is asked again when it is pruned: cold is found out here.
                state.get(draft.redacts.type, draft.redacts.state_key)
        ts = max(now_ms, head.ts)
        built = build(
            room, draft, head=head, auth=[a.event_id for a in auth], ts=ts, is_create=is_create
        )
        return self._put(batch, room, draft, built, auth, head, ts, replaced)

    def _put(
        self,
        batch: Batch,
        room: Room,
        draft: Draft,
        built: Built,
        auth: list[StateEvent],
        head: Head,
        ts: int,
        replaced: StateEvent | None,
    ) -> Event:
        """Nothing is refused any more: takes the position and writes the rows."""
        position = batch.take_position()
        txn = draft.transaction
        redacts = draft.redacts.event_id if draft.redacts else None
        content = served_content(built.content, redacts)
        event = Event(
            key=room.key,
            position=position,
            event_id=built.event_id,
            type=draft.type,
            state_key=draft.state_key,
            sender=draft.sender,
            ts=ts,
            base=base_bytes(
                content=content,
                event_id=built.event_id,
                ts=ts,
                sender=draft.sender,
                type_=draft.type,
                state_key=draft.state_key,
                redacts=redacts,
            ),
            content_size=len(content),
            prev=head.position,
            replaces=replaced.position if replaced else 0,
            redacts=redacts,
            redacted_by=0,
            txn_device=txn.device_id if txn else None,
            txn_id=txn.endpoint + txn.txn_id if txn else None,
            prev_content=replaced.event.content if replaced else None,
            replaces_id=replaced.event_id if replaced else None,
        )
        batch.insert(
            EVENTS,
            (
                row_id(room.stream, position),
                room.key,
                position,
                draft.type,
                draft.state_key,
                draft.sender,
                ts,
                head.depth + 1,
                built.hash,
                short_hash(built.hash),
                built.content_hash,
                pack_positions([a.position for a in auth]),
                head.position,
                event.replaces,
                redacts,
                0,
                event.txn_device,
                event.txn_id,
                built.content,
            ),
        )
        pending = room.expect(position)
        pending.head = Head(position, built.event_id, head.depth + 1, ts)
        state_event: StateEvent | None = None
        if draft.state_key is not None:
            state_event = StateEvent(
                sender=draft.sender,
                content=draft.content,
                event_id=built.event_id,
                position=position,
                event=event,
            )
            pending.state[draft.type, draft.state_key] = state_event
            membership = state_event.membership if draft.type == "m.room.member" else None
            batch.upsert(
                CURRENT_STATE,
                (room.key, draft.type, draft.state_key),
                (room.key, draft.type, draft.state_key, position, membership),
            )
        if txn is not None:
            self._memory.transactions(room.stream).expect(txn, built.event_id)
        batch.when_committed(
            partial(self._memory.apply, room, event, pending.head, state_event, txn)
        )
        if draft.redacts is not None and not draft.redacts.redacted_by:
            self._prune(batch, room, event, draft.redacts)
        return event

    def _prune(self, batch: Batch, room: Room, redaction: Event, target: Event) -> None:
        """Prunes the redacted row in place: nothing is kept apart."""
        content = pruned(room.version, target)
        batch.execute(REDACT, content, redaction.position, room.key, target.position)
        batch.when_committed(
            partial(self._memory.apply_redaction, room, redaction, target, content)
        )
        if target.state_key is not None:
            pending = room.begin()
            standing = PendingState(room).get(target.type, target.state_key)
            if standing is not None and standing.position == target.position:
                pending.state[target.type, target.state_key] = pruned_state(standing, content)

    def create(self, batch: Batch, room: Room, created_ms: int) -> None:
        """The row of a new room, in the batch of its first events."""
        batch.insert(
            ROOMS,
            (room.key, room.room_id, room.version.identifier, room.creator, created_ms),
        )
        self._memory.expect(room)
        batch.when_committed(partial(self._memory.adopt, room))


def pruned(version: RoomVersion, target: Event) -> bytes:
    """What redaction leaves of an event's content."""
    left = redact({"type": target.type, "content": orjson.loads(target.content)}, version)
    return encode_parsed(left["content"])


def pruned_state(standing: StateEvent, content: bytes) -> StateEvent:
    """A state event after its redaction: what replaces it doesn't quote what it said before."""
    event = structs.replace(
        standing.event, base=pruned_base(standing.event, content), content_size=len(content)
    )
    return structs.replace(standing, content=orjson.loads(content), event=event)


def _may_redact(room: Room, state: PendingState, draft: Draft, target: Event) -> None:
    """Own events always, others' with the room's `redact` level."""
    if not state.power_levels().may_redact(draft.sender, target.sender):
        raise Forbidden("You may redact only your own messages in this room.")
