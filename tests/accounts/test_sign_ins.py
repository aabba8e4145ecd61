"""Signing in, staying signed in, and being signed out for certain."""

import pytest

from posthouse.accounts.errors import (
    DeactivatedUser,
    DeviceNotFound,
    ReservedDeviceId,
    RevokedToken,
    WrongSignIn,
)
from posthouse.matrix import DeviceId, InvalidParam, LimitExceeded, UnknownToken
from posthouse.streams import EntryKind
from tests.accounts.conftest import Office


async def test_a_password_opens_the_account_by_name_and_by_whole_id(office: Office) -> None:
    ada = await office.person("ada")

    for name in ("ada", "Ada", "@ada:localhost"):
        sign_in = await office.signs_in(name)
        caller = await office.caller(sign_in)
        assert (caller.user_id, caller.device_id) == (ada, sign_in.device_id)
        assert office.accounts.cached(sign_in.tokens.access_token) == caller


async def test_strangers_and_wrong_passwords_get_the_same_answer(office: Office) -> None:
    await office.person("ada")

    answers = []
    for name, password in (
        ("ada", "wrong horse"),
        ("mallory", "correct horse"),
        ("@ada:elsewhere.example", "correct horse"),
        ("not a name\x00", "correct horse"),
    ):
        with pytest.raises(WrongSignIn) as refused:
            await office.signs_in(name, password)
        answers.append((refused.value.errcode, refused.value.message, refused.value.extra))
    assert len(set(map(repr, answers))) == 1


async def test_a_token_is_kept_as_a_hash_alone(office: Office) -> None:
    await office.person("ada")
    sign_in = await office.signs_in("ada", refresh=True)

    reader = office.streams.reader()
    for table in ("access_tokens", "refresh_tokens"):
        for row in await reader.fetch_all(f"SELECT token_hash, user_id FROM {table}"):
            assert sign_in.tokens.access_token.encode() not in bytes(row[0])
            assert len(bytes(row[0])) == 32
    assert sign_in.tokens.access_token.startswith("ph_")


async def test_no_token_works_after_its_sign_out_was_answered(office: Office) -> None:
    ada = await office.person("ada")
    phone, laptop = await office.signs_in("ada"), await office.signs_in("ada")
    await office.caller(phone)
    await office.caller(laptop)

    await office.accounts.sign_out(ada, [phone.device_id])

    assert office.accounts.cached(phone.tokens.access_token) is None
    with pytest.raises(UnknownToken) as refused:
        await office.caller(phone)
    assert refused.value.extra["soft_logout"] is False
    assert await office.accounts.device_ids(ada) == [laptop.device_id]
    assert (await office.caller(laptop)).device_id == laptop.device_id


async def test_signing_out_everywhere_leaves_no_device(office: Office) -> None:
    ada = await office.person("ada")
    both = [await office.signs_in("ada"), await office.signs_in("ada", refresh=True)]

    await office.accounts.sign_out_everywhere(ada)

    assert await office.accounts.device_ids(ada) == []
    for sign_in in both:
        with pytest.raises(UnknownToken):
            await office.caller(sign_in)
    with pytest.raises(RevokedToken):
        await office.accounts.refresh(both[1].tokens.refresh_token or "")


async def test_each_device_that_ends_is_one_entry_for_other_domains(office: Office) -> None:
    ada = await office.person("ada")
    phone = await office.signs_in("ada", device="PHONE")
    await office.signs_in("ada", device="LAPTOP")

    await office.accounts.sign_out(ada, [phone.device_id, DeviceId("NEVER-WAS")])

    ended = [entry for entry in office.announced if entry.kind is EntryKind.SIGNED_OUT]
    assert [(entry.user_id, entry.device_id) for entry in ended] == [(ada, "PHONE")]


async def test_nobody_ends_the_sign_in_of_somebody_else(office: Office) -> None:
    await office.person("ada")
    mallory = await office.person("mallory")
    phone = await office.signs_in("ada", device="PHONE")

    await office.accounts.sign_out(mallory, [phone.device_id])
    with pytest.raises(DeviceNotFound):
        await office.accounts.sign_ins.device(mallory, phone.device_id)
    with pytest.raises(DeviceNotFound):
        await office.accounts.sign_ins.rename(mallory, phone.device_id, "mine now")

    assert (await office.caller(phone)).device_id == phone.device_id


async def test_signing_in_again_on_a_device_replaces_its_token_and_keeps_its_name(
    office: Office,
) -> None:
    ada = await office.person("ada")
    first = await office.signs_in("ada", device="PHONE")
    await office.caller(first)
    await office.accounts.sign_ins.rename(ada, DeviceId("PHONE"), "pocket")

    second = await office.signs_in("ada", device="PHONE")

    with pytest.raises(UnknownToken):
        await office.caller(first)
    assert office.accounts.cached(first.tokens.access_token) is None
    assert (await office.caller(second)).device_id == "PHONE"
    assert (await office.accounts.sign_ins.device(ada, DeviceId("PHONE"))).display_name == "pocket"
    named = await office.accounts.devices_of(office.streams.reader(), [ada])
    assert named == {ada: {DeviceId("PHONE"): "pocket"}}


