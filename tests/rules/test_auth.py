"""What people count on of a room's rules, said case by case; the walks beside it say the rest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.matrix import (
    INFINITE,
    ROOM_VERSIONS,
    AlreadyInRoom,
    BadCreation,
    BadMembership,
    BadPowerLevels,
    Banned,
    EventId,
    EventView,
    JoinNotAllowed,
    NotAuthorised,
    NotInRoom,
    NotYourKey,
    PowerLevels,
    PowerTooLow,
    RoomId,
    RoomVersion,
    StateEvent,
    StateMap,
    UserId,
    WrongRoom,
    auth_types,
    authorise,
    creators_of,
    initial_power_levels,
)

ADA, BORIS, MALLORY, OLGA = (
    UserId(f"@{name}:home") for name in ("ada", "boris", "mallory", "olga")
)
V10, V11, V12 = (ROOM_VERSIONS[name] for name in ("10", "11", "12"))
ROOM = RoomId("!" + "c" * 43)
EVERY_VERSION = pytest.mark.parametrize("version", [V10, V11, V12], ids=["v10", "v11", "v12"])


class Room:
    """A room that Ada made; Boris is in it, and whoever else a test says."""

    def __init__(
        self, version: RoomVersion = V12, create: dict[str, Any] | None = None, **members: str
    ) -> None:
        self.version = version
        content = {"room_version": version.identifier, **(create or {})}
        self.state = {
            ("m.room.create", ""): self._event(
                ADA, {**content, "creator": ADA} if version is V10 else content, "$" + ROOM[1:]
            )
        }
        for name, membership in {"ada": "join", "boris": "join", **members}.items():
            self.put("m.room.member", f"@{name}:home", {"membership": membership})
        self.put("m.room.power_levels", "", initial_power_levels(version, ADA))

    def put(self, event_type: str, state_key: str, content: dict[str, Any]) -> None:
        self.state[event_type, state_key] = self._event(ADA, content, "$x")

    def powers(self, **changes: Any) -> None:
        now = self.state["m.room.power_levels", ""].content
        self.put("m.room.power_levels", "", {**now, **changes})

    def judge(
        self,
        event_type: str,
        sender: UserId,
        content: dict[str, Any] | None = None,
        state_key: str | None = None,
        room_id: RoomId | None = ROOM,
    ) -> None:
        authorise(
            EventView(
                type=event_type,
                sender=sender,
                room_id=room_id,
                content=content or {},
                state_key=state_key,
                prev_events=("$x",),
            ),
            StateMap(self.state, self.version),
            self.version,
        )

    def member(self, sender: UserId, target: UserId, membership: str, **more: Any) -> None:
        self.judge("m.room.member", sender, {"membership": membership, **more}, target)

    @staticmethod
    def _event(sender: UserId, content: dict[str, Any], event_id: str) -> StateEvent:
        return StateEvent(sender=sender, content=content, event_id=EventId(event_id))


@EVERY_VERSION
def test_members_write_and_others_do_not(version: RoomVersion) -> None:
    room = Room(version, olga="invite", mallory="ban")

    room.judge("m.room.message", BORIS)

    for outsider in (OLGA, MALLORY, UserId("@nobody:home")):
        with pytest.raises(NotInRoom):
            room.judge("m.room.message", outsider)


@EVERY_VERSION
def test_a_room_is_joined_by_its_rule(version: RoomVersion) -> None:
    room = Room(version, olga="invite", mallory="ban")
    stranger = UserId("@nobody:home")

    room.member(OLGA, OLGA, "join")
    with pytest.raises(JoinNotAllowed):
        room.member(stranger, stranger, "join")

    room.put("m.room.join_rules", "", {"join_rule": "public"})
    room.member(stranger, stranger, "join")
    with pytest.raises(Banned):
        room.member(MALLORY, MALLORY, "join")
    with pytest.raises(JoinNotAllowed):
        room.member(OLGA, stranger, "join")

    room.put("m.room.join_rules", "", {"join_rule": "restricted", "allow": []})
    with pytest.raises(JoinNotAllowed):
        room.member(stranger, stranger, "join")
    room.member(stranger, stranger, "join", join_authorised_via_users_server=BORIS)
    room.powers(invite=50)
    with pytest.raises(JoinNotAllowed):
        room.member(stranger, stranger, "join", join_authorised_via_users_server=BORIS)


def test_people_knock_where_the_rule_lets_them() -> None:
    room = Room(olga="leave", mallory="ban")
    with pytest.raises(JoinNotAllowed):
        room.member(OLGA, OLGA, "knock")

    room.put("m.room.join_rules", "", {"join_rule": "knock_restricted"})
    room.member(OLGA, OLGA, "knock")
    with pytest.raises(Banned):
        room.member(MALLORY, MALLORY, "knock")
    with pytest.raises(AlreadyInRoom):
        room.member(BORIS, BORIS, "knock")


@EVERY_VERSION
def test_nobody_removes_who_stands_as_high_as_they_do(version: RoomVersion) -> None:
    room = Room(version, olga="join", mallory="join")
    room.powers(users={BORIS: 50, OLGA: 50} | ({} if version is V12 else {ADA: 100}))

    room.member(BORIS, MALLORY, "ban")
    room.member(BORIS, MALLORY, "leave")
    for deed in ("ban", "leave"):
        for target in (OLGA, ADA):
            with pytest.raises(PowerTooLow):
                room.member(BORIS, target, deed)
        with pytest.raises(PowerTooLow):
            room.member(MALLORY, BORIS, deed)


def test_a_ban_is_lifted_by_who_may_ban() -> None:
    room = Room(mallory="ban")
    room.powers(users={BORIS: 50}, ban=60)

    with pytest.raises(PowerTooLow):
        room.member(BORIS, MALLORY, "leave")
    with pytest.raises(Banned):
        room.member(MALLORY, MALLORY, "leave")
    room.member(ADA, MALLORY, "leave")


def test_an_invitation_by_a_third_party_identifier_is_refused() -> None:
    with pytest.raises(BadMembership):
        Room().member(ADA, OLGA, "invite", third_party_invite={"signed": {}})


def test_a_state_key_that_is_somebodys_name_is_theirs() -> None:
    """Calls keep to this: `_@user:…` is anybody's key, `@user:…` is not."""
    room = Room()

    room.judge("m.call.member", BORIS, {}, BORIS)
    room.judge("m.call.member", BORIS, {}, f"_{ADA}_DEVICE")
    with pytest.raises(NotYourKey):
        room.judge("m.call.member", BORIS, {}, ADA)


