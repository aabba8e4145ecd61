"""Thumbnails: what was asked for, never larger than it was, made where nothing else is at stake."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import pytest

from posthouse.matrix import LimitExceeded, UserId
from posthouse.media import Media, NoSuchMedia, NoThumbnail, PictureTooLarge, ThumbnailSettings
from posthouse.media.sizes import WHOLE, Method, Variant, variant_for
from posthouse.media.thumbnailer import Outcome, Thumbnailer
from posthouse.std.faults import Unavailable
from posthouse.storage import Database, Owner
from tests.media import pictures
from tests.media.conftest import MakeMedia
from tests.media.test_uploads import ADA, BORIS, MIB, files_in, upload


async def thumbnail(
    media: Media,
    data: bytes,
    width: int,
    height: int,
    method: Method = Method.SCALE,
    *,
    animated: bool = False,
    who: UserId = ADA,
) -> bytes:
    """Uploads a picture and fetches its thumbnail."""
    media_id = await upload(media, ADA, data)
    return await thumbnail_of(media, media_id, width, height, method, animated=animated, who=who)


async def thumbnail_of(
    media: Media,
    media_id: str,
    width: int,
    height: int,
    method: Method = Method.SCALE,
    *,
    animated: bool = False,
    who: UserId = ADA,
) -> bytes:
    variant = variant_for(width, height, method, animated=animated)
    _, found = await media.thumbnail(who, "localhost", media_id, variant)
    data = found.path.read_bytes()
    assert len(data) == found.size
    return data


@pytest.mark.parametrize(
    ("size", "asked", "method", "expected"),
    [
        ((1000, 500), (320, 240), Method.SCALE, (320, 160)),
        ((500, 1000), (320, 240), Method.SCALE, (120, 240)),
        ((1000, 500), (100, 100), Method.SCALE, (320, 160)),
        ((1000, 500), (96, 96), Method.CROP, (96, 96)),
        ((1000, 500), (60, 60), Method.CROP, (96, 96)),
        ((1000, 500), (160, 80), Method.CROP, (320, 160)),
        ((1000, 500), (80, 160), Method.CROP, (160, 320)),
        # Never enlarged: a crop of what is smaller has the shape, at most its own size.
        ((50, 20), (320, 240), Method.SCALE, (50, 20)),
        ((50, 20), (96, 96), Method.CROP, (20, 20)),
        ((200, 50), (96, 96), Method.CROP, (50, 50)),
        ((1, 1), (32, 32), Method.CROP, (1, 1)),
        ((3000, 1), (96, 96), Method.SCALE, (96, 1)),
        # Beyond the set of boxes a picture keeps its own size.
        ((2000, 1500), (1900, 1400), Method.SCALE, (2000, 1500)),
        ((2000, 1500), (1700, 1700), Method.CROP, (1500, 1500)),
    ],
)
async def test_a_thumbnail_has_the_size_that_was_asked_or_the_next(
    media: Media,
    size: tuple[int, int],
    asked: tuple[int, int],
    method: Method,
    expected: tuple[int, int],
) -> None:
    found = pictures.opened(await thumbnail(media, pictures.jpeg(*size), *asked, method))

    assert found.format == "JPEG"
    assert found.size == expected


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
async def test_every_format_that_people_send_is_read(media: Media, format_: str) -> None:
    found = pictures.opened(await thumbnail(media, pictures.noise(400, 300, format_), 320, 240))

    assert (found.format, found.size) == ("JPEG", (320, 240))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
async def test_what_is_transparent_stays_so(media: Media, mode: str) -> None:
    found = pictures.opened(await thumbnail(media, pictures.png(400, 400, mode=mode), 96, 96))

    assert found.format == "PNG"
    assert found.mode == "RGBA"


@pytest.mark.parametrize("method", list(Method))
async def test_a_picture_stands_upright_and_tells_nothing_of_where_it_was_taken(
    media: Media, method: Method
) -> None:
    """Orientation 6: what lies on its left side in the file is its upper end."""
    data = pictures.jpeg(640, 320, orientation=6)
    assert b"Camera of Ada" in data, "or the test proves nothing"
    assert b"taken at home" in data

    made = await thumbnail(media, data, 320, 640, method)

    found = pictures.opened(made).convert("RGB")
    assert found.size == (320, 640)
    red, green, blue = found.getpixel((160, 20))  # type: ignore[misc]
    assert blue > 200 > red + green, "the blue third is on top"
    assert len(pictures.opened(made).getexif()) == 0
    assert b"Camera of Ada" not in made
    assert b"taken at home" not in made


@pytest.mark.parametrize("format_", ["GIF", "WEBP"])
@pytest.mark.parametrize("method", list(Method))
async def test_an_animation_moves_where_that_was_asked(
    media: Media, format_: str, method: Method
) -> None:
    media_id = await upload(media, ADA, pictures.animation(400, 200, 20, format_))

    moving = pictures.opened(await thumbnail_of(media, media_id, 96, 96, method, animated=True))
    still = pictures.opened(await thumbnail_of(media, media_id, 96, 96, method))

    size = (96, 96) if method is Method.CROP else (96, 48)
    assert (moving.format, moving.size) == ("WEBP", size)
    assert pictures.durations_of(moving) == [50 + 10 * number for number in range(20)]
    assert (pictures.frames_of(still), still.size) == (1, size)


async def test_a_picture_that_cannot_move_is_still_where_movement_was_asked(
    media: Media, tmp_path: Path
) -> None:
    media_id = await upload(media, ADA, pictures.jpeg(400, 200))

    asked = await thumbnail_of(media, media_id, 96, 96, animated=True)

    assert asked == await thumbnail_of(media, media_id, 96, 96)
    assert len(kept(tmp_path)) == 1


def kept(tmp_path: Path) -> list[Path]:
    return files_in(tmp_path / "media" / "thumbnails")


async def test_a_thumbnail_is_made_once(make_media: MakeMedia, tmp_path: Path) -> None:
    """By twenty who ask at the same time, for sizes that are the same in the end; after a restart."""
    media = make_media()
    media_id = await upload(media, ADA, pictures.jpeg(1000, 500))
    sizes = [(300, 200), (320, 240)] * 10
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(thumbnail_of(media, media_id, *size)) for size in sizes]
    (file,) = kept(tmp_path)
    made_ns = file.stat().st_mtime_ns

    again = await thumbnail_of(make_media(), media_id, 310, 230)

    assert {task.result() for task in tasks} == {again}
    assert file.stat().st_mtime_ns == made_ns


BROKEN: Mapping[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "words": lambda: b"no picture",
    "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
    "pdf": lambda: b"%PDF-1.4 and so on",
    "a header": lambda: pictures.png_header(100, 100),
    "half a jpeg": lambda: pictures.jpeg(600, 600)[:1500],
    "half a png": lambda: pictures.noise(600, 600, "PNG")[:50_000],
    "half a webp": lambda: pictures.noise(600, 600, "WEBP")[:20_000],
    "half an avif": lambda: pictures.noise(600, 600, "AVIF")[:20_000],
    "zeros for a jpeg": lambda: b"\xff\xd8\xff\xe0" + b"\0" * 4096,
    "ones for a gif": lambda: b"GIF89a" + b"\xff" * 4096,
    "ones for an avif": lambda: b"\0\0\0\x18ftypavif" + b"\xff" * 4096,
    "ones for a webp": lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\xff" * 4096,
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_what_is_no_picture_or_a_broken_one_is_declined(
    media: Media, kind: str, tmp_path: Path
) -> None:
    media_id = await upload(media, ADA, BROKEN[kind]())

    with pytest.raises(NoThumbnail):
        await thumbnail_of(media, media_id, 96, 96)

    assert kept(tmp_path) == []


async def test_a_picture_is_refused_by_its_header_before_it_is_decoded(media: Media) -> None:
    """60,000 by 60,000: decoded, it would fill 10 GiB."""
    with pytest.raises(PictureTooLarge):
        await thumbnail(media, pictures.png_header(60_000, 60_000), 96, 96)


async def test_a_picture_within_its_pixels_is_made_however_well_it_was_packed(
    make_media: MakeMedia,
) -> None:
    media = make_media(thumbnails=ThumbnailSettings(pixels_max=4000 * 4000))

    assert pictures.opened(await thumbnail(media, pictures.png_of_zeros(4000), 96, 96))
    with pytest.raises(PictureTooLarge):
        await thumbnail(media, pictures.png_of_zeros(4001), 96, 96)


@pytest.mark.parametrize(
    "settings", [ThumbnailSettings(frames_max=10), ThumbnailSettings(pixels_max=40 * 40 * 10)]
)
async def test_an_animation_that_is_too_long_stands_still(
    make_media: MakeMedia, settings: ThumbnailSettings
) -> None:
    media = make_media(thumbnails=settings)
    short = await thumbnail(
        media, pictures.animation(40, 40, 10, "GIF"), 32, 32, Method.CROP, animated=True
    )
    assert pictures.frames_of(pictures.opened(short)) == 10

    long = await thumbnail(
        media, pictures.animation(40, 40, 11, "GIF"), 32, 32, Method.CROP, animated=True
    )

    found = pictures.opened(long)
    assert (pictures.frames_of(found), found.size) == (1, (32, 32))


async def test_a_picture_that_takes_too_much_memory_ends_alone(make_media: MakeMedia) -> None:
    """A picture held whole by its decoder, in a process that may have 128 MiB of addresses."""
    media = make_media(thumbnails=ThumbnailSettings(memory_bytes_max=128 * MIB))

    with pytest.raises(PictureTooLarge):
        await thumbnail(media, pictures.progressive_jpeg(6000, 6000), 96, 96)

    assert await thumbnail(media, pictures.jpeg(200, 200), 96, 96)


async def test_a_picture_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """One second of CPU, and a picture of noise to be written in its own size."""
    source = tmp_path / "picture"
    source.write_bytes(pictures.noise(6000, 6000, "JPEG", quality=90))
    thumbnailer = Thumbnailer(ThumbnailSettings(cpu_seconds_max=1))
    variant = Variant(width=WHOLE, height=WHOLE, method=Method.SCALE)

    outcome = await thumbnailer.make(ADA, source, tmp_path / "made", variant, moving=False)

    assert outcome is Outcome.STOPPED
    thumbnailer.close()


async def test_what_was_refused_is_not_tried_again_at_once(media: Media) -> None:
    media_id = await upload(media, ADA, pictures.png_header(60_000, 60_000))
    with pytest.raises(PictureTooLarge):
        await thumbnail_of(media, media_id, 96, 96)
    media._thumbnails.close()
    with pytest.raises(Unavailable):
        await thumbnail(media, pictures.jpeg(100, 100), 96, 96)

    with pytest.raises(PictureTooLarge):
        await thumbnail_of(media, media_id, 96, 96)


async def test_a_process_that_dies_fails_who_waits_and_is_started_again(tmp_path: Path) -> None:
    source = tmp_path / "picture"
    source.write_bytes(pictures.noise(6000, 6000, "JPEG", quality=90))
    small = tmp_path / "small"
    small.write_bytes(pictures.jpeg(100, 100))
    thumbnailer = Thumbnailer(ThumbnailSettings())
    variant = variant_for(96, 96, Method.SCALE, animated=False)
    target = tmp_path / "made"
    assert await thumbnailer.make(ADA, small, target, variant, moving=False) is Outcome.MADE

    waiting = thumbnailer.make(ADA, source, target, variant, moving=False)
    assert thumbnailer._process is not None
    os.kill(thumbnailer._process.pid, signal.SIGKILL)

    with pytest.raises(Unavailable):
        await waiting
    assert await thumbnailer.make(ADA, small, target, variant, moving=False) is Outcome.MADE
    thumbnailer.close()


async def test_who_asks_for_many_lets_others_through(tmp_path: Path) -> None:
    """One process; Ada asks for thirty, then Boris for one: his is the second or third made."""
    source = tmp_path / "picture"
    source.write_bytes(pictures.jpeg(300, 300))
    thumbnailer = Thumbnailer(ThumbnailSettings(processes=1))
    variant = variant_for(96, 96, Method.SCALE, animated=False)

    of_ada = [
        thumbnailer.make(ADA, source, tmp_path / f"{number}", variant, moving=False)
        for number in range(30)
    ]
    of_boris = thumbnailer.make(BORIS, source, tmp_path / "his", variant, moving=False)
    await of_boris

    assert sum(future.done() for future in of_ada) <= 3
    assert set(await asyncio.gather(*of_ada)) == {Outcome.MADE}
    thumbnailer.close()


async def test_what_waits_has_a_bound_for_each_person(tmp_path: Path) -> None:
    """One is being made, a hundred wait."""
    source = tmp_path / "picture"
    source.write_bytes(b"soon declined")
    thumbnailer = Thumbnailer(ThumbnailSettings(processes=1))
    variant = variant_for(32, 32, Method.CROP, animated=False)

    def make(who: UserId) -> "asyncio.Future[Outcome]":
        return thumbnailer.make(who, source, tmp_path / "made", variant, moving=False)

    taken = [make(ADA) for _ in range(101)]
    with pytest.raises(LimitExceeded):
        make(ADA)
    taken.append(make(BORIS))

    assert set(await asyncio.gather(*taken)) == {Outcome.UNREADABLE}
    thumbnailer.close()


async def test_who_no_longer_waits_costs_nothing(tmp_path: Path) -> None:
    source = tmp_path / "picture"
    source.write_bytes(pictures.jpeg(300, 300))
    thumbnailer = Thumbnailer(ThumbnailSettings(processes=1))
    variant = variant_for(32, 32, Method.CROP, animated=False)

    futures = [
        thumbnailer.make(ADA, source, tmp_path / f"{number}", variant, moving=False)
        for number in range(3)
    ]
    futures[1].cancel()
    await futures[2]

    assert (tmp_path / "0").exists()
    assert not (tmp_path / "1").exists()
    thumbnailer.close()


async def test_the_cache_keeps_to_its_bound_and_forgets_what_is_oldest(
    make_media: MakeMedia, tmp_path: Path
) -> None:
    """A shard has its 256th part; one thumbnail fits here, and two don't."""
    media = make_media(thumbnails=ThumbnailSettings(cache_bytes_max=256 * 3_000))
    media_id = await upload(media, ADA, pictures.noise(400, 400, "PNG"))

    first = await thumbnail_of(media, media_id, 32, 32, Method.CROP)
    assert [file.stat().st_size for file in kept(tmp_path)] == [len(first)]
    await thumbnail_of(media, media_id, 96, 96, Method.CROP)

    (left,) = kept(tmp_path)
    assert "96x96" in left.name
    assert await thumbnail_of(media, media_id, 32, 32, Method.CROP) == first


