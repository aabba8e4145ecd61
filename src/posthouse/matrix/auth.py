"""The authorisation rules: whether an event may be, given the state that it would follow.

The numbers in brackets are those of room version 12. Versions 10 and 11 don't have [2] and [10.4],
so they count one less after them; what else differs is said where it does.
https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules

Two things of the text have no place here. Signatures of other servers aren't checked: there are
none. And the selection of an event's auth events [3] is this server's own, by `auth_types`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from posthouse.matrix import event_types
from posthouse.matrix.errors import (
    AlreadyInRoom,
    BadCreation,
    BadMembership,
    Banned,
    JoinNotAllowed,
    NotInRoom,
    NotYourKey,
    OtherServer,
    PowerTooLow,
    WrongRoom,
)
from posthouse.matrix.event_types import JoinRule, Membership
from posthouse.matrix.ids import EventId, RoomId, UserId, is_user_id, server_of
from posthouse.matrix.power_levels import SINGLE_LEVELS, PowerLevels
from posthouse.matrix.room_versions import ROOM_VERSIONS, RoomVersion


class EventView(Struct, frozen=True):
    """An event that is to be, as the rules look at it."""

    type: str
    sender: UserId
    room_id: RoomId | None
    """None for the create event of a room whose id is that event's hash (version 12)."""
    content: Mapping[str, Any]
    state_key: str | None = None
    """None for what is not state."""
    prev_events: tuple[str, ...] = ()
    """Ids; the rules need them of the create event and of a room's first join only."""


class StateEvent(Struct, frozen=True):
    """An event of the current state, as the rules look at it."""

    sender: UserId
    content: Mapping[str, Any]
    event_id: EventId


class AuthState(Protocol):
    """The state before the event, as far as `auth_types` names it."""

    def get(self, event_type: str, state_key: str, /) -> StateEvent | None: ...

    def power_levels(self) -> PowerLevels:
        """Of the current event or, without one, `PowerLevels.parse(None, …)`; asked often."""
        ...


class StateMap:
    """An AuthState over a plain mapping: for what is asked once."""

    def __init__(self, events: Mapping[tuple[str, str], StateEvent], version: RoomVersion) -> None:
        self._events = events
        self._version = version

    def get(self, event_type: str, state_key: str, /) -> StateEvent | None:
        return self._events.get((event_type, state_key))

    def power_levels(self) -> PowerLevels:
        create = self.get(event_types.CREATE, "")
        levels = self.get(event_types.POWER_LEVELS, "")
        return PowerLevels.parse(
            levels.content if levels else None,
            creators_of(create.sender, create.content, self._version) if create else (),
            self._version,
        )


def creators_of(
    sender: str, create_content: Mapping[str, Any], version: RoomVersion
) -> tuple[UserId, ...]:
    """The room's creators: one before version 12, then those whom the create event adds as well."""
    if version.creator_in_content:
        return (UserId(create_content["creator"]),)
    if not version.creators_are_infinite:
        return (UserId(sender),)
    additional = create_content.get("additional_creators", ())
    return tuple(UserId(user) for user in dict.fromkeys((sender, *additional)))


def auth_types(
    event_type: str,
    sender: str,
    state_key: str | None,
    content: Mapping[str, Any],
    version: RoomVersion,
) -> list[tuple[str, str]]:
    """The state that gives the sender permission: an event's auth events are those that exist.

    https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection
    """
    if event_type == event_types.CREATE:
        return []
    needed = [(event_types.POWER_LEVELS, ""), (event_types.MEMBER, sender)]
    if not version.room_id_is_create_hash:
        needed.insert(0, (event_types.CREATE, ""))
    if event_type != event_types.MEMBER or state_key is None:
        return needed
    if state_key != sender:
        needed.append((event_types.MEMBER, state_key))
    membership = content.get("membership")
    if membership in (Membership.JOIN, Membership.INVITE, Membership.KNOCK):
        needed.append((event_types.JOIN_RULES, ""))
    if membership == Membership.INVITE and "third_party_invite" in content:
        token = _at(content, "third_party_invite", "signed", "token")
        if isinstance(token, str):
            needed.append((event_types.THIRD_PARTY_INVITE, token))
    if membership == Membership.JOIN:
        authoriser = content.get("join_authorised_via_users_server")
        if isinstance(authoriser, str) and authoriser not in (sender, state_key):
            needed.append((event_types.MEMBER, authoriser))
    return needed


