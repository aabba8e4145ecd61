"""The heads of answers: status line, date, CORS. Made once a second, not once an answer."""

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from posthouse.http import cors
from posthouse.std.clock import Clock

_REASONS: Final = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}


class Heads:
    """Prebuilt beginnings of answers; `refresh` whenever a second may have passed."""

    __slots__ = ("_clock", "_date", "_json", "_second", "json_ok")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1
        self._date = b""
        self._json: dict[int, bytes] = {}
        self.json_ok = b""
        """The head of a JSON answer with status 200, up to the length's digits."""
        self.refresh()

    def refresh(self) -> None:
        second = self._clock.now_ms() // 1000
        if second != self._second:
            self._second = second
            self._date = b"Date: %s\r\n" % formatdate(second, usegmt=True).encode("ascii")
            self._json = {}
            self.json_ok = self.json(200)

    def json(self, status: int) -> bytes:
        """The head of a JSON answer, up to the length's digits."""
        head = self._json.get(status)
        if head is None:
            head = (
                self.start(status, with_cors=True)
                + b"Content-Type: application/json\r\nContent-Length: "
            )
            self._json[status] = head
        return head

    def start(self, status: int, *, with_cors: bool) -> bytes:
        """Status line, date and CORS."""
        reason = _REASONS.get(status, b"Unknown")
        line = b"HTTP/1.1 %d %s\r\n" % (status, reason)
        return line + self._date + (cors.LINES if with_cors else b"")


def has_no_body(status: int) -> bool:
    """RFC 9110 §6.4.1: these answers end with their head, whatever it says."""
    return status in (204, 304) or status < 200
