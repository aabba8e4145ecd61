"""The authorisation rules a second time: slow, literal, in the order of the specification's text.

Nothing here uses the server's own rules. An event and the state are plain dicts; the answer is
the number of the rule that decided, as the text of the room's version numbers it, and whether it
allows. https://spec.matrix.org/v1.19/rooms/v10/#authorisation-rules, /v11/ and /v12/.
"""

import re
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]
State = dict[tuple[str, str], Event]

KNOWN_VERSIONS = ("10", "11", "12")
LEVEL_NAMES = (
    "users_default",
    "events_default",
    "state_default",
    "ban",
    "redact",
    "kick",
    "invite",
)


@dataclass(frozen=True)
class Verdict:
    """Whether the event may be, and which rule said so."""

    allowed: bool
    rule: str


def reject(rule: str) -> Verdict:
    return Verdict(False, rule)


def allow(rule: str) -> Verdict:
    return Verdict(True, rule)


def judge(event: Event, state: State, version: str) -> Verdict:
    """What the text of that version says of the event after that state."""
    v12 = version == "12"
    shift = 1 if v12 else 0
    if event["type"] == "m.room.create":
        return judge_create(event, version)
    create = state.get(("m.room.create", ""))
    if create is None:
        return reject("2.4")
    if v12 and event.get("room_id") != "!" + create["event_id"][1:]:
        return reject("2")
    closed = create["content"].get("m.federate") is False
    if closed and domain(event["sender"]) != domain(create["sender"]):
        return reject(f"{3 + shift}")
    if event["type"] == "m.room.member":
        return judge_member(event, state, version, f"{4 + shift}")
    if membership(state, event["sender"]) != "join":
        return reject(f"{5 + shift}")
    power = level(state, event["sender"], version)
    if event["type"] == "m.room.third_party_invite":
        enough = power >= named_level(state, "invite", 0)
        return allow(f"{6 + shift}.1") if enough else reject(f"{6 + shift}.1")
    if required_level(state, event) > power:
        return reject(f"{7 + shift}")
    if event.get("state_key", "").startswith("@") and event["state_key"] != event["sender"]:
        return reject(f"{8 + shift}")
    if event["type"] == "m.room.power_levels":
        return judge_power_levels(event, state, version, power, f"{9 + shift}")
    return allow(f"{10 + shift}")


def judge_create(event: Event, version: str) -> Verdict:
    content = event["content"]
    if event.get("prev_events"):
        return reject("1.1")
    if version == "12":
        if "room_id" in event:
            return reject("1.2")
    elif event["room_id"].split(":", 1)[1] != domain(event["sender"]):
        return reject("1.2")
    if "room_version" in content and content["room_version"] not in KNOWN_VERSIONS:
        return reject("1.3")
    if version == "10" and "creator" not in content:
        return reject("1.4")
    if version == "12" and "additional_creators" in content:
        additional = content["additional_creators"]
        if not isinstance(additional, list):
            return reject("1.4")
        for user in additional:
            if not valid_user_id(user):
                return reject("1.4")
    return allow("1.5")


def judge_member(event: Event, state: State, version: str, rule: str) -> Verdict:
    if "state_key" not in event or "membership" not in event["content"]:
        return reject(f"{rule}.1")
    sender, target = event["sender"], event["state_key"]
    sender_is, target_is = membership(state, sender), membership(state, target)
    power, target_power = level(state, sender, version), level(state, target, version)
    wanted = event["content"]["membership"]
    create = state["m.room.create", ""]

    if wanted == "join":
        creator = create["content"]["creator"] if version == "10" else create["sender"]
        if event.get("prev_events") == [create["event_id"]] and target == creator:
            return allow(f"{rule}.3.1")
        if sender != target:
            return reject(f"{rule}.3.2")
        if sender_is == "ban":
            return reject(f"{rule}.3.3")
        joins = join_rule(state)
        if joins in ("invite", "knock") and target_is in ("invite", "join"):
            return allow(f"{rule}.3.4")
        if joins in ("restricted", "knock_restricted"):
            if target_is in ("join", "invite"):
                return allow(f"{rule}.3.5.1")
            by = event["content"].get("join_authorised_via_users_server")
            if by is None or membership(state, by) != "join":
                return reject(f"{rule}.3.5.2")
            if level(state, by, version) < named_level(state, "invite", 0):
                return reject(f"{rule}.3.5.2")
            return allow(f"{rule}.3.5.3")
        if joins == "public":
            return allow(f"{rule}.3.6")
        return reject(f"{rule}.3.7")

    if wanted == "invite":
        if "third_party_invite" in event["content"]:
            return reject(f"{rule}.4.1.8")  # no key could ever match: the server trusts none
        if sender_is != "join":
            return reject(f"{rule}.4.2")
        if target_is in ("join", "ban"):
            return reject(f"{rule}.4.3")
        if power >= named_level(state, "invite", 0):
            return allow(f"{rule}.4.4")
        return reject(f"{rule}.4.5")

    if wanted == "leave":
        if sender == target:
            if sender_is in ("invite", "join", "knock"):
                return allow(f"{rule}.5.1")
            return reject(f"{rule}.5.1")
        if sender_is != "join":
            return reject(f"{rule}.5.2")
        if target_is == "ban" and power < named_level(state, "ban", 50):
            return reject(f"{rule}.5.3")
        if power >= named_level(state, "kick", 50) and target_power < power:
            return allow(f"{rule}.5.4")
        return reject(f"{rule}.5.5")

    if wanted == "ban":
        if sender_is != "join":
            return reject(f"{rule}.6.1")
        if power >= named_level(state, "ban", 50) and target_power < power:
            return allow(f"{rule}.6.2")
        return reject(f"{rule}.6.3")

    if wanted == "knock":
        if join_rule(state) not in ("knock", "knock_restricted"):
            return reject(f"{rule}.7.1")
        if sender != target:
            return reject(f"{rule}.7.2")
        if sender_is not in ("ban", "invite", "join"):
            return allow(f"{rule}.7.3")
        return reject(f"{rule}.7.4")

    return reject(f"{rule}.8")