def test_in_version_12_a_room_id_names_its_create_event() -> None:
    room = Room(V12)

    for other in (RoomId("!" + "d" * 43), None):
        with pytest.raises(WrongRoom):
            room.judge("m.room.message", ADA, room_id=other)


def test_a_room_is_created_once() -> None:
    room = Room(V12)
    with pytest.raises(BadCreation):
        authorise(
            EventView(
                type="m.room.create",
                sender=ADA,
                room_id=None,
                content={"room_version": "12"},
                state_key="",
            ),
            StateMap(room.state, V12),
            V12,
        )


def test_creators_of_version_12_stand_above_all_levels() -> None:
    room = Room(V12, create={"additional_creators": [OLGA]}, olga="join")
    room.powers(users={BORIS: 2**53 - 1})

    with pytest.raises(PowerTooLow):
        room.member(BORIS, OLGA, "leave")
    with pytest.raises(PowerTooLow):
        room.member(OLGA, ADA, "leave")
    room.member(OLGA, BORIS, "leave")
    with pytest.raises(BadPowerLevels):
        room.judge("m.room.power_levels", ADA, {"users": {OLGA: 100}}, "")


@pytest.mark.parametrize(
    "content",
    [
        {"ban": "50"},
        {"kick": True},
        {"events": []},
        {"events": {"m.room.name": "50"}},
        {"notifications": {"room": None}},
        {"users": {"boris": 50}},
        {"users": {BORIS: 50.0}},
        {"users": None},
    ],
)
def test_power_levels_are_integers_of_user_ids(content: dict[str, Any]) -> None:
    with pytest.raises(BadPowerLevels):
        Room().judge("m.room.power_levels", ADA, content, "")


