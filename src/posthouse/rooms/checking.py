"""What `posthouse check` asks of the tables of rooms: every invariant that rows can show.

Reads the whole log once, in the order of its ids, in pieces. Content hashes are not asked of what
was redacted: its event id still has to check.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from posthouse.matrix import (
    ROOM_VERSIONS,
    EventId,
    RoomVersion,
    content_hash,
    encode_base64,
    event_id_of,
    reference_hash,
)
from posthouse.rooms.store import short_hash, unpack_positions
from posthouse.storage import Owner, Reader, Row
from posthouse.streams import all_streams, purged_ranges

_ROWS_PER_READ: Final = 500

_LOG: Final = """
    SELECT id, room, position, type, state_key, sender, ts, depth, hash, short_hash, content_hash,
        auth, prev, replaces, redacts, redacted_by, txn_device, txn_id, content
    FROM events WHERE id > $1 ORDER BY id LIMIT $2
"""
_NOTES: Final = "SELECT id FROM device_notes WHERE id > $1 ORDER BY id LIMIT $2"
_ROOMS: Final = "SELECT room, room_id, version FROM rooms"
_CURRENT: Final = """
    SELECT room, type, state_key, position, membership FROM current_state
    WHERE room = $1
"""
_POINTERS: Final = "SELECT user_id, room_id, membership, room_position FROM memberships"


@dataclass(slots=True)
class _RoomSoFar:
    """What the log said of one room up to here."""

    room_id: str
    version: RoomVersion
    prev: int = 0
    prev_id: EventId | None = None
    depth: int = 0
    ids: dict[int, EventId] = field(default_factory=dict)
    """Of state events, by position: what auth events refer to."""
    state: dict[tuple[str, str], tuple[int, str | None]] = field(default_factory=dict)
    transactions: set[tuple[str, str, str]] = field(default_factory=set)


class RoomCheck:
    """One reading of the whole log."""

    def __init__(self, rooms: Reader, users: Reader) -> None:
        self._reader = rooms
        self._users = users
        self._rooms: dict[int, _RoomSoFar] = {}
        self._keys: dict[str, int] = {}
        self._seen: dict[int, list[int]] = {}

    async def problems(self) -> AsyncIterator[str]:
        """Sentences about what is wrong, each naming table, row and what was expected."""
        for room, room_id, version in await self._reader.fetch_all(_ROOMS):
            self._rooms[room] = _RoomSoFar(room_id, ROOM_VERSIONS[version])
            self._keys[room_id] = room
        after = 0
        while rows := await self._reader.fetch_all(_LOG, after, _ROWS_PER_READ):
            for row in rows:
                self._seen.setdefault(row[0] >> 40, []).append(row[2])
                for problem in self._event(row):
                    yield f"events: row {row[0]} {problem}"
            after = rows[-1][0]
        after = 0
        while rows := await self._reader.fetch_all(_NOTES, after, _ROWS_PER_READ):
            for (row_id,) in rows:
                self._seen.setdefault(row_id >> 40, []).append(row_id & ((1 << 40) - 1))
            after = rows[-1][0]
        async for problem in self._gaps():
            yield problem
        async for problem in self._current_state():
            yield problem
        async for problem in self._pointers():
            yield problem

    def _event(self, row: Row) -> list[str]:
        (
            row_id,
            room,
            position,
            type_,
            state_key,
            sender,
            ts,
            depth,
            event_hash,
            short,
            hash_of_content,
            auth,
            prev,
            replaces,
            redacts,
            redacted_by,
            txn_device,
            txn_id,
            content,
        ) = row
        so_far = self._rooms.get(room)
        if so_far is None:
            return [f"is of room {room}, which doesn't exist."]
        problems: list[str] = []
        if row_id & ((1 << 40) - 1) != position:
            problems.append(f"says position {position}.")
        if short != short_hash(event_hash):
            problems.append("can't be found by its event id: short_hash is not of its hash.")
        if prev != so_far.prev:
            problems.append(f"follows position {prev}; the event before it is at {so_far.prev}.")
        if depth != so_far.depth + 1:
            problems.append(f"has depth {depth}; {so_far.depth + 1} was expected.")
        pdu: dict[str, Any] = {
            "auth_events": [so_far.ids.get(at) for at in unpack_positions(auth)],
            "content": orjson.loads(content),
            "depth": depth,
            "origin_server_ts": ts,
            "prev_events": [so_far.prev_id] if so_far.prev_id else [],
            "sender": sender,
            "type": type_,
        }
        if not (type_ == "m.room.create" and so_far.version.room_id_is_create_hash):
            pdu["room_id"] = so_far.room_id
        if state_key is not None:
            pdu["state_key"] = state_key
        if redacts is not None and not so_far.version.redacts_in_content:
            pdu["redacts"] = redacts
        if not redacted_by and content_hash(pdu, so_far.version) != hash_of_content:
            problems.append("doesn't match its content hash.")
        pdu["hashes"] = {"sha256": encode_base64(hash_of_content)}
        if reference_hash(pdu, so_far.version) != event_hash:
            problems.append(f"doesn't match its event id {event_id_of(event_hash)}.")
        if state_key is not None:
            key = (type_, state_key)
            before = so_far.state.get(key, (0, None))[0]
            if replaces != before:
                problems.append(f"replaces position {replaces}; the state was set at {before}.")
            membership = pdu["content"].get("membership") if type_ == "m.room.member" else None
            so_far.state[key] = (position, membership)
            so_far.ids[position] = event_id_of(event_hash)
        if txn_id is not None:
            transaction = (sender, txn_device, txn_id)
            if transaction in so_far.transactions:
                problems.append(f"repeats transaction {txn_id} of {sender}.")
            so_far.transactions.add(transaction)
        so_far.prev, so_far.prev_id, so_far.depth = position, event_id_of(event_hash), depth
        return problems

    async def _gaps(self) -> AsyncIterator[str]:
        """Positions are gapless up to the head, but for ranges whose purge was recorded."""
        purged = await purged_ranges(self._reader, Owner.ROOM)
        streams = {row.stream: row for row in await all_streams(self._reader, Owner.ROOM)}
        for stream in self._seen:
            if stream not in streams:
                yield f"room_streams: stream {stream} has entries and no row."
        for stream, row in streams.items():
            positions = sorted(self._seen.get(stream, []))
            expected = row.start + 1
            ranges = iter([*purged.get(stream, []), (row.head + 1, row.head + 1)])
            first, last = next(ranges)
            for position in [*positions, row.head + 1]:
                while expected == first and expected <= row.head:
                    expected = last + 1
                    first, last = next(ranges)
                if position < expected:
                    yield f"events: position {position} of stream {stream} stands there twice."
                elif position > expected:
                    yield (
                        f"events: stream {stream} misses positions {expected} to {position - 1} "
                        f"(its head is {row.head})."
                    )
                expected = position + 1

    async def _current_state(self) -> AsyncIterator[str]:
        for room, so_far in self._rooms.items():
            rows = await self._reader.fetch_all(_CURRENT, room)
            stored = {(row[1], row[2]): (row[3], row[4]) for row in rows}
            for key in stored.keys() | so_far.state.keys():
                if stored.get(key) != so_far.state.get(key):
                    yield (
                        f"current_state: {key} of {so_far.room_id} is {stored.get(key)}; "
                        f"the log says {so_far.state.get(key)}."
                    )

    async def _pointers(self) -> AsyncIterator[str]:
        """A pointer may lag behind the log, but says nothing that was never true."""
        for user_id, room_id, membership, at in await self._users.fetch_all(_POINTERS):
            room = self._rooms.get(self._keys.get(room_id, 0))
            if room is None:
                yield f"memberships: {user_id} points to {room_id}, which doesn't exist."
                continue
            newest = room.state.get(("m.room.member", user_id))
            if newest is None or at > newest[0]:
                yield f"memberships: {user_id} in {room_id} points past the log, to {at}."
            elif at == newest[0] and membership != newest[1]:
                yield (
                    f"memberships: {user_id} in {room_id} is {membership}; "
                    f"the log says {newest[1]}."
                )
