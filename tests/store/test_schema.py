"""The schema: migrations run once, and both engines end with the same tables."""

from pathlib import Path

from posthouse.storage import describe_schema, schema_fingerprint
from tests.databases import Place


async def test_both_engines_whole_and_split_hold_the_same_tables(
    every_place: Place, tmp_path: Path
) -> None:
    reference = Place(settings=type(every_place.settings)(), data=tmp_path / "reference")
    async with reference.opened() as whole, every_place.opened() as other:
        assert await describe_schema(other) == await describe_schema(whole)
        assert await schema_fingerprint(other) == await schema_fingerprint(whole)
        assert any("user_entries" in line for line in await describe_schema(whole))
