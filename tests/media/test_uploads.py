"""What is uploaded is on disk once, whole, and paid for; what isn't leaves nothing."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from posthouse.matrix import LimitExceeded, UserId
from posthouse.media import AllowanceUsedUp, Media, NoSuchMedia, UploadTooLarge
from posthouse.std.faults import Unavailable
from posthouse.storage import Database
from tests.media.conftest import MakeMedia

ADA, BORIS = UserId("@ada:localhost"), UserId("@boris:localhost")

MIB = 1024 * 1024


async def pieces(data: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def upload(media: Media, user_id: UserId, data: bytes, name: str | None = None) -> str:
    """Uploads and answers with the media id."""
    uri = await media.upload(user_id, pieces(data), content_type="image/png", file_name=name)
    assert uri.startswith("mxc://localhost/")
    return uri.removeprefix("mxc://localhost/")


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_what_was_uploaded_can_be_opened(media: Media) -> None:
    media_id = await upload(media, ADA, b"a picture", "harvest.png")

    found = await media.open("localhost", media_id)

    assert found.path.read_bytes() == b"a picture"
    assert found.media.file_name == "harvest.png"
    assert found.media.content_type == "image/png"
    assert found.media.user_id == ADA


async def test_a_download_costs_one_statement_and_an_upload_three(
    media: Media, database: Database
) -> None:
    """The allowance read, the allowance taken, the row; what begins and commits not counted."""
    before = database.statements
    media_id = await upload(media, ADA, b"a picture")
    uploaded = database.statements
    await media.open("localhost", media_id)

    assert database.statements - uploaded == 1
    assert uploaded - before == 3


@pytest.mark.parametrize("size", [0, 1, 255, 256 * 1024, 256 * 1024 + 1, 3 * MIB + 7])
async def test_a_file_is_named_by_the_hash_of_what_it_holds(
    media: Media, tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)

    await upload(media, ADA, data)

    (file,) = files_in(tmp_path / "media")
    digest = hashlib.sha256(data).hexdigest()
    assert file == tmp_path / "media" / "content" / digest[:2] / digest
    assert file.read_bytes() == data


async def test_the_same_content_lies_on_disk_once(media: Media, tmp_path: Path) -> None:
    """Each upload has its own id and is charged in full, whoever was first."""
    first = await upload(media, ADA, b"x" * 5_000)
    second = await upload(media, BORIS, b"x" * 5_000)

    assert first != second
    assert len(files_in(tmp_path / "media")) == 1
    assert await media.usage_of(ADA) == await media.usage_of(BORIS) == 8192


async def test_an_id_cannot_be_guessed(media: Media) -> None:
    ids = {await upload(media, ADA, b"x") for _ in range(20)}

    assert len(ids) == 20
    assert all(len(media_id) >= 22 for media_id in ids), "at least 128 bits in base64url"


@pytest.mark.parametrize(
    ("server_name", "media_id"),
    [
        ("elsewhere.example", None),
        ("LOCALHOST", None),
        ("", None),
        ("localhost", "unknown"),
        ("localhost", ""),
        ("localhost", "../../../etc/passwd"),
        ("localhost", "a\0b"),
        ("localhost", "x" * 1_000),
    ],
)
async def test_what_is_not_here_is_not_found(
    media: Media, server_name: str, media_id: str | None
) -> None:
    known = await upload(media, ADA, b"x")
    assert (await media.open("localhost", known)).media.media_id == known

    with pytest.raises(NoSuchMedia):
        await media.open(server_name, known if media_id is None else media_id)


async def test_a_file_over_the_limit_leaves_nothing(make_media: MakeMedia, tmp_path: Path) -> None:
    media = make_media(upload_bytes_max=MIB)
    await upload(media, ADA, b"x" * MIB)
    kept = files_in(tmp_path / "media")

    with pytest.raises(UploadTooLarge):
        await upload(media, ADA, b"y" * (MIB + 1))

    assert files_in(tmp_path / "media") == kept


async def test_too_much_is_refused_before_it_is_read(make_media: MakeMedia) -> None:
    media = make_media(upload_bytes_max=MIB)
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"x")
        yield b"x"

    with pytest.raises(UploadTooLarge):
        await media.upload(ADA, body(), content_type=None, file_name=None, length=MIB + 1)

    assert read == []


async def test_an_allowance_that_is_used_up_refuses_with_a_reason(
    make_media: MakeMedia, tmp_path: Path
) -> None:
    media = make_media(person_bytes_max=2 * MIB)
    await upload(media, ADA, b"x" * MIB)

    with pytest.raises(AllowanceUsedUp, match="more than the 2097152 bytes"):
        await upload(media, ADA, b"y" * (MIB + 1))

    assert await media.usage_of(ADA) == MIB
    assert len(files_in(tmp_path / "media")) == 1
    await upload(media, BORIS, b"y" * (MIB + 1))


async def test_uploads_that_race_stay_within_the_allowance(make_media: MakeMedia) -> None:
    """Twelve at once from two processes' services, and room for five."""
    allowance = 5 * 64 * 1024
    services = [make_media(person_bytes_max=allowance) for _ in range(2)]

    async def attempt(number: int) -> bool:
        try:
            await upload(services[number % 2], ADA, bytes([number]) * 64 * 1024)
        except AllowanceUsedUp:
            return False
        return True

    kept = await asyncio.gather(*(attempt(number) for number in range(12)))

    assert 1 <= sum(kept) <= 5
    assert await services[0].usage_of(ADA) == sum(kept) * 64 * 1024
    assert [p async for p in services[0].verify()] == []


