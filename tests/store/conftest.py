"""Tables of the tests' own, on each engine, whole and split."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse.storage import Database, Insert
from tests.conftest import place_of_kind
from tests.databases import Place

TABLES = Path(__file__).parent / "migrations"

LETTERS = Insert("letters", (("position", "bigint"), ("sender", "text"), ("body", "bytea")))


@pytest.fixture
async def letter_place(
    _every_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Place]:
    async with place_of_kind(_every_kind, tmp_path, request, TABLES) as place:
        yield place


@pytest.fixture
async def letters(letter_place: Place) -> AsyncIterator[Database]:
    """`letters` is a room's table, `drawers` a person's, `stamps` global."""
    async with letter_place.opened() as database:
        yield database