def test_nobody_gives_away_more_power_than_they_have() -> None:
    room = Room(V12, olga="join")
    room.powers(users={BORIS: 60, OLGA: 60}, events={"m.room.power_levels": 50, "x": 60, "y": 70})
    now = room.state["m.room.power_levels", ""].content

    def boris_sets(**changes: Any) -> None:
        room.judge("m.room.power_levels", BORIS, {**now, **changes}, "")

    boris_sets(kick=60, users={BORIS: 60, OLGA: 60, MALLORY: 60})
    boris_sets(users={BORIS: 10, OLGA: 60})
    for beyond in (
        {"kick": 61},
        {"users": {BORIS: 61, OLGA: 60}},
        {"users": {BORIS: 60}},
        {"users": {BORIS: 60, OLGA: 10}},
        {"users": {BORIS: 60, OLGA: 60, MALLORY: 61}},
        {"events": {"x": 60}},
        {"events": {"x": 61, "y": 70}},
        {"notifications": {"room": 61}},
    ):
        with pytest.raises(PowerTooLow):
            boris_sets(**beyond)


@EVERY_VERSION
def test_a_new_room_starts_with_its_creator_above_everybody(version: RoomVersion) -> None:
    content = initial_power_levels(version, ADA, peers=[OLGA])
    levels = PowerLevels.parse(content, creators_of(ADA, {"creator": ADA}, version), version)

    assert levels.level_of(ADA) == (INFINITE if version is V12 else 100)
    assert levels.level_of(OLGA) == 100
    assert levels.may_send(BORIS, "m.room.message", is_state=False)
    assert levels.may_send(BORIS, "org.matrix.msc3401.call.member", is_state=True)
    assert not levels.may_send(BORIS, "m.room.name", is_state=True)
    assert levels.may_send(OLGA, "m.room.tombstone", is_state=True) == (version is not V12)


@EVERY_VERSION
def test_without_power_levels_only_the_creator_sets_state(version: RoomVersion) -> None:
    levels = PowerLevels.parse(None, [ADA], version)

    assert levels.may_send(ADA, "m.room.power_levels", is_state=True)
    assert not levels.may_send(BORIS, "m.room.power_levels", is_state=True)
    assert levels.may_send(BORIS, "m.room.message", is_state=False)
    assert (levels.invite, levels.kick, levels.ban, levels.redact) == (0, 50, 50, 50)


def test_people_redact_their_own_and_moderators_everybodys() -> None:
    levels = PowerLevels.parse({"users": {OLGA: 50}}, [ADA], V12)

    assert levels.may_redact(BORIS, BORIS)
    assert not levels.may_redact(BORIS, OLGA)
    assert levels.may_redact(OLGA, BORIS)
    assert levels.may_notify(OLGA)
    assert not levels.may_notify(BORIS)


def test_auth_events_are_those_that_the_specification_selects() -> None:
    create, levels = ("m.room.create", ""), ("m.room.power_levels", "")
    rules = ("m.room.join_rules", "")

    def member(user: UserId) -> tuple[str, str]:
        return ("m.room.member", user)

    def selected(version: RoomVersion, target: UserId, **content: Any) -> set[tuple[str, str]]:
        found = auth_types("m.room.member", ADA, target, content, version)
        assert len(found) == len({*found})
        return {*found}

    assert auth_types("m.room.create", ADA, "", {}, V10) == []
    assert auth_types("m.room.message", ADA, None, {}, V12) == [levels, member(ADA)]
    assert auth_types("m.room.message", ADA, None, {}, V11) == [create, levels, member(ADA)]
    assert selected(V12, ADA, membership="join") == {levels, member(ADA), rules}
    assert selected(V12, BORIS, membership="invite") == {levels, member(ADA), member(BORIS), rules}
    assert selected(V12, BORIS, membership="ban") == {levels, member(ADA), member(BORIS)}
    assert selected(V11, ADA, membership="join", join_authorised_via_users_server=OLGA) == {
        create,
        levels,
        member(ADA),
        rules,
        member(OLGA),
    }
    assert ("m.room.third_party_invite", "t") in selected(
        V12, BORIS, membership="invite", third_party_invite={"signed": {"token": "t"}}
    )


@given(st.sampled_from([V10, V11, V12]), st.integers(-100, 200), st.integers(-100, 200))
def test_a_kick_takes_more_power_than_its_target_has(
    version: RoomVersion, own: int, others: int
) -> None:
    room = Room(version, olga="join")
    room.powers(users={BORIS: own, OLGA: others})

    try:
        room.member(BORIS, OLGA, "leave")
        kicked = True
    except NotAuthorised:
        kicked = False

    assert kicked == (own >= 50 and others < own)
