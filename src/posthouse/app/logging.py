"""What the server writes about itself: structured lines on standard error, without secrets.

(1) No access token, password or message body reaches a line, whoever logs it: `remove_secrets`
    stands behind every logger, the standard library's included, and reads tracebacks too.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from posthouse.app.config import LogSettings

_REMOVED: Final = "[removed]"

_SECRET_KEYS: Final = frozenset(
    {
        "access_token",
        "auth",
        "authorization",
        "body",
        "content",
        "cookie",
        "new_password",
        "password",
        "password_hash",
        "refresh_token",
        "secret",
        "signing_key",
        "token",
    }
)

_SECRET_TEXT: Final = re.compile(
    r"ph[a-z]?_[0-9a-f]{4}_[\w-]{20,}"  # our own tokens, wherever they are quoted
    r"|(?<=access_token=)[^&\s\"']+"
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # name and password in a database's address
)

_DEPTH_MAX: Final = 4
"""How far into nested values a line is read; what lies deeper is left out."""


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Sets up structlog, and the standard library's loggers to speak through it.

    `stream` is standard error unless given.
    """
    stream = stream or sys.stderr
    on_terminal = stream.isatty()
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    as_json = settings.format == "json" or (settings.format == "auto" and not on_terminal)
    renderer: Processor
    factory: structlog.BytesLoggerFactory | structlog.WriteLoggerFactory
    if as_json:
        renderer = structlog.processors.JSONRenderer(serializer=orjson.dumps)
        factory = structlog.BytesLoggerFactory(file=stream.buffer)
    else:
        # Plain tracebacks: the pretty ones print local variables, which `remove_secrets` can't read.
        renderer = structlog.dev.ConsoleRenderer(
            colors=on_terminal, exception_formatter=structlog.dev.plain_traceback
        )
        factory = structlog.WriteLoggerFactory(file=stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            remove_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=level, force=True)


def remove_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Holds (1). Takes a few microseconds for a line of ordinary size."""
    return {key: _clean(key, value, 0) for key, value in event.items()}


def clean_text(text: str) -> str:
    """`text` without tokens and passwords of addresses."""
    return _SECRET_TEXT.sub(_REMOVED, text)


def _clean(key: str, value: Any, depth: int) -> Any:
    if key.lower() in _SECRET_KEYS:
        return _REMOVED
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int | float | None):
        return value
    if depth == _DEPTH_MAX or isinstance(value, bytes | bytearray):
        return _REMOVED
    if isinstance(value, Mapping):
        return {str(k): _clean(str(k), v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", item, depth + 1) for item in value]
    return clean_text(str(value))


class _Forward(logging.Handler):
    """Hands a record of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )
