"""The tree of a space, walked depth first, a page at a time.

(1) A room is told of to whoever may know of it (`previews`); nobody is led through a space that
    they may not know of.
(2) A page's token is the way to the last room that was looked at, from the root down: any process
    can go on from it, and what was added or taken away meanwhile loses nothing else.
(3) A space is not entered below itself, nor twice in a page; depth, children and looks are bounded.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import orjson
from msgspec import Struct

from posthouse.matrix import (
    InvalidParam,
    RoomId,
    UserId,
    decode_urlsafe_base64,
    encode_urlsafe_base64,
)
from posthouse.rooms.errors import NotInRoom
from posthouse.rooms.facts import SPACE
from posthouse.rooms.model import Event
from posthouse.rooms.previews import Look, Previews
from posthouse.rooms.wire import render_stripped

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200
DEPTH_MAX: Final = 10
CHILDREN_MAX: Final = 1_000
"""Children of one space that are told of and walked."""
_LOOKS_PER_PAGE: Final = 1_000
_CHILDREN_PER_PAGE: Final = 2_000
"""Children told of, from which on a page is full."""
_AT_ONCE: Final = 50
"""Siblings that are looked at in one go."""
_TOKEN_LENGTH_MAX: Final = 8_192

_ORDER: Final = re.compile(r"[\x20-\x7e]{1,50}")


class ChildKey(Struct, frozen=True, array_like=True):
    """What children are ordered by: those with an order first, then by time, then by id."""

    order: str | None
    ts: int
    room_id: str

    @property
    def rank(self) -> tuple[bool, str, int, str]:
        return (self.order is None, self.order or "", self.ts, self.room_id)


class Wish(Struct, frozen=True):
    """What of the tree somebody wants; it stays the same from page to page."""

    suggested_only: bool = False
    max_depth: int = DEPTH_MAX


class _Token(Struct, frozen=True, array_like=True):
    wish: Wish
    way: tuple[ChildKey, ...]


class _Frame:
    """A space that the walk is in."""

    __slots__ = ("children", "last", "next", "room_id")

    def __init__(self, room_id: str, children: Sequence[ChildKey]) -> None:
        self.room_id = room_id
        self.children = children
        self.next = 0
        self.last: ChildKey | None = None

    def take(self) -> ChildKey | None:
        """The next child."""
        if self.next == len(self.children):
            return None
        self.last = self.children[self.next]
        self.next += 1
        return self.last

    def go_behind(self, key: ChildKey) -> None:
        """Goes on after a child, whether it is still there or not."""
        self.last = key
        while self.next < len(self.children) and self.children[self.next].rank <= key.rank:
            self.next += 1

    @property
    def goes_on(self) -> bool:
        return self.next < len(self.children)


class Hierarchy:
    """Walks spaces for people."""

    def __init__(self, previews: Previews) -> None:
        self._previews = previews

    async def page(
        self,
        user_id: UserId,
        room_id: RoomId,
        *,
        suggested_only: bool,
        max_depth: int | None,
        limit: int | None,
        token: str | None,
    ) -> bytes:
        """A page as JSON. Raises NotInRoom for a root that the person may not know of, and
        InvalidParam for a token that isn't one of this tree and these wishes.
        """
        depth = DEPTH_MAX if max_depth is None else min(max_depth, DEPTH_MAX)
        wish = Wish(suggested_only, depth)
        way = _way_in(token, wish) if token else None
        walk = _Walk(self._previews, user_id, wish)
        root = await walk.look(room_id)
        if root is None:
            raise NotInRoom()
        size = PAGE_DEFAULT if limit is None else min(limit, PAGE_MAX)
        if way is None:
            await walk.show(root)
            await walk.enter(root)
        else:
            await walk.follow(root, way)
        await walk.go(size)
        parts = [b'"rooms":[%s]' % b",".join(walk.shown)]
        if any(frame.goes_on for frame in walk.frames):
            here = tuple(frame.last for frame in walk.frames if frame.last is not None)
            text = orjson.dumps(msgspec.to_builtins(_Token(wish, here)))
            parts.append(b'"next_batch":"%s"' % encode_urlsafe_base64(text).encode())
        return b"{%s}" % b",".join(parts)


class _Walk:
    """One page's way through the tree."""

    def __init__(self, previews: Previews, user_id: UserId, wish: Wish) -> None:
        self.frames: list[_Frame] = []
        self.shown: list[bytes] = []
        self._seen: set[str] = set()
        self._previews = previews
        self._user_id = user_id
        self._wish = wish
        self._looks: dict[str, Look | None] = {}
        self._latest: tuple[str, list[tuple[ChildKey, Event]]] = ("", [])
        """The children that were read last: a space is entered right after it is shown."""
        self._children_told = 0

    async def go(self, size: int) -> None:
        """Until the page is full, the tree is at its end, or enough was looked at."""
        looked_at = 0
        while self.frames and self._has_room(size, looked_at):
            frame = self.frames[-1]
            ahead = frame.children[frame.next : frame.next + _AT_ONCE]
            child = frame.take()
            if child is None:
                self.frames.pop()
                continue
            looked_at += 1
            if child.room_id in self._seen or self._is_above(child.room_id):
                continue
            look = await self.look(child.room_id, ahead)
            if look is not None:
                await self.show(look)
                await self.enter(look)

    async def follow(self, root: Look, way: Sequence[ChildKey]) -> None:
        """Goes to where the page before ended."""
        look: Look | None = root
        for key in way:
            if look is None or not await self.enter(look):
                return
            self.frames[-1].go_behind(key)
            look = None if self._is_above(key.room_id) else await self.look(key.room_id)
        if look is not None:
            await self.enter(look)

    def _has_room(self, size: int, looked_at: int) -> bool:
        """Whether the page takes one more."""
        return (
            len(self.shown) < size
            and looked_at < _LOOKS_PER_PAGE
            and self._children_told < _CHILDREN_PER_PAGE
        )

    async def enter(self, look: Look) -> bool:
        """Goes into a space, unless that is too deep; False for what isn't entered."""
        if look.facts.room_type != SPACE or len(self.frames) >= self._wish.max_depth:
            return False
        keys = [key for key, _ in await self._children(look)]
        self.frames.append(_Frame(look.room.room_id, keys))
        return True

    async def show(self, look: Look) -> None:
        self._seen.add(look.room.room_id)
        children = [
            render_stripped(event)[:-1] + b',"origin_server_ts":%d}' % event.ts
            for _, event in await self._children(look)
        ]
        self._children_told += len(children)
        told = orjson.dumps(look.facts.summary())
        self.shown.append(told[:-1] + b',"children_state":[%s]}' % b",".join(children))

    async def look(self, room_id: str, ahead: Iterable[ChildKey] = ()) -> Look | None:
        """A room, if it may be known of; those that come after it are looked at with it."""
        if room_id not in self._looks:
            wanted = [room_id, *(key.room_id for key in ahead if key.room_id not in self._looks)]
            found = await self._previews.looks(self._user_id, [RoomId(text) for text in wanted])
            self._looks.update({text: found.get(RoomId(text)) for text in wanted})
        return self._looks[room_id]

    async def _children(self, look: Look) -> list[tuple[ChildKey, Event]]:
        """The children of a space; a room that is none has none."""
        if look.facts.room_type != SPACE:
            return []
        if self._latest[0] != look.room.room_id:
            events = await self._previews.children(look)
            children = children_of(events, suggested_only=self._wish.suggested_only)
            self._latest = look.room.room_id, children
        return self._latest[1]

    def _is_above(self, room_id: str) -> bool:
        return any(frame.room_id == room_id for frame in self.frames)


