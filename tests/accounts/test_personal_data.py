"""Profiles, account data and filters: what a person keeps here."""

import orjson
import pytest

from posthouse.accounts import GLOBAL_DATA, Profile
from posthouse.accounts.errors import (
    AccountDataNotFound,
    FilterNotFound,
    NotYours,
    ProfileKeyTooLarge,
    ProfileNotFound,
    ProfileTooLarge,
    ReservedType,
    ValueTooLarge,
    WrongProfileValue,
)
from posthouse.matrix import BadJson, InvalidParam, MxcUri, NotJson, RoomId, UserId
from posthouse.streams import EntryKind
from tests.accounts.conftest import Office

ROOM = RoomId("!room:localhost")


async def test_a_profile_is_seen_as_it_was_set(office: Office) -> None:
    ada = await office.person("ada")
    profiles = office.accounts.profiles
    assert await profiles.fields(ada) == {}

    await profiles.set_field(ada, ada, "displayname", "Ada ✓")
    await profiles.set_field(ada, ada, "avatar_url", "mxc://localhost/abc")
    await profiles.set_field(ada, ada, "m.tz", "Europe/Berlin")
    await profiles.set_field(ada, ada, "org.example.mood", {"joy": [1, 2.5, None]})

    assert orjson.loads(await profiles.field(ada, "org.example.mood")) == {"joy": [1, 2.5, None]}
    assert await office.accounts.profile_of(ada) == Profile("Ada ✓", MxcUri("mxc://localhost/abc"))
    assert len(await profiles.fields(ada)) == 4


async def test_only_a_change_of_profile_is_an_entry(office: Office) -> None:
    ada = await office.person("ada")
    profiles = office.accounts.profiles

    for _ in range(2):
        await profiles.set_field(ada, ada, "displayname", "Ada")
    for _ in range(2):
        await profiles.set_field(ada, ada, "displayname", "")
    await profiles.delete_field(ada, ada, "m.tz")

    changes = [entry for entry in office.announced if entry.kind is EntryKind.PROFILE]
    assert [entry.subject for entry in changes] == ["displayname", "displayname"]
    assert await profiles.fields(ada) == {}


async def test_nobody_changes_somebody_elses_profile(office: Office) -> None:
    ada, mallory = await office.person("ada"), await office.person("mallory")
    with pytest.raises(NotYours):
        await office.accounts.profiles.set_field(mallory, ada, "displayname", "Fool")
    with pytest.raises(NotYours):
        await office.accounts.profiles.delete_field(mallory, ada, "displayname")


async def test_who_is_not_here_has_no_profile(office: Office) -> None:
    for stranger in ("@nobody:localhost", "@ada:elsewhere.example"):
        with pytest.raises(ProfileNotFound):
            await office.accounts.profiles.fields(UserId(stranger))
        assert await office.accounts.profile_of(UserId(stranger)) == Profile()


@pytest.mark.parametrize(
    ("key", "value", "refusal"),
    [
        ("displayname", 7, WrongProfileValue),
        ("displayname", None, WrongProfileValue),
        ("displayname", "x" * 257, WrongProfileValue),
        ("avatar_url", "https://example.org/a.png", InvalidParam),
        ("avatar_url", "mxc://localhost/../../etc", InvalidParam),
        ("m.tz", [], WrongProfileValue),
        ("Shout", "x", InvalidParam),
        ("nonamespace", "x", InvalidParam),
        ("a.\x00", "x", InvalidParam),
        ("a." + "b" * 300, "x", ProfileKeyTooLarge),
        ("org.example.big", "x" * 65_536, ProfileTooLarge),
    ],
)
async def test_profile_fields_that_cannot_be_are_refused(
    office: Office, key: str, value: object, refusal: type[Exception]
) -> None:
    ada = await office.person("ada")
    with pytest.raises(refusal):
        await office.accounts.profiles.set_field(ada, ada, key, value)


async def test_the_size_of_a_profile_counts_in_all(office: Office) -> None:
    ada = await office.person("ada")
    for number in range(6):
        await office.accounts.profiles.set_field(ada, ada, f"a.b{number}", "x" * 10_000)
    with pytest.raises(ProfileTooLarge):
        await office.accounts.profiles.set_field(ada, ada, "a.c", "x" * 10_000)
    await office.accounts.profiles.set_field(ada, ada, "a.b0", "x" * 10_001)


async def test_account_data_is_what_was_stored_last(office: Office) -> None:
    ada = await office.person("ada")
    data = office.accounts.account_data

    await data.put(ada, ada, GLOBAL_DATA, "m.direct", b'{"@b:localhost": ["!a"]}')
    await data.put(ada, ada, ROOM, "m.tag", b'{"tags": {"m.favourite": {"order": 0.25}}}')
    await data.put(ada, ada, ROOM, "m.tag", b'{"tags": {}}')

    assert orjson.loads(await data.get(ada, ada, GLOBAL_DATA, "m.direct")) == {
        "@b:localhost": ["!a"]
    }
    assert await data.get(ada, ada, ROOM, "m.tag") == b'{"tags":{}}'
    with pytest.raises(AccountDataNotFound):
        await data.get(ada, ada, GLOBAL_DATA, "m.tag")


