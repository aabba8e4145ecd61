"""Which of a few thumbnails answers a request.

(1) Whatever is asked, one of a small set of thumbnails is made, so that what is kept on disk for a
    picture, and the work that it can cause, has a bound.
(2) It is at least as large as what was asked, in both directions, where the picture is.
(3) A crop has the shape that was asked, or the nearest of `_SHAPES`.

https://spec.matrix.org/v1.19/client-server-api/#thumbnails
"""

import enum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace


class Method(enum.StrEnum):
    """How a picture is fitted into a box."""

    CROP = "crop"
    """Its middle, in the shape of the box."""
    SCALE = "scale"
    """All of it, in its own shape, within the box."""


class Variant(Struct, frozen=True):
    """One of the thumbnails that a picture may have."""

    width: int
    height: int
    method: Method
    animated: bool = False

    @property
    def name(self) -> str:
        """As it stands in file names and entity tags."""
        moving = "-animated" if self.animated else ""
        return f"{self.width}x{self.height}-{self.method.value}{moving}"

    def still(self) -> "Variant":
        return replace(self, animated=False)


WHOLE: Final = 16_384
"""The side of the last box: what is asked beyond the other boxes gets the picture's own size, for
the specification lets nothing smaller than asked be answered."""

# The specification names five of these; 1600x1200 is 800x600 on a screen with two pixels for one.
_BOXES: Final = ((32, 32), (96, 96), (320, 240), (640, 480), (800, 600), (1600, 1200))

_LONG_SIDES: Final = (32, 96, 320, 640, 800, 1600, WHOLE)

_SHAPES: Final = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9), (9, 16), (2, 1), (1, 2))


def variant_for(width: int, height: int, method: Method, *, animated: bool) -> Variant:
    """The thumbnail to be made for a request of at least `width` by `height` pixels."""
    assert width > 0
    assert height > 0
    box = _crop_box(width, height) if method is Method.CROP else _scale_box(width, height)
    return Variant(width=box[0], height=box[1], method=method, animated=animated)


def _scale_box(width: int, height: int) -> tuple[int, int]:
    for box in _BOXES:
        if width <= box[0] and height <= box[1]:
            return box
    return WHOLE, WHOLE


def _crop_box(width: int, height: int) -> tuple[int, int]:
    across, down = min(_SHAPES, key=lambda shape: _unlikeness(shape, (width, height)))
    for side in _LONG_SIDES:
        box = side * across // max(across, down), side * down // max(across, down)
        if width <= box[0] and height <= box[1]:
            return box
    return box


def _unlikeness(shape: tuple[int, int], wanted: tuple[int, int]) -> float:
    """How far two shapes are apart: 1 where they are the same, otherwise more."""
    one, other = shape[0] * wanted[1], shape[1] * wanted[0]
    return max(one, other) / min(one, other)
