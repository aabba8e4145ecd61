"""A small set of thumbnails answers every request, none smaller than what was asked."""

from hypothesis import given
from hypothesis import strategies as st

from posthouse.media.sizes import WHOLE, Method, Variant, variant_for

SIDES = st.integers(1, 5_000) | st.integers(1, 10**12)
METHODS = st.sampled_from(Method)


@given(SIDES, SIDES, METHODS)
def test_a_box_is_at_least_what_was_asked_or_the_largest(
    width: int, height: int, method: Method
) -> None:
    found = variant_for(width, height, method, animated=False)

    holds = found.width >= width and found.height >= height
    assert holds or max(found.width, found.height) == WHOLE


def test_there_are_few_thumbnails_whatever_is_asked() -> None:
    asked = [*range(1, 40), *range(40, 2_000, 37), 5_000, 10**9]

    found = {
        variant_for(width, height, method, animated=False)
        for method in Method
        for width in asked
        for height in asked
    }

    assert len(found) <= 7 * 9 + 7


@given(st.integers(1, 1_600), st.integers(1, 1_600))
def test_a_crop_has_nearly_the_shape_that_was_asked(width: int, height: int) -> None:
    found = variant_for(width, height, Method.CROP, animated=False)

    wanted = min(2.0, max(0.5, width / height))
    assert 0.8 < (found.width / found.height) / wanted < 1.25


def test_the_sizes_that_the_specification_names_are_made_as_they_are() -> None:
    for width, height, method in [
        (32, 32, Method.CROP),
        (96, 96, Method.CROP),
        (320, 240, Method.SCALE),
        (640, 480, Method.SCALE),
        (800, 600, Method.SCALE),
    ]:
        assert variant_for(width, height, method, animated=False) == Variant(
            width=width, height=height, method=method
        )
