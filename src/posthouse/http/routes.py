"""Routes: which handler serves which method and path.

Static paths are one dictionary look-up; templates are a trie over segments, a literal segment
going before a parameter.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Generic, TypeVar

from posthouse.http.callers import Auth
from posthouse.http.limits import Limit
from posthouse.http.targets import decode_segment

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)
T = TypeVar("T")

UNBOUNDED: Final = -1
"""A `body_limit` for bodies that the handler itself counts while it streams them."""

_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method of a handler."""

    method: str
    path: str
    """A template: a segment is either literal or one `{parameter}`."""
    auth: Auth
    limit: Limit | None
    body_limit: int | None
    """Bytes; None for the server's default, `UNBOUNDED` for a streamed body of any size."""
    is_poll: bool

    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.split("/")[1:])

    def parameters(self) -> tuple[str, ...]:
        return tuple(_PARAMETER.findall(self.path))


def get(path: str, limit: Limit | None = None, *, auth: Auth = Auth.REQUIRED) -> Callable[[H], H]:
    """Serves GET, and HEAD by the same handler."""
    return _route("GET", path, auth, limit, None)


def post(
    path: str,
    limit: Limit | None = None,
    *,
    auth: Auth = Auth.REQUIRED,
    body_limit: int | None = None,
) -> Callable[[H], H]:
    return _route("POST", path, auth, limit, body_limit)


def put(
    path: str,
    limit: Limit | None = None,
    *,
    auth: Auth = Auth.REQUIRED,
    body_limit: int | None = None,
) -> Callable[[H], H]:
    return _route("PUT", path, auth, limit, body_limit)


def delete(
    path: str,
    limit: Limit | None = None,
    *,
    auth: Auth = Auth.REQUIRED,
    body_limit: int | None = None,
) -> Callable[[H], H]:
    return _route("DELETE", path, auth, limit, body_limit)


def poll(
    path: str,
    limit: Limit | None = None,
    *,
    method: str = "GET",
    auth: Auth = Auth.REQUIRED,
    body_limit: int | None = None,
) -> Callable[[H], H]:
    """Serves a request that waits as a plain callback, without a task: see `Exchange`."""
    return _route(method, path, auth, limit, body_limit, is_poll=True)


def routes_of(handler: Handler) -> tuple[Route, ...]:
    """All routes that decorators attached to a handler, in the order they are written."""
    found: tuple[Route, ...] = getattr(handler, "__routes__", ())
    return found


def collect(package: ModuleType) -> list[Handler]:
    """The handlers of every module directly below an `endpoints` package, in name order."""
    handlers: list[Handler] = []
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        handlers.extend(
            value
            for value in vars(module).values()
            if callable(value) and routes_of(value) and value.__module__ == module.__name__
        )
    return handlers


class Router(Generic[T]):
    """Finds what serves a path: a map from method to `T`, and the path's arguments."""

    __slots__ = ("_root", "_static")

    def __init__(self) -> None:
        self._static: dict[str, dict[str, T]] = {}
        self._root: _Node[T] = _Node()

    def add(self, route: Route, target: T) -> None:
        """Raises ValueError for a path that isn't a template, or is served twice."""
        if not route.path.startswith("/"):
            raise ValueError(f"{route.path}: a path begins with /")
        node = self._root
        for segment in route.segments():
            parameter = _PARAMETER.fullmatch(segment)
            if parameter is None and ("{" in segment or "}" in segment):
                raise ValueError(f"{route.path}: a segment is literal or one whole parameter")
            if parameter is None:
                node = node.literal.setdefault(segment, _Node())
            else:
                if node.any is None:
                    node.any = _Node()
                node = node.any
        if route.method in node.methods:
            raise ValueError(f"{route.method} {route.path} is served twice")
        node.methods[route.method] = target
        if not route.parameters():
            self._static[route.path] = node.methods

    def match(self, path: str) -> tuple[dict[str, T], list[str]] | None:
        """Of a raw path. Raises `InvalidParam` for a segment that isn't UTF-8."""
        methods = self._static.get(path)
        if methods is not None:
            return methods, []
        segments = path.split("/")
        del segments[0]
        arguments: list[str] = []
        node = self._root
        last = len(segments) - 1
        for index, segment in enumerate(segments):
            following = node.literal.get(segment)
            if following is None:
                following = node.any
                if (
                    following is None
                    or (not segment and index != last)
                    or (node.literal and "%" in segment)
                ):
                    return self._search(segments)
                arguments.append(segment)
            node = following
        if not node.methods:
            return self._search(segments)
        return node.methods, [decode_segment(argument) for argument in arguments]

    def _search(self, segments: list[str]) -> tuple[dict[str, T], list[str]] | None:
        """The patient way: literals may be percent-encoded, and a literal may be a dead end."""
        if len(segments) > _DEPTH_MAX:
            return None
        return _descend(self._root, [decode_segment(segment) for segment in segments], 0)


_DEPTH_MAX: Final = 32
"""Segments of a path; the protocol has at most 12."""


class _Node(Generic[T]):
    __slots__ = ("any", "literal", "methods")

    def __init__(self) -> None:
        self.literal: dict[str, _Node[T]] = {}
        self.any: _Node[T] | None = None
        self.methods: dict[str, T] = {}


def _descend(
    node: _Node[T], segments: list[str], index: int
) -> tuple[dict[str, T], list[str]] | None:
    if index == len(segments):
        return (node.methods, []) if node.methods else None
    segment = segments[index]
    literal = node.literal.get(segment)
    if literal is not None:
        found = _descend(literal, segments, index + 1)
        if found is not None:
            return found
    # Only the last segment may be empty: an empty state key.
    if node.any is not None and (segment or index == len(segments) - 1):
        found = _descend(node.any, segments, index + 1)
        if found is not None:
            return found[0], [segment, *found[1]]
    return None


def _route(
    method: str,
    path: str,
    auth: Auth,
    limit: Limit | None,
    body_limit: int | None,
    *,
    is_poll: bool = False,
) -> Callable[[H], H]:
    route = Route(method, path, auth, limit, body_limit, is_poll)

    def attach(handler: H) -> H:
        # Decorators run from the lowest up; readers expect the order of the page.
        routes: Iterable[Route] = (route, *routes_of(handler))
        handler.__routes__ = tuple(routes)  # type: ignore[attr-defined]
        handler.__route__ = route  # type: ignore[attr-defined]
        return handler

    return attach
