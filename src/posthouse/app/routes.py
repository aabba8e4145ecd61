"""All endpoints of the server: the one list that routes, tests and documents are made from."""

import posthouse.accounts.endpoints
import posthouse.app.endpoints
import posthouse.devices.endpoints
import posthouse.directory.endpoints
import posthouse.media.endpoints
import posthouse.push.endpoints
import posthouse.reports.endpoints
import posthouse.rooms.endpoints
import posthouse.sync.endpoints
from posthouse.http import Handler, collect


def handlers() -> list[Handler]:
    """The handlers of every domain, each with its routes attached."""
    packages = (
        posthouse.app.endpoints,
        posthouse.accounts.endpoints,
        posthouse.devices.endpoints,
        posthouse.directory.endpoints,
        posthouse.media.endpoints,
        posthouse.rooms.endpoints,
        posthouse.reports.endpoints,
        posthouse.sync.endpoints,
        posthouse.push.endpoints,
    )
    return [handler for package in packages for handler in collect(package)]
