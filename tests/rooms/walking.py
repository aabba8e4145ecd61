"""How a client reads the whole of what it may see of a room, page by page."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from posthouse.rooms import RoomCheck
from posthouse.storage import Owner
from tests.world import V3, Device, Json, World

PAGES_MAX = 200


async def walk(
    device: Device, room: str, way: str = "b", *, limit: int = 100, **query: str | int | None
) -> list[Json]:
    """All events from a token (`from_`) on, or from the end of the room, in the order told."""
    told: list[Json] = []
    at = query.pop("from_", None)
    for _ in range(PAGES_MAX):
        page = await device.messages(room, dir=way, limit=limit, from_=at, **query)
        assert len(page["chunk"]) <= limit
        told += page["chunk"]
        at = page.get("end")
        if at is None:
            return told
    raise AssertionError("the history has no end")


def texts(events: Iterable[Json]) -> list[str]:
    """What messages say, without the state among them."""
    return [event["content"]["body"] for event in events if event["type"] == "m.room.message"]


def ids(events: Iterable[Json]) -> list[str]:
    return [event["event_id"] for event in events]


def backwards(events: Sequence[Json]) -> list[Json]:
    return list(reversed(events))


def at_room(room: str, *rest: str) -> str:
    """The path of something in a room."""
    return "/".join([f"{V3}/rooms/{quote(room)}", *(quote(part, safe="") for part in rest)])


async def problems(world: World) -> list[str]:
    """What `posthouse check` would say of the rooms."""
    database = world.here.database
    check = RoomCheck(database.reader(of=Owner.ROOM), database.reader(of=Owner.USER))
    return [problem async for problem in check.problems()]
