"""Hashes, ids, redaction and signatures of events."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.matrix import (
    EVENT_BYTES_MAX,
    ROOM_VERSIONS,
    InvalidParam,
    InvalidSignature,
    RoomVersion,
    SigningKey,
    TooLarge,
    UnsupportedRoomVersion,
    check_event_size,
    content_hash,
    decode_base64,
    decode_urlsafe_base64,
    encode_base64,
    encode_urlsafe_base64,
    event_id_of,
    redact,
    redaction_target,
    reference_hash,
    room_version,
    sign_event,
    sign_json,
    verify_event,
    verify_json,
    with_content_hash,
)
from tests.rules.test_canonical_json import OBJECTS
from tests.vectors import vectors

SIGNING = vectors("signing")
REDACTION = vectors("redaction")
SERVER: str = SIGNING["server"]
KEY = SigningKey(decode_base64(SIGNING["seed"]), SIGNING["key_version"])
V10, V11, V12 = (ROOM_VERSIONS[name] for name in ("10", "11", "12"))

VERSIONS = st.sampled_from(list(ROOM_VERSIONS.values()))
TYPES = st.sampled_from(
    [
        "m.room.create",
        "m.room.member",
        "m.room.join_rules",
        "m.room.power_levels",
        "m.room.history_visibility",
        "m.room.redaction",
        "m.room.message",
        "m.room.aliases",
    ]
)
KEYS = st.sampled_from(
    ["membership", "creator", "join_rule", "allow", "ban", "invite", "users", "body", "redacts"]
)
PDUS = st.builds(
    lambda event_type, content, rest: {**rest, "type": event_type, "content": content},
    TYPES,
    st.dictionaries(KEYS | st.just("third_party_invite"), OBJECTS | st.integers(0, 100)),
    st.fixed_dictionaries(
        {"sender": st.just("@ada:domain"), "depth": st.integers(1, 9)},
        optional=dict.fromkeys(
            ("unsigned", "origin", "prev_state", "membership", "redacts", "extra"), OBJECTS
        ),
    ),
)


@pytest.mark.parametrize("case", SIGNING["json"])
def test_json_is_signed_as_the_specification_shows(case: Any) -> None:
    signed = sign_json(case["given"], SERVER, KEY)

    assert signed == case["signed"]
    verify_json(signed, SERVER, KEY.key_id, KEY.public_key)


@pytest.mark.parametrize("case", SIGNING["events"])
def test_events_are_hashed_and_signed_as_the_specification_shows(case: Any) -> None:
    signed = sign_event(case["given"], V10, SERVER, KEY)

    assert signed == case["signed"]
    verify_event(signed, V10, SERVER, KEY.key_id, KEY.public_key)
    verify_event(redact(signed, V10), V10, SERVER, KEY.key_id, KEY.public_key)


@pytest.mark.parametrize(("plain", "encoded"), SIGNING["base64"])
def test_base64_has_no_padding_and_may_be_given_some(plain: str, encoded: str) -> None:
    assert encode_base64(plain.encode()) == encoded
    assert decode_base64(encoded) == plain.encode()
    assert decode_base64(encoded + "=" * (-len(encoded) % 4)) == plain.encode()


def test_the_two_alphabets_of_base64_are_kept_apart() -> None:
    assert encode_base64(b"\xfb\xff") == "+/8"
    assert encode_urlsafe_base64(b"\xfb\xff") == "-_8"
    for refused in ("-_8", "a b", "a", "é"):
        with pytest.raises(InvalidParam):
            decode_base64(refused)
    with pytest.raises(InvalidParam):
        decode_urlsafe_base64("+/8")


@pytest.mark.parametrize("case", REDACTION["cases"], ids=lambda case: str(case["name"]))
def test_redaction_leaves_what_the_version_says(case: Any) -> None:
    for name in case["versions"]:
        assert redact(case["given"], ROOM_VERSIONS[name]) == case["left"]


@settings(max_examples=100)
@given(PDUS, VERSIONS)
def test_redacting_twice_leaves_what_redacting_once_does(
    pdu: dict[str, Any], version: RoomVersion
) -> None:
    once = redact(pdu, version)

    assert redact(once, version) == once


@settings(max_examples=100)
@given(PDUS, VERSIONS)
def test_an_event_keeps_its_id_when_it_is_redacted(
    pdu: dict[str, Any], version: RoomVersion
) -> None:
    event = with_content_hash(pdu, version)
    name = event_id_of(reference_hash(event, version))
    signed = {**event, "signatures": {"domain": {"ed25519:1": "…"}}, "unsigned": {"age": 1}}

    assert event_id_of(reference_hash(redact(event, version), version)) == name
    assert event_id_of(reference_hash(signed, version)) == name
    assert content_hash(signed, version) == content_hash(event, version)


@settings(max_examples=50)
@given(PDUS, VERSIONS)
def test_another_content_is_another_event(pdu: dict[str, Any], version: RoomVersion) -> None:
    """Also where the difference is in what redaction removes: the content hash covers it."""
    other = {**pdu, "content": {**pdu["content"], "body": "another one"}}

    one, two = (with_content_hash(each, version) for each in (pdu, other))

    assert reference_hash(one, version) != reference_hash(two, version)


def test_redacting_changes_nothing_in_the_event_given() -> None:
    event = {"type": "m.room.message", "content": {"body": "hello"}, "extra": 1}

    redact(event, V12)["content"]["body"] = "changed"

    assert event == {"type": "m.room.message", "content": {"body": "hello"}, "extra": 1}


def test_a_redaction_names_its_target_where_its_version_says() -> None:
    old = {"type": "m.room.redaction", "redacts": "$a", "content": {}}
    new = {"type": "m.room.redaction", "content": {"redacts": "$b"}}

    assert (redaction_target(old, V10), redaction_target(new, V11)) == ("$a", "$b")
    assert (redaction_target(old, V11), redaction_target(new, V10)) == (None, None)
    assert redaction_target({"content": {"redacts": 3}}, V12) is None


def test_a_signature_is_by_one_signer_over_one_content() -> None:
    signed = sign_json({"one": 1}, SERVER, KEY)
    stranger = SigningKey(bytes(32), "1")

    for value, signer, key_id, key in (
        ({**signed, "one": 2}, SERVER, KEY.key_id, KEY.public_key),
        (signed, "elsewhere", KEY.key_id, KEY.public_key),
        (signed, SERVER, "ed25519:2", KEY.public_key),
        (signed, SERVER, "rsa:1", KEY.public_key),
        (signed, SERVER, KEY.key_id, stranger.public_key),
        (signed, SERVER, KEY.key_id, "short"),
        ({"one": 1}, SERVER, KEY.key_id, KEY.public_key),
        ({"one": 1, "signatures": []}, SERVER, KEY.key_id, KEY.public_key),
        ({"one": 1, "signatures": {SERVER: {KEY.key_id: "!"}}}, SERVER, KEY.key_id, KEY.public_key),
        ({"one": 1, "signatures": {SERVER: {KEY.key_id: 1}}}, SERVER, KEY.key_id, KEY.public_key),
    ):
        with pytest.raises(InvalidSignature):
            verify_json(value, signer, key_id, key)


def test_a_second_signature_leaves_the_first_one_standing() -> None:
    other = SigningKey(bytes(32), "x")
    once = sign_json({"one": 1, "unsigned": {"age": 3}}, SERVER, KEY)

    twice = sign_json(once, SERVER, other)

    verify_json(twice, SERVER, KEY.key_id, KEY.public_key)
    verify_json({**twice, "unsigned": {}}, SERVER, other.key_id, other.public_key)
    assert len(once["signatures"][SERVER]) == 1


def test_an_event_has_at_most_64_kib() -> None:
    check_event_size(bytes(EVENT_BYTES_MAX))
    with pytest.raises(TooLarge):
        check_event_size(bytes(EVENT_BYTES_MAX + 1))


def test_only_known_room_versions_are_made() -> None:
    assert room_version("12") is V12
    for unknown in ("", "1", "9", "13", "org.example.1"):
        with pytest.raises(UnsupportedRoomVersion):
            room_version(unknown)