def authorise(event: EventView, state: AuthState, version: RoomVersion) -> None:
    """Returns if the event may be; raises a NotAuthorised whose message names the rule.

    `state` is the room's before the event. A create event has none before it.
    """
    if event.type == event_types.CREATE:  # [1]
        _judge_create(event, state, version)
        return
    create = state.get(event_types.CREATE, "")
    if create is None:
        raise WrongRoom("The room has no create event.")
    if version.room_id_is_create_hash and (
        event.room_id is None or event.room_id[1:] != create.event_id[1:]  # [2]
    ):
        raise WrongRoom("The room id is not that of the room's create event.")
    if create.content.get("m.federate") is False and (  # [4]
        server_of(event.sender) != server_of(create.sender)
    ):
        raise OtherServer("The room is for people of its creator's server only.")
    if event.type == event_types.MEMBER:  # [5]
        _judge_membership(event, state, create, version)
        return
    if _membership(state, event.sender) != Membership.JOIN:  # [6]
        raise NotInRoom("Only members who have joined may send events into the room.")
    levels = state.power_levels()
    level = levels.level_of(event.sender)
    if event.type == event_types.THIRD_PARTY_INVITE:  # [7]
        _require(level, levels.invite, "invite")
        return
    needed = levels.required(event.type, is_state=event.state_key is not None)
    if level < needed:  # [8]
        raise PowerTooLow(f"To send {event.type} takes power level {needed}; you have {level}.")
    if event.state_key and event.state_key[0] == "@" and event.state_key != event.sender:  # [9]
        raise NotYourKey("A state key that begins with '@' may be set by that person only.")
    if event.type == event_types.POWER_LEVELS:  # [10]
        _judge_power_levels(event, state, create, level, version)


def _judge_create(event: EventView, state: AuthState, version: RoomVersion) -> None:
    """[1]"""
    if event.prev_events or state.get(event_types.CREATE, "") is not None:  # [1.1]
        raise BadCreation("A create event is the first of its room.")
    if version.room_id_is_create_hash:
        if event.room_id is not None:  # [1.2]
            raise BadCreation("A create event has no room id: it makes it.")
    # Up to version 11 a room id has a domain, and so has the rule [1.2]: nowhere else is one read.
    elif event.room_id is None or event.room_id.partition(":")[2] != server_of(event.sender):
        raise BadCreation("The room id is not of the creator's server.")
    if "room_version" in event.content and not (  # [1.3]
        isinstance(declared := event.content["room_version"], str) and declared in ROOM_VERSIONS
    ):
        raise BadCreation("The room version is not known here.")
    if version.creator_in_content and "creator" not in event.content:  # [1.4] of version 10
        raise BadCreation("The content of the create event names no creator.")
    if version.creators_are_infinite and "additional_creators" in event.content:  # [1.4]
        additional = event.content["additional_creators"]
        if not isinstance(additional, list) or not all(map(is_user_id, additional)):
            raise BadCreation("The additional creators are not a list of user ids.")


def _judge_membership(
    event: EventView, state: AuthState, create: StateEvent, version: RoomVersion
) -> None:
    """[5]"""
    membership = event.content.get("membership")
    if event.state_key is None or membership is None:  # [5.1]
        raise BadMembership("A membership event names a person and a membership.")
    # [5.2] asks for the signature of the authorising person's server, which is this one.
    if membership == Membership.JOIN:
        _judge_join(event, event.state_key, state, create, version)
    elif membership == Membership.INVITE:
        _judge_invite(event, event.state_key, state)
    elif membership == Membership.LEAVE:
        _judge_leave(event, event.state_key, state)
    elif membership == Membership.BAN:
        _judge_ban(event, event.state_key, state)
    elif membership == Membership.KNOCK:
        _judge_knock(event, event.state_key, state)
    else:  # [5.8]
        raise BadMembership("The membership is not a known one.")


def _judge_join(
    event: EventView, target: str, state: AuthState, create: StateEvent, version: RoomVersion
) -> None:
    """[5.3]"""
    if event.prev_events == (create.event_id,):  # [5.3.1]
        creator = create.content["creator"] if version.creator_in_content else create.sender
        if target == creator:
            return
    if event.sender != target:  # [5.3.2]
        raise JoinNotAllowed("Nobody can join for somebody else.")
    current = _membership(state, target)
    if current == Membership.BAN:  # [5.3.3]
        raise Banned("You are banned from the room.")
    rule = _join_rule(state)
    is_expected = current in (Membership.JOIN, Membership.INVITE)
    if rule in (JoinRule.INVITE, JoinRule.KNOCK):  # [5.3.4]
        if not is_expected:
            raise JoinNotAllowed("The room is joined by invitation, and you have none.")
    elif rule in (JoinRule.RESTRICTED, JoinRule.KNOCK_RESTRICTED):  # [5.3.5]
        if not is_expected and not _may_authorise_join(event.content, state):
            raise JoinNotAllowed("The room is joined by invitation or from rooms that it names.")
    elif rule != JoinRule.PUBLIC:  # [5.3.6], [5.3.7]
        raise JoinNotAllowed("The room's join rule lets nobody in.")


def _may_authorise_join(content: Mapping[str, Any], state: AuthState) -> bool:
    """[5.3.5.2] Whether somebody in the room, who may invite, stands for the join."""
    authoriser = content.get("join_authorised_via_users_server")
    if not isinstance(authoriser, str) or _membership(state, authoriser) != Membership.JOIN:
        return False
    levels = state.power_levels()
    return levels.level_of(authoriser) >= levels.invite


