"""The key backup: room keys that a person's devices encrypt and keep on the server.

(1) Keys are put only into the newest version that isn't deleted; others can be read and deleted.
(2) `count` and `etag` of a version change in the transaction that changes its keys.
(3) A version, once deleted, is gone when that is answered; its keys follow in bounded portions,
    after a crash too. No later version has its name.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import orjson
import structlog

from posthouse.accounts import Accounts
from posthouse.devices import backup_rules, backup_store
from posthouse.devices.backup_model import BackedUpKey, Backup, Place, Scope
from posthouse.devices.errors import BackupKeyNotFound, BackupNotFound
from posthouse.devices.settings import DevicesSettings
from posthouse.devices.signed_in import check_signed_in
from posthouse.devices.store import DeviceOf
from posthouse.matrix import RoomId, UserId
from posthouse.std.faults import Unavailable
from posthouse.streams import UserStreams, Write

_log = structlog.get_logger(__name__)

_KEYS_PER_PAGE: Final = 200
_DELETED_AT_ONCE: Final = 500
_SWEEP_EVERY_S: Final = 600
_SWEPT_AT_ONCE: Final = 100


class KeyBackups:
    """Everybody's key backups."""

    def __init__(self, streams: UserStreams, accounts: Accounts, settings: DevicesSettings) -> None:
        self._streams = streams
        self._accounts = accounts
        self._settings = settings

    # -- versions --------------------------------------------------------------------------------

    async def create(self, by: DeviceOf, algorithm: str, auth_data: Mapping[str, Any]) -> int:
        """Begins a new version, which takes all keys from now on."""
        user_id = by[0]
        content = backup_rules.encode_auth_data(auth_data)

        async def work(write: Write) -> int:
            await check_signed_in(self._accounts, write, *by)
            backups = await backup_store.backups_of(write, user_id)
            backup_rules.check_room_for_version(backups)
            last = backups[-1].version if backups else 0
            version = backup_rules.next_serial(last, write.now_ms)
            await backup_store.add_backup(
                write, user_id, Backup(version, algorithm, content, 0, version)
            )
            for old in backup_rules.forgettable(backups):
                await backup_store.forget_version(write, user_id, old)
            return version

        return await self._streams.write(user_id, work)

    async def current(self, user_id: UserId) -> Backup:
        """The version that takes keys. Raises BackupNotFound where there is none."""
        current = backup_rules.current_of(await self._backups(user_id))
        if current is None:
            raise BackupNotFound()
        return current

    async def version(self, user_id: UserId, version: int) -> Backup:
        return backup_rules.live_version(await self._backups(user_id), version)

    async def set_auth_data(
        self, user_id: UserId, version: int, algorithm: str, auth_data: Mapping[str, Any]
    ) -> None:
        """Replaces what a version says of itself, commonly to add a signature."""
        content = backup_rules.encode_auth_data(auth_data)

        async def work(write: Write) -> None:
            backups = await backup_store.backups_of(write, user_id)
            backup_rules.check_algorithm(backup_rules.live_version(backups, version), algorithm)
            await backup_store.set_auth_data(write, user_id, version, content)

        await self._streams.write(user_id, work)

    async def delete(self, user_id: UserId, version: int) -> None:
        """Deletes a version with its keys; doing so again changes nothing."""

        async def work(write: Write) -> None:
            backups = await backup_store.backups_of(write, user_id)
            backup = next((one for one in backups if one.version == version), None)
            if backup is None:
                raise BackupNotFound()
            if not backup.is_deleted:
                await backup_store.mark_deleted(write, user_id, version)

        await self._streams.write(user_id, work)
        await self._clear(user_id, version)

    # -- keys ------------------------------------------------------------------------------------

    async def put_keys(self, by: DeviceOf, version: int, keys: Sequence[BackedUpKey]) -> Backup:
        """Keeps of each key the better one, the new or the old; returns the version after it.

        A large upload is written in portions. Where one of them is refused those before it stay,
        and the same upload again does only what is left.
        """
        portions = backup_rules.batches(keys) or [[]]
        for portion in portions:
            backup = await self._put_portion(by, version, portion)
        return backup

    async def _put_portion(self, by: DeviceOf, version: int, keys: Sequence[BackedUpKey]) -> Backup:
        user_id = by[0]

        async def work(write: Write) -> Backup:
            await check_signed_in(self._accounts, write, *by)
            backups = await backup_store.backups_of(write, user_id)
            backup = backup_rules.writable_version(backups, version)
            held = await backup_store.ranks_of(write, user_id, version, [k.place for k in keys])
            better = [
                key for key in keys if backup_rules.should_replace(held.get(key.place), key.rank)
            ]
            added = sum(key.place not in held for key in better)
            backup_rules.check_room_for_backed_up(backups, added, self._settings.backup_keys_max)
            if not better:
                return backup
            await backup_store.put_keys(write, user_id, version, better)
            return await _changed(write, user_id, backup, added=added)

        return await self._streams.write(user_id, work)

    async def key(self, user_id: UserId, version: int, place: Place) -> BackedUpKey:
        await self.version(user_id, version)
        found = await backup_store.key_at(self._streams.reader(), user_id, version, place)
        if found is None:
            raise BackupKeyNotFound()
        return found

    async def keys(
        self, user_id: UserId, version: int, room_id: RoomId | None = None
    ) -> AsyncIterator[bytes]:
        """All keys, of a room or of every room, as JSON that comes page by page.

        Raises BackupNotFound before the first piece. A key that is there from beginning to end of
        the reading is among them.
        """
        await self.version(user_id, version)
        pages = self._pages(user_id, version, room_id)
        return _json_of_rooms(pages) if room_id is None else _json_of_room(pages)

    async def _pages(
        self, user_id: UserId, version: int, room_id: RoomId | None
    ) -> AsyncIterator[list[BackedUpKey]]:
        after: Place = (RoomId(""), "")
        while True:
            page = await backup_store.page_of_keys(
                self._streams.reader(),
                user_id,
                version,
                room_id=room_id,
                after=after,
                limit=_KEYS_PER_PAGE,
            )
            if page:
                yield page
            if len(page) < _KEYS_PER_PAGE:
                return
            after = page[-1].place

    async def delete_keys(self, user_id: UserId, version: int, scope: Scope) -> Backup:
        """Deletes the keys that are meant, in portions; returns the version after it."""

        async def work(write: Write) -> tuple[Backup, int]:
            backups = await backup_store.backups_of(write, user_id)
            backup = backup_rules.live_version(backups, version)
            gone = await backup_store.delete_keys(write, user_id, version, scope, _DELETED_AT_ONCE)
            if not gone:
                return backup, 0
            return await _changed(write, user_id, backup, added=-gone), gone

        while True:
            backup, gone = await self._streams.write(user_id, work)
            if gone < _DELETED_AT_ONCE:
                return backup

    # -- forgetting ------------------------------------------------------------------------------

    async def forget_person(self, user_id: UserId) -> None:
        """Drops the backups of a closed account; their keys follow with the next sweep."""

        async def work(write: Write) -> None:
            for backup in await backup_store.backups_of(write, user_id):
                if not backup.is_deleted:
                    await backup_store.mark_deleted(write, user_id, backup.version)
                await backup_store.forget_version(write, user_id, backup.version)

        await self._streams.write(user_id, work)

    async def run(self) -> None:
        """Deletes what interrupted deletions left, now and then; ends by cancellation."""
        while True:
            try:
                await self.sweep()
            except Unavailable as fault:
                _log.warning("deleted key backups not swept", fault=str(fault))
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> None:
        """Deletes the keys of all deleted versions."""
        while found := await backup_store.leftovers(self._streams.reader(), _SWEPT_AT_ONCE):
            for user_id, version in found:
                await self._clear(user_id, version)

    async def _clear(self, user_id: UserId, version: int) -> None:
        async def work(write: Write) -> int:
            gone = await backup_store.delete_keys(
                write, user_id, version, Scope(), _DELETED_AT_ONCE
            )
            if gone < _DELETED_AT_ONCE:
                await backup_store.clear_leftover(write, user_id, version)
            return gone

        while await self._streams.write(user_id, work) == _DELETED_AT_ONCE:
            pass

    async def _backups(self, user_id: UserId) -> list[Backup]:
        return await backup_store.backups_of(self._streams.reader(), user_id)


