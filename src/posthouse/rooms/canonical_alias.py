"""The names that a room shows must lead to it.

https://spec.matrix.org/v1.19/client-server-api/#mroomcanonical_alias
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from posthouse.directory import Directory
from posthouse.matrix import InvalidParam, RoomId, event_types, parse_room_alias
from posthouse.rooms.errors import BadAlias

CANONICAL_ALIAS: Final = (event_types.CANONICAL_ALIAS, "")

_ALIASES_MAX: Final = 100


async def check_canonical_alias(
    directory: Directory,
    room_id: RoomId | None,
    content: Mapping[str, Any],
    before: Mapping[str, Any] | None,
) -> None:
    """Raises InvalidParam for what is no alias, BadAlias for one that doesn't lead to the room.

    What the room showed before may stay: names can have been taken away since. None is a room that
    is to be made, to which nothing leads yet.
    """
    wanted = dict.fromkeys(aliases_in(content, strict=True))
    if len(wanted) > _ALIASES_MAX:
        raise InvalidParam(f"A room shows at most {_ALIASES_MAX} names.")
    shown = set(aliases_in(before)) if before is not None else set[str]()
    for text in wanted:
        if text in shown:
            continue
        alias = parse_room_alias(text)
        known = await directory.find(alias)
        if known is None or known.room_id != room_id:
            raise BadAlias(f"{alias} doesn't lead to this room.")


def aliases_in(content: Mapping[str, Any], *, strict: bool = False) -> Iterator[str]:
    """All aliases of a canonical alias event. With `strict`, raises InvalidParam for what is none;
    without, such are passed over.
    """
    alias = content.get("alias")
    alternatives = content.get("alt_aliases")
    if strict and alternatives is not None and not isinstance(alternatives, list):
        raise InvalidParam("alt_aliases is a list of room aliases.")
    given = [alias] if alias not in (None, "") else []
    given += alternatives if isinstance(alternatives, list) else []
    for text in given:
        if isinstance(text, str):
            yield text
        elif strict:
            raise InvalidParam("An alias is text.")
