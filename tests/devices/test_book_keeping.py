"""One-time keys against a model: whatever happens in which order, each is given once."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthouse.devices.errors import KeyChanged
from tests.devices.office import Json, Office, Phone

NAMES = ("a", "b", "c")
_people = itertools.count()


@dataclass(frozen=True)
class Upload:
    """Publishes keys under these names; `other` is a content that isn't the first one's."""

    names: frozenset[str]
    other: bool = False


@dataclass(frozen=True)
class Fallback:
    name: str


@dataclass(frozen=True)
class Claims:
    """So many at once."""

    count: int


@dataclass(frozen=True)
class NewSession:
    """Signs out, and in again under the same device id."""


Step = Upload | Fallback | Claims | NewSession

STEPS = st.one_of(
    st.builds(Upload, st.frozensets(st.sampled_from(NAMES), min_size=1)),
    st.builds(Upload, st.frozensets(st.sampled_from(NAMES), min_size=1), st.booleans()),
    st.builds(Fallback, st.sampled_from(("f", "g"))),
    st.builds(Claims, st.integers(1, 3)),
    st.builds(Claims, st.integers(1, 2)),
    st.just(NewSession()),
)


@dataclass
class Book:
    """What a device's keys must be."""

    contents: dict[str, str] = field(default_factory=dict)
    """The first content of each name, also of those given out."""
    waiting: list[set[str]] = field(default_factory=list)
    """Names not yet given, by upload: within one there is no order."""
    fallback: str | None = None
    fallback_used: bool = False

    def count(self) -> int:
        return sum(map(len, self.waiting))

    def accepts(self, keys: dict[str, str]) -> bool:
        return all(self.contents.get(name, content) == content for name, content in keys.items())

    def upload(self, keys: dict[str, str]) -> None:
        self.waiting.append({name for name in keys if name not in self.contents})
        self.contents |= keys

    def give(self, names: Sequence[str | None]) -> None:
        """Checks what claims at the same time were given."""
        for name in sorted(names, key=lambda n: n is None or n == self.fallback):
            oldest = next((names for names in self.waiting if names), None)
            if oldest is None:
                assert name == self.fallback
                self.fallback_used = True
            else:
                assert name is not None
                candidates = [names for names in self.waiting if name in names]
                assert candidates, f"{name} was given twice, or never uploaded"
                candidates[0].remove(name)
                if len(names) == 1:
                    assert candidates[0] is oldest, "an older key was passed over"


def _key(name: str, content: str) -> Json:
    return {f"signed_curve25519:{name}": {"key": content, "signatures": {}}}


@given(steps=st.lists(STEPS, min_size=3, max_size=12))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_each_key_is_given_once(office: Office, steps: list[Step]) -> None:
    await _follow(office, steps)


@pytest.mark.long
@given(steps=st.lists(STEPS, max_size=40))
@settings(
    max_examples=1_000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_each_key_is_given_once_at_length(office: Office, steps: list[Step]) -> None:
    await _follow(office, steps)


async def _follow(office: Office, steps: list[Step]) -> None:
    owner = await office.phone(f"owner{next(_people)}")
    claimer = await office.phone("boris")
    book = Book()
    for step in steps:
        match step:
            case Upload(names, other):
                keys = {name: f"{'other' if other else 'first'} {name}" for name in names}
                await _upload(owner, book, keys)
            case Fallback(name):
                await owner.uploads(fallback_keys=_key(name, f"fallback {name}"))
                if book.fallback != name:
                    book.fallback, book.fallback_used = name, False
            case Claims(count):
                given_names = await asyncio.gather(
                    *(claimer.claims_one(owner) for _ in range(count))
                )
                book.give([name and name.partition(":")[2] for name in given_names])
            case NewSession():
                await owner.signs_out()
                await office.settles()
                owner = await office.signs_in(owner.user_id, owner.device_id)
                book = Book()
        counts = await office.devices.key_counts(owner.user_id, owner.device_id)
        assert counts.one_time == {"signed_curve25519": book.count()}
        unused = book.fallback is not None and not book.fallback_used
        assert counts.unused_fallback == ["signed_curve25519"] * unused


async def _upload(owner: Phone, book: Book, keys: dict[str, str]) -> None:
    uploaded: Json = {}
    for name, content in keys.items():
        uploaded |= _key(name, content)
    if book.accepts(keys):
        await owner.uploads(one_time_keys=uploaded)
        book.upload(keys)
    else:
        with pytest.raises(KeyChanged):
            await owner.uploads(one_time_keys=uploaded)
