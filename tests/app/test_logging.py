"""What never reaches a log line."""

import io
import json
import logging as standard_logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from posthouse.app import logging
from posthouse.app.config import LogSettings

TOKEN = "ph_3413_" + "p90hPk3N4Cod9Rf6rCnAztpJW54Md-7M6TJWfXmEKPg"


class Written:
    """What was logged since the test began."""

    def __init__(self) -> None:
        self.stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")

    def text(self) -> str:
        return self.stream.buffer.getvalue().decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def written() -> Iterator[Written]:
    """Logging set up as a server's; afterwards as it was."""
    root = standard_logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    written = Written()
    logging.configure(LogSettings(level="info", format="json"), written.stream)
    yield written
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": TOKEN},
        {"Authorization": f"Bearer {TOKEN}"},
        {"header": f"Bearer {TOKEN}"},
        {"path": f"/sync?since=s1&access_token={TOKEN}&timeout=0"},
        {"path": "/sync?access_token=whatever-hunter2"},
        {"request": {"auth": {"password": "hunter2"}}},
        {"password": "hunter2"},
        {"args": ["register", {"new_password": "hunter2"}]},
        {"url": "postgresql://posthouse:hunter2@db/posthouse"},
        {"body": {"text": "hunter2"}},
        {"raw": b"hunter2"},
        {"deep": {"a": {"b": {"c": {"d": {"e": "hunter2"}}}}}},
        {"error": ValueError(f"no such token: {TOKEN}")},
    ],
)
def test_no_line_holds_a_secret(fields: dict[str, Any], written: Written) -> None:
    structlog.get_logger("test").warning("something", user_id="@ada:localhost", **fields)

    text = written.text()

    assert "hunter2" not in text
    assert TOKEN[10:] not in text
    assert json.loads(text)["user_id"] == "@ada:localhost"


def test_neither_does_a_traceback_nor_a_librarys_own_line(
    written: Written,
) -> None:
    try:
        raise RuntimeError(f"failed for {TOKEN}")
    except RuntimeError:
        structlog.get_logger("test").exception("handler failed")
        standard_logging.getLogger("asyncio").exception("task failed: %s", TOKEN)

    ours, theirs = written.lines()

    assert "RuntimeError: failed for [removed]" in ours["exception"]
    assert theirs["event"] == "task failed: [removed]"
    assert theirs["logger"] == "asyncio"
    assert TOKEN not in theirs["exception"]


def test_what_is_below_the_level_is_not_written(written: Written) -> None:
    structlog.get_logger("test").debug("small")
    structlog.get_logger("test").info("large", count=3, share=0.5, who=None, on=True)

    (line,) = written.lines()

    assert line["event"] == "large"
    assert (line["count"], line["share"], line["who"], line["on"]) == (3, 0.5, None, True)
    assert line["timestamp"].endswith("Z")
