"""Where a request came from, behind proxies that are trusted and past those that are not."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ProxyTrust:
    """The networks whose `X-Forwarded-For` is believed."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks: tuple[Network, ...] = tuple(
            ipaddress.ip_network(network, strict=False) for network in networks
        )

    def trusts(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)

    def client_address(self, peer: str, forwarded: str | None) -> str:
        """The nearest address that no trusted proxy stands for.

        Read from the right: each proxy appends whom it saw, and what a client wrote itself stands
        furthest left. An entry that is no address ends the walk at the last one believed.
        """
        if forwarded is None or not self.trusts(peer):
            return peer
        believed = peer
        for entry in reversed(forwarded.split(",")):
            address = _bare(entry.strip())
            if address is None:
                return believed
            believed = address
            if not self.trusts(address):
                return address
        return believed


def _bare(entry: str) -> str | None:
    """An entry without port and brackets, or None if it is no address."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(ipaddress.ip_address(entry))
    except ValueError:
        return None
