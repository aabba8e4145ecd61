"""What nobody fetches ends, in pages; what somebody fetches stays."""

from datetime import timedelta
from pathlib import Path

import pytest

from posthouse.media import Media, MediaId, MediaSettings, NoSuchMedia, ThumbnailSettings
from posthouse.media import store as media_store
from posthouse.media.sizes import Method, variant_for
from posthouse.storage import Database, Owner
from tests.media import pictures
from tests.media.conftest import MakeMedia, TestClock, media_at
from tests.media.test_uploads import ADA, BORIS, files_in, upload

DAY = timedelta(days=1)


async def is_there(media: Media, media_id: str) -> bool:
    """Without the fetch that a question over `open` would be."""
    reader = media._database.reader(of=Owner.GLOBAL)
    found = await media_store.find(reader, MediaId(media_id))
    return found is not None and found.readable


async def problems(media: Media) -> list[str]:
    return [problem async for problem in media.verify(hash_every=1)]


async def test_nothing_ends_unless_the_operator_says_so(media: Media, clock: TestClock) -> None:
    media_id = await upload(media, ADA, b"x")
    clock.advance(10_000 * DAY)

    assert await media.sweep() == 0

    assert (await media.open("localhost", media_id)).path.exists()


async def test_what_nobody_fetches_ends_with_its_file_and_its_charge(
    make_media: MakeMedia, clock: TestClock, tmp_path: Path
) -> None:
    media = make_media(retention=30 * DAY)
    old = await upload(media, ADA, b"x" * 5000)
    clock.advance(20 * DAY)
    young = await upload(media, ADA, b"y")
    clock.advance(11 * DAY)

    assert await media.sweep() == 1

    with pytest.raises(NoSuchMedia):
        await media.open("localhost", old)
    assert await is_there(media, young)
    assert await media.usage_of(ADA) == 4096
    assert len(files_in(tmp_path / "media")) == 1
    assert await problems(media) == []


async def test_what_somebody_fetches_stays(make_media: MakeMedia, clock: TestClock) -> None:
    """A download or a thumbnail counts, and is known after a restart; each counts from its day."""
    media = make_media(retention=30 * DAY)
    fetched = await upload(media, ADA, b"x")
    shown = await upload(media, ADA, pictures.jpeg(64, 64))
    left = await upload(media, ADA, b"z")
    clock.advance(20 * DAY)
    await media.open("localhost", fetched)
    small = variant_for(32, 32, Method.CROP, animated=False)
    await media.thumbnail(ADA, "localhost", shown, small)
    await media._retention.write_notes()

    media = make_media(retention=30 * DAY)
    clock.advance(29 * DAY)
    await media.sweep()
    assert [await is_there(media, each) for each in (fetched, shown, left)] == [True, True, False]

    clock.advance(2 * DAY)
    await media.sweep()
    assert not await is_there(media, fetched)
    assert not await is_there(media, shown)


async def test_content_stays_while_any_upload_needs_it(
    make_media: MakeMedia, clock: TestClock, tmp_path: Path
) -> None:
    media = make_media(retention=30 * DAY)
    await upload(media, ADA, b"the same")
    clock.advance(20 * DAY)
    of_boris = await upload(media, BORIS, b"the same")
    clock.advance(11 * DAY)

    await media.sweep()

    assert (await media.open("localhost", of_boris)).path.read_bytes() == b"the same"
    assert (await media.usage_of(ADA), await media.usage_of(BORIS)) == (0, 4096)
    assert await problems(media) == []


async def test_a_fetch_costs_no_statement_more(
    make_media: MakeMedia, clock: TestClock, database: Database
) -> None:
    media = make_media(retention=30 * DAY)
    media_id = await upload(media, ADA, b"x")
    clock.advance(20 * DAY)
    before = database.statements

    for _ in range(5):
        await media.open("localhost", media_id)
    assert database.statements - before == 5
    await media._retention.write_notes()
    await media._retention.write_notes()

    assert database.statements - before == 6


async def test_what_is_under_judgement_stays(
    make_media: MakeMedia, clock: TestClock, database: Database
) -> None:
    media = make_media(retention=30 * DAY)
    media_id = await upload(media, ADA, b"x")
    path = (await media.open("localhost", media_id)).path
    async with database.transaction(of=Owner.GLOBAL) as tx:
        await tx.execute("UPDATE media SET quarantined_ms = 1 WHERE media_id = $1", media_id)
    clock.advance(100 * DAY)

    await media.sweep()

    assert path.exists()
    assert await media.usage_of(ADA) == 4096


async def test_much_ends_in_pages(
    every_database: Database, tmp_path: Path, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of two, with what stays between: none is skipped, none is looked at twice for ever."""
    monkeypatch.setattr(media_store, "PAGE", 2)
    settings = MediaSettings(
        free_bytes_min=0,
        retention=30 * DAY,
        announced_lifetime=DAY,
        thumbnails=ThumbnailSettings(),
    )
    media = media_at(every_database, tmp_path / "media", settings, clock)
    ids = [await upload(media, (ADA, BORIS)[number % 2], bytes([number])) for number in range(9)]
    for _ in range(5):
        await media.announce(ADA)
    clock.advance(20 * DAY)
    await media.open("localhost", ids[3])
    await media.open("localhost", ids[8])
    clock.advance(11 * DAY)

    await media.sweep()

    assert [each for each in ids if await is_there(media, each)] == [ids[3], ids[8]]
    assert (await media.usage_of(ADA), await media.usage_of(BORIS)) == (4096, 4096)
    announced = await every_database.reader(of=Owner.GLOBAL).fetch_one(
        "SELECT COUNT(*) FROM media_announced"
    )
    assert announced == (0,)
    assert await problems(media) == []
    media.close()
