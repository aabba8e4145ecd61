"""Cross-signing: a person's own keys that vouch for their devices, and for other people.

The server checks what a careless or hostile client could get wrong (who owns a key, whether the
master key signed it), and keeps signatures apart from what they sign, each in the stream of its
signer. What a signature is worth is for clients to judge.
"""

from collections.abc import Mapping
from typing import Any

from posthouse.accounts import Accounts
from posthouse.devices import rules, store
from posthouse.devices.errors import NoMasterKey, ProofNeeded
from posthouse.devices.model import (
    CrossSigningKey,
    CrossSigningKeys,
    KeyChange,
    KeySignature,
    StoredKey,
    Usage,
)
from posthouse.matrix import DeviceId, InvalidParam, NotFound, Refusal, UserId, server_of
from posthouse.storage import Reader
from posthouse.streams import EntryKind, UserStreams, Write


class CrossSigning:
    """The cross-signing keys of everybody, and the signatures made with them."""

    def __init__(self, streams: UserStreams, accounts: Accounts) -> None:
        self._streams = streams
        self._accounts = accounts

    # -- keys ------------------------------------------------------------------------------------

    async def publish(self, user_id: UserId, keys: CrossSigningKeys, *, proven: bool) -> None:
        """Stores a person's cross-signing keys; the same keys again change nothing.

        The first keys are taken as they come. Where a master key exists, other keys are taken only
        if the person has `proven` anew who they are: else raises ProofNeeded.
        """

        async def work(write: Write) -> None:
            stored = (await store.cross_signing_keys_of(write, [user_id])).get(user_id, {})
            new = {u: k for u, k in keys.items() if not rules.is_same_key(stored.get(u), k)}
            if not new:
                return
            if Usage.MASTER in stored and not proven:
                raise ProofNeeded()
            master = keys.get(Usage.MASTER) or stored.get(Usage.MASTER)
            if master is None:
                raise NoMasterKey()
            for usage, key in keys.items():
                if usage is not Usage.MASTER:
                    rules.check_signed_by_master(user_id, key, master)
            await _check_no_device_has_the_name(write, user_id, new)
            await _replace(write, user_id, stored, new)

        await self._streams.write(user_id, work)

    # -- signatures ------------------------------------------------------------------------------

    async def add_signatures(
        self, signer: UserId, signed: Mapping[UserId, Mapping[str, Mapping[str, Any]]]
    ) -> dict[UserId, dict[str, Refusal]]:
        """Stores the signatures that verify; returns why the others were not taken.

        A person signs their own devices with the self-signing key, their own master key with a
        device, and others' master keys with the user-signing key.
        """
        reader = self._streams.reader()
        own = await _Own.read(reader, signer)
        accepted: list[KeySignature] = []
        failures: dict[UserId, dict[str, Refusal]] = {}
        ours = [user for user in signed if server_of(user) == self._accounts.server]
        cross_signing = await store.cross_signing_keys_of(reader, ours)
        for target, objects in signed.items():
            master = cross_signing.get(target, {}).get(Usage.MASTER)
            for key_id, signed_object in objects.items():
                try:
                    accepted += own.verify(target, key_id, signed_object, master)
                except Refusal as refusal:
                    failures.setdefault(target, {})[key_id] = refusal
        if accepted:
            await self._store(signer, accepted, own)
        return failures

    async def _store(self, signer: UserId, signatures: list[KeySignature], own: "_Own") -> None:
        async def work(write: Write) -> None:
            new = [s for s in signatures if not await store.has_signature(write, s)]
            now = await _Own.read(write, signer)
            # Verified before this transaction: a key of the signer's that was replaced since has
            # nothing to do with the signature any more.
            new = [s for s in new if own.stands_for(s, now)]
            changed: dict[str, int] = {}
            for signature in new:
                subject = _change_by(signature, own).subject
                if subject not in changed:
                    changed[subject] = write.append(signer, EntryKind.DEVICE_KEYS, subject)
                    if signature.target == signer:
                        await store.mark_list_changed(write, signer, changed[subject])
                await store.put_signature(write, signature, changed[subject])

        await self._streams.write(signer, work)


