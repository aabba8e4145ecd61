"""What is delivered to people: `/v3/sync`, the people online, the bells that wake them.

Owns no table: everything durable that it tells of lies below. What others rely on:

(1) A live incremental sync costs what changed; a cold one, one comparison per joined room.
(2) A position enters a token only when the process holds everything relevant up to it.
(3) Delivering costs who is online, never the size of the room.
"""

from posthouse.sync.assembly import Assembler
from posthouse.sync.changes import KeyChanges
from posthouse.sync.device_lists import DeviceListReader
from posthouse.sync.service import Sync

__all__ = ["Assembler", "DeviceListReader", "KeyChanges", "Sync"]
