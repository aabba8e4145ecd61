"""What an upload of keys changes: found out first, then written.

Parts of a work in the person's stream. Everything that can be refused is refused in `plan`, before
anything is written (invariant 1 of a work).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from posthouse.devices import rules, store
from posthouse.devices.errors import KeyChanged
from posthouse.devices.model import KeyChange, KeyUpload, NewKey, StoredKey
from posthouse.matrix import DeviceId, UserId
from posthouse.storage import Reader
from posthouse.streams import EntryKind, Write


@dataclass(frozen=True, slots=True)
class Plan:
    """What of an upload is new."""

    identity: bytes | None
    replaced: StoredKey | None
    one_time_keys: list[NewKey]
    fallback_keys: list[NewKey]

    @property
    def is_empty(self) -> bool:
        return self.identity is None and not self.one_time_keys and not self.fallback_keys


async def plan(reader: Reader, user_id: UserId, device_id: DeviceId, upload: KeyUpload) -> Plan:
    """Raises KeyChanged where the id of a one-time key stands for another key already."""
    one_time_keys = await _keys_to_add(reader, user_id, device_id, upload.one_time_keys)
    stored = await store.device_keys(reader, user_id, device_id)
    fallback_keys = await _fallbacks_to_put(reader, user_id, device_id, upload.fallback_keys)
    identity = upload.device_keys if _differs(upload.device_keys, stored) else None
    return Plan(identity, stored, one_time_keys, fallback_keys)


async def carry_out(write: Write, user_id: UserId, device_id: DeviceId, plan: Plan) -> None:
    if plan.identity is not None:
        change = KeyChange.of_device(device_id)
        position = write.append(user_id, EntryKind.DEVICE_KEYS, change.subject)
        await store.put_device_keys(write, user_id, device_id, plan.identity, position)
        await store.mark_list_changed(write, user_id, position)
        if plan.replaced is None or rules.unsigned_part(
            plan.replaced.content
        ) != rules.unsigned_part(plan.identity):
            # What was signed is not what stands here now.
            await store.drop_own_signatures_on(write, user_id, device_id, before=position)
    if plan.one_time_keys or plan.fallback_keys:
        position = write.position(user_id, EntryKind.ONE_TIME_KEYS, device_id=device_id)
        await store.add_one_time_keys(write, user_id, device_id, plan.one_time_keys, position)
        for key in plan.fallback_keys:
            await store.put_fallback(write, user_id, device_id, key, position)


async def withdraw(write: Write, user_id: UserId, device_id: DeviceId, *, before: int) -> None:
    """Drops what a device that ended had before `before`; people who share a room are told."""
    await store.forget_of_device(write, user_id, device_id, before=before)
    if await store.delete_device_keys(write, user_id, device_id, before=before):
        await store.drop_own_signatures_on(write, user_id, device_id, before=before)
        change = KeyChange.of_device(device_id)
        position = write.append(user_id, EntryKind.DEVICE_KEYS, change.subject)
        await store.mark_list_changed(write, user_id, position)
    write.touch(user_id, EntryKind.ONE_TIME_KEYS, device_id)


async def _keys_to_add(
    reader: Reader, user_id: UserId, device_id: DeviceId, keys: Sequence[NewKey]
) -> list[NewKey]:
    """Those not known yet, claimed ones included: a late repeat must not bring them back."""
    if not keys:
        return []
    known = await store.known_keys(reader, user_id, device_id, keys)
    if any(known.get(key.name, key.content) != key.content for key in keys):
        raise KeyChanged()
    new = [key for key in keys if key.name not in known]
    rules.check_room_for_keys(await store.one_time_counts(reader, user_id, device_id), new)
    return new


async def _fallbacks_to_put(
    reader: Reader, user_id: UserId, device_id: DeviceId, keys: Sequence[NewKey]
) -> list[NewKey]:
    """Those that differ from what is stored: a repeat must not make a used key look unused."""
    if not keys:
        return []
    stored = {
        NewKey(key.algorithm, key.key_id, key.content)
        for key in await store.fallbacks_of(reader, user_id, device_id)
    }
    rules.check_fallback_algorithms(stored, keys)
    return [key for key in keys if key not in stored]


def _differs(uploaded: bytes | None, stored: StoredKey | None) -> bool:
    return uploaded is not None and (stored is None or stored.content != uploaded)