async def test_a_thumbnail_goes_with_its_picture(
    media: Media, database: Database, tmp_path: Path
) -> None:
    """At once for who asks, from the disk at the next sweep."""
    media_id = await upload(media, ADA, pictures.jpeg(400, 400))
    stays = await upload(media, ADA, pictures.jpeg(500, 400))
    for one in (media_id, stays):
        await thumbnail_of(media, one, 96, 96)
    assert len(kept(tmp_path)) == 2
    removed = (await media.open("localhost", media_id)).path
    os.utime(removed, (0, 0))
    async with database.transaction(of=Owner.GLOBAL) as tx:
        await tx.execute("UPDATE media SET removed_ms = 1 WHERE media_id = $1", media_id)

    with pytest.raises(NoSuchMedia):
        await thumbnail_of(media, media_id, 96, 96)
    assert await media.sweep() == 2

    (left,) = kept(tmp_path)
    assert left.name.startswith((await media.open("localhost", stays)).path.name)


async def test_a_thumbnail_that_a_crash_cut_short_is_made_again(
    media: Media, tmp_path: Path
) -> None:
    media_id = await upload(media, ADA, pictures.jpeg(400, 400))
    made = await thumbnail_of(media, media_id, 96, 96)
    kept(tmp_path)[0].write_bytes(b"")

    assert await thumbnail_of(media, media_id, 96, 96) == made


