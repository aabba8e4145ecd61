"""The server put together: each service made once, with what it depends on, and closed in turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from posthouse.app.composition import compose
from posthouse.app.config import ConfigRefused, Settings
from posthouse.app.discovery import Discovery
from posthouse.app.ground import ground
from posthouse.app.pages import home_headers, home_page
from posthouse.app.routes import handlers
from posthouse.app.stopping import StopSignal
from posthouse.http import Exchange, Fallback, Reply, Server, Site


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


@asynccontextmanager
async def application(settings: Settings, stop: StopSignal) -> AsyncIterator[str]:
    """Serves; yields the address once it answers, and at the end answers every waiting poll."""
    async with (
        ground(settings) as here,
        compose(here) as services,
        asyncio.TaskGroup() as group,
    ):
        background = group.create_task(here.accounts.run())
        discovery = Discovery(settings)
        site = Site(
            handlers(),
            {Discovery: discovery, **services.by_type()},
            authenticator=here.accounts,
            settings=settings.http,
            limits=settings.limits,
            clock=here.clock,
            fallback=page_server(settings, discovery),
            gate=here.ownership.check,
        )
        here.ownership.listen(lambda: stop.ask(because="Another process has taken over the data."))
        server = Server(site, here.clock)
        try:
            addresses = await server.start()
        except ValueError as error:
            raise ConfigRefused([f"http.listen: {error}"]) from error
        try:
            yield f"http://{addresses[0]}"
        finally:
            await server.stop()
            background.cancel()
