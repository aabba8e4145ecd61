"""Filters that people's clients have stored, and the ones they send along."""

import base64
import hashlib
from typing import Final, TypeVar

import msgspec

from posthouse.accounts import rules, store
from posthouse.accounts.errors import FilterNotFound, NotYours, TooMuchStored
from posthouse.accounts.filters import Filter, RoomEventFilter
from posthouse.accounts.settings import AccountSettings
from posthouse.matrix import BadJson, UserId, encode_parsed, parse_json_object
from posthouse.streams import UserStreams, Write

F = TypeVar("F", Filter, RoomEventFilter)

_CACHED_MAX: Final = 10_000
_CACHED_LENGTH_MAX: Final = 2_048


class FilterShelf:
    """Stores filters. They never change: an id is the hash of its filter, so that storing the
    same one again gives the same id."""

    def __init__(self, streams: UserStreams, settings: AccountSettings) -> None:
        self._streams = streams
        self._settings = settings
        # By person and by id or text. Filters don't change, so nothing needs to empty it; an
        # erased person's are harmless.
        self._cache: dict[tuple[UserId, str], Filter] = {}

    async def define(self, by: UserId, user_id: UserId, body: bytes) -> str:
        """Stores a filter; returns its id."""
        if by != user_id:
            raise NotYours
        definition = encode_parsed(parse_json_object(body, allow_floats=True))
        rules.check_content(definition)
        parse_filter(definition)
        filter_id = base64.urlsafe_b64encode(hashlib.sha256(definition).digest()[:12]).decode()

        async def work(write: Write) -> None:
            if await store.filter_definition(write, user_id, filter_id) is not None:
                return
            if await store.count_filters(write, user_id) >= self._settings.filters_max:
                raise TooMuchStored
            await store.add_filter(write, user_id, filter_id, definition)

        await self._streams.write(user_id, work)
        return filter_id

    async def definition(self, by: UserId, user_id: UserId, filter_id: str) -> bytes:
        """A stored filter as JSON, with fields that this server doesn't know."""
        if by != user_id:
            raise NotYours
        if not rules.is_filter_id(filter_id):
            raise FilterNotFound
        definition = await store.filter_definition(self._streams.reader(), user_id, filter_id)
        if definition is None:
            raise FilterNotFound
        return definition

    def cached(self, user_id: UserId, id_or_json: str) -> Filter | None:
        return self._cache.get((user_id, id_or_json))

    async def filter_of(self, user_id: UserId, id_or_json: str) -> Filter:
        """The filter that a sync names: a stored one's id, or the filter itself as JSON."""
        known = self.cached(user_id, id_or_json)
        if known is not None:
            return known
        if id_or_json.startswith("{"):
            found = parse_filter(id_or_json.encode("utf-8", "surrogatepass"))
        else:
            found = parse_filter(await self.definition(user_id, user_id, id_or_json))
        if len(id_or_json) <= _CACHED_LENGTH_MAX:
            if len(self._cache) >= _CACHED_MAX:
                del self._cache[next(iter(self._cache))]
            self._cache[user_id, id_or_json] = found
        return found


def parse_filter(definition: bytes) -> Filter:
    """The filter that the JSON says; raises BadJson naming the wrong field."""
    return _parse(definition, Filter)


def parse_history_filter(text: str) -> RoomEventFilter:
    """The filter that a request for history carries; raises BadJson naming the wrong field."""
    return _parse(text.encode("utf-8", "surrogatepass"), RoomEventFilter)


def _parse(definition: bytes, kind: type[F]) -> F:
    try:
        return msgspec.convert(parse_json_object(definition, allow_floats=True), kind)
    except msgspec.ValidationError as error:
        raise BadJson(f"Not a filter: {error}") from None
