"""Rooms in the middle of their lives: every rule is asked, of the server's and of the oracle.

The moments are drawn evenly, by a seed, so that each rule's turn comes; the walk through random
rooms in `test_auth_walk` gets to the deep ones rarely.
"""

from random import Random
from typing import Any

import pytest

from posthouse.matrix import ROOM_VERSIONS
from tests.rules import auth_oracle
from tests.rules.auth_oracle import Event, State
from tests.rules.test_auth_walk import ADA, CREATE_ID, PEOPLE, server_allows

MEMBERSHIP_RULES = [
    ".1",
    ".3.2",
    ".3.3",
    ".3.4",
    ".3.5.1",
    ".3.5.2",
    ".3.5.3",
    ".3.6",
    ".3.7",
    ".4.1.8",
    ".4.2",
    ".4.3",
    ".4.4",
    ".4.5",
    ".5.1",
    ".5.2",
    ".5.3",
    ".5.4",
    ".5.5",
    ".6.1",
    ".6.2",
    ".6.3",
    ".7.1",
    ".7.2",
    ".7.3",
    ".7.4",
    ".8",
]
POWER_RULES = [".1", ".2", ".3", ".4", ".5.1", ".5.2", ".6.1", ".7.1", ".8.1", ".9.1", ".10"]
POWER_RULES_12 = [
    ".1",
    ".2",
    ".3",
    ".4",
    ".5",
    ".6.1",
    ".6.2",
    ".7.1",
    ".8.1",
    ".9.1",
    ".10.1",
    ".11",
]
OLD_RULES = {
    *("3", "5", "6.1", "7", "8", "10"),
    *(f"4{rule}" for rule in MEMBERSHIP_RULES),
    *(f"9{rule}" for rule in POWER_RULES),
}
RULES = {
    "10": OLD_RULES,
    "11": OLD_RULES,
    "12": {
        *("2", "4", "6", "7.1", "8", "9", "11"),
        *(f"5{rule}" for rule in MEMBERSHIP_RULES),
        *(f"10{rule}" for rule in POWER_RULES_12),
    },
}
"""Of each version the rules that a room in the middle of its life can ask."""

LEVELS = (-1, 0, 0, 10, 50, 50, 75, 100, 100, 101)
ODD: tuple[Any, ...] = ("50", True, None, [], {}, 0.5)
TYPES = ("m.room.message", "m.room.topic", "m.room.power_levels", "m.room.third_party_invite")
JOIN_RULES = ("public", "invite", "knock", "restricted", "knock_restricted", "private", "odd")


@pytest.mark.parametrize("version", sorted(ROOM_VERSIONS))
def test_the_rules_and_the_oracle_agree_at_every_rule(version: str) -> None:
    assert agree(version, seed=3, moments=15_000) >= RULES[version]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("version", sorted(ROOM_VERSIONS))
def test_the_rules_and_the_oracle_agree_at_very_many_moments(version: str, seed: int) -> None:
    agree(version, seed=1_000 + seed, moments=50_000)


def agree(version: str, seed: int, moments: int) -> set[str]:
    """Asks both about each moment; returns the rules that decided."""
    random = Random(seed)
    decided = set()
    for _ in range(moments):
        event, state = moment(random, version)
        verdict = auth_oracle.judge(event, state, version)
        assert server_allows(event, state, version) == verdict.allowed, (verdict, event, state)
        decided.add(verdict.rule)
    return decided


