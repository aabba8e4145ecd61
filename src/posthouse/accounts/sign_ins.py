"""Sign-ins: devices, the tokens they hold, and who a token stands for.

A device's record and its tokens live and die together, in the person's stream.

(1) No token works once its sign-out was answered (see token_cache.py).
(2) A device holds one pair of tokens. A refresh makes a second pair; the first use of either of
    its tokens proves that the client has it, and revokes the first pair. Until then the old
    refresh token still works, so that a lost answer locks nobody out.
"""

import asyncio
import base64
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

import structlog

from posthouse.accounts import rules, store
from posthouse.accounts.errors import DeviceNotFound, RevokedToken, TooManyDevices
from posthouse.accounts.model import (
    AccessToken,
    Device,
    DeviceWish,
    Issued,
    RefreshToken,
    SignIn,
)
from posthouse.accounts.settings import AccountSettings
from posthouse.accounts.token_cache import TokenCache
from posthouse.http import Caller
from posthouse.matrix import DeviceId, UnknownToken, UserId
from posthouse.std.clock import Clock, Randomness
from posthouse.std.faults import Unavailable
from posthouse.streams import EntryKind, UserStreams, Write

_log = structlog.get_logger(__name__)

_MS: Final = timedelta(milliseconds=1)
_SEEN_EVERY_S: Final = 600
_SEEN_COARSE_MS: Final = 3_600_000
_SEEN_BATCH: Final = 500
_UNUSED_PAIRS_MAX: Final = 3


