"""What a store may write in a statement, and what comes back: the same on both engines."""

import pytest

from posthouse.std.faults import Unavailable
from posthouse.storage import (
    Constraint,
    Database,
    Dialects,
    Insert,
    Owner,
    StatementRefused,
)
from posthouse.storage.dialect import numbered_placeholders
from tests.databases import Place
from tests.store.conftest import LETTERS

ROOM = Owner.ROOM
ALL = "SELECT position, sender, body FROM letters ORDER BY position"


async def write_letters(database: Database, *positions: int) -> None:
    async with database.transaction(of=ROOM) as transaction:
        rows = [(position, f"ada{position}", b"%d" % position) for position in positions]
        await transaction.insert_many(LETTERS, rows)


async def test_placeholders_out_of_order_are_bound_by_their_numbers(letters: Database) -> None:
    async with letters.transaction(of=ROOM) as transaction:
        await transaction.execute(
            "INSERT INTO letters (body, sender, position, txn) VALUES ($3, $2, $1, $2)",
            7,
            "boris",
            b"hello",
        )
        row = await transaction.fetch_one(
            "SELECT position, sender, body, txn FROM letters WHERE sender = $2 AND position = $1",
            7,
            "boris",
        )
    assert row == (7, "boris", b"hello", "boris")


async def test_a_dollar_inside_a_string_a_name_or_a_comment_is_left_alone(
    letters: Database,
) -> None:
    statement = """
        SELECT 'it''s $1', /* $1 is free */ 1 AS "a$1" -- so is $1
        FROM letters WHERE position = $1
    """
    assert numbered_placeholders(statement).count("?1") == 1
    await write_letters(letters, 1)
    assert await letters.reader(of=ROOM).fetch_one(statement, 1) == ("it's $1", 1)


async def test_rows_are_tuples_with_bytes_and_nothing(letters: Database) -> None:
    await write_letters(letters, 2)
    rows = await letters.reader(of=ROOM).fetch_all("SELECT position, body, txn FROM letters")
    assert rows == [(2, b"2", None)]
    assert type(rows[0]) is tuple
    assert type(rows[0][1]) is bytes
    assert await letters.reader(of=ROOM).fetch_one(f"{ALL} LIMIT 1") == (2, "ada2", b"2")
    assert (
        await letters.reader(of=ROOM).fetch_one("SELECT 1 FROM letters WHERE position = 9") is None
    )


async def test_a_list_is_one_argument(letters: Database) -> None:
    await write_letters(letters, 1, 2, 3, 4)
    reader = letters.reader(of=ROOM)
    by_position = Dialects(
        sqlite="SELECT position FROM letters "
        "WHERE position IN (SELECT value FROM json_each($1)) AND position > $2 ORDER BY 1",
        postgresql="SELECT position FROM letters "
        "WHERE position = ANY($1) AND position > $2 ORDER BY 1",
    )
    assert await reader.fetch_all(by_position, [1, 3, 4, 9], 1) == [(3,), (4,)]
    assert await reader.fetch_all(by_position, [], 1) == []
    by_sender = Dialects(
        sqlite="SELECT position FROM letters WHERE sender IN (SELECT value FROM json_each($1))",
        postgresql="SELECT position FROM letters WHERE sender = ANY($1)",
    )
    assert await reader.fetch_all(by_sender, ["ada2", "it's", "ü"]) == [(2,)]
    by_body = Dialects(
        sqlite="SELECT position FROM letters "
        "WHERE body IN (SELECT unhex(value) FROM json_each($1))",
        postgresql="SELECT position FROM letters WHERE body = ANY($1)",
    )
    assert await reader.fetch_all(by_body, [b"4", b"\x00"]) == [(4,)]


async def test_execute_counts_the_rows_it_touched(letters: Database) -> None:
    await write_letters(letters, 1, 2, 3)
    async with letters.transaction(of=ROOM) as transaction:
        change = "UPDATE letters SET stamped = $1 WHERE position >= $2"
        assert await transaction.execute(change, 1, 2) == 2
        assert await transaction.execute(change, 1, 9) == 0
        assert await transaction.execute("DELETE FROM letters") == 3


