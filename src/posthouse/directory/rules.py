"""Decisions of the directory: which aliases there may be, and how a page is named."""

from typing import Final

import orjson

from posthouse.directory.errors import UnreadablePage
from posthouse.directory.model import Place, Way
from posthouse.matrix import (
    InvalidParam,
    RoomAlias,
    RoomId,
    decode_urlsafe_base64,
    encode_urlsafe_base64,
    parse_room_alias,
)

ALIASES_PER_ROOM_MAX: Final = 100
ALIASES_PER_PERSON_MAX: Final = 500
"""Names are scarce: nobody takes all of them."""

_TOKEN_LENGTH_MAX: Final = 512


def check_new_alias(text: str) -> RoomAlias:
    """The alias as it came; raises InvalidParam where no new one may be so. Old ones may."""
    alias = parse_room_alias(text)
    localpart = alias[1:].partition(":")[0]
    if not localpart:
        raise InvalidParam("The name before the colon is empty.")
    if any(sign.isspace() or not sign.isprintable() for sign in localpart):
        raise InvalidParam("There are no spaces and no invisible signs in a room's name.")
    return alias


def page_token(place: Place) -> str:
    """A place in the list as clients carry it."""
    return encode_urlsafe_base64(orjson.dumps([place.way, place.joined, place.room_id]))


def place_in(token: str) -> Place:
    """Raises UnreadablePage for what `page_token` didn't make."""
    if len(token) > _TOKEN_LENGTH_MAX:
        raise UnreadablePage()
    try:
        way, joined, room_id = orjson.loads(decode_urlsafe_base64(token))
        place = Place(Way(way), joined, RoomId(room_id))
    except (ValueError, TypeError):
        raise UnreadablePage() from None
    if type(joined) is not int or not isinstance(room_id, str) or "\0" in room_id:
        raise UnreadablePage()
    if not 0 <= joined < 1 << 62:
        raise UnreadablePage()
    return place
