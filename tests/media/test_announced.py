"""Uploads announced in advance: one upload for one announcement, and waiting for it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest

from posthouse.matrix import UserId
from posthouse.media import (
    AllowanceUsedUp,
    AlreadyUploaded,
    AnnouncedByAnother,
    Media,
    NoSuchMedia,
    NotYetUploaded,
    TooManyAnnounced,
)
from tests.media import pictures
from tests.media.conftest import MakeMedia, TestClock
from tests.media.test_endpoints import ADA as AS_ADA
from tests.media.test_endpoints import BORIS as AS_BORIS
from tests.media.test_endpoints import DOWNLOAD, LEGACY_DOWNLOAD, client, served
from tests.media.test_uploads import ADA, BORIS, Hangup, pieces, upload

__all__ = ["client"]

THUMBNAIL = "/_matrix/client/v1/media/thumbnail"
CREATE = "/_matrix/media/v1/create"
UPLOAD = "/_matrix/media/v3/upload"


async def announce(media: Media, user_id: UserId = ADA) -> str:
    uri, _ = await media.announce(user_id)
    assert uri.startswith("mxc://localhost/")
    return uri.removeprefix("mxc://localhost/")


async def send(media: Media, media_id: str, data: bytes, user_id: UserId = ADA) -> None:
    await media.upload_announced(
        user_id, "localhost", media_id, pieces(data), content_type="image/png", file_name="a.png"
    )


async def test_what_was_announced_is_there_once_it_came(media: Media) -> None:
    media_id = await announce(media)
    with pytest.raises(NotYetUploaded):
        await media.open("localhost", media_id)

    await send(media, media_id, b"a picture")

    found = await media.open("localhost", media_id)
    assert found.path.read_bytes() == b"a picture"
    assert (found.media.file_name, found.media.content_type) == ("a.png", "image/png")
    assert await media.usage_of(ADA) == 4096
    assert [problem async for problem in media.verify(hash_every=1)] == []


async def test_whoever_waits_is_served_when_it_comes(media: Media) -> None:
    """Twenty wait for a minute at most; nobody waits for the minute."""
    media_id = await announce(media)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(media.open("localhost", media_id, wait_ms=60_000)) for _ in range(20)
        ]
        await send(media, media_id, b"a picture")

    assert {task.result().media.media_id for task in waiting} == {media_id}


async def test_whoever_waits_in_another_process_is_served_too(make_media: MakeMedia) -> None:
    here, there = make_media(), make_media()
    media_id = await announce(here)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        waiting = group.create_task(there.open("localhost", media_id, wait_ms=60_000))
        await send(here, media_id, b"a picture")

    assert waiting.result().media.media_id == media_id


async def test_nobody_waits_longer_than_the_server_lets_them(make_media: MakeMedia) -> None:
    media = make_media(wait_max=timedelta(milliseconds=10))
    media_id = await announce(media)

    async with asyncio.timeout(20):
        with pytest.raises(NotYetUploaded):
            await media.open("localhost", media_id, wait_ms=3_600_000)


async def test_an_upload_comes_once(media: Media) -> None:
    media_id = await announce(media)
    await send(media, media_id, b"first")

    with pytest.raises(AlreadyUploaded):
        await send(media, media_id, b"second")

    assert (await media.open("localhost", media_id)).path.read_bytes() == b"first"


async def test_of_two_that_race_one_is_kept_and_paid_for(make_media: MakeMedia) -> None:
    """Two processes have both looked before either commits."""
    services = [make_media(), make_media()]
    media_id = await announce(services[0])
    both_looked = asyncio.Barrier(2)

    async def attempt(number: int) -> bool:
        async def body() -> AsyncIterator[bytes]:
            await both_looked.wait()
            yield bytes([number])

        try:
            await services[number].upload_announced(
                ADA, "localhost", media_id, body(), content_type=None, file_name=None
            )
        except AlreadyUploaded:
            return False
        return True

    kept = await asyncio.gather(attempt(0), attempt(1))

    assert sorted(kept) == [False, True]
    found = await services[0].open("localhost", media_id)
    assert found.path.read_bytes() == bytes([kept.index(True)])
    assert await services[0].usage_of(ADA) == 4096


async def test_nobody_sends_what_another_announced(media: Media) -> None:
    media_id = await announce(media, ADA)

    with pytest.raises(AnnouncedByAnother):
        await send(media, media_id, b"of Boris", BORIS)

    await send(media, media_id, b"of Ada", ADA)


@pytest.mark.parametrize(
    ("server_name", "media_id"),
    [("elsewhere.example", None), ("localhost", "unknown"), ("localhost", "../../x")],
)
async def test_an_id_that_was_not_given_takes_nothing(
    media: Media, server_name: str, media_id: str | None
) -> None:
    announced = await announce(media)

    with pytest.raises(NoSuchMedia):
        await media.upload_announced(
            ADA,
            server_name,
            media_id or announced,
            pieces(b"x"),
            content_type=None,
            file_name=None,
        )


async def test_what_was_uploaded_at_once_is_not_overwritten(media: Media) -> None:
    media_id = await upload(media, ADA, b"a picture")

    with pytest.raises(AlreadyUploaded):
        await send(media, media_id, b"another")


async def test_an_announcement_ends(make_media: MakeMedia, clock: TestClock) -> None:
    media = make_media(announced_lifetime=timedelta(hours=1))
    media_id = await announce(media)
    clock.advance(timedelta(minutes=59))
    with pytest.raises(NotYetUploaded):
        await media.open("localhost", media_id)

    clock.advance(timedelta(minutes=1))

    with pytest.raises(NoSuchMedia):
        await media.open("localhost", media_id)
    with pytest.raises(NoSuchMedia):
        await send(media, media_id, b"too late")


async def test_an_upload_that_outlasts_its_announcement_is_kept_unless_it_was_swept(
    make_media: MakeMedia, clock: TestClock
) -> None:
    media = make_media(announced_lifetime=timedelta(hours=1))
    slow, swept = await announce(media), await announce(media)

    async def body(*, sweeps: bool) -> AsyncIterator[bytes]:
        clock.advance(timedelta(hours=2))
        yield b"x"
        if sweeps:
            await media.sweep()

    await media.upload_announced(
        ADA, "localhost", slow, body(sweeps=False), content_type=None, file_name=None
    )
    assert await media.open("localhost", slow)

    clock.advance(-timedelta(hours=2))
    with pytest.raises(NoSuchMedia):
        await media.upload_announced(
            ADA, "localhost", swept, body(sweeps=True), content_type=None, file_name=None
        )
    assert await media.usage_of(ADA) == 4096


async def test_a_person_has_so_many_outstanding(make_media: MakeMedia, clock: TestClock) -> None:
    """Also from two processes at once; sending one, or its end, makes room."""
    services = [make_media(person_announced_max=3) for _ in range(2)]

    async def attempt(number: int) -> str | None:
        try:
            return await announce(services[number % 2])
        except TooManyAnnounced:
            return None

    given = [media_id for media_id in await asyncio.gather(*map(attempt, range(10))) if media_id]
    assert len(given) == 3
    assert await announce(services[0], BORIS)

    await send(services[1], given[0], b"x")
    assert await attempt(0)
    assert await attempt(0) is None

    clock.advance(timedelta(days=2))
    assert await attempt(0)


async def test_what_was_refused_or_cut_off_may_be_sent_again(make_media: MakeMedia) -> None:
    media = make_media(person_bytes_max=8192)
    media_id = await announce(media)

    async def cut_off() -> AsyncIterator[bytes]:
        yield b"x"
        raise Hangup

    with pytest.raises(Hangup):
        await media.upload_announced(
            ADA, "localhost", media_id, cut_off(), content_type=None, file_name=None
        )
    with pytest.raises(AllowanceUsedUp):
        await send(media, media_id, b"x" * 9000)

    await send(media, media_id, b"x" * 8000)


async def test_the_routes_do_as_the_specification_says(client: aiohttp.ClientSession) -> None:
    async with client.post(CREATE, headers=AS_ADA) as answer:
        body = await answer.json()
        assert answer.status == 200
        assert body["unused_expires_at"] > 1_700_000_000_000
    path = str(body["content_uri"]).removeprefix("mxc://")

    expected = {"status": 504, "errcode": "M_NOT_YET_UPLOADED"}
    assert await declined(client, "GET", f"{DOWNLOAD}/{path}?timeout_ms=0") == expected
    assert await declined(client, "GET", f"{DOWNLOAD}/{path}/a.png?timeout_ms=1") == expected
    thumbnail = f"{THUMBNAIL}/{path}?width=32&height=32&timeout_ms=0"
    assert await declined(client, "GET", thumbnail) == expected
    legacy = await declined(client, "GET", f"{LEGACY_DOWNLOAD}/{path}?timeout_ms=0")
    assert legacy == expected
    assert await declined(client, "PUT", f"{UPLOAD}/{path}", AS_BORIS) == {
        "status": 403,
        "errcode": "M_FORBIDDEN",
    }
    assert await declined(client, "PUT", f"{UPLOAD}/{path}", {}) == {
        "status": 401,
        "errcode": "M_MISSING_TOKEN",
    }
    assert await declined(client, "PUT", f"{UPLOAD}/localhost/unknown") == {
        "status": 404,
        "errcode": "M_NOT_FOUND",
    }

    data = pictures.jpeg(64, 64)
    headers = {**AS_ADA, "Content-Type": "image/jpeg"}
    async with client.put(f"{UPLOAD}/{path}?filename=a.jpg", data=data, headers=headers) as answer:
        assert (answer.status, await answer.json()) == (200, {})

    async with client.get(f"{DOWNLOAD}/{path}", headers=AS_BORIS) as answer:
        assert await answer.read() == data
        assert answer.headers["Content-Disposition"] == 'inline; filename="a.jpg"'
    assert await declined(client, "PUT", f"{UPLOAD}/{path}") == {
        "status": 409,
        "errcode": "M_CANNOT_OVERWRITE_MEDIA",
    }


async def test_too_many_announcements_are_answered_as_a_limit(make_media: MakeMedia) -> None:
    async with served(make_media(person_announced_max=1)) as client:
        async with client.post(CREATE, headers=AS_ADA) as answer:
            assert answer.status == 200
        async with client.post(CREATE, headers=AS_ADA) as answer:
            assert answer.status == 429
            assert (await answer.json())["errcode"] == "M_LIMIT_EXCEEDED"
            assert 1 <= int(answer.headers["Retry-After"]) <= 60


async def declined(
    client: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str] = AS_ADA
) -> dict[str, object]:
    data = b"x" if method == "PUT" else None
    async with client.request(method, path, headers=headers, data=data) as answer:
        return {"status": answer.status, "errcode": (await answer.json()).get("errcode")}