def _judge_invite(event: EventView, target: str, state: AuthState) -> None:
    """[5.4]"""
    if "third_party_invite" in event.content:  # [5.4.1]
        # It would be signed by an identity server that the room's members trust; the server
        # knows none, so there is no key by which such an invitation could be a right one.
        raise BadMembership("Invitations by third-party identifiers are not taken here.")
    if _membership(state, event.sender) != Membership.JOIN:  # [5.4.2]
        raise NotInRoom("Only members who have joined may invite.")
    current = _membership(state, target)  # [5.4.3]
    if current == Membership.JOIN:
        raise AlreadyInRoom("This person is in the room already.")
    if current == Membership.BAN:
        raise Banned("This person is banned from the room.")
    levels = state.power_levels()
    _require(levels.level_of(event.sender), levels.invite, "invite")  # [5.4.4]


def _judge_leave(event: EventView, target: str, state: AuthState) -> None:
    """[5.5] Leaving, declining, taking a knock back; and a kick, a withdrawn invite, an unban."""
    current = _membership(state, target)
    if event.sender == target:  # [5.5.1]
        if current == Membership.BAN:
            raise Banned("You are banned from the room.")
        if current not in (Membership.INVITE, Membership.JOIN, Membership.KNOCK):
            raise NotInRoom("You are not in the room.")
        return
    if _membership(state, event.sender) != Membership.JOIN:  # [5.5.2]
        raise NotInRoom("Only members who have joined may remove others.")
    levels = state.power_levels()
    level = levels.level_of(event.sender)
    if current == Membership.BAN:  # [5.5.3]
        _require(level, levels.ban, "lift a ban")
    _require(level, levels.kick, "remove others")  # [5.5.4]
    _require_above(level, levels.level_of(target))


def _judge_ban(event: EventView, target: str, state: AuthState) -> None:
    """[5.6]"""
    if _membership(state, event.sender) != Membership.JOIN:  # [5.6.1]
        raise NotInRoom("Only members who have joined may ban.")
    levels = state.power_levels()
    level = levels.level_of(event.sender)
    _require(level, levels.ban, "ban")  # [5.6.2]
    _require_above(level, levels.level_of(target))


def _judge_knock(event: EventView, target: str, state: AuthState) -> None:
    """[5.7]"""
    if _join_rule(state) not in (JoinRule.KNOCK, JoinRule.KNOCK_RESTRICTED):  # [5.7.1]
        raise JoinNotAllowed("The room's join rule doesn't let people knock.")
    if event.sender != target:  # [5.7.2]
        raise JoinNotAllowed("Nobody can knock for somebody else.")
    current = _membership(state, target)  # [5.7.3]
    if current == Membership.BAN:
        raise Banned("You are banned from the room.")
    if current in (Membership.INVITE, Membership.JOIN):
        raise AlreadyInRoom("You are in the room, or invited, already.")


def _judge_power_levels(
    event: EventView, state: AuthState, create: StateEvent, level: int, version: RoomVersion
) -> None:
    """[10] Nobody raises anyone above themselves, nor lowers who stands as high as they do."""
    creators = creators_of(create.sender, create.content, version)
    new = PowerLevels.parse(event.content, creators, version)  # [10.1] to [10.4]
    if state.get(event_types.POWER_LEVELS, "") is None:  # [10.5]
        return
    old = state.power_levels()
    for name in SINGLE_LEVELS:  # [10.6]
        _judge_change(name, old.given.get(name), new.given.get(name), level)
    for kind, before, after in (  # [10.7], [10.8]
        ("events", old.events, new.events),
        ("notifications", old.notifications, new.notifications),
    ):
        for key in before.keys() | after.keys():
            _judge_change(f"{kind} {key}", before.get(key), after.get(key), level)
    for user in old.users.keys() | new.users.keys():
        had, gets = old.users.get(user), new.users.get(user)
        if had == gets:
            continue
        if had is not None and had >= level and user != event.sender:  # [10.9]
            raise PowerTooLow(f"{user} stands as high as you do, or higher.")
        if gets is not None and gets > level:  # [10.10]
            raise PowerTooLow(f"{user} would stand higher than you do.")


def _judge_change(name: str, before: int | None, after: int | None, level: int) -> None:
    """One level that is added, changed or removed: neither side of it is above the sender's."""
    if before == after:
        return
    if (before is not None and before > level) or (after is not None and after > level):
        raise PowerTooLow(f"The power level of {name} is, or would be, higher than yours.")


def _require(level: int, needed: int, deed: str) -> None:
    if level < needed:
        raise PowerTooLow(f"To {deed} takes power level {needed}; you have {level}.")


def _require_above(level: int, target_level: int) -> None:
    if target_level >= level:
        raise PowerTooLow("This person stands as high as you do, or higher.")


def _membership(state: AuthState, user: str) -> str:
    member = state.get(event_types.MEMBER, user)
    return Membership.LEAVE if member is None else str(member.content["membership"])


def _join_rule(state: AuthState) -> object:
    """The rule as it is written, known or not; `invite` where there is no event or no rule."""
    rules = state.get(event_types.JOIN_RULES, "")
    return JoinRule.INVITE if rules is None else rules.content.get("join_rule", JoinRule.INVITE)


def _at(content: Mapping[str, Any], *path: str) -> object:
    value: object = content
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