async def test_an_expired_token_is_a_soft_logout(office: Office) -> None:
    await office.person("ada")
    sign_in = await office.signs_in("ada", refresh=True)
    await office.caller(sign_in)

    office.clock.ms += sign_in.tokens.expires_in_ms or 0

    assert office.accounts.cached(sign_in.tokens.access_token) is None
    with pytest.raises(UnknownToken) as refused:
        await office.caller(sign_in)
    assert refused.value.extra["soft_logout"] is True


async def test_a_refresh_token_works_until_the_new_pair_is_used(office: Office) -> None:
    await office.person("ada")
    sign_in = await office.signs_in("ada", refresh=True)
    old = sign_in.tokens.refresh_token or ""
    await office.caller(sign_in)

    lost = await office.accounts.refresh(old)
    again = await office.accounts.refresh(old)
    await office.caller(sign_in)
    await office.accounts.authenticate(again.access_token)

    for token in (old, lost.refresh_token or ""):
        with pytest.raises(RevokedToken):
            await office.accounts.refresh(token)
    for token in (sign_in.tokens.access_token, lost.access_token):
        with pytest.raises(UnknownToken):
            await office.accounts.authenticate(token)
    assert (await office.accounts.refresh(again.refresh_token or "")).access_token


async def test_using_the_new_refresh_token_revokes_the_old_one_too(office: Office) -> None:
    await office.person("ada")
    sign_in = await office.signs_in("ada", refresh=True)
    old = sign_in.tokens.refresh_token or ""

    second = await office.accounts.refresh(old)
    third = await office.accounts.refresh(second.refresh_token or "")

    with pytest.raises(RevokedToken):
        await office.accounts.refresh(old)
    assert (await office.accounts.authenticate(third.access_token)).device_id == sign_in.device_id


async def test_unused_pairs_of_tokens_have_a_bound(office: Office) -> None:
    await office.person("ada")
    old = (await office.signs_in("ada", refresh=True)).tokens.refresh_token or ""

    for _ in range(12):
        office.clock.ms += 1
        newest = await office.accounts.refresh(old)

    rows = await office.streams.reader().fetch_all("SELECT token_hash FROM refresh_tokens")
    assert len(rows) <= 5
    assert (await office.accounts.authenticate(newest.access_token)).user_id == "@ada:localhost"


async def test_no_refresh_token_comes_unasked(office: Office) -> None:
    await office.person("ada")
    tokens = (await office.signs_in("ada")).tokens
    assert (tokens.refresh_token, tokens.expires_in_ms) == (None, None)


async def test_only_who_knows_the_password_learns_that_an_account_is_closed(
    office: Office,
) -> None:
    ada = await office.person("ada")
    sign_in = await office.signs_in("ada")
    await office.caller(sign_in)

    await office.accounts.deactivate(ada, erase=False)

    with pytest.raises(UnknownToken):
        await office.caller(sign_in)
    with pytest.raises(DeactivatedUser):
        await office.signs_in("ada")
    with pytest.raises(WrongSignIn):
        await office.signs_in("ada", "wrong horse")
    assert [e.user_id for e in office.announced if e.kind is EntryKind.DEACTIVATED] == [ada]
    assert not await office.accounts.is_active(ada)
    assert await office.accounts.exists(ada)


@pytest.mark.parametrize(
    ("device", "refusal"),
    [
        ("", InvalidParam),
        ("a\x00b", InvalidParam),
        ("a\nb", InvalidParam),
        ("x" * 300, InvalidParam),
        ("A" * 43, ReservedDeviceId),
    ],
)
async def test_device_ids_that_could_deceive_are_refused(
    office: Office, device: str, refusal: type[Exception]
) -> None:
    await office.person("ada")
    with pytest.raises(refusal):
        await office.signs_in("ada", device=device)


async def test_devices_are_noted_as_seen_to_the_hour(office: Office) -> None:
    ada = await office.person("ada")
    sign_in = await office.signs_in("ada", device="PHONE")
    started = office.clock.ms
    await office.caller(sign_in)

    office.clock.ms += 60_000
    await office.accounts.sign_ins.note_seen()
    assert (await office.accounts.sign_ins.device(ada, DeviceId("PHONE"))).last_seen_ms == started

    office.clock.ms += 7_200_000
    assert office.accounts.cached(sign_in.tokens.access_token) is not None
    await office.accounts.sign_ins.note_seen()
    seen = await office.accounts.sign_ins.device(ada, DeviceId("PHONE"))
    assert seen.last_seen_ms == office.clock.ms


async def test_guesses_at_one_account_have_a_limit_wherever_they_come_from(
    office: Office,
) -> None:
    await office.person("ada")
    await office.person("boris")

    for name in ("ada", "eve"):
        for _ in range(50):
            with pytest.raises(WrongSignIn):
                await office.signs_in(name, "a guess")
        with pytest.raises(LimitExceeded):
            await office.signs_in(name)

    assert (await office.signs_in("boris")).user_id == "@boris:localhost"
    office.clock.ms += 10_000
    assert (await office.signs_in("ada")).user_id == "@ada:localhost"


async def test_a_commit_in_doubt_empties_what_is_remembered_of_tokens(office: Office) -> None:
    await office.person("ada")
    sign_in = await office.signs_in("ada")
    await office.caller(sign_in)
    assert office.accounts.cached(sign_in.tokens.access_token) is not None

    for stream in office.streams.writers:
        office.streams._was_reset(stream)

    assert office.accounts.cached(sign_in.tokens.access_token) is None
    assert (await office.caller(sign_in)).device_id == sign_in.device_id
