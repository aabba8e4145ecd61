"""JSON at the edge, and its canonical spelling."""

import json
from typing import Any

import canonicaljson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posthouse.matrix import (
    INTEGER_MAX,
    LEVELS_MAX,
    BadJson,
    NotJson,
    Refusal,
    encode_canonical,
    encode_parsed,
    parse_json_object,
)
from tests.vectors import vectors

VECTORS = vectors("canonical_json")

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | TEXT | st.just("a:b:c")
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)


@pytest.mark.parametrize("case", VECTORS["cases"] + VECTORS["accepted"])
def test_the_examples_of_the_specification_have_the_spelling_it_gives(case: Any) -> None:
    value = parse_json_object(case["given"].encode())

    assert encode_canonical(value) == case["canonical"].encode()
    assert encode_parsed(value) == case["canonical"].encode()


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: str(case["because"]))
def test_what_may_not_be_said_is_refused_at_the_edge(case: Any) -> None:
    with pytest.raises(Refusal) as refused:
        parse_json_object(case["given"].encode())

    assert refused.value.errcode == case["errcode"]
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\xaf"}',
        b'{"a\xe6\x97":1}',
        b'{"a":1}\0',
    ],
)
def test_bytes_that_are_not_utf8_are_not_json(raw: bytes) -> None:
    with pytest.raises(NotJson):
        parse_json_object(raw)


@pytest.mark.parametrize(("opens", "closes"), [('{"a":', "}"), ("[", "]")])
def test_nesting_ends_at_a_hundred_levels(opens: str, closes: str) -> None:
    """The outermost object counts; the innermost value is a number."""

    def nested(levels: int) -> bytes:
        return ('{"a":' + opens * (levels - 1) + "1" + closes * (levels - 1) + "}").encode()

    deepest = parse_json_object(nested(LEVELS_MAX))
    assert encode_canonical(deepest) == nested(LEVELS_MAX)

    with pytest.raises(BadJson):
        parse_json_object(nested(LEVELS_MAX + 1))
    for far_too_deep in (5_000, 100_000):
        with pytest.raises(Refusal):
            parse_json_object(nested(far_too_deep))


def test_account_data_may_have_floats_where_the_caller_says_so() -> None:
    """The order of a tag is a fraction; nothing else is loosened with it."""
    assert parse_json_object(b'{"order":0.25}', allow_floats=True) == {"order": 0.25}

    for refused in (b'{"a":9007199254740992}', b'{"a":0.5,"a":0.5}', b'{"a":NaN}'):
        with pytest.raises(Refusal):
            parse_json_object(refused, allow_floats=True)


@pytest.mark.parametrize(
    "value", [{"a": 0.5}, {"a": [float("nan")]}, {"a": 2**53}, {1: 2}, {"a": b""}]
)
def test_what_has_no_canonical_spelling_gets_none(value: Any) -> None:
    with pytest.raises(BadJson):
        encode_canonical(value)


@settings(max_examples=200)
@given(VALUES)
def test_the_spelling_is_the_reference_implementations_byte_by_byte(value: Any) -> None:
    assert encode_canonical(value) == canonicaljson.encode_canonical_json(value)


@settings(max_examples=100)
@given(OBJECTS)
def test_what_was_spelled_is_read_back_the_same(value: dict[str, Any]) -> None:
    assert parse_json_object(encode_canonical(value)) == value
    assert parse_json_object(json.dumps(value, indent=1).encode()) == value


@st.composite
def spelled(draw: st.DrawFn, levels: int = 2) -> str:
    """JSON text of an object, whose keys repeat at times and are escaped at times."""
    key = st.sampled_from(["a", "b", ":", "\\u003a", "\\u0061", "c:"])
    scalar = st.sampled_from(["1", '":"', '"\\u003A"', '"\\\\u003a"', "true", '""'])
    inner = scalar | spelled(levels - 1) if levels else scalar
    members = draw(st.lists(st.tuples(key, inner), max_size=4))
    return "{" + ",".join(f'"{name}" :{value}' for name, value in members) + "}"


def _has_twins(text: str) -> bool:
    found = False

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        found = found or len({key for key, _ in pairs}) < len(pairs)
        return dict(pairs)

    json.loads(text, object_pairs_hook=look)
    return found


@settings(max_examples=300)
@example('{"\\u003a":"\\u003a","b":1,"b":1,"b":1}')
@given(spelled())
def test_a_key_twice_is_found_wherever_it_is_and_however_it_is_written(text: str) -> None:
    if _has_twins(text):
        with pytest.raises(BadJson, match="twice"):
            parse_json_object(text.encode())
    else:
        assert parse_json_object(text.encode()) == json.loads(text)


@settings(max_examples=200)
@given(
    st.binary(max_size=40)
    | TEXT.map(str.encode)
    | OBJECTS.map(encode_canonical).flatmap(
        lambda raw: st.integers(0, len(raw)).map(lambda cut: raw[:cut])
    )
)
def test_no_bytes_do_worse_than_a_refusal(raw: bytes) -> None:
    try:
        value = parse_json_object(raw)
    except (BadJson, NotJson):
        return
    assert value == json.loads(raw)
