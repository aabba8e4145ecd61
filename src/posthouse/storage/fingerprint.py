"""What a database's tables look like, in words that are the same on both engines."""

import hashlib
import re
from typing import Final, Literal

from posthouse.storage.interface import Database, Owner, Reader

_KINDS: Final = {
    "BIGINT": "integer",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "TEXT": "text",
    "BYTEA": "bytes",
    "BLOB": "bytes",
}
_NOT_OF_THE_SCHEMA: Final = frozenset({"migrations", "database_facts"})


async def schema_fingerprint(database: Database) -> str:
    """A digest of `describe_schema`: equal where the tables are, whichever engine holds them."""
    return hashlib.sha256("\n".join(await describe_schema(database)).encode()).hexdigest()


async def describe_schema(database: Database) -> list[str]:
    """A sorted line for each column, primary key and index."""
    lines: set[str] = set()
    for owner in Owner:
        reader = database.reader(of=owner)
        lines.update(await _columns(reader, database.engine))
        lines.update(await _keys(reader, database.engine))
    return sorted(lines)


async def _columns(reader: Reader, engine: Literal["sqlite", "postgresql"]) -> list[str]:
    lines = []
    statement = _SQLITE_COLUMNS if engine == "sqlite" else _POSTGRESQL_COLUMNS
    for table, column, type_, required, default in await reader.fetch_all(statement):
        if table in _NOT_OF_THE_SCHEMA:
            continue
        kind = _KINDS.get(type_.upper())
        if kind is None:
            raise ValueError(f"{table}.{column} is {type_}: no type that both engines have")
        words = [f"column {table}.{column} {kind}"]
        if required:
            words.append("required")
        if default is not None:
            words.append("default " + re.sub(r"::[a-z ]+", "", default))
        lines.append(" ".join(words))
    return lines


async def _keys(reader: Reader, engine: Literal["sqlite", "postgresql"]) -> list[str]:
    lines = []
    statement = _SQLITE_KEYS if engine == "sqlite" else _POSTGRESQL_KEYS
    for table, name, origin, unique, partial, columns in await reader.fetch_all(statement):
        if table in _NOT_OF_THE_SCHEMA:
            continue
        if origin == "c":
            words = [f"index {table}.{name}"]
        else:  # The name of a constraint's own index is the engine's choice.
            words = ["primary key" if origin == "pk" else "unique key", f"of {table}"]
        if unique:
            words.append("unique")
        words.append(f"({columns})")
        if partial:
            words.append("partial")
        lines.append(" ".join(words))
    return lines


_SQLITE_COLUMNS: Final = """
    SELECT t.name, c.name, c.type, c."notnull" OR c.pk > 0, c.dflt_value
    FROM pragma_table_list AS t, pragma_table_info(t.name) AS c
    WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
"""

_POSTGRESQL_COLUMNS: Final = """
    SELECT c.table_name::text, c.column_name::text, c.udt_type, c.required, c.fallback
    FROM (
        SELECT r.relname AS table_name, a.attname AS column_name,
               format_type(a.atttypid, a.atttypmod) AS udt_type,
               a.attnotnull::int AS required, pg_get_expr(d.adbin, d.adrelid) AS fallback
        FROM pg_class AS r
        JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
        WHERE r.relkind = 'r' AND r.relnamespace = current_schema()::regnamespace
    ) AS c
"""

# A table whose key is its row number has no index for it on SQLite: its columns say so.
_SQLITE_KEYS: Final = """
    SELECT t.name, i.name, i.origin, i."unique", i.partial,
           (SELECT group_concat(coalesce(x.name, '(expression)') ||
                                CASE x."desc" WHEN 1 THEN ' desc' ELSE '' END, ', ')
            FROM (SELECT * FROM pragma_index_xinfo(i.name) ORDER BY seqno) AS x WHERE x.key = 1)
    FROM pragma_table_list AS t, pragma_index_list(t.name) AS i
    WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
    UNION ALL
    SELECT t.name, '', 'pk', 1, 0,
           (SELECT c.name FROM pragma_table_info(t.name) AS c WHERE c.pk = 1)
    FROM pragma_table_list AS t
    WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
      AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) AS c WHERE c.pk = 1)
      AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) AS i WHERE i.origin = 'pk')
"""

_POSTGRESQL_KEYS: Final = """
    SELECT r.relname::text, x.relname::text,
           CASE WHEN i.indisprimary THEN 'pk'
                WHEN EXISTS (SELECT 1 FROM pg_constraint AS k WHERE k.conindid = x.oid) THEN 'u'
                ELSE 'c' END,
           i.indisunique::int, (i.indpred IS NOT NULL)::int,
           (SELECT string_agg(
                coalesce((SELECT a.attname::text FROM pg_attribute AS a
                          WHERE a.attrelid = r.oid AND a.attnum = p.attnum), '(expression)') ||
                CASE WHEN i.indoption[p.place::int - 1] & 1 = 1 THEN ' desc' ELSE '' END,
                ', ' ORDER BY p.place)
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS p(attnum, place)
            WHERE p.place <= i.indnkeyatts)
    FROM pg_index AS i
    JOIN pg_class AS r ON r.oid = i.indrelid
    JOIN pg_class AS x ON x.oid = i.indexrelid
    WHERE r.relkind = 'r' AND r.relnamespace = current_schema()::regnamespace
"""
