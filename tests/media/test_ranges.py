"""Parts of a file: what RFC 9110 §14 says, as a rule and over HTTP."""

import os

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.media import rules
from tests.media.test_endpoints import ADA, DOWNLOAD, LEGACY_DOWNLOAD, client, upload

__all__ = ["client"]

ETAG = '"abc"'


def part(range_: str | None, size: int, if_range: str | None = None) -> tuple[int, int] | None:
    """The first and the last byte; None for the whole file."""
    span = rules.judge_range(range_, if_range, etag=ETAG, size=size)
    return None if span is None else (span.start, span.start + span.length - 1)


@pytest.mark.parametrize(
    ("range_", "expected"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=0-", (0, 99)),
        ("bytes=10-19", (10, 19)),
        ("bytes=10-1000", (10, 99)),
        ("bytes=99-99", (99, 99)),
        ("bytes=-1", (99, 99)),
        ("bytes=-1000", (0, 99)),
        ("BYTES = 10-19", (10, 19)),
        # What isn't understood is as if it hadn't been there.
        (None, None),
        ("", None),
        ("bytes", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=20-10", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=1-2-3", None),
        ("lines=1-2", None),
        ("bytes=0-1,5-6", None),
        ("bytes=" + "9" * 40 + "-", None),
        ("bytes=²-³", None),
    ],
)
def test_a_range_is_read_as_the_standard_says(
    range_: str | None, expected: tuple[int, int] | None
) -> None:
    assert part(range_, 100) == expected


@pytest.mark.parametrize("range_", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=5000-5001"])
def test_a_range_behind_the_end_is_refused(range_: str) -> None:
    with pytest.raises(rules.RangeOutside):
        part(range_, 100)


def test_an_empty_file_has_no_parts() -> None:
    assert part("bytes=0-", 0) is None
    assert part("bytes=-5", 0) is None


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [
        (ETAG, (10, 19)),
        ('"other"', None),
        ('W/"abc"', None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("", None),
    ],
)
def test_a_part_of_another_version_is_not_given(
    if_range: str, expected: tuple[int, int] | None
) -> None:
    assert part("bytes=10-19", 100, if_range) == expected


@given(st.integers(1, 200), st.integers(0, 250), st.integers(0, 250))
def test_a_part_is_what_a_slice_is(size: int, first: int, last: int) -> None:
    data = bytes(index % 256 for index in range(size))
    try:
        found = part(f"bytes={first}-{last}", size)
    except rules.RangeOutside:
        assert first >= size
        assert data[first : last + 1] == b""
        return
    start, end = found or (0, size - 1)
    assert data[start : end + 1] == (data[first : last + 1] if first <= last else data)


@given(st.text(max_size=30), st.integers(0, 100))
def test_no_header_is_too_strange(range_: str, size: int) -> None:
    try:
        found = part(range_, size)
    except rules.RangeOutside:
        return
    assert found is None or 0 <= found[0] <= found[1] < size


async def test_a_download_is_resumed_where_it_broke_off(client: aiohttp.ClientSession) -> None:
    data = os.urandom(300_000)
    uri = await upload(client, data)
    async with client.get(f"{DOWNLOAD}/{uri}", headers=ADA) as answer:
        assert answer.headers["Accept-Ranges"] == "bytes"
        etag = answer.headers["ETag"]

    headers = {**ADA, "Range": "bytes=100000-", "If-Range": etag}
    async with client.get(f"{DOWNLOAD}/{uri}", headers=headers) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == "bytes 100000-299999/300000"
        assert answer.headers["Content-Length"] == "200000"
        assert answer.headers["ETag"] == etag
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
        assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]
        assert await answer.read() == data[100_000:]


@pytest.mark.parametrize("path", [DOWNLOAD, LEGACY_DOWNLOAD])
@pytest.mark.parametrize("tail", ["", "/name.png"])
async def test_every_download_gives_parts(
    client: aiohttp.ClientSession, path: str, tail: str
) -> None:
    uri = await upload(client, b"0123456789")

    headers = {**ADA, "Range": "bytes=2-4"}
    async with client.get(f"{path}/{uri}{tail}", headers=headers) as answer:
        assert (answer.status, await answer.read()) == (206, b"234")

    async with client.get(f"{path}/{uri}{tail}", headers={"Range": "bytes=2-4"}) as answer:
        assert answer.status in (401, 404)


async def test_a_range_behind_the_end_answers_how_long_the_file_is(
    client: aiohttp.ClientSession,
) -> None:
    uri = await upload(client, b"0123456789")

    headers = {**ADA, "Range": "bytes=10-"}
    async with client.get(f"{DOWNLOAD}/{uri}", headers=headers) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == "bytes */10"
        assert (await answer.json())["errcode"] == "M_INVALID_PARAM"


async def test_who_has_the_file_gets_no_part_of_it(client: aiohttp.ClientSession) -> None:
    uri = await upload(client, b"0123456789")
    async with client.get(f"{DOWNLOAD}/{uri}", headers=ADA) as answer:
        etag = answer.headers["ETag"]

    headers = {**ADA, "Range": "bytes=2-4", "If-None-Match": etag}
    async with client.get(f"{DOWNLOAD}/{uri}", headers=headers) as answer:
        assert answer.status == 304


async def test_a_question_for_the_headers_is_about_the_whole(
    client: aiohttp.ClientSession,
) -> None:
    uri = await upload(client, b"0123456789")

    headers = {**ADA, "Range": "bytes=2-4"}
    async with client.head(f"{DOWNLOAD}/{uri}", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Length"] == "10"
