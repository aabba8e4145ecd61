"""Which stream something belongs to, and that a split keeps families together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.storage import Database, Owner
from posthouse.streams import (
    CannotSplit,
    StreamMap,
    all_streams,
    ancestors_of,
    level_of_count,
    position_of,
    room_key,
    row_id,
    split_streams,
)
from posthouse.streams.store import StreamTable

NAMES = st.text(min_size=1, max_size=60)


@given(NAMES, st.integers(0, 11))
def test_a_streams_parent_is_where_its_rooms_were(name: str, level: int) -> None:
    parent, child = StreamMap(level), StreamMap(level + 1)
    assert child.stream_of(name) >> 1 == parent.stream_of(name)
    assert parent.stream_of(name) in ancestors_of(child.stream_of(name))


@given(NAMES, st.integers(0, 12))
def test_a_rooms_key_leads_to_the_same_stream_as_its_name(name: str, level: int) -> None:
    streams = StreamMap(level)
    stream = streams.stream_of(name)
    assert streams.stream_of_key(room_key(name)) == stream
    assert stream in streams.ids
    assert 0 <= streams.index_of(stream) < streams.count


@given(st.integers(1, 8191), st.integers(0, (1 << 40) - 1))
def test_a_rows_id_is_in_order_within_its_stream_and_fits_a_bigint(stream: int, at: int) -> None:
    assert position_of(row_id(stream, at)) == at
    assert row_id(stream, at) < row_id(stream + 1, 0) < 1 << 63


@given(st.integers(-5, 10_000))
def test_only_powers_of_two_are_counts(count: int) -> None:
    powers = {1 << level for level in range(13)}
    if count in powers:
        assert 1 << level_of_count(count) == count
    else:
        with pytest.raises(ValueError, match="power of two"):
            level_of_count(count)


async def _make(database: Database, owner: Owner, heads: dict[int, int]) -> None:
    table = StreamTable(f"{owner.value}_streams")
    async with database.transaction(of=owner) as tx:
        for stream, head in heads.items():
            await table.create(tx, stream, head=head, touched=head + 1)


async def test_children_start_at_their_parents_head_and_parents_are_closed(
    every_database: Database,
) -> None:
    await _make(every_database, Owner.ROOM, {2: 7, 3: 9})
    await _make(every_database, Owner.USER, {1: 5})

    await split_streams(every_database, room_streams=8, user_streams=2)

    rooms = StreamTable("room_streams")
    live = await rooms.live(every_database.reader(of=Owner.ROOM))
    assert [(row.stream, row.head, row.start) for row in live] == [
        *((stream, 7, 7) for stream in range(8, 12)),
        *((stream, 9, 9) for stream in range(12, 16)),
    ]
    everything = await all_streams(every_database.reader(of=Owner.ROOM), Owner.ROOM)
    assert [row.epoch for row in everything if row.stream in (2, 3)] == [1, 1]
    users = await StreamTable("user_streams").live(every_database.reader(of=Owner.USER))
    assert [(row.stream, row.head, row.touched) for row in users] == [(2, 5, 6), (3, 5, 6)]


async def test_a_split_that_is_done_again_changes_nothing(every_database: Database) -> None:
    await _make(every_database, Owner.ROOM, {1: 7})
    await _make(every_database, Owner.USER, {1: 5})
    await split_streams(every_database, room_streams=4, user_streams=2)
    before = await all_streams(every_database.reader(of=Owner.ROOM), Owner.ROOM)

    await split_streams(every_database, room_streams=4, user_streams=2)

    assert await all_streams(every_database.reader(of=Owner.ROOM), Owner.ROOM) == before


@pytest.mark.parametrize("count", [0, 3, 2, 8192])
async def test_streams_are_never_joined_nor_split_into_odd_counts(
    every_database: Database, count: int
) -> None:
    await _make(every_database, Owner.ROOM, dict.fromkeys(range(4, 8), 0))
    await _make(every_database, Owner.USER, {1: 0})

    with pytest.raises(CannotSplit):
        await split_streams(every_database, room_streams=count, user_streams=1)
