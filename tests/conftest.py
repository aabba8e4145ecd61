"""What every test may ask for: a place for data on each engine, and a database opened there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest
import uvloop

from posthouse.storage import Database, StorageSettings
from posthouse.storage.migrations import BUILT_IN
from tests.databases import Place, PostgresqlPlaces
from tests.postgresql_server import PostgresqlProcess
from tests.world import World, world_at

ENGINES = ("sqlite", "postgresql")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server runs on uvloop, so its tests do."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=(*ENGINES, "both"),
        default="both",
        help="run the tests that need a database on one engine only",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`place` runs on each engine, `every_place` also on the database split in three."""
    chosen = metafunc.config.getoption("--engine")
    engines = ENGINES if chosen == "both" else (chosen,)
    if "_kind" in metafunc.fixturenames:
        metafunc.parametrize("_kind", engines, indirect=True)
    if "_every_kind" in metafunc.fixturenames:
        kinds = [*engines, *(f"{engine}-split" for engine in engines)]
        metafunc.parametrize("_every_kind", kinds, indirect=True)


@pytest.fixture
def _kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def _every_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlPlaces]:
    """One server for the whole session. It skips fsync: what is tested on it isn't crashes."""
    server = PostgresqlProcess(fsync=False)
    try:
        server.start()
        yield PostgresqlPlaces(server)
    finally:
        server.remove()


@pytest.fixture
async def place(_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with place_of_kind(_kind, tmp_path, request) as one:
        yield one


@pytest.fixture
async def every_place(
    _every_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Place]:
    async with place_of_kind(_every_kind, tmp_path, request) as one:
        yield one


@pytest.fixture
async def database(place: Place) -> AsyncIterator[Database]:
    async with place.opened() as opened:
        yield opened


@pytest.fixture
async def every_database(every_place: Place) -> AsyncIterator[Database]:
    """For the tests of stores, so that a statement across owners fails at once."""
    async with every_place.opened() as opened:
        yield opened


@pytest.fixture
async def world(place: Place) -> AsyncIterator[World]:
    """A server with several streams of each kind: one of each is only a setting."""
    async with world_at(place, room_streams=4, user_streams=2) as running:
        yield running


@asynccontextmanager
async def place_of_kind(
    kind: str,
    folder: Path,
    request: pytest.FixtureRequest,
    migrations: Traversable = BUILT_IN,
) -> AsyncIterator[Place]:
    """`kind` is an engine's name, with `-split` behind it for three databases."""
    engine, _, split = kind.partition("-")
    if engine == "sqlite":
        yield Place(StorageSettings(), folder / "data", bool(split), migrations)
        return
    places: PostgresqlPlaces = request.getfixturevalue("postgresql")
    async with places.place(folder / "data", split=bool(split), migrations=migrations) as place:
        yield place
