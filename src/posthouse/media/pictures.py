"""Which files are pictures, by their first bytes: never by what an uploader says they are."""

import enum
from typing import Final

SIGNATURE_BYTES: Final = 32
"""How much of a file has to be read to tell."""


class PictureType(enum.StrEnum):
    """The formats that thumbnails are made of; the value is the media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    GIF = "image/gif"
    WEBP = "image/webp"
    AVIF = "image/avif"
    HEIC = "image/heic"

    @property
    def may_move(self) -> bool:
        """Whether a picture of this format can be an animation that is read here."""
        return self in (PictureType.GIF, PictureType.WEBP)


# The brands of ISO 23008-12 files: what follows `ftyp` in the first box.
_BRANDS: Final = {
    b"avif": PictureType.AVIF,
    b"avis": PictureType.AVIF,
    b"heic": PictureType.HEIC,
    b"heix": PictureType.HEIC,
    b"mif1": PictureType.HEIC,
    b"msf1": PictureType.HEIC,
}


def picture_type(start: bytes) -> PictureType | None:
    """The format of a file that starts so; None for what isn't one of the pictures we read."""
    if start.startswith(b"\xff\xd8\xff"):
        return PictureType.JPEG
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return PictureType.PNG
    if start.startswith((b"GIF87a", b"GIF89a")):
        return PictureType.GIF
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return PictureType.WEBP
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12])
    return None
