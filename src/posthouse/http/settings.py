"""What an operator may set about the listener and its bounds."""

from typing import Annotated

from msgspec import Meta, Struct

KIB = 1024
MIB = 1024 * KIB


class HttpSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[http]`: where the server listens and what it bears."""

    listen: Annotated[
        tuple[str, ...],
        Meta(description="Addresses to listen on, as `host:port` or `[ipv6]:port`."),
    ] = ("127.0.0.1:8008",)
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses or networks whose `X-Forwarded-For` is believed. Empty: nobody's."
        ),
    ] = ()
    connections_max: Annotated[
        int, Meta(ge=1, description="Open connections; one more is answered 503 and closed.")
    ] = 50_000
    head_bytes_max: Annotated[
        int, Meta(ge=1024, description="Bytes of a request's line and headers together.")
    ] = 64 * KIB
    headers_max: Annotated[int, Meta(ge=8, description="Headers of one request.")] = 100
    target_bytes_max: Annotated[
        int, Meta(ge=256, description="Bytes of a request's path and query.")
    ] = 16 * KIB
    body_bytes_max: Annotated[
        int,
        Meta(ge=1024, description="Bytes of a body, where the endpoint has no bound of its own."),
    ] = MIB
    buffered_bytes_max: Annotated[
        int,
        Meta(
            ge=1024,
            description="Bytes of all bodies held at once; beyond it, requests are answered 503.",
        ),
    ] = 256 * MIB
    pipeline_max: Annotated[
        int, Meta(ge=1, description="Requests read ahead on one connection before it is paused.")
    ] = 16
    head_seconds: Annotated[
        float, Meta(gt=0, description="From a request's first byte to the end of its head.")
    ] = 10.0
    body_window_seconds: Annotated[
        float, Meta(gt=0, description="The span in which a body must make progress.")
    ] = 20.0
    body_window_bytes: Annotated[
        int, Meta(ge=1, description="The least progress of a body in one such span.")
    ] = 8 * KIB
    idle_seconds: Annotated[
        float, Meta(gt=0, description="How long a connection may wait for its next request.")
    ] = 120.0
    send_seconds: Annotated[
        float,
        Meta(gt=0, description="The span in which a client must take some of its answer."),
    ] = 30.0
    linger_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="How long a refused request is still read, so that the answer arrives.",
        ),
    ] = 2.0
    sweep_seconds: Annotated[
        float, Meta(gt=0, description="How often all of these bounds in time are looked at.")
    ] = 1.0
    drain_seconds: Annotated[
        float, Meta(ge=0, description="How long running requests are waited for at stop.")
    ] = 4.0


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[limits]`: how often one person or address may ask."""

    enabled: Annotated[bool, Meta(description="Whether rates are limited at all.")] = True
    factor: Annotated[float, Meta(gt=0, description="Multiplies every limit's burst and rate.")] = (
        1.0
    )
    keys_max: Annotated[
        int, Meta(ge=1024, description="People and addresses remembered at once.")
    ] = 65_536
