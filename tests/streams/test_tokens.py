"""Tokens: what goes in comes out, and what nobody here made is refused as the client's mistake."""

import base64
import zlib
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.matrix import InvalidParam
from posthouse.streams import (
    RoomToken,
    StreamMap,
    SyncToken,
    decode_room_token,
    decode_sync_token,
    device_tag,
)

POSITIONS: Final = st.integers(0, (1 << 40) - 1)
NUMBERS: Final = st.integers(0, (1 << 31) - 1)


@st.composite
def tokens(draw: st.DrawFn, level_max: int = 4) -> SyncToken:
    level = draw(st.integers(0, level_max))
    vector = st.lists(POSITIONS, min_size=1 << level, max_size=1 << level).map(tuple)
    return SyncToken(
        generation=draw(NUMBERS),
        room_level=level,
        rooms=draw(vector),
        touched=draw(vector),
        user_level=draw(st.integers(0, level_max)),
        to_device=draw(POSITIONS),
        user=draw(POSITIONS),
        epoch=draw(st.integers(0, (1 << 32) - 1)),
        serial=draw(NUMBERS),
        device=device_tag(draw(st.text(max_size=20))),
    )


@given(tokens())
def test_a_token_says_what_it_was_made_of(token: SyncToken) -> None:
    assert decode_sync_token(token.encode()) == token


@given(tokens())
def test_a_token_is_safe_in_a_query(token: SyncToken) -> None:
    text = token.encode()
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text(max_size=200))
def test_any_text_that_is_no_token_is_a_bad_parameter(text: str) -> None:
    with pytest.raises(InvalidParam) as refused:
        decode_sync_token(text)
    assert (refused.value.status, refused.value.errcode) == (400, "M_INVALID_PARAM")


@given(st.binary(max_size=60), st.integers(0, 255))
def test_bytes_with_a_good_checksum_are_a_token_or_refused(body: bytes, level: int) -> None:
    """Who knows the format can make any bytes; none of them may break the reader."""
    body = bytes((1, 5, level)) + body
    data = body + (zlib.crc32(body) & 0xFFFF).to_bytes(2, "big")
    try:
        token = decode_sync_token(base64.urlsafe_b64encode(data).rstrip(b"=").decode())
    except InvalidParam:
        return
    assert len(token.rooms) == 1 << token.room_level
    numbers = (*token.rooms, *token.touched, token.user, token.to_device, token.serial)
    assert all(0 <= number < 1 << 63 for number in numbers), "what a database can be asked for"


@given(tokens(level_max=2), st.data())
def test_a_token_that_was_cut_or_mistyped_is_refused(token: SyncToken, data: st.DataObject) -> None:
    text = token.encode()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("AZaz09-_").filter(lambda c: c != text[at]))
    for wrong in (text[:at], text[:at] + "é" + text[at + 1 :]):
        with pytest.raises(InvalidParam):
            decode_sync_token(wrong)
    # One letter may differ in bits that are no part of the data; the meaning never does.
    try:
        assert decode_sync_token(text[:at] + other + text[at + 1 :]) == token
    except InvalidParam:
        pass


def test_a_token_longer_than_any_of_ours_is_not_even_decoded() -> None:
    with pytest.raises(InvalidParam, match="too long"):
        decode_sync_token("A" * 70_000)


@given(tokens(level_max=2), st.integers(0, 2), st.integers(0, 2))
def test_after_a_split_each_child_stands_where_its_parent_stood(
    token: SyncToken, room_steps: int, user_steps: int
) -> None:
    level = token.room_level + room_steps
    later = token.at_level(level, token.user_level + user_steps)

    assert len(later.rooms) == len(later.touched) == 1 << level
    parents, children = StreamMap(token.room_level), StreamMap(level)
    for name in ("!a:x", "!b:x", "!c", "!d"):
        parent = token.rooms[parents.index_of(parents.stream_of(name))]
        assert later.rooms[children.index_of(children.stream_of(name))] == parent
    assert (later.user, later.to_device) == (token.user, token.to_device)
    assert decode_sync_token(later.encode()) == later


@given(tokens(level_max=3).filter(lambda token: token.room_level > 0))
def test_a_token_of_more_streams_than_there_are_is_refused(token: SyncToken) -> None:
    with pytest.raises(InvalidParam):
        token.at_level(token.room_level - 1, token.user_level)


@given(NUMBERS, POSITIONS)
def test_a_room_token_says_what_it_was_made_of(generation: int, position: int) -> None:
    token = RoomToken(generation, position)
    assert decode_room_token(token.encode()) == token


@pytest.mark.parametrize(
    "text",
    ["", "t", "t_", "t1", "t1_", "t_1", "t1_2_3", "t-1_2", "t1_-2", "t+1_2", "t 1_2", "t1_ 2",
     "tA_1", "tx_1", "s1_2", f"t1_{'f' * 16}", f"t{'f' * 20}_1", f"t1_{1 << 40:x}"],
)  # fmt: skip
def test_what_only_looks_like_a_room_token_is_none(text: str) -> None:
    assert decode_room_token(text) is None