@pytest.mark.parametrize("rounds", [60, pytest.param(5_000, marks=pytest.mark.long)])
async def test_a_damaged_picture_never_takes_the_process_with_it(
    tmp_path: Path, rounds: int
) -> None:
    """Bytes changed at random, in every format: each has an outcome, and what is made is whole."""
    random = Random(20261125)
    whole = [pictures.noise(48, 48, format_) for format_ in ("JPEG", "PNG", "GIF", "WEBP", "AVIF")]
    whole += [pictures.animation(48, 48, 5, format_) for format_ in ("GIF", "WEBP")]
    thumbnailer = Thumbnailer(ThumbnailSettings(cpu_seconds_max=2))
    seen: set[Outcome] = set()
    pids: set[int] = set()

    for number in range(rounds):
        data = bytearray(random.choice(whole))
        for _ in range(random.choice((1, 3, 30))):
            # The head more often: it is what decoders believe.
            reach = min(len(data), random.choice((64, 512, len(data))))
            data[random.randrange(reach)] = random.randrange(256)
        source, target = tmp_path / "source", tmp_path / f"made-{number % 2}"
        source.write_bytes(data)
        method = random.choice(list(Method))
        variant = variant_for(32, 32, method, animated=random.random() < 0.5)
        outcome = await thumbnailer.make(ADA, source, target, variant, moving=variant.animated)
        seen.add(outcome)
        if outcome is Outcome.MADE:
            assert max(pictures.opened(target.read_bytes()).size) <= 32
        assert thumbnailer._process is not None
        pids.add(thumbnailer._process.pid)

    assert {Outcome.MADE, Outcome.UNREADABLE} <= seen
    assert len(pids) == 1
    thumbnailer.close()
