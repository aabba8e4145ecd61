"""The listener: sockets, the sweep over all connections, and an orderly stop."""

import asyncio
import socket
from typing import Final

from posthouse.http.heads import Heads
from posthouse.http.protocol import Connection
from posthouse.http.site import Site
from posthouse.std.clock import Clock

_SWEPT_AT_ONCE: Final = 2000
"""Connections that one turn of the loop looks at."""

_DRAINED_AT_ONCE: Final = 100


class Server:
    """Serves a site on its settings' addresses.

    Owns the connections and the one timer; the site owns the tasks.
    """

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site = site
        self.settings = site.settings
        self.heads = Heads(clock)
        self.draining = False
        """Set once, by `stop`: answers say that they are the connection's last."""
        self.buffered = 0
        """Bytes of bodies held in memory for requests under way."""
        self._clock = clock
        self.now = clock.monotonic()
        """The time of the last sweep; precise enough for bounds of seconds."""
        self._connections: set[Connection] = set()
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._rest: list[Connection] = []
        self._all_gone = asyncio.Event()
        """Set once the last connection is lost after `stop`."""

    async def start(self) -> list[str]:
        """Listens; returns the addresses as `host:port`, with the ports that were found free.

        Raises OSError where an address can't be had, and ValueError where it is none.
        """
        loop = asyncio.get_running_loop()
        addresses: list[str] = []
        try:
            for address in self.settings.listen:
                host, port = split_address(address)
                listener = await loop.create_server(
                    lambda: Connection(self), host, port, backlog=1024, reuse_address=True
                )
                self._listeners.append(listener)
                addresses.extend(_address_of(one) for one in listener.sockets)
        except BaseException:
            for listener in self._listeners:
                listener.close()
            raise
        self._timer = loop.call_later(self.settings.sweep_seconds, self._tick)
        return addresses

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def stop(self) -> None:
        """Stops accepting, has every poll answered, waits (bounded) for what runs, closes."""
        self.draining = True
        if not self._connections:
            self._all_gone.set()
        for listener in self._listeners:
            listener.close()
        for index, connection in enumerate(tuple(self._connections)):
            connection.drain()
            if index % _DRAINED_AT_ONCE == _DRAINED_AT_ONCE - 1:
                await asyncio.sleep(0)  # lets answers out while the rest are being made
        await self.site.tasks.finish(self.settings.drain_seconds)
        await self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in tuple(self._connections):
            connection.abort()
        await self._all_gone.wait()
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()

    async def _flush(self) -> None:
        """Gives clients a moment to take their last answers: one that reads takes it at once."""
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._all_gone.wait()
        except TimeoutError:
            return

    # For connections

    def admit(self, connection: Connection) -> bool:
        """False for a connection too many; it is looked after all the same until it closes."""
        self._connections.add(connection)
        return len(self._connections) <= self.settings.connections_max and not self.draining

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self.draining and not self._connections:
            self._all_gone.set()

    # The sweep

    def sweep(self) -> None:
        """Looks at the bounds in time of all connections, some thousands a turn of the loop."""
        self.now = self._clock.monotonic()
        self.heads.refresh()
        if not self._rest:
            self._rest = list(self._connections)
            self._sweep_some()

    def _sweep_some(self) -> None:
        now = self.now
        rest = self._rest
        some = rest[-_SWEPT_AT_ONCE:]
        del rest[-_SWEPT_AT_ONCE:]
        for connection in some:
            if connection.deadline <= now or connection.write_deadline <= now:
                connection.overdue()
        if rest:
            asyncio.get_running_loop().call_soon(self._sweep_some)

    def _tick(self) -> None:
        self.sweep()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.settings.sweep_seconds, self._tick)


_FLUSH_SECONDS: Final = 0.5


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[ipv6]:port`. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{address!r}: an IPv6 address is written in brackets")
    return host, int(port)


def _address_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