async def test_sync_sees_each_datum_at_its_last_change(office: Office) -> None:
    ada = await office.person("ada")
    data = office.accounts.account_data
    start = office.streams.head_of(ada)
    await data.put(ada, ada, GLOBAL_DATA, "a", b"{}")
    await data.put(ada, ada, ROOM, "b", b"{}")
    middle = office.streams.head_of(ada)
    await data.put(ada, ada, GLOBAL_DATA, "a", b'{"x":1}')
    end = office.streams.head_of(ada)

    since = office.accounts.account_data_since
    assert [(d.room_id, d.type) for d in await since(ada, start, middle)] == [(ROOM, "b")]
    assert [(d.type, d.content) for d in await since(ada, middle, end)] == [("a", b'{"x":1}')]
    assert len(await since(ada, 0, end)) == 2
    assert await since(ada, end, end) == []


async def test_nobody_reads_or_writes_somebody_elses_data(office: Office) -> None:
    ada, mallory = await office.person("ada"), await office.person("mallory")
    await office.accounts.account_data.put(ada, ada, GLOBAL_DATA, "a", b"{}")
    filter_id = await office.accounts.filters.define(ada, ada, b"{}")

    with pytest.raises(NotYours):
        await office.accounts.account_data.get(mallory, ada, GLOBAL_DATA, "a")
    with pytest.raises(NotYours):
        await office.accounts.account_data.put(mallory, ada, GLOBAL_DATA, "a", b"{}")
    with pytest.raises(NotYours):
        await office.accounts.filters.definition(mallory, ada, filter_id)
    with pytest.raises(NotYours):
        await office.accounts.filters.define(mallory, ada, b"{}")
    for unknown in (filter_id, "", "a\x00", "7"):
        with pytest.raises(FilterNotFound):
            await office.accounts.filter_of(mallory, unknown)
    with pytest.raises(AccountDataNotFound):
        await office.accounts.account_data.get(ada, ada, GLOBAL_DATA, "a\x00")
    assert (await office.accounts.filter_of(ada, filter_id)).event_format == "client"


@pytest.mark.parametrize(
    ("type_", "body", "refusal"),
    [
        ("m.fully_read", b"{}", ReservedType),
        ("m.push_rules", b"{}", ReservedType),
        ("a", b"[]", BadJson),
        ("a", b"{", NotJson),
        ("a", b'{"x": 1, "x": 2}', BadJson),
        ("a", b'{"x": "' + b"y" * 65_536 + b'"}', ValueTooLarge),
        ("", b"{}", InvalidParam),
        ("a\x00", b"{}", InvalidParam),
        ("a" * 256, b"{}", InvalidParam),
    ],
)
async def test_account_data_that_cannot_be_is_refused(
    office: Office, type_: str, body: bytes, refusal: type[Exception]
) -> None:
    ada = await office.person("ada")
    with pytest.raises(refusal):
        await office.accounts.account_data.put(ada, ada, GLOBAL_DATA, type_, body)
    assert ReservedType.status == 405


async def test_a_filter_keeps_what_this_server_does_not_know(office: Office) -> None:
    ada = await office.person("ada")
    body = b'{"room": {"timeline": {"limit": 5, "types": ["m.*"]}}, "org.example.new": {"a": 1}}'

    first = await office.accounts.filters.define(ada, ada, body)
    second = await office.accounts.filters.define(ada, ada, body)

    assert first == second
    assert not first.startswith("{")
    definition = await office.accounts.filters.definition(ada, ada, first)
    assert orjson.loads(definition) == orjson.loads(body)
    parsed = await office.accounts.filter_of(ada, first)
    assert parsed.room.timeline.limit == 5
    assert parsed == await office.accounts.filter_of(ada, body.decode())
    assert office.accounts.cached_filter(ada, first) == parsed


@pytest.mark.parametrize(
    "body",
    [
        b'{"presence": "not an object"}',
        b'{"room": {"timeline": "not an object"}}',
        b'{"room": {"timeline": {"senders": "not an array"}}}',
        b'{"room": {"timeline": {"senders": ["not a user"]}}}',
        b'{"room": {"rooms": ["not a room"]}}',
        b'{"room": {"state": {"limit": -1}}}',
        b'{"event_format": "xml"}',
    ],
)
async def test_what_is_no_filter_is_refused(office: Office, body: bytes) -> None:
    ada = await office.person("ada")
    with pytest.raises(BadJson):
        await office.accounts.filters.define(ada, ada, body)
    with pytest.raises(BadJson):
        await office.accounts.filter_of(ada, body.decode())


async def test_erasing_an_account_leaves_nothing_to_read(office: Office) -> None:
    ada = await office.person("ada")
    await office.accounts.profiles.set_field(ada, ada, "displayname", "Ada")
    await office.accounts.account_data.put(ada, ada, GLOBAL_DATA, "a", b"{}")

    await office.accounts.deactivate(ada, erase=True)

    assert await office.accounts.profiles.fields(ada) == {}
    assert await office.accounts.account_data_since(ada, 0, office.streams.head_of(ada)) == []
