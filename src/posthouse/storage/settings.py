"""Where the data lies and how many connections serve it."""

from datetime import timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct


class StorageSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The section `[storage]` of the configuration."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^(sqlite|postgres(ql)?://.+)$",
            description=(
                "`sqlite` keeps everything in the data folder; "
                "`postgresql://user:password@host/database` uses a server, 15 or newer, "
                "with a database of encoding UTF8 and collation C."
            ),
        ),
    ] = "sqlite"
    connections: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description=(
                "The most connections for reading, and again for writing, "
                "that each process opens to PostgreSQL."
            ),
        ),
    ] = 8
    timeout: Annotated[
        timedelta,
        Meta(
            description=(
                "How long a statement may run, or wait for its turn, "
                "before the request is answered 503."
            ),
        ),
    ] = timedelta(seconds=10)
    checkpoint_pages: Annotated[
        int,
        Meta(
            ge=100,
            description=(
                "SQLite: after how many pages of 4 KiB the write-ahead log is folded into the "
                "database file. The log's file is about this large, and up to twice."
            ),
        ),
    ] = 2000

    @property
    def engine(self) -> Literal["sqlite", "postgresql"]:
        return "sqlite" if self.url == "sqlite" else "postgresql"