async def test_the_transaction_holds_the_allowance_by_itself(make_media: MakeMedia) -> None:
    """Each service sees only its own upload under way, so that only the row can refuse."""
    services = [make_media(person_bytes_max=5 * 4096) for _ in range(12)]
    every_body_read = asyncio.Barrier(12)

    async def body(number: int) -> AsyncIterator[bytes]:
        yield bytes([number])
        await every_body_read.wait()

    async def attempt(number: int) -> bool:
        try:
            await services[number].upload(ADA, body(number), content_type=None, file_name=None)
        except AllowanceUsedUp:
            return False
        return True

    kept = await asyncio.gather(*(attempt(number) for number in range(12)))

    assert sum(kept) == 5
    assert await services[0].usage_of(ADA) == 5 * 4096


async def test_a_person_uploads_so_many_files_at_once(make_media: MakeMedia) -> None:
    media = make_media(person_uploads_max=2)
    started, end = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        started.release()
        yield b"x"
        await end.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(media.upload(ADA, slow(), content_type=None, file_name=None))
            await started.acquire()
        with pytest.raises(LimitExceeded):
            await upload(media, ADA, b"one more")
        await upload(media, BORIS, b"somebody else's")
        end.set()

    await upload(media, ADA, b"one more")


class Hangup(Exception):
    """The client is gone in the middle."""


async def test_half_an_upload_leaves_nothing(media: Media, tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        assert len(files_in(tmp_path / "media" / "incoming")) == 1
        raise Hangup

    with pytest.raises(Hangup):
        await media.upload(ADA, body(), content_type=None, file_name=None)

    assert files_in(tmp_path / "media") == []
    assert await media.usage_of(ADA) == 0


async def test_an_upload_that_is_cancelled_leaves_nothing(media: Media, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(media.upload(ADA, body(), content_type=None, file_name=None))
        await begun.wait()
        task.cancel()

    assert files_in(tmp_path / "media") == []


async def test_a_disk_that_is_nearly_full_refuses_for_now(
    make_media: MakeMedia, tmp_path: Path
) -> None:
    media = make_media(free_bytes_min=1 << 60)

    with pytest.raises(Unavailable):
        await upload(media, ADA, b"x")

    assert files_in(tmp_path / "media") == []


async def test_what_a_crash_left_behind_is_removed_at_the_next_start(
    make_media: MakeMedia, tmp_path: Path
) -> None:
    """A file half written, and a whole one whose row was never committed."""
    before = make_media()
    kept = await upload(before, ADA, b"kept")
    half = tmp_path / "media" / "incoming" / "0123"
    half.write_bytes(b"half")
    digest = hashlib.sha256(b"whole").hexdigest()
    whole = tmp_path / "media" / "content" / digest[:2] / digest
    whole.write_bytes(b"whole")
    os.utime(whole, (0, 0))

    after = make_media()
    assert [p async for p in after.verify()] == [
        f"media: the file {digest} belongs to no upload",
    ]

    assert await after.sweep() == 2
    assert [p async for p in after.verify()] == []
    assert (await after.open("localhost", kept)).path.read_bytes() == b"kept"
    assert len(files_in(tmp_path / "media")) == 1


async def test_a_sweep_leaves_alone_what_is_being_uploaded(
    make_media: MakeMedia, tmp_path: Path
) -> None:
    """Also another process's: its half file is locked, and its whole one is young."""
    media, other = make_media(), make_media()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        assert await other.sweep() == 0
        yield b"y"

    await media.upload(ADA, body(), content_type=None, file_name=None)
    young = tmp_path / "media" / "content" / "ab" / ("ab" * 32)
    young.write_bytes(b"on its way")

    assert await media.sweep() == 0
    assert young.exists()


async def test_sweeping_while_people_upload_never_takes_a_file_from_a_row(
    make_media: MakeMedia,
) -> None:
    """No age protects here: what is held while its row is on its way is enough in a process."""
    media = make_media(orphan_age_min=timedelta(0), person_uploads_max=100)

    async def sweeps() -> None:
        for _ in range(5):
            await media.sweep()

    async with asyncio.TaskGroup() as group:
        group.create_task(sweeps())
        uploads = [
            group.create_task(upload(media, ADA, number.to_bytes(2, "big"))) for number in range(60)
        ]

    for task in uploads:
        assert (await media.open("localhost", task.result())).path.exists()


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b"short"), "has 5 bytes, not 9"),
        (lambda path: path.write_bytes(b"a pikture"), "holds something else"),
    ],
)
async def test_a_file_that_was_lost_or_changed_is_named(
    media: Media, damage: "object", finding: str
) -> None:
    media_id = await upload(media, ADA, b"a picture")
    path = (await media.open("localhost", media_id)).path
    assert [p async for p in media.verify(hash_every=1)] == []

    damage(path)  # type: ignore[operator]

    (sentence,) = [p async for p in media.verify(hash_every=1)]
    assert path.name in sentence
    assert finding in sentence


async def test_a_lost_file_is_a_fault_and_not_an_answer(media: Media) -> None:
    media_id = await upload(media, ADA, b"a picture")
    (await media.open("localhost", media_id)).path.unlink()

    with pytest.raises(Unavailable):
        await media.open("localhost", media_id)


async def test_uploading_it_again_makes_a_damaged_file_whole(media: Media) -> None:
    media_id = await upload(media, ADA, b"a picture")
    (await media.open("localhost", media_id)).path.write_bytes(b"a pikture")

    await upload(media, BORIS, b"a picture")

    assert (await media.open("localhost", media_id)).path.read_bytes() == b"a picture"