class SignIns:
    """Who is signed in where."""

    def __init__(
        self, streams: UserStreams, settings: AccountSettings, clock: Clock, random: Randomness
    ) -> None:
        self._streams = streams
        self._settings = settings
        self._clock = clock
        self._random = random
        self._cache = TokenCache()
        # A commit in doubt may have been a sign-out that nobody was told of.
        streams.listen_reset(lambda _stream: self._cache.clear())

    def cached(self, token: str) -> Caller | None:
        """Who an access token stands for, where that is known without a query."""
        return self._cache.get(rules.token_hash(token), self._clock.now_ms())

    async def authenticate(self, token: str) -> Caller:
        """Who an access token stands for; raises UnknownToken."""
        mark = self._cache.mark
        found = await store.token_owner(self._streams.reader(), rules.token_hash(token))
        if found is None:
            raise UnknownToken
        kept, is_admin = found
        if kept.expires_ms is not None and kept.expires_ms <= self._clock.now_ms():
            raise UnknownToken("This access token is too old: refresh it.", soft_logout=True)
        if kept.fresh:
            await self._settle(kept)
        caller = Caller(
            user_id=kept.user_id,
            device_id=kept.device_id,
            token_id=kept.token_hash,
            is_admin=is_admin,
        )
        self._cache.put(caller, kept.expires_ms, mark=mark)
        return caller

    async def issue(self, write: Write, user_id: UserId, wish: DeviceWish) -> SignIn:
        """Part of a work: signs a person in, on a new device or again on one of theirs."""
        device_id = wish.device_id or self._new_device_id()
        known = await store.device_of(write, user_id, device_id) is not None
        if not known and await store.count_devices(write, user_id) >= self._settings.devices_max:
            raise TooManyDevices
        await store.put_device(
            write, user_id, device_id, display_name=wish.display_name, address=wish.address
        )
        if known:
            await store.delete_tokens(write, user_id, device_id)
            write.after_commit(lambda: self._cache.forget(user_id, device_id))
        else:
            write.append(user_id, EntryKind.DEVICES, subject=device_id)
        tokens = await self._add_tokens(
            write, user_id, device_id, refreshable=wish.refreshable, fresh=False
        )
        return SignIn(user_id, device_id, tokens)

    async def refresh(self, token: str) -> Issued:
        """A new pair of tokens for a refresh token; raises RevokedToken."""
        token_hash = rules.token_hash(token)
        found = await store.refresh_token(self._streams.reader(), token_hash)
        if found is None:
            raise RevokedToken(soft_logout=True)
        return await self._streams.write(
            found.user_id, lambda write: self._refresh(write, token_hash)
        )

    async def sign_out(self, user_id: UserId, devices: Iterable[DeviceId]) -> None:
        """Forgets those of the devices that there are, with their tokens."""
        wanted = set(devices)

        async def work(write: Write) -> None:
            theirs = await store.devices_of(write, user_id)
            await self.end(write, user_id, [d.device_id for d in theirs if d.device_id in wanted])

        await self._streams.write(user_id, work)

    async def end_all(
        self, write: Write, user_id: UserId, *, besides: DeviceId | None = None
    ) -> None:
        """Part of a work: signs a person out everywhere, or everywhere else."""
        theirs = await store.devices_of(write, user_id)
        await self.end(write, user_id, [d.device_id for d in theirs if d.device_id != besides])

    async def end(self, write: Write, user_id: UserId, devices: Sequence[DeviceId]) -> None:
        """Part of a work: forgets devices that exist. Their keys are other domains' to forget."""
        for device_id in devices:
            await store.delete_device(write, user_id, device_id)
            write.append(user_id, EntryKind.SIGNED_OUT, subject=device_id, device_id=device_id)
        gone = tuple(devices)

        def forget() -> None:
            for device_id in gone:
                self._cache.forget(user_id, device_id)

        write.after_commit(forget)

    def forget(self, user_id: UserId) -> None:
        """What is remembered of a person's tokens is read again before it is believed."""
        self._cache.forget(user_id)

    async def devices(self, user_id: UserId) -> list[Device]:
        return await store.devices_of(self._streams.reader(), user_id)

    async def device(self, user_id: UserId, device_id: DeviceId) -> Device:
        found = await store.device_of(self._streams.reader(), user_id, device_id)
        if found is None:
            raise DeviceNotFound
        return found

    async def rename(self, user_id: UserId, device_id: DeviceId, display_name: str | None) -> None:
        """Gives a device another name; None leaves it as it is."""
        if display_name is not None:
            rules.check_device_name(display_name)

        async def work(write: Write) -> None:
            found = await store.device_of(write, user_id, device_id)
            if found is None:
                raise DeviceNotFound
            if display_name is not None and display_name != found.display_name:
                await store.rename_device(write, user_id, device_id, display_name)
                write.append(user_id, EntryKind.DEVICES, subject=device_id)

        await self._streams.write(user_id, work)

    async def run(self) -> None:
        """Notes now and then which devices were heard of; ends by cancellation."""
        while True:
            await asyncio.sleep(_SEEN_EVERY_S)
            try:
                await self.note_seen()
            except Unavailable as fault:
                # Nothing is lost that matters: the devices are noted when next heard of.
                _log.warning("devices not noted as seen", reason=str(fault))

    async def note_seen(self) -> None:
        """Writes down when devices were last heard of, to the hour."""
        by_stream: dict[int, list[tuple[UserId, DeviceId]]] = {}
        for user_id, device_id in self._cache.take_used():
            stream = self._streams.stream_of(user_id)
            by_stream.setdefault(stream, []).append((user_id, device_id))
        for seen in by_stream.values():
            for start in range(0, len(seen), _SEEN_BATCH):
                await self._note(seen[start : start + _SEEN_BATCH])

    async def _note(self, seen: Sequence[tuple[UserId, DeviceId]]) -> None:
        async def work(write: Write) -> None:
            since = write.now_ms - _SEEN_COARSE_MS
            for user_id, device_id in seen:
                await store.note_seen(write, user_id, device_id, unless_since_ms=since)

        await self._streams.write(seen[0][0], work)

    async def _settle(self, token: AccessToken) -> None:
        """The first use of a refreshed token: invariant 2."""

        async def work(write: Write) -> None:
            now = await store.access_token(write, token.token_hash)
            if now is None:
                raise UnknownToken
            if now.fresh:
                await store.settle_access_token(write, now)
                write.after_commit(lambda: self._cache.forget(now.user_id, now.device_id))

        await self._streams.write(token.user_id, work)

    async def _refresh(self, write: Write, token_hash: bytes) -> Issued:
        found = await store.refresh_token(write, token_hash)
        if found is None:
            raise RevokedToken(soft_logout=True)
        user_id, device_id = found.user_id, found.device_id
        if found.fresh:
            await store.settle_refresh_token(write, found)
        await store.drop_fresh_tokens(write, user_id, device_id, keep=_UNUSED_PAIRS_MAX)
        write.after_commit(lambda: self._cache.forget(user_id, device_id))
        return await self._add_tokens(write, user_id, device_id, refreshable=True, fresh=True)

    async def _add_tokens(
        self, write: Write, user_id: UserId, device_id: DeviceId, *, refreshable: bool, fresh: bool
    ) -> Issued:
        access = self._new_token("ph", user_id)
        refresh = self._new_token("phr", user_id) if refreshable else None
        refresh_hash = None if refresh is None else rules.token_hash(refresh)
        lifetime = self._settings.access_token_lifetime // _MS if refreshable else None
        if refresh_hash is not None:
            await store.add_refresh_token(
                write, RefreshToken(refresh_hash, user_id, device_id, fresh)
            )
        await store.add_access_token(
            write,
            AccessToken(
                token_hash=rules.token_hash(access),
                user_id=user_id,
                device_id=device_id,
                expires_ms=None if lifetime is None else write.now_ms + lifetime,
                refresh_hash=refresh_hash,
                fresh=fresh,
            ),
        )
        return Issued(access, refresh, lifetime)

    def _new_token(self, prefix: str, user_id: UserId) -> str:
        return f"{prefix}_{rules.routing_tag(user_id)}_{self._random.token_urlsafe(32)}"

    def _new_device_id(self) -> DeviceId:
        letters = base64.b32encode(self._random.token_bytes(10)).decode()
        return DeviceId(letters[: rules.DEVICE_ID_LENGTH])
