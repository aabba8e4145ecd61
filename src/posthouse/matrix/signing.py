"""Ed25519 signatures over canonical JSON, made by the server's key and checked for devices' keys.

https://spec.matrix.org/v1.19/appendices/#signing-json
"""

from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature as _DoesNotVerify
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from posthouse.matrix.canonical import encode_canonical
from posthouse.matrix.errors import BadJson, InvalidParam, InvalidSignature
from posthouse.matrix.events import Pdu, redact, with_content_hash
from posthouse.matrix.room_versions import RoomVersion
from posthouse.matrix.unpadded_base64 import decode_base64, encode_base64

ALGORITHM: Final = "ed25519"


class SigningKey:
    """A private key with the name under which its signatures are found: `ed25519:VERSION`."""

    def __init__(self, seed: bytes, version: str) -> None:
        """`seed` is 32 unguessable bytes, kept by the caller."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key_id: str = f"{ALGORITHM}:{version}"

    @property
    def public_key(self) -> str:
        """As it is published, unpadded base64."""
        return encode_base64(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


def sign_json(value: Mapping[str, Any], signer: str, key: SigningKey) -> dict[str, Any]:
    """The object with the signer's signature added; others' signatures and `unsigned` stay."""
    signature = encode_base64(key.sign(_signed_bytes(value)))
    signatures = {name: dict(made) for name, made in value.get("signatures", {}).items()}
    signatures.setdefault(signer, {})[key.key_id] = signature
    return {**value, "signatures": signatures}


def verify_json(value: Mapping[str, Any], signer: str, key_id: str, public_key: str) -> None:
    """Raises InvalidSignature unless the signer's signature by that key is there and right.

    `public_key` is unpadded base64; `signer` is a server name, or a user id for devices' keys.
    """
    signature = _signature_of(value, signer, key_id)
    try:
        key = Ed25519PublicKey.from_public_bytes(decode_base64(public_key))
        key.verify(decode_base64(signature), _signed_bytes(value))
    except (_DoesNotVerify, ValueError, InvalidParam, BadJson):
        raise InvalidSignature(
            f"The signature by {key_id!a} of {signer!a} does not verify."
        ) from None


def sign_event(pdu: Pdu, version: RoomVersion, server: str, key: SigningKey) -> dict[str, Any]:
    """The event with its content hash, and signed in the form that redaction leaves of it."""
    hashed = with_content_hash(pdu, version)
    signed = sign_json(redact(hashed, version), server, key)
    return {**hashed, "signatures": signed["signatures"]}


def verify_event(pdu: Pdu, version: RoomVersion, server: str, key_id: str, public_key: str) -> None:
    """Raises InvalidSignature unless the server signed it; holds for a redacted copy as well."""
    verify_json(redact(pdu, version), server, key_id, public_key)


def _signature_of(value: Mapping[str, Any], signer: str, key_id: str) -> str:
    if not key_id.startswith(ALGORITHM + ":"):
        raise InvalidSignature(f"Signatures are by {ALGORITHM} keys, not by {key_id!a}.")
    signatures = value.get("signatures")
    made = signatures.get(signer) if isinstance(signatures, Mapping) else None
    signature = made.get(key_id) if isinstance(made, Mapping) else None
    if not isinstance(signature, str):
        raise InvalidSignature(f"There is no signature by {key_id!a} of {signer!a}.")
    return signature


def _signed_bytes(value: Mapping[str, Any]) -> bytes:
    """What a signature covers: all but `signatures` and `unsigned`, which others may change."""
    return encode_canonical(
        {key: part for key, part in value.items() if key not in ("signatures", "unsigned")}
    )
