"""Which of two backed-up keys is kept, and which portions an upload is written in."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.devices import backup_rules
from posthouse.devices.backup_model import BackedUpKey, Backup, KeyRank
from posthouse.devices.errors import BackupNotFound, WrongBackupVersion
from posthouse.matrix import RoomId

RANKS = st.builds(KeyRank, st.booleans(), st.integers(0, 3), st.integers(0, 3))
ROOM = RoomId("!room:example.org")


def is_better(new: KeyRank, held: KeyRank) -> bool:
    """The specification's three sentences, one after the other."""
    if new.is_verified != held.is_verified:
        return new.is_verified
    if new.first_message_index != held.first_message_index:
        return new.first_message_index < held.first_message_index
    return new.forwarded_count < held.forwarded_count


@given(RANKS, RANKS)
def test_a_key_is_replaced_as_the_specification_says(held: KeyRank, new: KeyRank) -> None:
    assert backup_rules.should_replace(held, new) is is_better(new, held)


@given(st.lists(RANKS, min_size=1, max_size=5))
def test_the_order_of_uploads_does_not_matter(ranks: list[KeyRank]) -> None:
    """Whichever device comes first, the same key is left: one that none of the others beats."""
    left = set()
    for order in permutations(ranks):
        held: KeyRank | None = None
        for rank in order:
            if backup_rules.should_replace(held, rank):
                held = rank
        left.add(held)

    (kept,) = left
    assert kept is not None
    assert not any(is_better(rank, kept) for rank in ranks)


@given(st.lists(st.integers(0, backup_rules.SESSION_DATA_BYTES_MAX), max_size=500))
def test_an_upload_is_cut_into_bounded_portions_and_nothing_is_lost(sizes: list[int]) -> None:
    keys = [
        BackedUpKey(ROOM, str(number), KeyRank(False, 0, 0), bytes(size))
        for number, size in enumerate(sizes)
    ]

    portions = backup_rules.batches(keys)

    assert [key for portion in portions for key in portion] == keys
    for portion in portions:
        assert 0 < len(portion) <= backup_rules.KEYS_PER_BATCH_MAX
        assert sum(len(key.session_data) for key in portion) <= backup_rules.BATCH_BYTES_MAX


@pytest.mark.parametrize("text", ["", "01", "+1", "1 ", "-1", "1.0", "one", "١", "9" * 19, "\0"])
def test_what_no_version_is_named_names_none(text: str) -> None:
    with pytest.raises(BackupNotFound):
        backup_rules.parse_version(text)


def backup(version: int, *, is_deleted: bool = False) -> Backup:
    return Backup(version, "a", b"{}", 0, version, is_deleted)


def test_keys_go_into_the_newest_version_that_is_not_deleted() -> None:
    backups = [backup(1), backup(2), backup(3, is_deleted=True)]

    assert backup_rules.writable_version(backups, 2).version == 2
    with pytest.raises(WrongBackupVersion) as refused:
        backup_rules.writable_version(backups, 1)
    assert refused.value.extra == {"current_version": "2"}
    for version in (3, 4):
        with pytest.raises(BackupNotFound):
            backup_rules.writable_version(backups, version)


@given(st.integers(0, 2**53), st.integers(0, 2**53))
def test_a_version_is_never_that_of_an_earlier_one(last: int, now_ms: int) -> None:
    """Also where the clock was put back, and where an older copy of the data was."""
    following = backup_rules.next_serial(last, now_ms)

    assert following > last
    assert following >= now_ms


def test_of_deleted_versions_the_newest_are_remembered() -> None:
    backups = [backup(version, is_deleted=version % 2 == 0) for version in range(1, 301)]

    assert backup_rules.forgettable(backups) == list(range(100, 0, -2))
