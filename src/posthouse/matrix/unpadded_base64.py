"""Binary data in JSON: base64 without its padding, and the URL-safe kind for hashes in ids.

https://spec.matrix.org/v1.19/appendices/#unpadded-base64
"""

from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Final

from posthouse.matrix.errors import InvalidParam


def encode_base64(data: bytes) -> str:
    return b64encode(data).rstrip(b"=").decode()


def encode_urlsafe_base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64(text: str) -> bytes:
    """The bytes of standard base64, padded or not; raises InvalidParam for anything else."""
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise InvalidParam(f"Not base64: {text[:32]!a}") from None


def decode_urlsafe_base64(text: str) -> bytes:
    """The bytes of URL-safe base64, padded or not; raises InvalidParam for anything else."""
    if "+" in text or "/" in text:
        raise InvalidParam(f"Not URL-safe base64: {text[:32]!a}")
    return decode_base64(text.translate(_TO_STANDARD))


_TO_STANDARD: Final = str.maketrans("-_", "+/")
