"""Media over HTTP: streamed both ways, for who is signed in, safe to open in a browser."""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import content_disposition_filename, parse_content_disposition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthouse.http import Caller, HttpSettings, LimitSettings, Server, Site, collect
from posthouse.matrix import DeviceId, UnknownToken, UserId
from posthouse.media import Media, endpoints
from posthouse.std.clock import SystemClock
from tests.media import pictures
from tests.media.conftest import MakeMedia
from tests.media.test_uploads import MIB, files_in
from tests.peak_memory import peak_bytes_during

ADA = {"Authorization": "Bearer ada"}
BORIS = {"Authorization": "Bearer boris"}

UPLOAD = "/_matrix/media/v3/upload"
DOWNLOAD = "/_matrix/client/v1/media/download"
LEGACY_DOWNLOAD = "/_matrix/media/v3/download"
THUMBNAIL = "/_matrix/client/v1/media/thumbnail"
LEGACY_THUMBNAIL = "/_matrix/media/v3/thumbnail"


class Tokens:
    """Each person's token is their name; nobody else's is good."""

    def cached(self, token: str) -> Caller | None:
        if token not in ("ada", "boris"):
            return None
        return Caller(UserId(f"@{token}:localhost"), DeviceId("D"), token.encode())

    async def authenticate(self, token: str) -> Caller:
        raise UnknownToken


