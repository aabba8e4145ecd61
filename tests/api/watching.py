"""Watches a world's answers: each is judged by the specification's shapes, and noted."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from posthouse.http import Handler, Route
from tests.test_tidy import Specified, served_by_the_specification
from tests.vectors.specification import check_answer, check_event, documented_statuses
from tests.world import Answered, World

_FOREIGN: Final = {307, 308, 502}
"""Statuses of media that lies on another server: it isn't asked for."""

NOT_SEEN: Final = {
    ("createContent", 403): "who is signed in may upload; the allowance is judged with the content",
    ("getLoginFlows", 404): "sign-in by password is served",
    ("getProfileField", 403): "profiles are open to everybody",
    ("getTokenOwner", 403): "there are no application services",
    ("queryLocationByAlias", 200): "there are no bridges",
    ("queryLocationByProtocol", 200): "the same",
    ("queryUserByID", 200): "the same",
    ("queryUserByProtocol", 200): "the same",
    ("getProtocolMetadata", 200): "the same",
    ("getUserProfile", 403): "profiles are open to everybody",
    ("getWellknown", 404): "there always is an address",
    ("uploadCrossSigningKeys", 403): "no device can be named like a key; proof is asked with 401",
    ("getRoomVisibilityOnDirectory", 404): "a room that isn't there is as one that isn't published",
    ("reportRoom", 404): "nobody finds out by reporting which rooms there are",
    ("updateDevice", 201): "there are no application services",
}
"""Documented statuses that are never answered here, and why."""

EMPTY: Final = {"getTurnServer": "no TURN server, which clients understand by an empty object"}
"""Operations that are answered with `{}`, as the specification's data doesn't have it, and why."""


class Watch:
    """The watcher of one world."""

    def __init__(self, world: World) -> None:
        self._seen: dict[str, set[int]] = {}
        world.watch = self.sees

    def sees(self, answered: Answered) -> None:
        """Raises Unshapely for an answer of another shape than the specification's."""
        row = operation_of(answered.method, answered.path)
        if row is None:
            return
        self._seen.setdefault(row.operation, set()).add(answered.status)
        if "application/json" not in answered.headers.get("Content-Type", ""):
            return
        if row.operation in EMPTY and answered.status == 200 and answered.json == {}:
            return
        check_answer(row.operation, answered.status, answered.json)
        if answered.status == 200:
            for room_id, event in _events_in(row.operation, answered.json):
                check_event(event, room_id=room_id)

    def missing(self, domain: str) -> list[str]:
        """The served operations of a domain, and their documented statuses, not seen so far."""
        return [
            f"{row.operation} {status}"
            for row, handler in _served()
            if handler.__module__.startswith(f"posthouse.{domain}.")
            for status in sorted(documented_statuses(row.operation) - _FOREIGN - {429})
            if status not in self._seen.get(row.operation, ())
            and (row.operation, status) not in NOT_SEEN
        ]


def rate_limited() -> list[Specified]:
    """The served operations that the specification limits."""
    return [row for row, _ in _served() if row.rate_limited]


@cache
def _served() -> list[tuple[Specified, Handler]]:
    return [(row, handler) for row, _, handler in served_by_the_specification()]


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], Specified]]:
    """Fixed paths first, so that `/devices` isn't taken for a device."""
    found = []
    for row, route, _ in served_by_the_specification():
        found.append((route.method, re.compile(_pattern(route)), row))
    return sorted(found, key=lambda one: one[1].pattern.count("["))


def _pattern(route: Route) -> str:
    parts = re.split(r"\{[^}]*\}", route.path)
    return "[^/]*".join(re.escape(part) for part in parts)


def operation_of(method: str, path: str) -> Specified | None:
    """The operation that a request is for; None for what the specification doesn't have."""
    path = path.partition("?")[0]
    for its_method, pattern, row in _patterns():
        if its_method == method and pattern.fullmatch(path):
            return row
    return None


def _events_in(operation: str, body: Any) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """The events of an answer, each with its room where it lies under it."""
    match operation:
        case "sync":
            yield from _events_of_sync(body)
        case "getRoomState":
            yield from ((None, event) for event in body)
        case "getOneRoomEvent":
            yield None, body
        case "getRoomEvents" | "getMembersByRoom":
            yield from ((None, event) for event in [*body["chunk"], *body.get("state", ())])
        case "getEventContext":
            parts = (body["events_before"], body["events_after"], body["state"], [body["event"]])
            yield from ((None, event) for part in parts for event in part)


def _events_of_sync(body: Any) -> Iterator[tuple[str | None, dict[str, Any]]]:
    rooms = body.get("rooms", {})
    for kind in ("join", "leave"):
        for room_id, room in rooms.get(kind, {}).items():
            for part in room.values():
                events = part.get("events", ()) if isinstance(part, dict) else ()
                yield from ((room_id, event) for event in events)
    for part in ("account_data", "to_device", "presence"):
        yield from ((None, event) for event in body.get(part, {}).get("events", ()))
