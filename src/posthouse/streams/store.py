"""The SQL of the streams' own tables."""

from dataclasses import dataclass

from posthouse.storage import Reader, Transaction


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream as its table has it."""

    stream: int
    epoch: int
    head: int
    touched: int
    start: int
    """The head of the parent at the split that made it; 0 for a first one."""


class StreamTable:
    """`room_streams` or `user_streams`: one row a stream, the fence of its writer."""

    def __init__(self, name: str) -> None:
        self._advance = (
            f"UPDATE {name} SET head = $1, touched = $2 "
            "WHERE stream = $3 AND epoch = $4 AND head = $5"
        )
        self._take_over = (
            f"UPDATE {name} SET epoch = epoch + 1 WHERE stream = $1 RETURNING epoch, head, touched"
        )
        self._read = f"SELECT stream, epoch, head, touched, start FROM {name} WHERE stream = $1"
        self._live = (
            f"SELECT stream, epoch, head, touched, start FROM {name} WHERE retired = 0 "
            "ORDER BY stream"
        )
        self._create = (
            f"INSERT INTO {name} (stream, epoch, head, touched, start, retired) "
            "VALUES ($1, 0, $2, $3, $2, 0)"
        )
        self._retire = f"UPDATE {name} SET retired = 1, epoch = epoch + 1 WHERE stream = $1"
        self._jump = f"UPDATE {name} SET head = head + $1, epoch = epoch + 1 WHERE retired = 0"

    async def advance(
        self, tx: Transaction, stream: int, *, epoch: int, old: int, new: int, touched: int
    ) -> bool:
        """Moves the head; False where epoch or head are not what the writer believes."""
        return await tx.execute(self._advance, new, touched, stream, epoch, old) == 1

    async def take_over(self, tx: Transaction, stream: int) -> tuple[int, int, int]:
        """A new epoch: (epoch, head, touched)."""
        row = await tx.fetch_one(self._take_over, stream)
        if row is None:
            raise LookupError(f"stream {stream} does not exist")
        return row[0], row[1], row[2]

    async def read(self, reader: Reader, stream: int) -> StreamRow | None:
        row = await reader.fetch_one(self._read, stream)
        return StreamRow(*row) if row else None

    async def live(self, reader: Reader) -> list[StreamRow]:
        """The streams of the current split level."""
        return [StreamRow(*row) for row in await reader.fetch_all(self._live)]

    async def create(self, tx: Transaction, stream: int, *, head: int, touched: int) -> None:
        await tx.execute(self._create, stream, head, touched)

    async def retire(self, tx: Transaction, stream: int) -> None:
        """Closes a stream that was split; its epoch moves so that no writer goes on with it."""
        await tx.execute(self._retire, stream)

    async def jump(self, tx: Transaction, by: int) -> None:
        """Moves every head forward, past what clients of a lost database may hold."""
        await tx.execute(self._jump, by)
