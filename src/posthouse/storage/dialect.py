"""One SQL text for two engines: what SQLite has to be told differently.

(1) Nothing inside a string, a quoted name or a comment is ever rewritten.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from posthouse.storage.interface import Insert

_PIECES = re.compile(
    r"""
      (?P<quoted>'(?:[^']|'')*' | "(?:[^"]|"")*")
    | (?P<comment>--[^\n]* | /\*.*?\*/)
    | (?P<code>(?:[^'"/-]|-(?!-)|/(?!\*))+)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLACEHOLDER = re.compile(r"(?<![\w$])\$(\d+)")
_TYPES = re.compile(r"\b(BIGINT|SMALLINT|BYTEA)\b", re.IGNORECASE)
_SQLITE_TYPE = {"BIGINT": "INTEGER", "SMALLINT": "INTEGER", "BYTEA": "BLOB"}
_WITHOUT_ROWID = re.compile(r"/\*\s*without rowid\s*\*/", re.IGNORECASE)
_CREATE_TABLE = re.compile(r"\s*CREATE\s+TABLE\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def numbered_placeholders(statement: str) -> str:
    """`$2` as `?2`: for SQLite `$2` is a *name*, bound by first appearance, silently wrong."""
    return "".join(
        _PLACEHOLDER.sub(r"?\1", text) if kind == "code" else text
        for kind, text in _pieces(statement)
    )


@lru_cache(maxsize=512)
def sqlite_insert(insert: Insert) -> str:
    """A one-row INSERT, to be prepared once and run for each row."""
    places = ", ".join("?" for _ in insert.columns)
    return f"INSERT INTO {insert.table} ({_names(insert)}) VALUES ({places}) {insert.conflict}"


@lru_cache(maxsize=512)
def postgresql_insert(insert: Insert) -> str:
    """One statement for all rows, each column an array."""
    arrays = ", ".join(
        f"${number}::{type_}[]" for number, (_, type_) in enumerate(insert.columns, start=1)
    )
    return (
        f"INSERT INTO {insert.table} ({_names(insert)}) "
        f"SELECT * FROM unnest({arrays}) {insert.conflict}"
    )


def sqlite_script(script: str) -> str:
    """A migration as SQLite wants it: its type names, STRICT, WITHOUT ROWID where asked."""
    return "".join(map(_sqlite_definition, split_script(script)))


def split_script(script: str) -> list[str]:
    """The statements of a script, each with its semicolon; what follows the last one is dropped."""
    statements: list[str] = []
    current: list[str] = []
    for kind, text in _pieces(script):
        if kind != "code":
            current.append(text)
            continue
        head, *rest = text.split(";")
        current.append(head)
        for part in rest:
            statements.append("".join(current) + ";")
            current = [part]
    return statements


def _sqlite_definition(statement: str) -> str:
    pieces = list(_pieces(statement))
    code = "".join(text for kind, text in pieces if kind == "code")
    translated = "".join(
        _TYPES.sub(lambda match: _SQLITE_TYPE[match[1].upper()], text) if kind == "code" else text
        for kind, text in pieces
    )
    if not _CREATE_TABLE.match(code):
        return translated
    rowid = any(kind == "comment" and _WITHOUT_ROWID.fullmatch(text) for kind, text in pieces)
    return translated.removesuffix(";") + (" WITHOUT ROWID, STRICT;" if rowid else " STRICT;")


def _pieces(sql: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(sql):
        match = _PIECES.match(sql, position)
        if match is None or match.lastgroup is None:
            raise ValueError(
                f"an unfinished string or comment at {sql[position : position + 40]!r}"
            )
        yield match.lastgroup, match[0]
        position = match.end()


def _names(insert: Insert) -> str:
    return ", ".join(name for name, _ in insert.columns)