async def test_what_a_write_returns_can_be_fetched(letters: Database) -> None:
    await write_letters(letters, 1)
    async with letters.transaction(of=ROOM) as transaction:
        returned = await transaction.fetch_one(
            "UPDATE letters SET sender = $1 WHERE position = $2 RETURNING position, sender",
            "olga",
            1,
        )
    assert returned == (1, "olga")
    assert await letters.reader(of=ROOM).fetch_all(ALL) == [(1, "olga", b"1")]


async def test_a_batch_is_inserted_in_one_statement(letters: Database) -> None:
    before = letters.statements
    await write_letters(letters, *range(500))
    assert letters.statements - before == 1
    rows = await letters.reader(of=ROOM).fetch_all(ALL)
    assert [position for position, _, _ in rows] == list(range(500))
    assert rows[417] == (417, "ada417", b"417")


async def test_an_empty_batch_is_no_statement(letters: Database) -> None:
    before = letters.statements
    await write_letters(letters)
    assert letters.statements == before


async def test_a_batch_meets_rows_that_exist_as_its_conflict_clause_says(
    letters: Database,
) -> None:
    await write_letters(letters, 1, 2)
    keep = Insert(LETTERS.table, LETTERS.columns, "ON CONFLICT (position) DO NOTHING")
    replace = Insert(
        LETTERS.table,
        LETTERS.columns,
        "ON CONFLICT (position) DO UPDATE SET sender = excluded.sender WHERE letters.position > 1",
    )
    async with letters.transaction(of=ROOM) as transaction:
        await transaction.insert_many(keep, [(1, "kept out", b""), (3, "new", b"")])
        await transaction.insert_many(replace, [(1, "kept out", b""), (2, "replaced", b"")])
    rows = await letters.reader(of=ROOM).fetch_all(ALL)
    assert rows == [(1, "ada1", b"1"), (2, "replaced", b"2"), (3, "new", b"")]


async def test_a_row_that_exists_is_a_constraint(letters: Database) -> None:
    await write_letters(letters, 1)
    with pytest.raises(Constraint):
        await write_letters(letters, 2, 1)
    assert await letters.reader(of=ROOM).fetch_all(ALL) == [(1, "ada1", b"1")]


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("SELEKT 1", ()),
        ("SELECT nothing FROM letters", ()),
        ("INSERT INTO letters (position, sender, body) VALUES ($1, $2, $3)", (1, b"y", b"")),
        ("INSERT INTO letters (position, sender, body) VALUES ($1, $2, $3)", ("x", "y", b"")),
        ("INSERT INTO letters (position, sender, body) VALUES ($1, $2, $3)", (2**63, "y", b"")),
        ("INSERT INTO letters (position, sender, body) VALUES ($1, $2, $3)", (1, "y")),
        ("INSERT INTO letters (position, sender, body) VALUES ($1, $2, $3)", (1, "y", object())),
        ('SELECT "a string" FROM letters', ()),
    ],
)
async def test_a_statement_that_makes_no_sense_is_a_bug(
    letters: Database, statement: str, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(StatementRefused):
        async with letters.transaction(of=ROOM) as transaction:
            await transaction.execute(statement, *arguments)


async def test_a_reader_cannot_write(letters: Database) -> None:
    statement = "INSERT INTO letters (position, sender, body) VALUES (1, '', $1) RETURNING 1"
    with pytest.raises(Unavailable):
        await letters.reader(of=ROOM).fetch_one(statement, b"")
    async with letters.snapshot(of=ROOM) as snapshot:
        with pytest.raises(Unavailable):
            await snapshot.fetch_one(statement, b"")
    assert await letters.reader(of=ROOM).fetch_all(ALL) == []


async def test_a_table_of_another_owner_is_out_of_reach_when_split(
    letters: Database, letter_place: Place
) -> None:
    crossing = "SELECT count(*) FROM letters, drawers"
    reader = letters.reader(of=ROOM)
    if letter_place.split:
        with pytest.raises(StatementRefused):
            await reader.fetch_one(crossing)
    else:
        assert await reader.fetch_one(crossing) == (0,)
