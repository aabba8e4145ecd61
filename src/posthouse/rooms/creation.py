"""What a new room begins with: the events that `createRoom` makes, in the order it makes them.

https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from posthouse.accounts import Profile
from posthouse.matrix import (
    BadJson,
    InvalidParam,
    RoomAlias,
    RoomVersion,
    UserId,
    check_event_type,
    check_state_key,
    initial_power_levels,
    is_user_id,
)
from posthouse.rooms.errors import InvalidRoomState
from posthouse.rooms.judging import Draft

INVITES_MAX: Final = 100


class StateGiven(Struct, frozen=True):
    """One event of `initial_state`."""

    type: str
    content: dict[str, Any]
    state_key: str = ""


class Wish(Struct, frozen=True):
    """What somebody asks of a new room."""

    preset: str
    is_direct: bool = False
    name: str | None = None
    topic: str | None = None
    invite: Sequence[UserId] = ()
    initial_state: Sequence[StateGiven] = ()
    creation_content: Mapping[str, Any] = {}
    power_levels: Mapping[str, Any] = {}
    alias_name: str | None = None
    """What its alias begins with, up to the server's name."""
    is_published: bool = False
    """Whether it is put into the public directory."""


_PRESETS: Final[Mapping[str, tuple[str, str, str]]] = {
    "private_chat": ("invite", "shared", "can_join"),
    "trusted_private_chat": ("invite", "shared", "can_join"),
    "public_chat": ("public", "shared", "forbidden"),
}
"""Join rule, history visibility, guest access."""

_NOT_YOURS_TO_SET: Final = frozenset({"m.room.create", "m.room.member"})


def check_wish(wish: Wish) -> None:
    """Raises where the wish can't be met whatever the room's rules say."""
    if wish.preset not in _PRESETS:
        raise InvalidParam(f"preset is one of {', '.join(_PRESETS)}.")
    if len(wish.invite) > INVITES_MAX:
        raise InvalidParam(f"At most {INVITES_MAX} people can be invited with a new room.")
    for given in wish.initial_state:
        check_event_type(given.type)
        check_state_key(given.state_key)
        if given.type in _NOT_YOURS_TO_SET:
            raise InvalidRoomState(f"initial_state can't hold {given.type}: the server makes it.")


def create_content(wish: Wish, creator: UserId, version: RoomVersion) -> dict[str, Any]:
    """The content of `m.room.create`."""
    content = {
        k: v for k, v in wish.creation_content.items() if k not in ("room_version", "creator")
    }
    content["room_version"] = version.identifier
    if version.creator_in_content:
        content["creator"] = creator
    if version.creators_are_infinite:
        additional = content.get("additional_creators", [])
        if not isinstance(additional, list) or not all(is_user_id(a) for a in additional):
            raise BadJson("creation_content.additional_creators is a list of user ids.")
        if wish.preset == "trusted_private_chat":
            additional = [*additional, *(u for u in wish.invite if u not in additional)]
        if additional:
            content["additional_creators"] = additional
    else:
        content.pop("additional_creators", None)
    return content


def first_drafts(
    wish: Wish,
    creator: UserId,
    version: RoomVersion,
    profile: Profile,
    alias: RoomAlias | None = None,
) -> Iterator[Draft]:
    """Everything after the create event, up to the invites."""
    given = {(s.type, s.state_key): s for s in wish.initial_state}
    yield Draft("m.room.member", creator, member_content("join", profile), creator)
    yield Draft("m.room.power_levels", creator, _power_levels(wish, creator, version), "")
    if alias is not None:
        yield Draft("m.room.canonical_alias", creator, {"alias": alias}, "")
    join_rule, visibility, guests = _PRESETS[wish.preset]
    defaults = {
        "m.room.join_rules": {"join_rule": join_rule},
        "m.room.history_visibility": {"history_visibility": visibility},
        "m.room.guest_access": {"guest_access": guests},
    }
    for type_, content in defaults.items():
        if (type_, "") not in given:
            yield Draft(type_, creator, content, "")
    for state in given.values():
        if (state.type, state.state_key) != ("m.room.power_levels", ""):
            yield Draft(state.type, creator, state.content, state.state_key)
    if wish.name:
        yield Draft("m.room.name", creator, {"name": wish.name}, "")
    if wish.topic is not None:
        text = {"m.text": [{"body": wish.topic, "mimetype": "text/plain"}]}
        yield Draft("m.room.topic", creator, {"topic": wish.topic, "m.topic": text}, "")


def member_content(
    membership: str, profile: Profile, *, reason: str | None = None, is_direct: bool = False
) -> dict[str, Any]:
    """The content of a member event, with the person's name and picture where they have some."""
    content: dict[str, Any] = {"membership": membership}
    if profile.displayname is not None:
        content["displayname"] = profile.displayname
    if profile.avatar_url is not None:
        content["avatar_url"] = profile.avatar_url
    if is_direct:
        content["is_direct"] = True
    if reason is not None:
        content["reason"] = reason
    return content


def _power_levels(wish: Wish, creator: UserId, version: RoomVersion) -> dict[str, Any]:
    peers: Sequence[UserId] = ()
    if wish.preset == "trusted_private_chat" and not version.creators_are_infinite:
        peers = wish.invite
    content = initial_power_levels(version, creator, peers)
    for state in wish.initial_state:
        if state.type == "m.room.power_levels" and state.state_key == "":
            content |= state.content
    for key, value in wish.power_levels.items():
        # Clients name the few events that they care for: the others keep their levels.
        levels = content.get("events")
        if key == "events" and isinstance(value, dict) and isinstance(levels, dict):
            content[key] = {**levels, **value}
        else:
            content[key] = value
    return content
