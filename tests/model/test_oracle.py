"""What everybody was told, together, is what happened: nothing lost, twice, or told to the wrong.

The union of syncs and back-pagination is compared with a model of rooms, visibility and to-device
messages (`model`), over random lives (`machine`) that hold restarts and tokens of every kind.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.model.lives import live

IN_SHORT = settings(
    max_examples=50,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
    print_blob=False,
)


@pytest.fixture
def engine(_kind: str) -> str:
    return _kind


def test_what_everybody_was_told_is_what_happened(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    live(IN_SHORT, engine, tmp_path, request)


@pytest.mark.long
def test_what_everybody_was_told_is_what_happened_in_long_lives(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    long = settings(IN_SHORT, max_examples=1_000, stateful_step_count=60, derandomize=False)
    live(long, engine, tmp_path, request)
