"""The verbs of reports: take one down, show them to the operator."""

from typing import Final

from posthouse.accounts import Accounts
from posthouse.http import Caller
from posthouse.matrix import EventId, RoomId, UserId
from posthouse.reports import store
from posthouse.reports.errors import NoSuchPerson, TooManyReports
from posthouse.reports.model import Report
from posthouse.rooms import RoomMemory, RoomViews
from posthouse.std.clock import Clock
from posthouse.storage import Database, Owner

REPORTS_PER_DAY_MAX: Final = 100
_DAY_MS: Final = 86_400_000


class Reports:
    """What people reported."""

    def __init__(
        self,
        *,
        database: Database,
        accounts: Accounts,
        memory: RoomMemory,
        views: RoomViews,
        clock: Clock,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._memory = memory
        self._views = views
        self._clock = clock

    async def report_room(self, reporter: UserId, room_id: RoomId, reason: str) -> None:
        """Takes down a report of a room. One that isn't there is answered the same, so that nobody
        finds out by reporting which rooms there are.
        """
        if await self._memory.get(room_id) is not None:
            await self._take_down(reporter, reason, room_id=room_id)

    async def report_event(
        self, reporter: Caller, room_id: RoomId, event_id: EventId, reason: str
    ) -> None:
        """Raises NoSuchEvent to who isn't in the room or doesn't see the event."""
        sender = await self._views.check_sees_as_member(reporter, room_id, event_id)
        await self._take_down(
            reporter.user_id, reason, room_id=room_id, event_id=event_id, user_id=sender
        )

    async def report_person(self, reporter: UserId, user_id: UserId, reason: str) -> None:
        """Raises NoSuchPerson; that somebody is here their profile tells as well."""
        if not await self._accounts.exists(user_id):
            raise NoSuchPerson()
        await self._take_down(reporter, reason, user_id=user_id)

    async def _take_down(
        self,
        reporter: UserId,
        reason: str,
        *,
        room_id: str = "",
        event_id: str = "",
        user_id: str = "",
    ) -> None:
        now_ms = self._clock.now_ms()
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            if await store.count_since(tx, reporter, now_ms - _DAY_MS) >= REPORTS_PER_DAY_MAX:
                raise TooManyReports(retry_after_ms=_DAY_MS)
            await store.put(tx, Report(reporter, room_id, event_id, user_id, reason, now_ms))


async def read_reports(database: Database, *, after_ms: int, limit: int) -> list[Report]:
    """The newest reports first, of those after a time."""
    return await store.newest(database.reader(of=Owner.GLOBAL), after_ms, limit)
