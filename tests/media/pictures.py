"""Pictures for tests, made and read by Pillow: a reader that has nothing to do with ours."""

import io
import os
import struct
import zlib

from PIL import Image


def jpeg(width: int, height: int, *, orientation: int | None = None) -> bytes:
    """A red picture with a blue left third; with `orientation`, of a camera that tells where."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (0, 0, width // 3, height))
    exif = picture.getexif()
    if orientation is not None:
        exif[0x0112] = orientation
        exif[0x010F] = "Camera of Ada"
        exif.get_ifd(0x8825)[1] = "N"
    return _saved(picture, "JPEG", exif=exif, comment=b"taken at home")


def png(width: int, height: int, *, mode: str = "RGB") -> bytes:
    picture = Image.linear_gradient("L").resize((width, height)).convert(mode)
    return _saved(picture, "PNG")


def noise(width: int, height: int, format_: str, **options: object) -> bytes:
    """What no encoder makes small."""
    pixels = os.urandom(width * height * 3)
    return _saved(Image.frombytes("RGB", (width, height), pixels), format_, **options)


def progressive_jpeg(width: int, height: int) -> bytes:
    """One that a decoder has to hold whole."""
    picture = Image.new("RGB", (width, height), "green")
    return _saved(picture, "JPEG", progressive=True, subsampling=0)


def animation(width: int, height: int, frames: int, format_: str) -> bytes:
    """Each frame another shade, each shown 10 ms longer than the one before."""
    pictures = [
        Image.new("RGB", (width, height), (number * 11 % 256, 0, 0)) for number in range(frames)
    ]
    return _saved(
        pictures[0],
        format_,
        save_all=True,
        append_images=pictures[1:],
        duration=[50 + 10 * number for number in range(frames)],
        loop=0,
    )


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and has next to nothing in it."""
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(b"\0" * 1000)),
            _chunk(b"IEND", b""),
        )
    )


def png_of_zeros(side: int) -> bytes:
    """A whole PNG of black, some thousand times smaller than its pixels."""
    packed = zlib.compressobj(9)
    row = b"\0" * (side * 3 + 1)
    data = b"".join(packed.compress(row) for _ in range(side)) + packed.flush()
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
            _chunk(b"IDAT", data),
            _chunk(b"IEND", b""),
        )
    )


def opened(data: bytes) -> Image.Image:
    """As the other reader sees it, every frame decoded."""
    picture = Image.open(io.BytesIO(data))
    for frame in range(frames_of(picture)):
        picture.seek(frame)
        picture.load()
    picture.seek(0)
    return picture


def frames_of(picture: Image.Image) -> int:
    return int(getattr(picture, "n_frames", 1))


def durations_of(picture: Image.Image) -> list[int]:
    """How long each frame is shown, in ms."""
    durations = []
    for frame in range(frames_of(picture)):
        picture.seek(frame)
        picture.load()
        durations.append(int(picture.info["duration"]))
    return durations


def _saved(picture: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
