"""The SQL of reports."""

from typing import Final

from posthouse.matrix import UserId
from posthouse.reports.model import Report
from posthouse.storage import Reader, Transaction

_PUT: Final = """
    INSERT INTO reports (reporter, room_id, event_id, user_id, reason, reported_ms)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (reporter, room_id, event_id, user_id) DO UPDATE
        SET reason = excluded.reason, reported_ms = excluded.reported_ms
"""


async def put(tx: Transaction, report: Report) -> None:
    """Keeps a report in the place of an earlier one on the same thing."""
    await tx.execute(
        _PUT,
        report.reporter,
        report.room_id,
        report.event_id,
        report.user_id,
        report.reason,
        report.reported_ms,
    )


_COUNT: Final = "SELECT COUNT(*) FROM reports WHERE reporter = $1 AND reported_ms > $2"


async def count_since(reader: Reader, reporter: UserId, after_ms: int) -> int:
    row = await reader.fetch_one(_COUNT, reporter, after_ms)
    return int(row[0]) if row else 0


_NEWEST: Final = """
    SELECT reporter, room_id, event_id, user_id, reason, reported_ms FROM reports
    WHERE reported_ms > $1 ORDER BY reported_ms DESC, reporter LIMIT $2
"""


async def newest(reader: Reader, after_ms: int, limit: int) -> list[Report]:
    """The newest first."""
    return [
        Report(UserId(row[0]), row[1], row[2], row[3], row[4], row[5])
        for row in await reader.fetch_all(_NEWEST, after_ms, limit)
    ]
