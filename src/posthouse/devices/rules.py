"""What a key must look like, which signatures count, and who may see them: plain functions.

Keys are kept as canonical JSON, so that two uploads are the same exactly when their bytes are.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from posthouse.devices.errors import (
    BadKey,
    KeyTooLarge,
    NotDehydrated,
    NotSignedByMaster,
    NotYourDevice,
    TooManyKeys,
)
from posthouse.devices.model import (
    CrossSigningKey,
    DehydratedDevice,
    KeySignature,
    KeyUpload,
    NewKey,
    Usage,
)
from posthouse.matrix import (
    DeviceId,
    InvalidParam,
    InvalidSignature,
    UserId,
    encode_canonical,
    verify_json,
)

DEVICE_KEYS_BYTES_MAX: Final = 32_768
ONE_TIME_KEY_BYTES_MAX: Final = 8_192
"""Roomy enough for a post-quantum key and its signature; today's take 200 bytes."""

KEYS_PER_UPLOAD_MAX: Final = 500
KEYS_PER_ALGORITHM_MAX: Final = 200
"""Clients keep 50 to 100 one-time keys on the server."""

DEHYDRATED_BYTES_MAX: Final = 65_536

ALGORITHMS_MAX: Final = 8
NAME_BYTES_MAX: Final = 255

Json = Mapping[str, Any]

_PUBLIC_KEY: Final = re.compile(r"[A-Za-z0-9+/]{43}")
"""32 bytes in unpadded base64."""


def parse_upload(
    user_id: UserId,
    device_id: DeviceId,
    *,
    device_keys: Json | None,
    one_time_keys: Json | None,
    fallback_keys: Json | None,
) -> KeyUpload:
    """What a device publishes, checked. Raises a refusal that names the first fault."""
    fallbacks = _parse_keys(fallback_keys or {}, "fallback_keys")
    if len({key.algorithm for key in fallbacks}) < len(fallbacks):
        raise InvalidParam("There can be one fallback key for each algorithm.")
    return KeyUpload(
        device_keys=_parse_device_keys(user_id, device_id, device_keys) if device_keys else None,
        one_time_keys=_parse_keys(one_time_keys or {}, "one_time_keys"),
        fallback_keys=fallbacks,
    )


def _parse_device_keys(user_id: UserId, device_id: DeviceId, keys: Json) -> bytes:
    if (keys.get("user_id"), keys.get("device_id")) != (user_id, device_id):
        raise NotYourDevice()
    algorithms = keys.get("algorithms")
    if not isinstance(algorithms, list) or not all(isinstance(a, str) for a in algorithms):
        raise BadKey("`device_keys.algorithms` must be a list of strings.")
    _check_strings(keys.get("keys"), "device_keys.keys")
    _check_signatures(keys.get("signatures"), "device_keys.signatures")
    content = encode_canonical(without(keys, "unsigned"))
    if len(content) > DEVICE_KEYS_BYTES_MAX:
        raise KeyTooLarge()
    return content


def _parse_keys(keys: Json, member: str) -> tuple[NewKey, ...]:
    if len(keys) > KEYS_PER_UPLOAD_MAX:
        raise TooManyKeys()
    return tuple(_parse_key(name, key, member) for name, key in keys.items())


def _parse_key(name: str, key: Any, member: str) -> NewKey:
    algorithm, colon, key_id = name.partition(":")
    if not (algorithm and colon and key_id) or len(name.encode()) > NAME_BYTES_MAX or "\0" in name:
        raise BadKey(f"A key in `{member}` must be named `<algorithm>:<key id>`.")
    if isinstance(key, dict):
        if not isinstance(key.get("key"), str):
            raise BadKey(f"Each key in `{member}` needs the string `key`.")
        if "signatures" in key:
            _check_signatures(key["signatures"], f"{member}.signatures")
        content = encode_canonical(key)
    elif isinstance(key, str):
        content = orjson.dumps(key)
    else:
        raise BadKey(f"Each key in `{member}` must be a string or an object.")
    if len(content) > ONE_TIME_KEY_BYTES_MAX:
        raise KeyTooLarge()
    return NewKey(algorithm, key_id, content)


def parse_dehydrated_device(
    device_id: DeviceId, data: Json, display_name: str | None, upload: KeyUpload
) -> DehydratedDevice:
    """A device to be kept asleep, checked together with its keys.

    Its id is a public key, which no sign-in may have, and its keys carry the flag by which other
    people's clients know it. The flag is under the device's signature: the server can't add it.
    """
    if not _PUBLIC_KEY.fullmatch(device_id):
        raise NotDehydrated("The id of a dehydrated device is its Curve25519 key in base64.")
    if upload.device_keys is None or orjson.loads(upload.device_keys).get("dehydrated") is not True:
        raise NotDehydrated("`device_keys.dehydrated` must be true.")
    if not isinstance(data.get("algorithm"), str):
        raise BadKey("`device_data.algorithm` must be a string.")
    content = encode_canonical(data)
    if len(content) > DEHYDRATED_BYTES_MAX:
        raise KeyTooLarge("`device_data` is larger than 64 KiB.")
    return DehydratedDevice(device_id, content, display_name)