def children_of(events: Iterable[Event], *, suggested_only: bool) -> list[tuple[ChildKey, Event]]:
    """A space's children in their order; what has no `via` is none.

    https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space
    """
    children = []
    for event in events:
        content = orjson.loads(event.content)
        if not _is_child(event, content) or (
            suggested_only and content.get("suggested") is not True
        ):
            continue
        order = content.get("order")
        if not isinstance(order, str) or not _ORDER.fullmatch(order):
            order = None
        children.append((ChildKey(order, event.ts, event.state_key or ""), event))
    children.sort(key=lambda child: child[0].rank)
    return children[:CHILDREN_MAX]


def _is_child(event: Event, content: dict[str, Any]) -> bool:
    via = content.get("via")
    return bool(event.state_key) and isinstance(via, list) and len(via) > 0


def _way_in(token: str, wish: Wish) -> tuple[ChildKey, ...]:
    if len(token) > _TOKEN_LENGTH_MAX:
        raise InvalidParam("There is no such page.")
    try:
        found = msgspec.json.decode(decode_urlsafe_base64(token), type=_Token)
    except (msgspec.MsgspecError, ValueError):
        raise InvalidParam("There is no such page. Use a token that this server gave.") from None
    if found.wish != wish:
        raise InvalidParam("suggested_only and max_depth stay the same from page to page.")
    return found.way[:DEPTH_MAX]
