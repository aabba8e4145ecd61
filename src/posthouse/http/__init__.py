"""HTTP: from bytes on a socket to a handler's arguments, and from its result to bytes again.

An endpoint is a function from a request to a response that doesn't know the transport; the routes
are attached to it by decorators. `app` collects the handlers, makes a `Site` of them and their
services, and serves it by a `Server`.

(1) Everything that a client can fill or hold up has a bound: see `settings`.
(2) Every answer, errors included, has the shape and the CORS headers that the protocol asks for.
(3) Neither bodies nor tokens are logged, and of faults and bugs nothing inside is told.
"""

from posthouse.http.answers import FileBody, RawJson, Reply, encode_json
from posthouse.http.binding import Header, PeerAddress, Query, RawBody
from posthouse.http.bodies import BodyStream
from posthouse.http.callers import Auth, Authenticator, Caller
from posthouse.http.errors import ClientGone
from posthouse.http.exchange import Exchange
from posthouse.http.limits import Limit, RateLimiter
from posthouse.http.routes import (
    UNBOUNDED,
    Handler,
    Route,
    collect,
    delete,
    get,
    poll,
    post,
    put,
    routes_of,
)
from posthouse.http.server import Server
from posthouse.http.settings import HttpSettings, LimitSettings
from posthouse.http.site import Fallback, Site

__all__ = [
    "UNBOUNDED",
    "Auth",
    "Authenticator",
    "BodyStream",
    "Caller",
    "ClientGone",
    "Exchange",
    "Fallback",
    "FileBody",
    "Handler",
    "Header",
    "HttpSettings",
    "Limit",
    "LimitSettings",
    "PeerAddress",
    "Query",
    "RateLimiter",
    "RawBody",
    "RawJson",
    "Reply",
    "Route",
    "Server",
    "Site",
    "collect",
    "delete",
    "encode_json",
    "get",
    "poll",
    "post",
    "put",
    "routes_of",
]
