"""Power levels: who may do what in a room, as one value that is made once per event.

https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from posthouse.matrix import event_types
from posthouse.matrix.errors import BadPowerLevels
from posthouse.matrix.ids import UserId, is_user_id
from posthouse.matrix.room_versions import RoomVersion

INFINITE: Final = 1 << 60
"""The level of a creator from version 12 on: above every level that JSON can hold."""

SINGLE_LEVELS: Final[Mapping[str, int]] = {
    "users_default": 0,
    "events_default": 0,
    "state_default": 50,
    "ban": 50,
    "redact": 50,
    "kick": 50,
    "invite": 0,
}
"""The properties that are one level each, with what they are when they are not said."""

_NOBODY: Final[Mapping[str, int]] = {}


class PowerLevels(Struct, frozen=True):
    """What a room's power levels say, defaults filled in.

    Make one with `parse` when the event changes, and keep it: asking it is cheap.
    """

    users: Mapping[str, int]
    events: Mapping[str, int]
    notifications: Mapping[str, int]
    given: Mapping[str, int]
    """Those of SINGLE_LEVELS that the event names itself."""
    creators: frozenset[str]
    """Who stands above all levels: the creators from version 12 on, nobody before."""
    users_default: int
    events_default: int
    state_default: int
    ban: int
    redact: int
    kick: int
    invite: int

    @classmethod
    def parse(
        cls, content: Mapping[str, Any] | None, creators: Collection[str], version: RoomVersion
    ) -> "PowerLevels":
        """The levels of an event's content, or of a room without the event (None).

        Raises BadPowerLevels where no room of this version may have that content.
        """
        infinite = frozenset(creators) if version.creators_are_infinite else frozenset[str]()
        if content is None:
            # Without the event a creator has 100 and all others 0; from version 12 on creators
            # are above all levels with or without it.
            users = _NOBODY if infinite else dict.fromkeys(creators, 100)
            return cls(
                users=users,
                events=_NOBODY,
                notifications=_NOBODY,
                given=_NOBODY,
                creators=infinite,
                **SINGLE_LEVELS,
            )
        given = {name: content[name] for name in SINGLE_LEVELS if name in content}
        for name, level in given.items():
            if not _is_level(level):
                raise BadPowerLevels(f"The power level {name} is not an integer.")
        users = _levels_in(content, "users")
        for user in users:
            if not is_user_id(user):
                raise BadPowerLevels(f"A key of the users is not a user id: {user[:64]!a}")
        if not infinite.isdisjoint(users):
            raise BadPowerLevels("A creator is above all power levels and has none in users.")
        return cls(
            users=users,
            events=_levels_in(content, "events"),
            notifications=_levels_in(content, "notifications"),
            given=given,
            creators=infinite,
            **{**SINGLE_LEVELS, **given},
        )

    def level_of(self, user: str) -> int:
        if user in self.creators:
            return INFINITE
        return self.users.get(user, self.users_default)

    def required(self, event_type: str, *, is_state: bool) -> int:
        """The level that it takes to send an event of the type; memberships have their own."""
        level = self.events.get(event_type)
        if level is not None:
            return level
        return self.state_default if is_state else self.events_default

    def may_send(self, user: str, event_type: str, *, is_state: bool) -> bool:
        return self.level_of(user) >= self.required(event_type, is_state=is_state)

    def may_redact(self, user: str, original_sender: str) -> bool:
        """Whether a redaction takes effect: on one's own events, or from the redact level on.

        The room versions also let any user of the sender's server redact. On a server alone that
        would be everybody, so the level decides, as the power levels' own text has it.
        """
        return user == original_sender or self.level_of(user) >= self.redact

    def may_notify(self, user: str, kind: str = "room") -> bool:
        """Whether a mention of everybody (`@room`) by this user counts."""
        return self.level_of(user) >= self.notifications.get(kind, 50)


def initial_power_levels(
    version: RoomVersion, creator: UserId, peers: Iterable[UserId] = ()
) -> dict[str, Any]:
    """What a new room begins with; `peers` get the creator's level (trusted private chats).

    From version 12 on creators are above it; name `peers` who are not additional creators only.
    """
    infinite = version.creators_are_infinite
    users = [*peers] if infinite else [creator, *peers]
    return {
        "ban": 50,
        "events": {
            event_types.NAME: 50,
            event_types.AVATAR: 50,
            event_types.CANONICAL_ALIAS: 50,
            event_types.POWER_LEVELS: 100,
            event_types.HISTORY_VISIBILITY: 100,
            event_types.ENCRYPTION: 100,
            event_types.SERVER_ACL: 100,
            # Higher than state_default, so that only creators replace the room (since v1.16).
            event_types.TOMBSTONE: 150 if infinite else 100,
            # Everybody says for themselves that they are in a call.
            event_types.CALL_MEMBER: 0,
            event_types.CALL_MEMBER_UNSTABLE: 0,
        },
        "events_default": 0,
        "invite": 0,
        "kick": 50,
        "notifications": {"room": 50},
        "redact": 50,
        "state_default": 50,
        "users": dict.fromkeys(users, 100),
        "users_default": 0,
    }


def _levels_in(content: Mapping[str, Any], name: str) -> Mapping[str, int]:
    levels = content.get(name, _NOBODY)
    if not isinstance(levels, Mapping) or not all(map(_is_level, levels.values())):
        raise BadPowerLevels(f"The power levels' {name} is not an object of integers.")
    return levels


def _is_level(value: object) -> bool:
    """Integers only from version 10 on; to Python true and false are integers too."""
    return type(value) is int
