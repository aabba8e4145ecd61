"""The recent entries in memory: what they answer is what a full log would, or nothing."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from posthouse.streams import Tail

BYTES_MAX = 100


@dataclass(frozen=True)
class Entry:
    position: int
    key: int
    size: int


LOGS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)), max_size=40)


@given(LOGS, st.integers(0, 10), st.data())
def test_a_tail_answers_like_the_whole_log_or_says_that_it_can_not(
    log: list[tuple[int, int]], head: int, data: st.DataObject
) -> None:
    tail: Tail[Entry] = Tail(head=head, bytes_max=BYTES_MAX)
    entries = [Entry(head + n, key, size) for n, (key, size) in enumerate(log, start=1)]
    for entry in entries:
        tail.append(entry)
    key = data.draw(st.integers(0, 4))
    after = data.draw(st.integers(0, head + len(entries)))
    up_to = data.draw(st.integers(after, head + len(entries)))

    found = tail.since(key, after, up_to)

    if found is None:
        assert after < tail.floor
    else:
        assert list(found) == [e for e in entries if e.key == key and after < e.position <= up_to]


@given(LOGS)
def test_a_tail_never_holds_more_than_its_bytes_but_for_the_newest(
    log: list[tuple[int, int]],
) -> None:
    tail: Tail[Entry] = Tail(head=0, bytes_max=BYTES_MAX)
    entries = [Entry(n, key, size) for n, (key, size) in enumerate(log, start=1)]
    for entry in entries:
        tail.append(entry)
        held = [e for e in entries if tail.floor < e.position <= entry.position]
        assert sum(e.size for e in held) <= BYTES_MAX or len(held) == 1
        assert tail._bytes == sum(e.size for e in held)
        assert sum(map(len, tail._by_key.values())) == len(held)


@given(LOGS, st.integers(50, 60))
def test_a_tail_that_was_reset_knows_only_what_comes_after(
    log: list[tuple[int, int]], head: int
) -> None:
    tail: Tail[Entry] = Tail(head=0, bytes_max=BYTES_MAX)
    for n, (key, size) in enumerate(log, start=1):
        tail.append(Entry(n, key, size))

    tail.reset(head)

    assert tail.since(1, head - 1, head) is None
    assert tail.since(1, head, head) == ()
    tail.append(Entry(head + 1, 1, 1))
    assert tail.since(1, head, head + 1) == [Entry(head + 1, 1, 1)]
