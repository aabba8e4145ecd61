"""Random rooms: each event is judged by the server's rules and by the slow oracle alike."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.matrix import (
    ROOM_VERSIONS,
    EventId,
    EventView,
    NotAuthorised,
    RoomId,
    StateEvent,
    StateMap,
    UserId,
    auth_types,
    authorise,
)
from tests.rules import auth_oracle
from tests.rules.auth_oracle import Event, State

ADA, BORIS, MALLORY, OLGA = (f"@{name}:home" for name in ("ada", "boris", "mallory", "olga"))
REMUS = "@remus:elsewhere"
PEOPLE = (ADA, BORIS, MALLORY, OLGA, REMUS)
CREATE_ID = "$" + "c" * 43

people = st.sampled_from(PEOPLE)
levels = st.sampled_from([-1, 0, 0, 10, 50, 50, 75, 100, 100, 101])
odd_levels: st.SearchStrategy[Any] = st.sampled_from(["50", True, None, [], {}])


def now_and_then(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> Any:
    """One in eight is odd."""
    return st.integers(0, 7).flatmap(lambda roll: odd if roll == 0 else usual)


level_maps = st.dictionaries(
    st.sampled_from(["m.room.message", "m.room.topic", "m.room.power_levels", "room"]), levels
)
user_maps = st.dictionaries(people, levels, max_size=5)
power_levels = st.fixed_dictionaries(
    {},
    optional={
        **{name: now_and_then(levels, odd_levels) for name in auth_oracle.LEVEL_NAMES},
        "events": now_and_then(level_maps, st.dictionaries(st.just("x"), odd_levels)),
        "notifications": now_and_then(level_maps, odd_levels),
        "users": now_and_then(
            user_maps, odd_levels | st.dictionaries(st.sampled_from(["ada", "@x", ADA]), levels)
        ),
    },
)
MEMBERSHIPS = ["join", "join", "join", "invite", "invite", "leave", "leave", "ban", "knock"]
member_contents = st.fixed_dictionaries(
    {"membership": now_and_then(st.sampled_from(MEMBERSHIPS), st.sampled_from(["", "x", 3]))},
    optional={"join_authorised_via_users_server": now_and_then(people, st.just(3))},
)
join_rules = st.fixed_dictionaries(
    {},
    optional={
        "join_rule": st.sampled_from(
            ["public", "invite", "knock", "restricted", "knock_restricted", "private", "odd"]
        )
    },
)


@st.composite
def memberships(draw: st.DrawFn) -> Event:
    sender = draw(people)
    event: Event = {"type": "m.room.member", "sender": sender, "content": draw(member_contents)}
    event["state_key"] = draw(st.just(sender) | people)
    oddity = draw(st.integers(0, 30))
    if oddity == 0:
        del event["state_key"]
    elif oddity == 1:
        event["content"] = {}
    elif oddity == 2:
        event["content"]["third_party_invite"] = {"signed": {"token": "t", "mxid": ADA}}
    return event


def of_type(event_type: str, content: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    return st.fixed_dictionaries(
        {
            "type": st.just(event_type),
            "sender": people,
            "content": content,
            "state_key": st.just(""),
        }
    )


others = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["m.room.message", "m.room.topic", "m.room.third_party_invite", "m.room.redaction"]
        ),
        "sender": people,
        "content": st.just({}),
    },
    optional={"state_key": st.sampled_from(["", ADA, BORIS, "a"])},
)
events = st.one_of(
    memberships(),
    memberships(),
    of_type("m.room.power_levels", power_levels),
    of_type("m.room.join_rules", join_rules),
    others,
)
creates = st.fixed_dictionaries(
    {"room_version": st.just("12")},
    optional={
        "m.federate": st.booleans(),
        "additional_creators": st.lists(people, max_size=2),
    },
)


def server_allows(event: Event, state: State, version: str) -> bool:
    """What `authorise` says, with no more of the state than `auth_types` names."""
    rules = ROOM_VERSIONS[version]
    view = EventView(
        type=event["type"],
        sender=UserId(event["sender"]),
        room_id=RoomId(event["room_id"]) if "room_id" in event else None,
        content=event["content"],
        state_key=event.get("state_key"),
        prev_events=tuple(event.get("prev_events", ())),
    )
    needed = {
        *auth_types(view.type, view.sender, view.state_key, view.content, rules),
        # Named by the room id from version 12 on, instead of by the auth events.
        ("m.room.create", ""),
    }
    known = {
        key: StateEvent(
            sender=UserId(found["sender"]),
            content=found["content"],
            event_id=EventId(found["event_id"]),
        )
        for key, found in state.items()
        if key in needed
    }
    try:
        authorise(view, StateMap(known, rules), rules)
    except NotAuthorised:
        return False
    return True


def walk(version: str, create: Event, steps: list[Event]) -> Iterator[tuple[Event, State]]:
    """The room's events with the state before each; what the oracle allows becomes state."""
    room = {"room_id": "!" + "c" * 43 if version == "12" else "!room:home"}
    state: State = {("m.room.create", ""): create}
    for number, step in enumerate(steps):
        event = {
            **step,
            **room,
            "event_id": f"${number}",
            "prev_events": [CREATE_ID if number == 0 else f"${number - 1}"],
        }
        yield event, dict(state)
        if "state_key" in event and auth_oracle.judge(event, state, version).allowed:
            state[event["type"], event["state_key"]] = event