def judge_power_levels(
    event: Event, state: State, version: str, power: float, rule: str
) -> Verdict:
    new = event["content"]
    for name in LEVEL_NAMES:
        if name in new and not is_integer(new[name]):
            return reject(f"{rule}.1")
    for name in ("events", "notifications"):
        if name in new and not is_object_of_integers(new[name]):
            return reject(f"{rule}.2")
    if not is_object_of_integers(new.get("users", {})):
        return reject(f"{rule}.3")
    for user in new.get("users", {}):
        if not valid_user_id(user):
            return reject(f"{rule}.3")
    after = 4
    if version == "12":
        if any(user in new.get("users", {}) for user in all_creators(state)):
            return reject(f"{rule}.4")
        after = 5
    if ("m.room.power_levels", "") not in state:
        return allow(f"{rule}.{after}")
    old = state["m.room.power_levels", ""]["content"]

    for name in LEVEL_NAMES:
        if old.get(name) != new.get(name):
            if name in old and old[name] > power:
                return reject(f"{rule}.{after + 1}.1")
            if name in new and new[name] > power:
                return reject(f"{rule}.{after + 1}.2")
    for name in ("events", "notifications"):
        before, then = old.get(name, {}), new.get(name, {})
        for key, value in before.items():
            if then.get(key) != value and value > power:  # changed or removed
                return reject(f"{rule}.{after + 2}.1")
        for key, value in then.items():
            if before.get(key) != value and value > power:  # added or changed
                return reject(f"{rule}.{after + 3}.1")
    before, then = old.get("users", {}), new.get("users", {})
    for user, value in before.items():
        if then.get(user) != value and user != event["sender"] and value >= power:
            return reject(f"{rule}.{after + 4}.1")
    for user, value in then.items():
        if before.get(user) != value and value > power:
            return reject(f"{rule}.{after + 5}.1")
    return allow(f"{rule}.{after + 6}")


def level(state: State, user: str, version: str) -> float:
    if version == "12" and user in all_creators(state):
        return float("inf")
    if ("m.room.power_levels", "") not in state:
        create = state["m.room.create", ""]
        if version == "10":
            return 100 if create["content"]["creator"] == user else 0
        return 100 if create["sender"] == user and version == "11" else 0
    content = state["m.room.power_levels", ""]["content"]
    if user in content.get("users", {}):
        return int(content["users"][user])
    return int(content.get("users_default", 0))


def all_creators(state: State) -> list[str]:
    create = state["m.room.create", ""]
    return [create["sender"], *create["content"].get("additional_creators", [])]


def named_level(state: State, name: str, default: int) -> int:
    if ("m.room.power_levels", "") not in state:
        return default
    return int(state["m.room.power_levels", ""]["content"].get(name, default))


def required_level(state: State, event: Event) -> int:
    if ("m.room.power_levels", "") in state:
        named = state["m.room.power_levels", ""]["content"].get("events", {})
        if event["type"] in named:
            return int(named[event["type"]])
    if "state_key" in event:
        return named_level(state, "state_default", 50)
    return named_level(state, "events_default", 0)


def membership(state: State, user: str) -> str:
    if ("m.room.member", user) not in state:
        return "leave"
    return str(state["m.room.member", user]["content"]["membership"])


def join_rule(state: State) -> str:
    if ("m.room.join_rules", "") not in state:
        return "invite"
    return str(state["m.room.join_rules", ""]["content"].get("join_rule", "invite"))


def domain(identifier: str) -> str:
    return identifier.split(":", 1)[1]


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_object_of_integers(value: Any) -> bool:
    return isinstance(value, dict) and all(is_integer(each) for each in value.values())


def valid_user_id(value: Any) -> bool:
    return (
        isinstance(value, str)
        and re.fullmatch(r"@[^:\0]*:[a-z.]+(:\d+)?", value) is not None
        and len(value.encode()) <= 255
    )
