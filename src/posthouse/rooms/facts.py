"""What a room says of itself to those who look at it from outside: name, topic, size, who may come.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from posthouse.directory import Listing
from posthouse.matrix import HistoryVisibility, JoinRule, RoomId, event_types
from posthouse.rooms.model import Event
from posthouse.rooms.reading import Reading
from posthouse.rooms.room import Room

FACT_TYPES: Final = (
    event_types.CREATE,
    event_types.JOIN_RULES,
    event_types.HISTORY_VISIBILITY,
    event_types.GUEST_ACCESS,
    event_types.NAME,
    event_types.TOPIC,
    event_types.AVATAR,
    event_types.CANONICAL_ALIAS,
    event_types.ENCRYPTION,
)

SPACE: Final = "m.space"

_ALLOWED_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """One room as it stood at a position."""

    room_id: RoomId
    version: str
    joined: int
    join_rule: str
    visibility: HistoryVisibility
    allowed_rooms: Sequence[RoomId] = ()
    """The rooms of a restricted join rule."""
    guests_can_join: bool = False
    name: str | None = None
    topic: str | None = None
    avatar_url: str | None = None
    canonical_alias: str | None = None
    room_type: str | None = None
    encryption: str | None = None

    @property
    def is_world_readable(self) -> bool:
        return self.visibility is HistoryVisibility.WORLD_READABLE

    @property
    def is_open_to_strangers(self) -> bool:
        """Whether anybody at all may know of the room: to come in, to knock, or to read."""
        return self.is_world_readable or self.join_rule in (
            JoinRule.PUBLIC,
            JoinRule.KNOCK,
            JoinRule.KNOCK_RESTRICTED,
        )

    def entry(self) -> dict[str, Any]:
        """As the public list has it; nothing stands there for what isn't set."""
        return _without_nothing(
            room_id=self.room_id,
            name=self.name,
            topic=self.topic,
            avatar_url=self.avatar_url,
            canonical_alias=self.canonical_alias,
            num_joined_members=self.joined,
            world_readable=self.is_world_readable,
            guest_can_join=self.guests_can_join,
            join_rule=self.join_rule,
            room_type=self.room_type,
        )

    def summary(self) -> dict[str, Any]:
        """As summaries and hierarchies have it."""
        return self.entry() | _without_nothing(
            room_version=self.version,
            encryption=self.encryption,
            allowed_room_ids=list(self.allowed_rooms) or None,
        )

    def listing(self, position: int) -> Listing:
        """What the directory keeps of a published room."""
        words = (self.name, self.topic, self.canonical_alias)
        return Listing(
            room_id=self.room_id,
            room_position=position,
            is_shown=self.is_open_to_strangers and self.joined > 0,
            joined=self.joined,
            room_type=self.room_type or "",
            search_text="\n".join(word for word in words if word).casefold(),
            entry=orjson.dumps(self.entry()),
        )


async def facts_of(reading: Reading, places: Mapping[Room, int]) -> dict[Room, RoomFacts]:
    """The facts of rooms, as their states stood at a position of each; the counts are of now."""
    states = await reading.states_of_types(places, FACT_TYPES)
    counts = await reading.counts(list(places))
    return {room: facts_in(room, states[room], counts[room][0]) for room in places}


def facts_in(room: Room, state: Iterable[Event], joined: int) -> RoomFacts:
    """The facts in some of a room's state. Values of a wrong type are as none."""
    contents = {event.type: orjson.loads(event.content) for event in state}

    def text(type_: str, key: str) -> str | None:
        value = contents.get(type_, {}).get(key)
        return value if isinstance(value, str) and value else None

    rules = contents.get(event_types.JOIN_RULES, {})
    join_rule = rules.get("join_rule", JoinRule.INVITE)
    visibility = contents.get(event_types.HISTORY_VISIBILITY, {}).get("history_visibility")
    return RoomFacts(
        room_id=room.room_id,
        version=room.version.identifier,
        joined=joined,
        join_rule=join_rule if isinstance(join_rule, str) else JoinRule.PRIVATE,
        visibility=HistoryVisibility.of(visibility),
        allowed_rooms=allowed_rooms(rules),
        guests_can_join=text(event_types.GUEST_ACCESS, "guest_access") == "can_join",
        name=text(event_types.NAME, "name"),
        topic=plain_topic(contents.get(event_types.TOPIC, {})),
        avatar_url=text(event_types.AVATAR, "url"),
        canonical_alias=text(event_types.CANONICAL_ALIAS, "alias"),
        room_type=text(event_types.CREATE, "type"),
        encryption=text(event_types.ENCRYPTION, "algorithm"),
    )


def allowed_rooms(rules: Mapping[str, Any]) -> list[RoomId]:
    """The rooms that a restricted join rule names, as far as its conditions are understood."""
    if rules.get("join_rule") not in (JoinRule.RESTRICTED, JoinRule.KNOCK_RESTRICTED):
        return []
    allow = rules.get("allow")
    return [
        RoomId(condition["room_id"])
        for condition in (allow[:_ALLOWED_MAX] if isinstance(allow, list) else ())
        if isinstance(condition, dict)
        and condition.get("type") == "m.room_membership"
        and isinstance(condition.get("room_id"), str)
    ]


def plain_topic(content: Mapping[str, Any]) -> str | None:
    """The topic's plain text, which newer events say beside the old key."""
    rich = content.get("m.topic")
    texts = rich.get("m.text") if isinstance(rich, dict) else None
    for part in texts if isinstance(texts, list) else ():
        if isinstance(part, dict) and part.get("mimetype", "text/plain") == "text/plain":
            body = part.get("body")
            if isinstance(body, str) and body:
                return body
    plain = content.get("topic")
    return plain if isinstance(plain, str) and plain else None


def _without_nothing(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
