"""The room streams: one judging writer each, and who hears of what they commit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from posthouse.storage import Database
from posthouse.streams.levels import StreamMap
from posthouse.streams.ownership import Ownership
from posthouse.streams.store import StreamTable
from posthouse.streams.writer import Batch, JudgingWriter

T = TypeVar("T")

ROOM_TABLE: Final = StreamTable("room_streams")


class RoomLayers(Protocol):
    """What keeps the rooms of a stream in memory, in two layers."""

    def dropped(self, stream: int) -> None:
        """Pending is void: what was judged and not committed never happened."""
        ...

    def reset(self, stream: int) -> None:
        """Memory may be wrong: everything of the stream is to be read again."""
        ...

    async def refill(self, stream: int, head: int) -> None:
        """Reads what the next judgement can't do without after a reset."""
        ...

    def committed(self, stream: int, head: int) -> None:
        """The stream's head is here now, and what it brought was applied."""
        ...


class RoomStreams:
    """All room streams of this process."""

    def __init__(
        self,
        database: Database,
        streams: StreamMap,
        layers: RoomLayers,
        ownership: Ownership | None = None,
    ) -> None:
        ownership = ownership or Ownership()
        self.streams = streams
        self.writers = {
            stream: JudgingWriter(
                database,
                stream,
                ownership=ownership,
                dropped=layers.dropped,
                reset=layers.reset,
                refill=layers.refill,
                committed=layers.committed,
            )
            for stream in streams.ids
        }

    async def take_over(self) -> None:
        """Becomes the owner of every stream, before anything is answered."""
        for writer in self.writers.values():
            await writer.take_over()

    async def run(self) -> None:
        """Commits until closed."""
        async with asyncio.TaskGroup() as group:
            for writer in self.writers.values():
                group.create_task(writer.run())

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()

    def submit(self, stream: int, judge: Callable[[Batch], T]) -> Awaitable[T]:
        """Judges a job now; the result is there when it is durable."""
        return self.writers[stream].submit(judge)

    def head(self, stream: int) -> int:
        """The newest position that is committed and announced."""
        return self.writers[stream].head

    def heads(self) -> tuple[int, ...]:
        """The heads of all streams, in the order of a token's vector."""
        return tuple([writer.head for writer in self.writers.values()])

    def serials(self) -> tuple[int, ...]:
        """The second serials, in the same order."""
        return tuple([writer.touched for writer in self.writers.values()])

    async def wait_until_accepting(self) -> None:
        """Until no writer is finding out what became of a failed commit."""
        for writer in self.writers.values():
            await writer.wait_until_settled()
