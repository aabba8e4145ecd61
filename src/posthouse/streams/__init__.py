"""Logs with one writer: everything durable that a client can wait for is an entry in one of them.

Room streams hold what happens in rooms, user streams what is for one person (docs/architecture.md
§3). What the streams promise, cited by number in code and tests:

(1) Positions are appended gaplessly and become visible in order.
(2) Only the owner writes for a stream; the fence row makes a stale one's transaction fail.
(3) An entry is announced (waking syncs, consumers) only after its commit.
(4) After a commit that failed or is in doubt nothing is accepted until the fence row was read.
"""

from posthouse.streams.checking import all_streams, check_user_streams, purged_ranges
from posthouse.streams.consumers import (
    GET_USER_CURSOR,
    SET_USER_CURSOR,
    Consumer,
    ConsumerLoop,
)
from posthouse.streams.errors import Overloaded, SteppedDown
from posthouse.streams.facts import ServerFacts, begin_generation, fact, load_facts, set_fact
from posthouse.streams.levels import (
    StreamMap,
    ancestors_of,
    level_of_count,
    position_of,
    room_key,
    routing_hash,
    row_id,
)
from posthouse.streams.ownership import Ownership
from posthouse.streams.room_streams import ROOM_TABLE, RoomLayers, RoomStreams
from posthouse.streams.splitting import CannotSplit, split_streams
from posthouse.streams.tail import Tail
from posthouse.streams.tokens import (
    RoomToken,
    SyncToken,
    decode_room_token,
    decode_sync_token,
    device_tag,
)
from posthouse.streams.user_streams import (
    USER_TABLE,
    EntryKind,
    UserEntry,
    UserStreams,
    Write,
)
from posthouse.streams.writer import Batch, WriterState

__all__ = [
    "GET_USER_CURSOR",
    "ROOM_TABLE",
    "SET_USER_CURSOR",
    "USER_TABLE",
    "Batch",
    "CannotSplit",
    "Consumer",
    "ConsumerLoop",
    "EntryKind",
    "Overloaded",
    "Ownership",
    "RoomLayers",
    "RoomStreams",
    "RoomToken",
    "ServerFacts",
    "SteppedDown",
    "StreamMap",
    "SyncToken",
    "Tail",
    "UserEntry",
    "UserStreams",
    "Write",
    "WriterState",
    "all_streams",
    "ancestors_of",
    "begin_generation",
    "check_user_streams",
    "decode_room_token",
    "decode_sync_token",
    "device_tag",
    "fact",
    "level_of_count",
    "load_facts",
    "position_of",
    "purged_ranges",
    "room_key",
    "routing_hash",
    "row_id",
    "set_fact",
    "split_streams",
]
