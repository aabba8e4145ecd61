"""What rooms do when something happened to a person: consumers of the user streams.

Facts come up: `accounts` and `devices` commit an entry, and here it becomes events and notes.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from posthouse.devices import KeyChange
from posthouse.matrix import Refusal, RoomId, UserId
from posthouse.rooms import store
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import DeviceNote
from posthouse.rooms.room import ENCRYPTION, Room
from posthouse.rooms.service import Rooms
from posthouse.streams import Batch, EntryKind, RoomStreams, UserEntry, UserStreams, row_id

_log = structlog.get_logger(__name__)

_NOTES_AT_ONCE: Final = 32
"""Rooms that one turn of the loop reads and writes into at most."""


class DeviceNotes:
    """Writes a note into each encrypted room of a person whose devices changed.

    Idempotent enough: a note that comes twice makes clients ask for the keys once more.
    """

    name: str = "device_notes"
    kinds = frozenset({EntryKind.DEVICE_KEYS, EntryKind.SIGNED_OUT})

    def __init__(
        self, memory: RoomMemory, room_streams: RoomStreams, user_streams: UserStreams
    ) -> None:
        self._memory = memory
        self._room_streams = room_streams
        self._user_streams = user_streams

    async def handle(self, entries: Sequence[UserEntry]) -> None:
        seen_by_others = (
            entry.user_id
            for entry in entries
            if entry.kind is EntryKind.SIGNED_OUT or KeyChange(entry.subject).is_shared
        )
        for user_id in dict.fromkeys(seen_by_others):
            pointers = await store.pointers_of(self._user_streams.reader(), user_id)
            joined = [pointer.room_id for pointer in pointers if pointer.membership == "join"]
            for first in range(0, len(joined), _NOTES_AT_ONCE):
                await self._note_in(joined[first : first + _NOTES_AT_ONCE], user_id)

    async def _note_in(self, room_ids: Sequence[RoomId], user_id: UserId) -> None:
        """Notes in those of the rooms that are encrypted; they commit together."""
        notes = []
        for room_id in room_ids:
            room = await self._memory.get(room_id)
            if room is not None and room.current(*ENCRYPTION) is not None:
                note = partial(self._note, room, user_id)
                notes.append(self._room_streams.submit(room.stream, note))
        await asyncio.gather(*notes)

    def _note(self, room: Room, user_id: UserId, batch: Batch) -> None:
        position = batch.take_position()
        room.expect(position)
        batch.insert(
            store.DEVICE_NOTES, (row_id(room.stream, position), room.key, position, user_id)
        )
        note = DeviceNote(room.key, position, user_id)
        batch.when_committed(partial(self._memory.apply_note, room, note))


class ProfileCopies:
    """Brings a changed name or picture into the rooms that the person is in."""

    name: str = "profile_copies"
    kinds = frozenset({EntryKind.PROFILE})

    def __init__(self, rooms: Rooms, user_streams: UserStreams) -> None:
        self._rooms = rooms
        self._user_streams = user_streams

    async def handle(self, entries: Sequence[UserEntry]) -> None:
        for user_id in dict.fromkeys(entry.user_id for entry in entries):
            for pointer in await store.pointers_of(self._user_streams.reader(), user_id):
                if pointer.membership == "join":
                    try:
                        await self._rooms.copy_profile(user_id, pointer.room_id)
                    except Refusal as refusal:
                        _log.info("profile not copied", room=pointer.room_id, why=str(refusal))


class Departures:
    """Takes a person whose account was closed out of their rooms."""

    name: str = "departures"
    kinds = frozenset({EntryKind.DEACTIVATED})

    def __init__(self, rooms: Rooms, user_streams: UserStreams) -> None:
        self._rooms = rooms
        self._user_streams = user_streams

    async def handle(self, entries: Sequence[UserEntry]) -> None:
        for user_id in dict.fromkeys(entry.user_id for entry in entries):
            for pointer in await store.pointers_of(self._user_streams.reader(), user_id):
                if pointer.membership in ("join", "invite", "knock"):
                    try:
                        await self._rooms.leave(user_id, pointer.room_id)
                    except Refusal as refusal:
                        _log.info("not taken out", room=pointer.room_id, why=str(refusal))
