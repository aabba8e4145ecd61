"""Addresses to listen on, as people write them."""


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; an IPv6 host stands in brackets. Raises `ValueError`."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    well_formed = colon and bare and (":" not in bare or host.startswith("["))
    if not (well_formed and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f'"{text}" is not an address: write HOST:PORT, as in 127.0.0.1:8008')
    return bare, int(port)
