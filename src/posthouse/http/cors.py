"""CORS: web clients are served from other origins, so every answer says that they may read it.

https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients
"""

from typing import Final

HEADERS: Final[tuple[tuple[str, str], ...]] = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    ("Access-Control-Allow-Headers", "X-Requested-With, Content-Type, Authorization"),
    ("Access-Control-Expose-Headers", "ETag, Retry-After, Content-Disposition, Content-Range"),
)

LINES: Final = b"".join(f"{name}: {value}\r\n".encode() for name, value in HEADERS)

PREFLIGHT_MAX_AGE: Final = ("Access-Control-Max-Age", "86400")
"""A day; browsers cut it to what they like."""


def applies_to(path: str) -> bool:
    """Whether a path is the protocol's, as opposed to a page's."""
    return path.startswith(("/_matrix/", "/.well-known/")) or path in ("/_matrix", "/.well-known")