def first_join(sender: str) -> Event:
    return {
        "type": "m.room.member",
        "sender": sender,
        "state_key": sender,
        "content": {"membership": "join"},
    }


def check_walk(version: str, content: dict[str, Any], steps: list[Event]) -> set[str]:
    create = {
        "type": "m.room.create",
        "sender": ADA,
        "state_key": "",
        "event_id": CREATE_ID,
        "content": {**content, "creator": ADA} if version == "10" else content,
    }
    decided = set()
    for event, state in walk(version, create, [first_join(ADA), *steps]):
        verdict = auth_oracle.judge(event, state, version)
        assert server_allows(event, state, version) == verdict.allowed, verdict
        decided.add(verdict.rule)
    return decided


versions = st.sampled_from(sorted(ROOM_VERSIONS))


@settings(max_examples=100, deadline=None)
@given(versions, creates, st.lists(events, min_size=5, max_size=40))
def test_the_rules_and_the_oracle_agree_on_random_rooms(
    version: str, create: dict[str, Any], steps: list[Event]
) -> None:
    check_walk(version, create, steps)


@pytest.mark.long
@settings(max_examples=2_000, deadline=None)
@given(versions, creates, st.lists(events, min_size=20, max_size=80))
def test_the_rules_and_the_oracle_agree_on_many_long_random_rooms(
    version: str, create: dict[str, Any], steps: list[Event]
) -> None:
    check_walk(version, create, steps)


@settings(max_examples=100, deadline=None)
@given(
    versions,
    st.fixed_dictionaries(
        {},
        optional={
            "room_version": st.sampled_from(["10", "12", "99", 12, None]),
            "creator": people,
            "additional_creators": st.sampled_from([[], [ADA], [ADA, "x"], [3], "x", None, {}]),
        },
    ),
    st.sampled_from([[], ["$before"]]),
    st.sampled_from([None, "!room:home", "!room:elsewhere", "!room:else:home"]),
)
def test_the_rules_and_the_oracle_agree_on_create_events(
    version: str, content: dict[str, Any], prev: list[str], room_id: str | None
) -> None:
    event: Event = {"type": "m.room.create", "sender": ADA, "state_key": "", "content": content}
    event["prev_events"] = prev
    if room_id is not None:
        event["room_id"] = room_id
    elif version != "12":
        return

    verdict = auth_oracle.judge(event, {}, version)

    assert server_allows(event, {}, version) == verdict.allowed, verdict
