"""Devices' keys: published, looked up, and claimed one by one.

What is for one person is written in that person's stream, so a claim and an upload never overlap,
and invariants 1 to 3 of the front door hold by order alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson

from posthouse.accounts import Accounts
from posthouse.devices import publishing, rules, store
from posthouse.devices.counts import CountsCache, read_counts
from posthouse.devices.model import KeyCounts, KeySignature, KeyUpload, Usage
from posthouse.devices.signed_in import check_signed_in, known_devices
from posthouse.matrix import DeviceId, UserId, server_of
from posthouse.storage import Transaction
from posthouse.streams import EntryKind, UserStreams, Write

T = TypeVar("T")

_USERS_PER_READ: Final = 500


class Devices:
    """Identity keys, one-time keys and fallback keys of every device."""

    def __init__(self, streams: UserStreams, accounts: Accounts) -> None:
        self._streams = streams
        self._accounts = accounts
        self._counts = CountsCache(streams)

    # -- publishing --------------------------------------------------------------------------------

    async def publish(
        self, user_id: UserId, device_id: DeviceId, upload: KeyUpload
    ) -> dict[str, int]:
        """Stores what a device uploads; returns its number of one-time keys by algorithm.

        A repeated upload changes nothing. Raises KeyChanged where the id of a one-time key stands
        for another key already; then nothing of the upload is stored.
        """
        if upload == KeyUpload():
            return (await self.key_counts(user_id, device_id)).one_time

        async def work(write: Write) -> dict[str, int]:
            return await self._publish(write, user_id, device_id, upload)

        return await self._streams.write(user_id, work)

    async def _publish(
        self, write: Write, user_id: UserId, device_id: DeviceId, upload: KeyUpload
    ) -> dict[str, int]:
        await check_signed_in(self._accounts, write, user_id, device_id)
        plan = await publishing.plan(write, user_id, device_id, upload)
        await publishing.carry_out(write, user_id, device_id, plan)
        return (await read_counts(write, user_id, device_id)).one_time

    # -- looking up ----------------------------------------------------------------------------------

    async def query(
        self, viewer: UserId, wanted: Mapping[UserId, Sequence[DeviceId]]
    ) -> dict[str, Any]:
        """The answer to /keys/query: keys of devices that there are, and cross-signing keys.

        An empty list of devices means all of a person's. What the viewer may not see (signatures
        by others' user-signing keys, those keys themselves) is left out.
        """
        answer: dict[str, dict[str, Any]] = {
            "failures": self._failures(wanted),
            "device_keys": {},
            "master_keys": {},
            "self_signing_keys": {},
            "user_signing_keys": {},
        }
        local = [user for user in wanted if self._is_ours(user)]
        for start in range(0, len(local), _USERS_PER_READ):
            some = local[start : start + _USERS_PER_READ]
            await self._add_keys(answer, viewer, {user: wanted[user] for user in some})
        return answer

    async def _add_keys(
        self,
        answer: dict[str, dict[str, Any]],
        viewer: UserId,
        wanted: Mapping[UserId, Sequence[DeviceId]],
    ) -> None:
        reader = self._streams.reader()
        users = list(wanted)
        # Keys first: a device that is signed in now and published keys by then is shown.
        keys = await store.device_keys_of(reader, users)
        cross_signing = await store.cross_signing_keys_of(reader, users)
        signatures = await store.signatures_seen_by(reader, viewer, users)
        known = await known_devices(self._accounts, reader, users)
        for user in users:
            devices: dict[str, Any] = {}
            only = set(wanted[user])
            for device, name in sorted(known.get(user, {}).items()):
                stored = keys.get(user, {}).get(device)
                if stored is not None and (not only or device in only):
                    signed = signatures.get((user, device), [])
                    devices[device] = _shown(stored.content, signed, name)
            if devices or user in known:
                answer["device_keys"][user] = devices
            for usage, key in cross_signing.get(user, {}).items():
                if usage is not Usage.USER_SIGNING or user == viewer:
                    signed = signatures.get((user, key.public_key), [])
                    answer[f"{usage}_keys"][user] = _shown(key.content, signed)

    # -- claiming ------------------------------------------------------------------------------------

    async def claim(self, wanted: Mapping[UserId, Mapping[DeviceId, str]]) -> dict[str, Any]:
        """The answer to /keys/claim: one key for each device and algorithm that has one.

        A one-time key is given once; when none is left, the fallback key is given.
        """
        keys: dict[UserId, dict[str, Any]] = {}
        ours = [user for user in wanted if self._is_ours(user)]

        async def claim_in_one_stream(users: list[UserId]) -> dict[UserId, dict[str, Any]]:
            async def work(write: Write) -> dict[UserId, dict[str, Any]]:
                return await self._claim(write, {user: wanted[user] for user in users})

            return await self._streams.write(users[0], work)

        for claimed in await by_stream(self._streams, ours, claim_in_one_stream):
            keys |= claimed
        return {"failures": self._failures(wanted), "one_time_keys": keys}

    async def _claim(
        self, write: Write, wanted: Mapping[UserId, Mapping[DeviceId, str]]
    ) -> dict[UserId, dict[str, Any]]:
        known = await known_devices(self._accounts, write, list(wanted))
        slots = [
            (user, device, algorithm)
            for user, devices in wanted.items()
            for device, algorithm in devices.items()
            if device in known.get(user, {})
        ]
        keys = await store.oldest_one_time_keys(write, slots)
        left = set(slots) - {key.slot for key in keys}
        fallbacks = await store.fallback_keys_for(write, left) if left else []
        unused = [key for key in fallbacks if not key.used]

        if keys:
            await store.mark_claimed(write, keys)
        if unused:
            await store.mark_fallbacks_used(write, unused)
        for key in (*keys, *unused):
            write.touch(key.user_id, EntryKind.ONE_TIME_KEYS, key.device_id)
        claimed: dict[UserId, dict[str, Any]] = {}
        for key in (*keys, *fallbacks):
            name = f"{key.algorithm}:{key.key_id}"
            by_device = claimed.setdefault(key.user_id, {})
            by_device[key.device_id] = {name: orjson.Fragment(key.content)}
        return claimed

    # -- for sync ------------------------------------------------------------------------------------

    def cached_key_counts(self, user_id: UserId, device_id: DeviceId) -> KeyCounts | None:
        """The counts where they are in memory; else `key_counts` fetches them."""
        return self._counts.cached(user_id, device_id)

    async def key_counts(self, user_id: UserId, device_id: DeviceId) -> KeyCounts:
        """What a sync answer says of a device's own keys; `fragment` is ready to be spliced in."""
        return await self._counts.of(user_id, device_id)

    async def own_device_changes(self, user_id: UserId, after: int, up_to: int) -> set[UserId]:
        """Whose keys a person's own devices must fetch again, for changes in `(after, up_to]`.

        The person's own list, and people whose keys were signed. A change after `up_to` may be
        told early, for only the newest is kept: fetching twice does no harm.
        """
        if after >= up_to:
            return set()
        reader = self._streams.reader()
        changed = set(await store.signed_since(reader, user_id, after))
        if await store.list_changed_at(reader, user_id) > after:
            changed.add(user_id)
        return changed

    # -- forgetting ------------------------------------------------------------------------------------

    async def forget_device(self, user_id: UserId, device_id: DeviceId, *, before: int) -> None:
        """Drops what a signed-out device had before `before`, the position of its sign-out.

        What came later is of a new session under the same id and stays. Doing it again is harmless.
        """

        async def work(write: Write) -> None:
            await publishing.withdraw(write, user_id, device_id, before=before)

        await self._streams.write(user_id, work)

    async def forget_person(self, user_id: UserId, *, before: int) -> None:
        """Drops the cross-signing keys of a deactivated account, and what they signed."""

        async def work(write: Write) -> None:
            await store.forget_of_person(write, user_id, before=before)

        await self._streams.write(user_id, work)

    # -- who is ours ---------------------------------------------------------------------------------

    def _is_ours(self, user_id: UserId) -> bool:
        return server_of(user_id) == self._accounts.server

    def _failures(self, wanted: Iterable[UserId]) -> dict[str, Any]:
        """This server does not federate: every other one counts as unreachable."""
        return {server_of(user): {} for user in wanted if not self._is_ours(user)}


async def by_stream(
    streams: UserStreams,
    users: Iterable[UserId],
    write_one: Callable[[list[UserId]], Awaitable[T]],
) -> list[T]:
    """Calls `write_one` with the people of each stream; all are settled before the first fault is
    raised, so that a repeat finds each stream either written or not.
    """
    groups: dict[int, list[UserId]] = {}
    for user in users:
        groups.setdefault(streams.stream_of(user), []).append(user)
    outcomes = await asyncio.gather(
        *(write_one(group) for group in groups.values()), return_exceptions=True
    )
    results: list[T] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


async def empty_one_time_keys(tx: Transaction) -> None:
    """Forgets every one-time key: a restored copy would give out again what was claimed since."""
    await store.empty_one_time_keys(tx)


def _shown(
    content: bytes, signatures: Sequence[KeySignature], display_name: str | None = None
) -> Any:
    """A key as a query answers it; spliced as it is stored where nothing is to be added."""
    if not signatures and display_name is None:
        return orjson.Fragment(content)
    key = rules.with_signatures(orjson.loads(content), signatures)
    if display_name is not None:
        key["unsigned"] = {"device_display_name": display_name}
    return key
