"""The only place that knows database drivers: SQLite embedded, PostgreSQL for more.

What crosses from an engine to a store is small: `transaction`, `fetch_one`, `fetch_all`, `execute`
and `insert_many`. Statements are text with `$1` placeholders in the common subset of both engines.

(1) A transaction touches the tables of one kind of owner (`Owner`) and names it.
(2) A transaction is durable when its context ends without an exception, or it left nothing behind.
(3) What a driver raises reaches a store as one of the exceptions below, never as the driver's own.
"""

from posthouse.storage.fingerprint import describe_schema, schema_fingerprint
from posthouse.storage.folder import FolderInUse
from posthouse.storage.interface import (
    Constraint,
    Database,
    Dialects,
    InDoubt,
    Insert,
    Owner,
    Reader,
    Row,
    SchemaRefused,
    Statement,
    StatementRefused,
    Transaction,
)
from posthouse.storage.opening import open_database
from posthouse.storage.settings import StorageSettings

__all__ = [
    "Constraint",
    "Database",
    "Dialects",
    "FolderInUse",
    "InDoubt",
    "Insert",
    "Owner",
    "Reader",
    "Row",
    "SchemaRefused",
    "Statement",
    "StatementRefused",
    "StorageSettings",
    "Transaction",
    "describe_schema",
    "open_database",
    "schema_fingerprint",
]