@asynccontextmanager
async def served(media: Media) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server that serves the media routes alone."""
    site = Site(
        collect(endpoints),
        {Media: media},
        authenticator=Tokens(),
        settings=HttpSettings(listen=("127.0.0.1:0",)),
        limits=LimitSettings(enabled=False),
        clock=SystemClock(),
    )
    server = Server(site, SystemClock())
    (address,) = await server.start()
    try:
        async with aiohttp.ClientSession(f"http://{address}") as client:
            yield client
    finally:
        await server.stop()


@pytest.fixture
async def client(media: Media) -> AsyncIterator[aiohttp.ClientSession]:
    async with served(media) as session:
        yield session


async def upload(
    client: aiohttp.ClientSession,
    data: bytes | AsyncIterator[bytes],
    *,
    content_type: str = "image/png",
    name: str | None = None,
) -> str:
    """Uploads as Ada; answers with `server/media-id`."""
    headers = {**ADA, "Content-Type": content_type}
    params = {} if name is None else {"filename": name}
    async with client.post(UPLOAD, data=data, headers=headers, params=params) as answer:
        assert answer.status == 200, await answer.text()
        body = await answer.json()
    return str(body["content_uri"]).removeprefix("mxc://")


async def test_another_person_fetches_what_one_uploaded(client: aiohttp.ClientSession) -> None:
    uri = await upload(client, b"a picture", name="harvest.png")

    async with client.get(f"{DOWNLOAD}/{uri}", headers=BORIS) as answer:
        assert answer.status == 200
        assert await answer.read() == b"a picture"
        assert answer.content_type == "image/png"
        assert answer.headers["Content-Disposition"] == 'inline; filename="harvest.png"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none';")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert int(answer.headers["Content-Length"]) == len(b"a picture")


async def test_a_name_in_the_path_goes_before_the_stored_one(client: aiohttp.ClientSession) -> None:
    uri = await upload(client, b"x", name="stored.png")

    async with client.get(f"{DOWNLOAD}/{uri}/given.png", headers=ADA) as answer:
        assert answer.headers["Content-Disposition"] == 'inline; filename="given.png"'


async def test_a_page_is_never_shown_in_place(client: aiohttp.ClientSession) -> None:
    uri = await upload(client, b"<script>alert(1)</script>", content_type="text/html")

    async with client.get(f"{DOWNLOAD}/{uri}", headers=ADA) as answer:
        assert answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.text(
        alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40
    )
)
async def test_no_file_name_adds_a_header(client: aiohttp.ClientSession, name: str) -> None:
    """As stored with the upload, and as given in the path: the same set of headers, one value.

    A NUL doesn't come this far: the query and the path are refused with it.
    """
    uri = await upload(client, b"x", name=name)
    plain = await upload(client, b"x")
    async with client.get(f"{DOWNLOAD}/{plain}", headers=ADA) as answer:
        expected = sorted(answer.headers)

    for path in (f"{DOWNLOAD}/{uri}", f"{DOWNLOAD}/{plain}/{quote(name, safe='')}"):
        if path.endswith(("/.", "/..")):
            continue  # what a client resolves itself, before it asks
        async with client.get(path, headers=ADA) as answer:
            assert answer.status == 200
            assert sorted(answer.headers) == expected
            disposition, parameters = parse_content_disposition(
                answer.headers["Content-Disposition"]
            )
            assert disposition == "inline"
            found = content_disposition_filename(parameters) or ""
            assert set(found) <= set(name)


async def test_a_client_that_has_the_file_gets_304(client: aiohttp.ClientSession) -> None:
    uri = await upload(client, b"a picture")
    async with client.get(f"{DOWNLOAD}/{uri}", headers=ADA) as answer:
        etag = answer.headers["ETag"]
    assert etag == f'"{hashlib.sha256(b"a picture").hexdigest()}"'

    async with client.get(f"{DOWNLOAD}/{uri}", headers={**ADA, "If-None-Match": etag}) as answer:
        assert answer.status == 304
        assert await answer.read() == b""
        assert answer.headers["ETag"] == etag

    async with client.get(f"{DOWNLOAD}/{uri}", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("path", "headers", "status", "errcode"),
    [
        (DOWNLOAD, {}, 401, "M_MISSING_TOKEN"),
        (DOWNLOAD, {"Authorization": "Bearer mallory"}, 401, "M_UNKNOWN_TOKEN"),
        (LEGACY_DOWNLOAD, {}, 404, "M_NOT_FOUND"),
        (LEGACY_DOWNLOAD, {"Authorization": "Bearer mallory"}, 401, "M_UNKNOWN_TOKEN"),
    ],
)
@pytest.mark.parametrize("tail", ["", "/name.png"])
async def test_a_stranger_gets_nothing(
    client: aiohttp.ClientSession,
    path: str,
    tail: str,
    headers: dict[str, str],
    status: int,
    errcode: str,
) -> None:
    uri = await upload(client, b"a picture")
    async with client.get(f"{path}/{uri}{tail}", headers=BORIS) as answer:
        assert await answer.read() == b"a picture", "who is signed in gets it on the same path"

    async with client.get(f"{path}/{uri}{tail}", headers=headers) as answer:
        assert answer.status == status
        assert (await answer.json())["errcode"] == errcode


@pytest.mark.parametrize(
    ("path", "status", "errcode"),
    [(THUMBNAIL, 401, "M_MISSING_TOKEN"), (LEGACY_THUMBNAIL, 404, "M_NOT_FOUND")],
)
async def test_a_thumbnail_is_shown_in_place_to_who_is_signed_in(
    client: aiohttp.ClientSession, path: str, status: int, errcode: str
) -> None:
    """Of its own type and name, whatever the upload said that it was."""
    uri = await upload(client, pictures.jpeg(400, 300), content_type="text/html", name="<b>.html")
    where = f"{path}/{uri}?width=96&height=96&method=crop"

    async with client.get(where, headers=BORIS) as answer:
        assert answer.status == 200
        assert pictures.opened(await answer.read()).size == (96, 96)
        assert answer.content_type == "image/jpeg"
        assert answer.headers["Content-Disposition"] == 'inline; filename="thumbnail.jpeg"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        etag = answer.headers["ETag"]

    async with client.get(where, headers={**BORIS, "If-None-Match": etag}) as answer:
        assert answer.status == 304
    async with client.get(where) as answer:
        assert answer.status == status
        assert (await answer.json())["errcode"] == errcode


async def test_an_animated_thumbnail_is_webp(client: aiohttp.ClientSession) -> None:
    uri = await upload(client, pictures.animation(200, 100, 5, "GIF"), content_type="image/gif")
    where = f"{THUMBNAIL}/{uri}?width=96&height=96"

    for query, frames in (("&animated=true", 5), ("&animated=false", 1), ("", 1)):
        async with client.get(f"{where}{query}", headers=ADA) as answer:
            assert pictures.frames_of(pictures.opened(await answer.read())) == frames
            assert (answer.content_type == "image/webp") is (frames > 1)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "width=32",
        "height=32",
        "width=0&height=32",
        "width=-1&height=32",
        "width=a&height=32",
        "width=1.5&height=32",
        "width=32&height=32&method=melt",
        "width=32&height=32&animated=perhaps",
        "width=32&height=32&timeout_ms=-1",
    ],
)
async def test_a_question_that_makes_no_sense_is_declined(
    client: aiohttp.ClientSession, query: str
) -> None:
    uri = await upload(client, pictures.jpeg(40, 40))

    async with client.get(f"{THUMBNAIL}/{uri}?{query}", headers=ADA) as answer:
        assert answer.status == 400
        assert (await answer.json())["errcode"] in ("M_INVALID_PARAM", "M_MISSING_PARAM")


async def test_what_has_no_thumbnail_says_why(client: aiohttp.ClientSession) -> None:
    sealed = await upload(client, os.urandom(5_000))
    huge = await upload(client, pictures.png_header(60_000, 60_000))

    for uri, status, errcode in ((sealed, 400, "M_UNKNOWN"), (huge, 413, "M_TOO_LARGE")):
        where = f"{THUMBNAIL}/{uri}?width=32&height=32"
        async with client.get(where, headers=ADA) as answer:
            assert answer.status == status
            assert (await answer.json())["errcode"] == errcode


async def test_another_server_is_not_asked(client: aiohttp.ClientSession) -> None:
    thumbnail = f"{THUMBNAIL}/elsewhere.example/abc?width=32&height=32"
    for where in (f"{DOWNLOAD}/elsewhere.example/abc", thumbnail):
        async with client.get(where, headers=ADA) as answer:
            assert answer.status == 404
            assert (await answer.json())["errcode"] == "M_NOT_FOUND"


@pytest.mark.parametrize("path", ["/_matrix/client/v1/media/config", "/_matrix/media/v3/config"])
async def test_the_limit_is_told_to_who_is_signed_in(
    client: aiohttp.ClientSession, path: str
) -> None:
    async with client.get(path, headers=ADA) as answer:
        assert await answer.json() == {"m.upload.size": 100 * MIB}
    async with client.get(path) as answer:
        assert answer.status == 401


async def test_refusals_have_the_statuses_of_the_specification(make_media: MakeMedia) -> None:
    async with served(make_media(upload_bytes_max=MIB, person_bytes_max=MIB)) as client:
        async with client.post(UPLOAD, data=BytesIO(b"x" * (MIB + 1)), headers=ADA) as answer:
            assert answer.status == 413
            assert (await answer.json())["errcode"] == "M_TOO_LARGE"
        await upload(client, b"x" * (MIB - 4096))
        async with client.post(UPLOAD, data=b"y" * 8192, headers=ADA) as answer:
            assert answer.status == 403
            assert (await answer.json())["errcode"] == "M_FORBIDDEN"
        async with client.post(UPLOAD, data=b"x") as answer:
            assert answer.status == 401


async def test_a_body_that_hides_its_length_is_counted(
    make_media: MakeMedia, tmp_path: Path
) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    async with (
        served(make_media(upload_bytes_max=MIB)) as client,
        client.post(UPLOAD, data=body(), headers=ADA) as answer,
    ):
        assert answer.status == 413

    assert files_in(tmp_path / "media") == []


async def test_large_files_pass_in_constant_memory(client: aiohttp.ClientSession) -> None:
    """64 MiB up and down again, with client and server in this process, in a quarter of that."""
    piece, count = os.urandom(MIB), 64
    digest = hashlib.sha256(piece * 1)
    for _ in range(count - 1):
        digest.update(piece)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield piece

    async def there_and_back() -> str:
        uri = await upload(client, body(), content_type="video/mp4")
        received = hashlib.sha256()
        async with client.get(f"{DOWNLOAD}/{uri}", headers=BORIS) as answer:
            async for data in answer.content.iter_chunked(65_536):
                received.update(data)
        return received.hexdigest()

    await upload(client, b"warm")
    received, peak = await peak_bytes_during(there_and_back)

    assert received == digest.hexdigest()
    assert peak < 16 * MIB


async def test_the_measure_of_memory_sees_a_file_held_whole() -> None:
    """What the test above relies on: had a file been held, it would have failed."""

    async def holds_it_whole() -> int:
        return len(b"\1" * (64 * MIB))

    _, peak = await peak_bytes_during(holds_it_whole)

    assert peak > 48 * MIB
