"""Reports: what people tell the operator of rooms, events and people.

Owns one global table. Nobody but the operator reads it; nobody learns who reported them.

(1) A report names what it is about by id and keeps no copy of it: what is redacted or sealed stays so.
(2) A person's reports are bounded by day; reporting the same thing again replaces the reason.
"""

from posthouse.reports.model import Report
from posthouse.reports.service import Reports, read_reports

__all__ = ["Report", "Reports", "read_reports"]
