"""What a handler may return, and how refusals and faults look on the wire."""

import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from posthouse.matrix import ErrCode, LimitExceeded, Refusal
from posthouse.std.faults import Unavailable

_ENCODER: Final = msgspec.json.Encoder()

JSON_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class RawJson:
    """JSON that is already bytes."""

    body: bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class FileBody:
    """A span of a file, sent piece by piece; never whole in memory."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not simply JSON. The transport adds length, date and CORS headers.

    A body that is an iterator is sent chunked, unless `headers` give its `Content-Length`.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: bytes | AsyncIterator[bytes] | FileBody = b""


def encode_json(value: Any) -> bytes:
    """A response struct as JSON."""
    return _ENCODER.encode(value)


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Headers as lines. Raises ValueError for one that would end its line early (splitting)."""
    lines = []
    for name, value in headers.items():
        line = f"{name}: {value}\r\n".encode("latin-1")
        if line.count(b"\r") + line.count(b"\n") != 2 or b"\0" in line:
            raise ValueError(f"header {name} holds a line break")
        lines.append(line)
    return b"".join(lines)


@dataclass(frozen=True, slots=True)
class Declined:
    """A refusal, a fault or a bug as an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def decline(error: BaseException) -> Declined:
    """What an exception is answered with. Of faults and bugs, nothing inside is told."""
    if isinstance(error, Refusal):
        headers = {"Content-Type": JSON_TYPE}
        if isinstance(error, LimitExceeded):
            headers["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
        return Declined(error.status, headers, encode_json(error.body()))
    if isinstance(error, Unavailable):
        headers = {"Content-Type": JSON_TYPE, "Retry-After": str(error.retry_after_s)}
        body = {
            "errcode": ErrCode.UNKNOWN,
            "error": "The server can't do this right now. Nothing was changed; try again.",
        }
        return Declined(503, headers, encode_json(body))
    body = {"errcode": ErrCode.UNKNOWN, "error": "The server made a mistake."}
    return Declined(500, {"Content-Type": JSON_TYPE}, encode_json(body))
