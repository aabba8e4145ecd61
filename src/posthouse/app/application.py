"""The server put together: each service made once, with what it depends on, and closed in turn."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from posthouse.app.config import Settings
from posthouse.app.discovery import Discovery
from posthouse.app.pages import home_headers, home_page
from posthouse.app.routes import handlers
from posthouse.app.stopping import StopSignal
from posthouse.http import Exchange, Fallback, Reply, Server, Site
from posthouse.std.clock import SystemClock


def page_server(settings: Settings, discovery: Discovery) -> Fallback:
    """Serves what lies outside the protocol: the page at `/`."""
    headers: Final = home_headers()

    def serve(exchange: Exchange) -> Reply | None:
        if exchange.path != "/":
            return None
        page = home_page(
            settings.server.name,
            discovery.base_url(exchange.header("host")),
            settings.registration_mode,
        )
        return Reply(200, headers, page)

    return serve
