"""The oracle can fail: mistakes put into the server, one at a time, are each found by it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.errors import Flaky

from posthouse.accounts import RoomFilter
from posthouse.devices import ToDevice
from posthouse.matrix import OPEN, DeviceId, Range, UserId
from posthouse.rooms import Event, MembershipProjector, Room, reading
from posthouse.streams import RoomToken
from posthouse.sync import assembly, fragments
from posthouse.sync.home import Home
from tests.model.lives import live
from tests.model.test_oracle import IN_SHORT

UNTIL_FOUND = settings(IN_SHORT, max_examples=60, report_multiple_bugs=False)


class Mistake:
    """One mistake in the server; the lives that are to find it."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, request: pytest.FixtureRequest):
        self._patch = patch
        self._folder = folder
        self._request = request

    def is_found(self, owner: object, name: str, wrong: object) -> None:
        self._patch.setattr(owner, name, wrong)
        # A mistake that is a race isn't made again when hypothesis tries the same life anew.
        with pytest.raises((AssertionError, Flaky)):
            live(UNTIL_FOUND, "sqlite", self._folder, self._request)


@pytest.fixture
def mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> Mistake:
    return Mistake(monkeypatch, tmp_path, request)


@pytest.mark.long
def test_fragments_that_forget_where_the_reader_stood(mistake: Mistake) -> None:
    """Whoever polls next gets the first one's part of the room."""
    real = fragments.Fragments.of

    def of(
        self: fragments.Fragments,
        room: Room,
        events: Sequence[Event],
        wanted: RoomFilter,
        state_after: bytes | None,
        *,
        now_ms: int,
    ) -> bytes:
        end = (events[-1].position, wanted, state_after)
        for key, text in self._built.items():
            if (key[0], *key[2:]) == (room.key, *end):
                return text
        return real(self, room, events, wanted, state_after, now_ms=now_ms)

    mistake.is_found(fragments.Fragments, "of", of)


def test_a_home_that_trusts_its_dirty_set_from_before_it_was_there(mistake: Mistake) -> None:
    """The floor is ignored: what changed while nobody was online is passed over."""
    mistake.is_found(Home, "knows_since", lambda _home, _positions: True)


def test_a_sight_that_ignores_memberships(mistake: Mistake) -> None:
    def all_of_it(_visibilities: object, memberships: Sequence[object]) -> list[Range]:
        return [Range(1, OPEN)] if memberships else []

    mistake.is_found(reading, "visible_ranges", all_of_it)


def test_messages_to_devices_deleted_before_they_were_fetched(mistake: Mistake) -> None:
    """A token deletes up to the head instead of up to the position that it presents."""
    real = ToDevice.acknowledge

    async def acknowledge(self: ToDevice, user_id: UserId, device_id: DeviceId, up_to: int) -> None:
        del up_to
        await real(self, user_id, device_id, self._streams.head_of(user_id))

    mistake.is_found(ToDevice, "acknowledge", acknowledge)


def test_a_prev_batch_one_too_early(mistake: Mistake) -> None:
    def one_less(generation: int, position: int) -> RoomToken:
        return RoomToken(generation, max(position - 1, 0))

    mistake.is_found(assembly, "RoomToken", one_less)


def test_a_token_ahead_of_the_memberships(mistake: Mistake) -> None:
    """The head of a room's stream enters a token before the pointer to a join is there."""

    def head_of_all(_self: object, _stream: int, _user_id: UserId, head: int) -> int:
        return head

    mistake.is_found(MembershipProjector, "known_up_to", head_of_all)


def test_state_before_a_gap_that_is_not_told(mistake: Mistake) -> None:
    """A limited timeline comes without the state that changed before it."""

    async def nothing(_self: object, _span: object) -> list[Event]:
        return []

    mistake.is_found(reading.Reading, "state_between", nothing)