async def _changed(write: Write, user_id: UserId, backup: Backup, *, added: int) -> Backup:
    """Invariant 2."""
    count = backup.count + added
    etag = backup_rules.next_serial(backup.etag, write.now_ms)
    await backup_store.note_change(write, user_id, backup.version, count=count, etag=etag)
    return Backup(backup.version, backup.algorithm, backup.auth_data, count, etag)


async def _json_of_rooms(pages: AsyncIterator[list[BackedUpKey]]) -> AsyncIterator[bytes]:
    room: RoomId | None = None
    yield b'{"rooms":{'
    async for page in pages:
        piece = bytearray()
        for key in page:
            if key.room_id == room:
                piece += b","
            else:
                piece += b"" if room is None else b"}},"
                piece += orjson.dumps(key.room_id) + b':{"sessions":{'
                room = key.room_id
            piece += _member(key)
        yield bytes(piece)
    yield b"}}" if room is None else b"}}}}"


async def _json_of_room(pages: AsyncIterator[list[BackedUpKey]]) -> AsyncIterator[bytes]:
    is_first = True
    yield b'{"sessions":{'
    async for page in pages:
        yield (b"" if is_first else b",") + b",".join(_member(key) for key in page)
        is_first = False
    yield b"}}"


def _member(key: BackedUpKey) -> bytes:
    return orjson.dumps(key.session_id) + b":" + orjson.dumps(backup_rules.spelled(key))
