"""JSON at the edge and JSON as it is hashed: what may be said, and its one spelling.

`parse_json_object` is the only way in: what it returns has no floats, no integers that a double
would bend, no duplicate keys, no NUL and no depth that could hurt whoever walks it.
https://spec.matrix.org/v1.19/appendices/#canonical-json
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import orjson

from posthouse.matrix.errors import BadJson, NotJson

INTEGER_MAX: Final = 2**53 - 1
"""The largest integer that every JSON library carries exactly; the smallest is its negative."""

LEVELS_MAX: Final = 100
"""Of objects and arrays inside each other, the outermost counted."""

# Nothing but JSON's own types is spelled silently, and no integer out of range.
_STRICT: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)


def parse_json_object(raw: bytes, *, allow_floats: bool = False) -> dict[str, Any]:
    """The object that the bytes spell.

    Raises NotJson where they spell nothing (invalid UTF-8 and lone surrogates included), BadJson
    where they spell what may not be said. `allow_floats` is for what never becomes an event: the
    order of a tag, other account data.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"The body is not valid JSON: {error.msg}.") from None
    if type(value) is not dict:
        raise BadJson("The body is not a JSON object.")
    _refuse_values(value, allow_floats=allow_floats)
    _refuse_duplicates(raw, value)
    if b"\\u0000" in raw:
        _refuse_nul(value)
    return value


def encode_canonical(value: Any) -> bytes:
    """The canonical spelling; raises BadJson for what has none (floats, large integers, depth)."""
    _refuse_values(value if type(value) is dict else [value], allow_floats=False)
    try:
        return orjson.dumps(value, option=_STRICT)
    except orjson.JSONEncodeError as error:
        raise BadJson(f"This has no spelling in JSON: {error}.") from None


def encode_parsed(value: Any) -> bytes:
    """The canonical spelling of what `parse_json_object` returned, or of what was built of it.

    It checks nothing: for events, which are made of parts that were checked on their way in.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _refuse_values(root: Any, *, allow_floats: bool) -> None:
    """Walks level by level; raises BadJson for numbers and depth that may not be."""
    levels = 0
    level = [root]
    while level:
        levels += 1
        if levels > LEVELS_MAX:
            raise BadJson(f"The JSON is nested deeper than {LEVELS_MAX} levels.")
        deeper: list[Any] = []
        for container in level:
            for value in container.values() if type(container) is dict else container:
                kind = type(value)
                if kind is str:
                    continue
                if kind is dict or kind is list or kind is tuple:
                    deeper.append(value)
                elif kind is int:
                    if not -INTEGER_MAX <= value <= INTEGER_MAX:
                        raise BadJson("An integer is beyond ±(2^53 - 1).")
                elif kind is float and not allow_floats:
                    raise BadJson("A number is not an integer, or is beyond ±(2^53 - 1).")
        level = deeper


def _refuse_duplicates(raw: bytes, value: dict[str, Any]) -> None:
    """Raises BadJson if an object named a key twice, of which the parser kept only the last.

    A member is written with one colon outside of strings, a lost one too. So when what was kept
    is written with as many colons as came, none was lost. An escaped colon (`\\u003a`) breaks the
    count; then, and when the counts differ, an exact and slower parser decides.
    """
    if raw.count(b":") == orjson.dumps(value).count(b":") and b"\\u003" not in raw:
        return
    json.loads(raw, object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise BadJson(f"An object has the key {key[:64]!a} twice.")
        seen.add(key)


def _refuse_nul(value: dict[str, Any]) -> None:
    """Raises BadJson for a NUL in any key or string: no name, and no column of text, holds one."""
    if any("\0" in text for text in _strings(value)):
        raise BadJson("A string holds a NUL.")


def _strings(root: dict[str, Any]) -> Iterator[str]:
    """Every key and every string inside, in no particular order."""
    rest: list[Any] = [root]
    while rest:
        container = rest.pop()
        if type(container) is dict:
            yield from container
            container = container.values()
        for value in container:
            if type(value) is str:
                yield value
            elif type(value) is dict or type(value) is list:
                rest.append(value)
