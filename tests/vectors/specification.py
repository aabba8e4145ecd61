"""Judges answers and events by the shapes that the specification's data gives them."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from jsonschema_rs import Draft202012Validator

from posthouse.matrix import PARSERS, MxcUri, Refusal, RoomAlias, RoomId, UserId
from tests.vectors import vectors

Json = dict[str, Any]


_IN_THE_PROSE: Final = {
    "getOneRoomEvent": {"redacts"},
    "sync": {"device_unused_fallback_key_types"},
}
"""Fields that the specification's text has and its data doesn't."""


class Unshapely(AssertionError):
    """What was sent isn't what the specification says."""


def documented_statuses(operation: str) -> set[int]:
    """The statuses that the specification names for an operation."""
    return {int(status) for status in _bundle()["operations"][operation]}


def check_answer(operation: str, status: int, body: Any) -> None:
    """Raises Unshapely for an answer that its schema doesn't take, or that names a field beyond."""
    schema = _bundle()["operations"][operation].get(str(status))
    if status >= 400:
        _check_error(operation, status, body)
    if schema is None:
        return
    _judge(_answer_validator(operation, str(status)), body, f"{operation} {status}")
    known = _properties(schema)
    if status == 200 and known and isinstance(body, dict):
        known |= _IN_THE_PROSE.get(operation, set())
        strange = [key for key in body if key not in known and "." not in key]
        if strange:
            raise Unshapely(f"{operation}: the specification has no {strange}")


def check_event(event: Json, *, room_id: str | None = None) -> None:
    """Raises Unshapely for an event that isn't as its type's schema says.

    `room_id` is given where the event lies under its room, as in a sync.
    """
    type_ = event.get("type", "")
    if "redacted_because" in event.get("unsigned", {}):
        return
    content = event.get("content", {})
    for name in (type_, f"{type_}${content.get('msgtype')}"):
        if name in _bundle()["events"]:
            whole = event if room_id is None else {"room_id": room_id, **event}
            _judge(_event_validator(name), whole, f"event {name}")


def _check_error(operation: str, status: int, body: Any) -> None:
    """Every error is an object with an errcode and words, a question for a proof apart."""
    if status == 401 and isinstance(body, dict) and "flows" in body:
        return
    if not isinstance(body, dict) or not isinstance(body.get("error"), str):
        raise Unshapely(f"{operation} {status}: no standard error: {body}")
    if not str(body.get("errcode", "")).startswith("M_"):
        raise Unshapely(f"{operation} {status}: no errcode: {body}")


def _judge(validator: Draft202012Validator, value: Any, where: str) -> None:
    errors = [f"{list(e.instance_path)}: {e.message}" for e in _first(validator, value)]
    if errors:
        raise Unshapely(f"{where}: {'; '.join(errors)}\n{value}")


def _first(validator: Draft202012Validator, value: Any) -> Iterator[Any]:
    for number, error in enumerate(validator.iter_errors(value)):
        if number == 3:
            return
        yield error


def _properties(schema: Json) -> set[str]:
    """The names that an object schema gives; empty where it takes any."""
    if "$ref" in schema:
        return _properties(_bundle()["$defs"][schema["$ref"].rpartition("/")[2]])
    if "additionalProperties" in schema or "patternProperties" in schema:
        return set()
    found = set(schema.get("properties", ()))
    for part in schema.get("allOf", ()):
        found |= _properties(part)
    return found


@cache
def _bundle() -> Any:
    return vectors("specification")


@cache
def _answer_validator(operation: str, status: str) -> Draft202012Validator:
    return _validator(_bundle()["operations"][operation][status])


@cache
def _event_validator(name: str) -> Draft202012Validator:
    return _validator(_bundle()["events"][name])


def _validator(schema: Json) -> Draft202012Validator:
    return Draft202012Validator(
        {**schema, "$defs": _bundle()["$defs"]}, formats=_FORMATS, validate_formats=True
    )


def _parses(kind: object) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            PARSERS[kind](text)
        except Refusal:
            return False
        return True

    return fits


_FORMATS: Final = {
    "mx-user-id": _parses(UserId),
    "mx-room-id": _parses(RoomId),
    "mx-room-alias": _parses(RoomAlias),
    "mx-mxc-uri": _parses(MxcUri),
}
