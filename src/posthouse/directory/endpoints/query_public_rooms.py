"""POST /_matrix/client/v3/publicRooms

The same list, searched by words in name, topic and alias, and by the rooms' types. There are no
other networks: `include_all_networks` is taken and changes nothing.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3publicrooms
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.directory.service import Directory
from posthouse.http import Caller, Limit, Query, RawJson, post


class Filter(Struct, frozen=True):
    generic_search_term: str | None = None
    room_types: Annotated[tuple[str | None, ...], Meta(max_length=50)] | None = None


class Request(Struct, frozen=True):
    server: Annotated[str | None, Query()] = None
    limit: int | None = None
    since: str | None = None
    filter: Filter | None = None


@post("/_matrix/client/v3/publicRooms", Limit.SEARCH)
async def query_public_rooms(directory: Directory, caller: Caller, request: Request) -> RawJson:
    wanted = request.filter or Filter()
    return RawJson(
        await directory.public_rooms(
            server=request.server,
            limit=request.limit,
            since=request.since,
            term=wanted.generic_search_term,
            room_types=wanted.room_types,
        )
    )
