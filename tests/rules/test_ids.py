"""Identifiers: what is one, and what isn't."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.matrix import (
    PARSERS,
    InvalidParam,
    InvalidUsername,
    MxcUri,
    RoomId,
    ServerName,
    UserId,
    check_event_type,
    check_new_localpart,
    check_state_key,
    event_id_of,
    hash_in,
    is_user_id,
    localpart_of,
    media_id_of,
    media_server_of,
    parse_device_id,
    parse_event_id,
    parse_mxc_uri,
    parse_room_alias,
    parse_room_id,
    parse_server_name,
    parse_user_id,
    room_id_of,
    server_of,
    user_id,
)

HERE = ServerName("example.org")


@pytest.mark.parametrize(
    "name",
    [
        "matrix.org",
        "matrix.org:8888",
        "1.2.3.4",
        "1.2.3.4:1234",
        "[1234:5678::abcd]",
        "[1234:5678::abcd]:5678",
        "localhost",
    ],
)
def test_the_specifications_server_names_are_server_names(name: str) -> None:
    assert parse_server_name(name) == name
    assert server_of(parse_user_id(f"@ada:{name}")) == name


@pytest.mark.parametrize(
    "name", ["", ":1", "a b", "a:", "a:123456", "a:x", "[::1", "exämple.org", "a/b", "a\n", "a\0"]
)
def test_other_names_are_not_server_names(name: str) -> None:
    with pytest.raises(InvalidParam):
        parse_server_name(name)
    with pytest.raises(InvalidParam):
        parse_user_id(f"@ada:{name}")


@pytest.mark.parametrize("text", ["@ada:example.org", "@:example.org", "@Ä\n日 x:example.org:80"])
def test_historical_user_ids_are_taken(text: str) -> None:
    assert parse_user_id(text) == text
    assert is_user_id(text)


@pytest.mark.parametrize(
    "text", ["", "@", "ada:example.org", "@ada", "@a\0b:example.org", "@\ud800:example.org", "!a:b"]
)
def test_what_is_no_user_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidParam):
        parse_user_id(text)
    assert not is_user_id(text)


def test_ids_end_at_255_bytes_not_characters() -> None:
    fits = "@" + "a" * (254 - len(":example.org")) + ":example.org"
    assert parse_user_id(fits) == fits

    for long in (fits.replace("@", "@a"), fits.replace("@aa", "@aä")):
        with pytest.raises(InvalidParam):
            parse_user_id(long)


def test_a_new_account_gets_a_strict_name() -> None:
    assert (
        check_new_localpart("ada.lovelace_1=x-y/z+w", HERE) == "@ada.lovelace_1=x-y/z+w:example.org"
    )

    for refused in ("", "Ada", "ada lovelace", "adä", "a:b", "a@b", "a\n", "a" * 255):
        with pytest.raises(InvalidUsername):
            check_new_localpart(refused, HERE)


def test_a_room_id_is_a_hash_or_has_a_domain() -> None:
    for taken in ("!" + "Aa0-_" * 8 + "abc", "!x:example.org", "!\u00e4\n:example.org:80"):
        assert parse_room_id(taken) == taken

    for refused in ("!", "!abc", "!:example.org", "!" + "a" * 42, "!" + "a" * 44, "#x:y", "!a\0:b"):
        with pytest.raises(InvalidParam):
            parse_room_id(refused)


def test_a_media_id_can_not_climb_out_of_its_folder() -> None:
    uri = parse_mxc_uri("mxc://example.org:80/AQwaf_-0")
    assert (media_server_of(uri), media_id_of(uri)) == ("example.org:80", "AQwaf_-0")

    for refused in (
        "mxc://example.org/..",
        "mxc://example.org/a/b",
        "mxc://../a",
        "mxc:///a",
        "mxc://a/%2e",
    ):
        with pytest.raises(InvalidParam):
            parse_mxc_uri(refused)


def test_aliases_devices_and_events_are_opaque_but_bounded() -> None:
    assert parse_room_alias("#Ä:example.org") == "#Ä:example.org"
    assert parse_device_id("any thing: /?") == "any thing: /?"
    assert parse_event_id("$0:domain") == "$0:domain"

    for parse, sigil in ((parse_room_alias, "#"), (parse_device_id, ""), (parse_event_id, "$")):
        for refused in (sigil, sigil + "a\0", sigil + "a" * 255 + ":b"):
            with pytest.raises(InvalidParam):
                parse(refused)


def test_types_and_state_keys_have_255_bytes_and_no_nul() -> None:
    assert check_event_type("é" * 127) == "é" * 127
    assert check_state_key("") == ""

    for refused in ("", "a\0", "é" * 128, "\udc00"):
        with pytest.raises(InvalidParam):
            check_event_type(refused)
    for refused in ("a\0", "é" * 128, "\udc00"):
        with pytest.raises(InvalidParam):
            check_state_key(refused)


def test_each_type_of_identifier_has_its_parser() -> None:
    assert PARSERS[UserId]("@ada:example.org") == "@ada:example.org"
    with pytest.raises(InvalidParam):
        PARSERS[RoomId]("@ada:example.org")
    with pytest.raises(InvalidParam):
        PARSERS[MxcUri]("https://example.org/a")


@given(st.text(st.characters(exclude_characters=":\0", exclude_categories=["Cs"]), max_size=50))
def test_a_user_id_is_taken_apart_as_it_was_put_together(localpart: str) -> None:
    made = user_id(localpart, HERE)

    assert (localpart_of(made), server_of(made)) == (localpart, HERE)


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32))
def test_an_id_spells_its_hash(reference: bytes) -> None:
    event, room = event_id_of(reference), room_id_of(reference)

    assert parse_event_id(event)[1:] == parse_room_id(room)[1:]
    assert hash_in(event) == hash_in(room) == reference


def test_an_id_that_is_no_hash_has_none() -> None:
    for refused in (
        "$0:domain",
        "$abc",
        "$" + "a" * 44,
        "$" + "A" * 42 + "B",
        "$" + "A" * 42 + "/",
    ):
        with pytest.raises(InvalidParam):
            hash_in(parse_event_id(refused))
