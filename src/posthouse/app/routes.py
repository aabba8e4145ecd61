"""All endpoints of the server: the one list that routes, tests and documents are made from."""

from posthouse.app import endpoints
from posthouse.http import Handler, collect


def handlers() -> list[Handler]:
    """The handlers of every domain, each with its routes attached."""
    packages = (endpoints,)
    return [handler for package in packages for handler in collect(package)]