class _Own:
    """The keys of a signer, as they were when they were read."""

    def __init__(self, user_id: UserId, devices: Mapping[str, StoredKey], keys: CrossSigningKeys):
        self.user_id = user_id
        self.devices = devices
        self.keys = keys

    @classmethod
    async def read(cls, reader: Reader, user_id: UserId) -> "_Own":
        devices = (await store.device_keys_of(reader, [user_id])).get(user_id, {})
        keys = (await store.cross_signing_keys_of(reader, [user_id])).get(user_id, {})
        return cls(user_id, {str(device): key for device, key in devices.items()}, keys)

    def verify(
        self,
        target: UserId,
        key_id: str,
        signed: Mapping[str, Any],
        target_master: CrossSigningKey | None,
    ) -> list[KeySignature]:
        """The signatures of this signer in a signed object; raises a refusal where none counts."""
        stored, signer_keys = self._roles(target, key_id, target_master)
        return rules.signatures_to_keep(
            signed,
            stored,
            signer=self.user_id,
            signer_keys=signer_keys,
            target=target,
            target_key_id=key_id,
        )

    def _roles(
        self, target: UserId, key_id: str, target_master: CrossSigningKey | None
    ) -> tuple[bytes, dict[str, str]]:
        """What is signed, and which of the signer's keys may sign it."""
        if target == self.user_id and key_id in self.devices:
            return self.devices[key_id].content, self._named(Usage.SELF_SIGNING)
        if target_master is None or target_master.public_key != key_id:
            raise NotFound("No such key is known here.")
        if target == self.user_id:
            return target_master.content, self._device_signing_keys()
        return target_master.content, self._named(Usage.USER_SIGNING)

    def _named(self, usage: Usage) -> dict[str, str]:
        key = self.keys.get(usage)
        return {f"ed25519:{key.public_key}": key.public_key} if key else {}

    def _device_signing_keys(self) -> dict[str, str]:
        found = {
            f"ed25519:{device}": rules.ed25519_key_of(stored.content, device)
            for device, stored in self.devices.items()
        }
        return {name: key for name, key in found.items() if key is not None}

    def stands_for(self, signature: KeySignature, now: "_Own") -> bool:
        """Whether the signer's keys that a signature rests on are `now` still what they were."""
        device = signature.signer_key_id.removeprefix("ed25519:")
        if device in self.devices and now.devices.get(device) != self.devices[device]:
            return False
        if signature.target == self.user_id and signature.target_key_id in self.devices:
            key_id = signature.target_key_id
            if now.devices.get(key_id) != self.devices[key_id]:
                return False
        return {u: k.public_key for u, k in now.keys.items()} == {
            u: k.public_key for u, k in self.keys.items()
        }


async def _check_no_device_has_the_name(
    reader: Reader, user_id: UserId, new: CrossSigningKeys
) -> None:
    """Signatures name what they sign by a device's id or a key: nothing may be both."""
    asleep = await store.dehydrated_device(reader, user_id)
    if asleep is not None and any(key.public_key == asleep.device_id for key in new.values()):
        raise InvalidParam("A cross-signing key can't have the name of a device.")


async def _replace(
    write: Write, user_id: UserId, stored: CrossSigningKeys, new: CrossSigningKeys
) -> None:
    """Puts new keys in the place of stored ones, and drops what rested on those."""
    gone = {usage: key for usage, key in stored.items() if usage in new}
    if Usage.MASTER in new:
        # Keys that the old master signed mean nothing under the new one.
        gone = dict(stored)
        for usage in stored.keys() - new.keys():
            await store.delete_cross_signing_key(write, user_id, usage)
    is_shared = any(usage is not Usage.USER_SIGNING for usage in [*new, *gone])
    change = KeyChange.of_cross_signing() if is_shared else KeyChange.of_user_signing()
    position = write.append(user_id, EntryKind.DEVICE_KEYS, change.subject)
    await store.mark_list_changed(write, user_id, position)
    for key in gone.values():
        await store.drop_signatures_by(write, user_id, f"ed25519:{key.public_key}")
        await store.drop_own_signatures_on(write, user_id, key.public_key, before=position)
    for key in new.values():
        await store.put_cross_signing_key(write, user_id, key, position)


def _change_by(signature: KeySignature, own: _Own) -> KeyChange:
    if signature.target != own.user_id:
        return KeyChange.of_signature_on(signature.target)
    if signature.target_key_id in own.devices:
        return KeyChange.of_device(DeviceId(signature.target_key_id))
    return KeyChange.of_cross_signing()