def check_room_for_keys(held: Mapping[str, int], new: Iterable[NewKey]) -> None:
    """Raises TooManyKeys where the new one-time keys don't fit beside those a device holds."""
    counts = dict(held)
    for key in new:
        counts[key.algorithm] = counts.get(key.algorithm, 0) + 1
    if len(counts) > ALGORITHMS_MAX or max(counts.values(), default=0) > KEYS_PER_ALGORITHM_MAX:
        raise TooManyKeys()


def check_fallback_algorithms(stored: Iterable[NewKey], new: Iterable[NewKey]) -> None:
    """Raises TooManyKeys where a device would have fallback keys for too many algorithms."""
    algorithms = {key.algorithm for key in stored} | {key.algorithm for key in new}
    if len(algorithms) > ALGORITHMS_MAX:
        raise TooManyKeys()


def parse_cross_signing_key(user_id: UserId, usage: Usage, key: Json) -> CrossSigningKey:
    """A cross-signing key, checked against its owner and its usage; not yet its signature."""
    member = f"{usage}_key"
    if key.get("user_id") != user_id:
        raise InvalidParam(f"`{member}.user_id` must be your own.")
    usages = key.get("usage")
    if not isinstance(usages, list) or usage not in usages:
        raise InvalidParam(f"`{member}.usage` must hold `{usage}`.")
    keys = key.get("keys")
    _check_strings(keys, f"{member}.keys")
    if len(keys) != 1:  # type: ignore[arg-type]  # checked just above
        raise BadKey(f"`{member}.keys` must have exactly one member.")
    ((name, public_key),) = keys.items()  # type: ignore[union-attr]  # the same
    # No device id has this shape (accounts refuses it), so the two never share a name.
    if name != f"ed25519:{public_key}" or not _PUBLIC_KEY.fullmatch(public_key):
        raise BadKey(f"The member of `{member}.keys` must be named `ed25519:<the key itself>`.")
    if "signatures" in key:
        _check_signatures(key["signatures"], f"{member}.signatures")
    content = encode_canonical(without(key, "unsigned"))
    if len(content) > DEVICE_KEYS_BYTES_MAX:
        raise KeyTooLarge()
    return CrossSigningKey(usage, public_key, content)


def is_same_key(one: CrossSigningKey | None, other: CrossSigningKey) -> bool:
    """Whether both are the same key, whatever signatures each upload brought along."""
    return one is not None and unsigned_part(one.content) == unsigned_part(other.content)


def check_signed_by_master(user_id: UserId, key: CrossSigningKey, master: CrossSigningKey) -> None:
    """Raises NotSignedByMaster where the master key's signature is missing or wrong."""
    name = f"ed25519:{master.public_key}"
    try:
        verify_json(orjson.loads(key.content), user_id, name, master.public_key)
    except InvalidSignature:
        raise NotSignedByMaster(f"The {key.usage} key is not signed by the master key.") from None


def signatures_to_keep(
    signed: Json,
    stored: bytes,
    *,
    signer: UserId,
    signer_keys: Mapping[str, str],
    target: UserId,
    target_key_id: str,
) -> list[KeySignature]:
    """The valid signatures in `signed` that one of `signer_keys` made over the stored key.

    `signer_keys` maps a key's name (`ed25519:…`) to its public key; signatures by other keys are
    passed over, for the object carries along those that it had before. Raises InvalidParam where
    it isn't the stored key that was signed, InvalidSignature where a signature is wrong, and where
    none is left.
    """
    if encode_canonical(without(signed, "signatures", "unsigned")) != unsigned_part(stored):
        raise InvalidParam("What was signed is not the key that is stored here.")
    kept = []
    for name, signature in _signatures_by(signed, signer).items():
        public_key = signer_keys.get(name)
        if public_key is not None:
            verify_json(signed, signer, name, public_key)
            kept.append(KeySignature(signer, name, target, target_key_id, signature))
    if not kept:
        raise InvalidSignature("There is no signature by a key that may sign this one.")
    return kept


def with_signatures(key: dict[str, Any], signatures: Iterable[KeySignature]) -> dict[str, Any]:
    """The key with further signatures beside those it was uploaded with."""
    for signature in signatures:
        by_signer = key.setdefault("signatures", {}).setdefault(signature.signer, {})
        by_signer[signature.signer_key_id] = signature.signature
    return key


def ed25519_key_of(device_keys: bytes, device_id: str) -> str | None:
    """The public signing key in a device's keys."""
    found = orjson.loads(device_keys).get("keys", {}).get(f"ed25519:{device_id}")
    return found if isinstance(found, str) else None


def unsigned_part(content: bytes) -> bytes:
    """Canonical JSON of a key without its signatures: what tells one key from another."""
    return encode_canonical(without(orjson.loads(content), "signatures", "unsigned"))


def without(value: Json, *members: str) -> dict[str, Any]:
    return {name: part for name, part in value.items() if name not in members}


def _signatures_by(value: Json, signer: UserId) -> dict[str, str]:
    signatures = value.get("signatures")
    if not isinstance(signatures, dict):
        return {}
    by_signer = signatures.get(signer)
    if not isinstance(by_signer, dict):
        return {}
    return {k: s for k, s in by_signer.items() if isinstance(s, str) and len(s) < NAME_BYTES_MAX}


def _check_strings(value: Any, member: str) -> None:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise BadKey(f"`{member}` must be an object of strings.")


def _check_signatures(value: Any, member: str) -> None:
    if not isinstance(value, dict):
        raise BadKey(f"`{member}` must be an object.")
    for by_signer in value.values():
        _check_strings(by_signer, member)