def moment(random: Random, version: str) -> tuple[Event, State]:
    """An event that somebody would send, and a state that a room may have come to."""
    create: dict[str, Any] = {"room_version": version}
    if version == "10":
        create["creator"] = ADA
    if version == "12" and random.random() < 0.3:
        create["additional_creators"] = random.sample(PEOPLE, random.randrange(3))
    if random.random() < 0.2:
        create["m.federate"] = random.random() < 0.5
    state: State = {}
    _put(state, "m.room.create", "", create)
    for person in PEOPLE:
        is_in = random.choice(("join", "join", "join", "invite", "ban", "knock", "leave", None))
        if is_in:
            _put(state, "m.room.member", person, {"membership": is_in})
    if random.random() < 0.9:
        _put(state, "m.room.join_rules", "", {"join_rule": random.choice(JOIN_RULES)})
    if random.random() < 0.9:
        levels = _sound_levels(random)
        if version == "12":
            for creator in auth_oracle.all_creators(state):
                levels["users"].pop(creator, None)
        _put(state, "m.room.power_levels", "", levels)
    return _event(random, version, state), state


def _put(state: State, event_type: str, state_key: str, content: dict[str, Any]) -> None:
    state[event_type, state_key] = {
        "type": event_type,
        "state_key": state_key,
        "sender": ADA,
        "content": content,
        "event_id": CREATE_ID if event_type == "m.room.create" else "$" + event_type + state_key,
    }


def _event(random: Random, version: str, state: State) -> Event:
    event: Event = {"sender": random.choice(PEOPLE), "prev_events": ["$x"]}
    if version != "12":
        event["room_id"] = "!room:home"
    else:
        event["room_id"] = "!" + ("d" if random.random() < 0.02 else "c") * 43
    kind = random.random()
    if kind < 0.5:
        return {**event, **_member(random, event["sender"])}
    if kind < 0.8:
        return {**event, **_power_levels(random, state)}
    event |= {"type": random.choice(TYPES[:2] + TYPES[3:]), "content": {}}
    if random.random() < 0.6:
        event["state_key"] = random.choice(("", "a", *PEOPLE))
    return event


def _member(random: Random, sender: str) -> Event:
    content: dict[str, Any] = {
        "membership": random.choice(("join", "invite", "leave", "ban", "knock"))
    }
    event: Event = {"type": "m.room.member", "content": content}
    event["state_key"] = sender if random.random() < 0.5 else random.choice(PEOPLE)
    if random.random() < 0.4:
        content["join_authorised_via_users_server"] = random.choice((*PEOPLE, 3))
    match random.randrange(40):
        case 0:
            del event["state_key"]
        case 1:
            del content["membership"]
        case 2:
            content["membership"] = random.choice(("", "x", 3, None))
        case 3:
            content["third_party_invite"] = {"signed": {"token": "t", "mxid": ADA}}
    return event


def _power_levels(random: Random, state: State) -> Event:
    """Most are one change to what holds, as people make them."""
    content = _sound_levels(random)
    if random.random() < 0.8 and ("m.room.power_levels", "") in state:
        now = state["m.room.power_levels", ""]["content"]
        name = random.choice([*content])
        content = {**now, name: content[name]}
        if random.random() < 0.2:
            content.pop(random.choice([*content]), None)
    elif random.random() < 0.3:
        content["users"] = {}
    match random.randrange(16):
        case 0:
            content[random.choice(auth_oracle.LEVEL_NAMES)] = random.choice(ODD)
        case 1:
            name = random.choice(("events", "notifications"))
            content[name] = random.choice(("x", None, {"x": random.choice(ODD)}))
        case 2:
            content["users"] = random.choice(("x", {ADA: "50"}, {"ada": 50}, {"@ada": 50}))
    return {"type": "m.room.power_levels", "state_key": "", "content": content}


def _sound_levels(random: Random) -> dict[str, Any]:
    people = random.sample(PEOPLE, random.randrange(6))
    levels: dict[str, Any] = {"users": {user: random.choice(LEVELS) for user in people}}
    for name in auth_oracle.LEVEL_NAMES:
        if random.random() < 0.4:
            levels[name] = random.choice(LEVELS)
    for name, keys in (("events", TYPES), ("notifications", ("room", "x"))):
        if random.random() < 0.5:
            some = random.sample(keys, random.randrange(3))
            levels[name] = {key: random.choice(LEVELS) for key in some}
    return levels
