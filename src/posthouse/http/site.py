"""What is served: routes, services, who may ask and how often. Knows nothing of sockets."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, Protocol

from posthouse.http import cors
from posthouse.http.addresses import ProxyTrust
from posthouse.http.answers import Reply
from posthouse.http.binding import Binding, bind
from posthouse.http.callers import Auth, Authenticator, Caller
from posthouse.http.exchange import Exchange
from posthouse.http.limits import RateLimiter, address_key
from posthouse.http.routes import UNBOUNDED, Handler, Route, Router, routes_of
from posthouse.http.settings import HttpSettings, LimitSettings
from posthouse.http.tasks import Tasks
from posthouse.matrix import MissingToken, Refusal, Unrecognized, WrongMethod
from posthouse.std.clock import Clock

Fallback = Callable[[Exchange], Reply | None]
"""Serves GET and HEAD of whatever lies outside the protocol; None is a plain 404."""


class Endpoint(Protocol):
    """Something that answers exchanges."""

    @property
    def name(self) -> str:
        """For logs."""
        ...

    @property
    def body_limit(self) -> int:
        """Bytes; `UNBOUNDED` where the handler counts."""
        ...

    @property
    def streams_body(self) -> bool:
        """Whether it is asked before the body has arrived."""
        ...

    @property
    def is_poll(self) -> bool: ...

    @property
    def cors(self) -> bool:
        """Whether its answers carry CORS headers."""
        ...

    def serve(self, exchange: Exchange) -> None:
        """Answers, now or later. May raise what `Exchange.fail` answers."""
        ...


class Site:
    """The routes with their handlers bound to services."""

    def __init__(
        self,
        handlers: Iterable[Handler],
        services: Mapping[type, object],
        *,
        authenticator: Authenticator,
        settings: HttpSettings,
        limits: LimitSettings,
        clock: Clock,
        fallback: Fallback | None = None,
        gate: Callable[[], None] = lambda: None,
    ) -> None:
        """`gate` is asked before every request and raises where none may be answered.

        Raises TypeError or ValueError for a handler that can't be served."""
        self.settings = settings
        self.authenticator = authenticator
        self.limiter = RateLimiter(limits, clock)
        self.trust = ProxyTrust(settings.trusted_proxies)
        self.tasks = Tasks()
        self._gate = gate
        self.routes: list[Route] = []
        self._router: Router[Endpoint] = Router()
        self._fallback = _Pages(fallback, settings.body_bytes_max)
        self._preflight = _Preflight(settings.body_bytes_max)
        self._unknown = _Refusing(Unrecognized, settings.body_bytes_max)
        for handler in handlers:
            for route in routes_of(handler):
                endpoint = _Bound(self, route, bind(handler, route, services))
                self._router.add(route, endpoint)
                self.routes.append(route)

    def find(self, exchange: Exchange) -> None:
        """Gives an exchange its endpoint and the arguments in its path."""
        exchange.endpoint = self._unknown
        exchange.arguments = []
        path = exchange.path
        is_protocol = cors.applies_to(path)
        if exchange.method == "OPTIONS" and (is_protocol or path == "*"):
            exchange.endpoint = self._preflight
            return
        try:
            found = self._router.match(path)
        except Refusal as error:
            refusal = error
            exchange.endpoint = _Refusing(lambda: refusal, self.settings.body_bytes_max)
            return
        if found is None:
            if not is_protocol:
                exchange.endpoint = self._fallback
            return
        methods, arguments = found
        endpoint = methods.get("GET" if exchange.is_head else exchange.method)
        if endpoint is None:
            exchange.endpoint = _Refusing(
                WrongMethod, self.settings.body_bytes_max, allow=allowed(methods)
            )
            return
        exchange.endpoint = endpoint
        exchange.arguments = arguments

    def handle(self, exchange: Exchange) -> None:
        """Sees to an answer; raises nothing."""
        try:
            self._gate()
            exchange.endpoint.serve(exchange)
        except Exception as error:
            exchange.fail(error)


def allowed(methods: Iterable[str]) -> str:
    """The value of an Allow header."""
    names = {*methods, "OPTIONS"}
    if "GET" in names:
        names.add("HEAD")
    return ", ".join(sorted(names))


