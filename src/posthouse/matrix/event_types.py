"""The words of events that the server itself reads: types, memberships, join rules, visibility."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

CREATE: Final = "m.room.create"
MEMBER: Final = "m.room.member"
POWER_LEVELS: Final = "m.room.power_levels"
JOIN_RULES: Final = "m.room.join_rules"
THIRD_PARTY_INVITE: Final = "m.room.third_party_invite"
HISTORY_VISIBILITY: Final = "m.room.history_visibility"
REDACTION: Final = "m.room.redaction"

NAME: Final = "m.room.name"
TOPIC: Final = "m.room.topic"
AVATAR: Final = "m.room.avatar"
CANONICAL_ALIAS: Final = "m.room.canonical_alias"
ENCRYPTION: Final = "m.room.encryption"
GUEST_ACCESS: Final = "m.room.guest_access"
PINNED_EVENTS: Final = "m.room.pinned_events"
SERVER_ACL: Final = "m.room.server_acl"
TOMBSTONE: Final = "m.room.tombstone"
SPACE_CHILD: Final = "m.space.child"
SPACE_PARENT: Final = "m.space.parent"

MESSAGE: Final = "m.room.message"
ENCRYPTED: Final = "m.room.encrypted"
REACTION: Final = "m.reaction"
STICKER: Final = "m.sticker"

CALL_MEMBER: Final = "m.call.member"
CALL_MEMBER_UNSTABLE: Final = "org.matrix.msc3401.call.member"

STRIPPED_STATE: Final = (CREATE, NAME, AVATAR, TOPIC, JOIN_RULES, CANONICAL_ALIAS, ENCRYPTION)
"""What an invited or knocking person is told of a room; the create event is required.

https://spec.matrix.org/v1.19/client-server-api/#stripped-state
"""


class Membership(StrEnum):
    """A person's place in a room; who has no member event is as one who left."""

    BAN = "ban"
    INVITE = "invite"
    JOIN = "join"
    KNOCK = "knock"
    LEAVE = "leave"


class JoinRule(StrEnum):
    """Who may come in. An unknown rule lets nobody in; without the event it is `invite`."""

    INVITE = "invite"
    KNOCK = "knock"
    KNOCK_RESTRICTED = "knock_restricted"
    PRIVATE = "private"
    PUBLIC = "public"
    RESTRICTED = "restricted"


class HistoryVisibility(StrEnum):
    """Who may see an event, judged with the value at that event."""

    INVITED = "invited"
    JOINED = "joined"
    SHARED = "shared"
    WORLD_READABLE = "world_readable"

    @classmethod
    def of(cls, value: object) -> "HistoryVisibility":
        """The value in a content; `shared` where it is missing or not understood."""
        return _VISIBILITIES.get(value, cls.SHARED) if isinstance(value, str) else cls.SHARED


_VISIBILITIES: Final[Mapping[str, HistoryVisibility]] = {
    known: known for known in HistoryVisibility
}