class _Bound:
    """A handler on one of its routes."""

    __slots__ = (
        "_auth",
        "_authenticator",
        "_binding",
        "_call",
        "_limit",
        "_limiter",
        "body_limit",
        "cors",
        "is_poll",
        "name",
        "streams_body",
    )

    def __init__(self, site: Site, route: Route, binding: Binding) -> None:
        self.name = f"{route.method} {route.path}"
        self.streams_body = binding.streams_body
        self.is_poll = route.is_poll
        self.cors = True
        if route.body_limit is not None:
            self.body_limit = route.body_limit
        else:
            self.body_limit = UNBOUNDED if self.streams_body else site.settings.body_bytes_max
        if self.body_limit == UNBOUNDED and not self.streams_body:
            raise TypeError(f"{self.name}: only a streamed body may be unbounded")
        if self.is_poll and (binding.is_coroutine or self.streams_body):
            raise TypeError(f"{self.name}: a poll is a plain function with a body in memory")
        self._auth = route.auth
        self._limit = route.limit
        self._limiter = site.limiter
        self._authenticator = site.authenticator
        self._binding = binding
        self._call = binding.call

    def serve(self, exchange: Exchange) -> None:
        caller = None
        if self._auth is not Auth.NONE:
            token = access_token(exchange)
            if token is not None:
                caller = self._authenticator.cached(token)
                if caller is None:
                    exchange.spawn(self._authenticate(exchange, token))
                    return
            elif self._auth is Auth.REQUIRED:
                raise MissingToken
        self._run(exchange, caller)

    async def _authenticate(self, exchange: Exchange, token: str) -> None:
        caller = await self._authenticator.authenticate(token)
        if exchange.is_open:
            self._run(exchange, caller)

    def _run(self, exchange: Exchange, caller: Caller | None) -> None:
        if self._limit is not None:
            key = address_key(exchange.address) if caller is None else caller.user_id
            self._limiter.take(self._limit, key)
        result = self._call(exchange, caller)
        if self.is_poll:
            exchange.forget_request()
        elif self._binding.is_coroutine:
            exchange.spawn(_reply(exchange, result))
        else:
            exchange.reply(result)


async def _reply(exchange: Exchange, work: Coroutine[Any, Any, object]) -> None:
    exchange.reply(await work)


def access_token(exchange: Exchange) -> str | None:
    """The token of the Authorization header, or of the query, where older clients put it."""
    raw = exchange.headers.get(b"authorization")
    if raw is not None:
        if raw[:7].lower() == b"bearer ":
            return raw[7:].strip().decode("latin-1") or None
        return None
    if "access_token=" in exchange.raw_query:
        return exchange.query.get("access_token") or None
    return None


class _Refusing:
    """Answers no, after the body was read, so that the connection stays usable."""

    name: Final = "refusal"
    streams_body: Final = False
    is_poll: Final = False
    cors: Final = True
    __slots__ = ("_headers", "_refusal", "body_limit")

    def __init__(
        self, refusal: Callable[[], Refusal], body_limit: int, *, allow: str | None = None
    ) -> None:
        self._refusal = refusal
        self.body_limit = body_limit
        self._headers = b"" if allow is None else f"Allow: {allow}\r\n".encode()

    def serve(self, exchange: Exchange) -> None:
        exchange.refuse(self._refusal(), self._headers)


class _Preflight:
    """CORS: any web client may ask anything of the protocol; its token is what counts."""

    name: Final = "preflight"
    streams_body: Final = False
    is_poll: Final = False
    cors: Final = True
    __slots__ = ("body_limit",)

    def __init__(self, body_limit: int) -> None:
        self.body_limit = body_limit

    def serve(self, exchange: Exchange) -> None:
        exchange.answer_with(204, "{}: {}\r\n".format(*cors.PREFLIGHT_MAX_AGE).encode(), b"")


class _Pages:
    """Whatever lies outside the protocol: the web client's, or nothing."""

    name: Final = "page"
    streams_body: Final = False
    is_poll: Final = False
    cors: Final = False
    __slots__ = ("_fallback", "body_limit")

    def __init__(self, fallback: Fallback | None, body_limit: int) -> None:
        self._fallback = fallback
        self.body_limit = body_limit

    def serve(self, exchange: Exchange) -> None:
        if exchange.method == "OPTIONS":
            exchange.reply(Reply(204, {"Allow": "GET, HEAD, OPTIONS"}))
            return
        if exchange.method not in ("GET", "HEAD"):
            exchange.reply(
                Reply(405, {"Allow": "GET, HEAD, OPTIONS", **_TEXT}, b"Method not allowed.\n")
            )
            return
        page = None if self._fallback is None else self._fallback(exchange)
        exchange.reply(Reply(404, _TEXT, b"Not found.\n") if page is None else page)


_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}
