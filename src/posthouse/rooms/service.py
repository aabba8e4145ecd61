"""The verbs of rooms: create, send, invite, join, leave, ban, redact, forget.

Every write is judged by the room's single writer and answered when it is durable. What a stranger
may not know answers exactly as what does not exist.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from posthouse.accounts import Accounts
from posthouse.directory import Alias, AliasTaken, Directory
from posthouse.matrix import (
    EventId,
    Forbidden,
    InvalidParam,
    NotFound,
    Refusal,
    RoomAlias,
    RoomId,
    RoomVersion,
    ServerName,
    UserId,
    check_event_type,
    check_state_key,
    hash_in,
    room_id_of,
    room_version,
    server_of,
)
from posthouse.rooms import store
from posthouse.rooms.canonical_alias import CANONICAL_ALIAS, check_canonical_alias
from posthouse.rooms.creation import (
    Wish,
    check_wish,
    create_content,
    first_drafts,
    member_content,
)
from posthouse.rooms.errors import (
    CannotJoin,
    CannotKnock,
    ForeignUser,
    InvalidRoomState,
    InviteBlocked,
    NobodyToRemove,
    NoSuchEvent,
    NoSuchUser,
    NotBanned,
    NotInRoom,
    RoomInUse,
    StillInRoom,
)
from posthouse.rooms.invite_permission import blocks_invites
from posthouse.rooms.judging import Appender, Draft, build_pdu
from posthouse.rooms.listing import RoomListing
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import EMPTY_HEAD, Event, JsonObject, StateEvent, TransactionKey
from posthouse.rooms.projector import MembershipProjector
from posthouse.rooms.restricted import who_lets_in
from posthouse.rooms.room import Cold, PendingState, Room
from posthouse.rooms.settings import RoomSettings
from posthouse.rooms.succession import carry_over
from posthouse.rooms.transaction_index import TRANSACTIONS_KEPT_MS, TransactionIndex
from posthouse.std.clock import Clock, Randomness
from posthouse.streams import Batch, EntryKind, RoomStreams, UserStreams, Write

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_MEMBER: Final = "m.room.member"
_OF_ONE_CHANGE: Final = frozenset({"displayname", "avatar_url", "reason"})
"""What a member event says that the next one doesn't take over."""
_FOUNDING_MS_MAX: Final = 60_000
"""How long after its name was taken a room may come into being."""


class Rooms:
    """What can be done with rooms; the front door of the domain."""

    def __init__(
        self,
        *,
        memory: RoomMemory,
        room_streams: RoomStreams,
        user_streams: UserStreams,
        projector: MembershipProjector,
        transaction_index: TransactionIndex,
        directory: Directory,
        listing: RoomListing,
        accounts: Accounts,
        settings: RoomSettings,
        server_name: ServerName,
        clock: Clock,
        random: Randomness,
    ) -> None:
        self.memory = memory
        self.settings = settings
        self.server_name = server_name
        self._streams = room_streams
        self._user_streams = user_streams
        self._projector = projector
        self._transaction_index = transaction_index
        self._directory = directory
        self._listing = listing
        self._accounts = accounts
        self._appender = Appender(memory)
        self._clock = clock
        self._random = random

    # -- creating ------------------------------------------------------------------------------

    async def create(self, creator: UserId, wish: Wish, version_name: str | None) -> RoomId:
        """A new room with its first events and invites, all in one commit; then, where that was
        asked for, it is put into the directory.
        """
        version = room_version(version_name or self.settings.default_version)
        check_wish(wish)
        alias: RoomAlias | None = None
        if wish.alias_name is not None:
            alias = self._directory.new_alias(f"#{wish.alias_name}:{self.server_name}")
        for given in wish.initial_state:
            if (given.type, given.state_key) == CANONICAL_ALIAS:
                before = {"alias": alias}
                await check_canonical_alias(self._directory, None, given.content, before)
        profile = await self._accounts.profile_of(creator)
        guests = await self._invitees(wish.invite)
        drafts = list(first_drafts(wish, creator, version, profile, alias))
        for user_id, guest in guests.items():
            invite = member_content("invite", guest, is_direct=wish.is_direct)
            drafts.append(Draft(_MEMBER, creator, invite, user_id))
        content = create_content(wish, creator, version)
        room = await self.found(creator, version, content, drafts, alias)
        if wish.is_published:
            await self._listing.publish(room)
        return room.room_id

    async def found(
        self,
        creator: UserId,
        version: RoomVersion,
        content: JsonObject,
        drafts: Sequence[Draft],
        alias: RoomAlias | None = None,
    ) -> Room:
        """A new room of a create event with this content and of the drafts, in one commit.

        Its alias is taken first and given back if there is no room after all.
        """
        create = Draft("m.room.create", creator, content, "")
        now_ms = self._clock.now_ms()
        room_id = self._new_room_id(version, create, now_ms)
        claimed: RoomId | None = None
        while True:
            if await self._is_taken(room_id):
                # Alike to the millisecond, and so of the same id: the next one is another room.
                now_ms += 1
                room_id = self._new_room_id(version, create, now_ms)
            elif alias is None or claimed == room_id:
                break
            else:
                if claimed is not None:
                    await self._directory.remove(alias, claimed)
                await self._claim(alias, room_id, creator)
                claimed = room_id  # and, because that was awaited, is it still free?
        stream = self._streams.streams.stream_of(room_id)
        room = Room(room_id, version, creator, stream)
        room.complete = True

        def judge(batch: Batch) -> int:
            self._appender.create(batch, room, now_ms)
            for draft in (create, *drafts):
                self._appender.append(batch, room, draft, now_ms)
            return batch.head

        try:
            # Judged once on paper first: a refusal in the middle must not leave half a room behind.
            self._rehearse(room, judge)
            position = await self._streams.submit(stream, judge)
        except Exception:
            if alias is not None and not await self._is_taken(room_id):
                await self._directory.remove(alias, room_id)
            raise
        await self._projector.wait_for(stream, position)
        return room

    async def _claim(self, alias: RoomAlias, room_id: RoomId, creator: UserId) -> None:
        """Takes a name for a room that is about to be. Raises RoomInUse."""
        try:
            await self._directory.add(alias, room_id, creator)
        except AliasTaken:
            known = await self._directory.find(alias)
            if known is None or not await self._is_left_over(known):
                raise RoomInUse(f"{alias} stands for another room already.") from None
            await self._directory.remove(alias, known.room_id)
            await self._directory.add(alias, room_id, creator)

    async def _is_left_over(self, alias: Alias) -> bool:
        """Whether a name was taken for a room that never came to be, as when the server stopped
        between the two.
        """
        if self._clock.now_ms() - alias.created_ms < _FOUNDING_MS_MAX:
            return False
        return not await self._is_taken(alias.room_id)

    def _new_room_id(self, version: RoomVersion, create: Draft, now_ms: int) -> RoomId:
        if not version.room_id_is_create_hash:
            return RoomId(f"!{self._random.token_urlsafe(18)}:{self.server_name}")
        built = build_pdu(version, None, create, head=EMPTY_HEAD, auth=[], ts=now_ms)
        return room_id_of(hash_in(built.event_id))

    async def _is_taken(self, room_id: RoomId) -> bool:
        """Whether there is such a room, or one is on its way; nothing is awaited after the look."""
        return await self.memory.get(room_id) is not None or self.memory.is_expected(room_id)

    def _rehearse(self, room: Room, judge: Callable[[Batch], int]) -> None:
        """Raises InvalidRoomState where the room's own rules wouldn't let it begin like that."""
        try:
            judge(Batch(0))
        except Forbidden as refusal:
            raise InvalidRoomState(f"The room can't begin like that: {refusal.message}") from None
        finally:
            room.pending = None
            self.memory.unexpect(room)

    async def _invitees(self, users: Sequence[UserId]) -> dict[UserId, Any]:
        guests = {}
        for user_id in dict.fromkeys(users):
            await self._check_invitable(user_id)
            guests[user_id] = await self._accounts.profile_of(user_id)
        return guests

    async def _check_invitable(self, user_id: UserId) -> None:
        if server_of(user_id) != self.server_name:
            raise ForeignUser()
        if not await self._accounts.is_active(user_id):
            raise NoSuchUser()
        if await blocks_invites(self._accounts, user_id):
            raise InviteBlocked()

    # -- sending -------------------------------------------------------------------------------

    async def send(
        self,
        sender: UserId,
        device_id: str,
        room_id: RoomId,
        type_: str,
        content: JsonObject,
        txn_id: str,
    ) -> EventId:
        """A message event; the same transaction again is answered with the same event."""
        check_event_type(type_)
        room = await self._room_for_writing(room_id, sender)
        key = TransactionKey(sender, device_id, room.key, "s", txn_id)
        known = await self._already_sent(room, key)
        if known is not None:
            return known
        redacts = None
        if type_ == "m.room.redaction":
            # Sent as an ordinary event, it names its target where the room's version has it.
            redacts = await self._redaction_target(room, content.get("redacts"))
        draft = Draft(type_, sender, content, redacts=redacts, transaction=key)
        return await self._append_once(room, draft, key)

    async def redact(
        self,
        sender: UserId,
        device_id: str,
        room_id: RoomId,
        event_id: EventId,
        reason: str | None,
        txn_id: str,
    ) -> EventId:
        """Prunes an event, with a redaction event that says so."""
        room = await self._room_for_writing(room_id, sender)
        key = TransactionKey(sender, device_id, room.key, "r", txn_id)
        known = await self._already_sent(room, key)
        if known is not None:
            return known
        target = await self._redaction_target(room, event_id)
        content: dict[str, Any] = {} if reason is None else {"reason": reason}
        if room.version.redacts_in_content:
            content["redacts"] = event_id
        draft = Draft("m.room.redaction", sender, content, redacts=target, transaction=key)
        return await self._append_once(room, draft, key)

    async def set_state(
        self, sender: UserId, room_id: RoomId, type_: str, state_key: str, content: JsonObject
    ) -> EventId:
        """A state event."""
        check_event_type(type_)
        check_state_key(state_key)
        if type_ == _MEMBER and content.get("membership") == "invite":
            await self._check_invitable(UserId(state_key))
        draft = Draft(type_, sender, content, state_key)
        if type_ == _MEMBER and state_key == sender:
            return await self._set_own_membership(room_id, draft)
        room = await self._room_for_writing(room_id, sender)
        if (type_, state_key) == CANONICAL_ALIAS:
            await self.memory.fill(room, [CANONICAL_ALIAS])
            shown = room.current(*CANONICAL_ALIAS)
            before = shown.content if shown else None
            await check_canonical_alias(self._directory, room_id, content, before)
        event = await self._append(room, draft)
        if type_ == _MEMBER:
            await self._projector.wait_for(room.stream, event.position)
        return event.event_id

    async def _set_own_membership(self, room_id: RoomId, draft: Draft) -> EventId:
        """Who isn't in a room may knock, and turn an invite down; joining has a verb of its own,
        where the server says who lets the person in.
        """
        room = await self.memory.get(room_id)
        if room is None:
            raise NotInRoom()
        mine = await self._membership(room, draft.sender)
        is_joined = mine is not None and mine.membership == "join"
        if not is_joined and draft.content.get("membership") not in ("knock", "leave"):
            raise NotInRoom()
        try:
            event = await self._append(room, draft)
        except Forbidden:
            if mine is None:
                raise NotInRoom() from None
            raise
        await self._projector.wait_for(room.stream, event.position)
        return event.event_id

    # -- membership ----------------------------------------------------------------------------

    async def join(self, user_id: UserId, room_id: RoomId, *, reason: str | None = None) -> None:
        room = await self.memory.get(room_id)
        if room is None:
            raise CannotJoin()
        await self.memory.fill(room, [(_MEMBER, user_id)])
        mine = room.current(_MEMBER, user_id)
        if mine is not None and mine.membership == "join":
            return
        profile = await self._accounts.profile_of(user_id)
        content = member_content("join", profile, reason=reason)
        if mine is None or mine.membership != "invite":
            authoriser = await who_lets_in(self.memory, room, user_id)
            if authoriser is not None:
                content["join_authorised_via_users_server"] = authoriser
        try:
            await self._change_membership(room, user_id, user_id, content)
        except Forbidden:
            if mine is None:
                raise CannotJoin() from None
            raise
        try:
            await carry_over(self.memory, self._accounts, user_id, room_id)
        except Refusal as refusal:
            # Their account data are full: they are in the room all the same.
            _log.info("settings not carried over", why=refusal.message)

    async def knock(self, user_id: UserId, room_id: RoomId, *, reason: str | None = None) -> None:
        """Asks to be let in. Who is in already, or may come in anyway, is told so."""
        room = await self.memory.get(room_id)
        if room is None:
            raise CannotKnock()
        mine = await self._membership(room, user_id)
        profile = await self._accounts.profile_of(user_id)
        content = member_content("knock", profile, reason=reason)
        try:
            await self._change_membership(room, user_id, user_id, content)
        except Forbidden:
            if mine is None:
                raise CannotKnock() from None
            raise

    async def invite(
        self, actor: UserId, room_id: RoomId, target: UserId, *, reason: str | None = None
    ) -> None:
        await self._check_invitable(target)
        room = await self._room_for_writing(room_id, actor)
        profile = await self._accounts.profile_of(target)
        content = member_content("invite", profile, reason=reason)
        await self._change_membership(room, actor, target, content)

    async def leave(self, user_id: UserId, room_id: RoomId, *, reason: str | None = None) -> None:
        """Leaves, or rejects an invite. Who left already is answered the same."""
        room, mine = await self._own_membership(room_id, user_id)
        if mine.membership in ("leave", "ban"):
            return
        await self._change_membership(room, user_id, user_id, _plain_member("leave", reason))

    async def kick(
        self, actor: UserId, room_id: RoomId, target: UserId, *, reason: str | None = None
    ) -> None:
        room = await self._room_for_writing(room_id, actor)
        standing = await self._membership(room, target)
        if standing is None or standing.membership in ("leave", "ban"):
            raise NobodyToRemove()
        await self._change_membership(room, actor, target, _plain_member("leave", reason))

    async def ban(
        self, actor: UserId, room_id: RoomId, target: UserId, *, reason: str | None = None
    ) -> None:
        room = await self._room_for_writing(room_id, actor)
        await self._change_membership(room, actor, target, _plain_member("ban", reason))

    async def unban(
        self, actor: UserId, room_id: RoomId, target: UserId, *, reason: str | None = None
    ) -> None:
        room = await self._room_for_writing(room_id, actor)
        standing = await self._membership(room, target)
        if standing is None or standing.membership != "ban":
            raise NotBanned()
        await self._change_membership(room, actor, target, _plain_member("leave", reason))

    async def forget(self, user_id: UserId, room_id: RoomId) -> None:
        """Takes a room that was left out of the person's history."""
        _, mine = await self._own_membership(room_id, user_id)
        if mine.membership not in ("leave", "ban"):
            raise StillInRoom()

        async def work(write: Write) -> None:
            position = write.append(user_id, EntryKind.MEMBERSHIP, room_id)
            await write.execute(store.FORGET, position, user_id, room_id)

        await self._user_streams.write(user_id, work)

    async def copy_profile(self, user_id: UserId, room_id: RoomId) -> None:
        """Brings the person's name and picture of now into a room they are in."""
        room = await self.memory.get(room_id)
        if room is None:
            return
        standing = await self._membership(room, user_id)
        if standing is None or standing.membership != "join":
            return
        profile = await self._accounts.profile_of(user_id)

        def judge(room: Room, batch: Batch) -> None:
            # Whoever has left meanwhile stays away: this is no join.
            now = PendingState(room).get(_MEMBER, user_id)
            if now is not None and now.membership == "join":
                content = {k: v for k, v in now.content.items() if k not in _OF_ONE_CHANGE}
                content |= member_content("join", profile)
                draft = Draft(_MEMBER, user_id, content, user_id)
                self._appender.append(batch, room, draft, self._clock.now_ms())

        await self._submit(room, judge)

    # -- inside --------------------------------------------------------------------------------

    async def _room_for_writing(self, room_id: RoomId, user_id: UserId) -> Room:
        """The gate of everything that writes: who was never in a room doesn't learn that it is."""
        room = await self.memory.get(room_id)
        if room is None:
            raise NotInRoom()
        mine = await self._membership(room, user_id)
        if mine is None or mine.membership != "join":
            raise NotInRoom()
        return room

    async def check_joined(self, user_id: UserId, room_id: RoomId) -> None:
        """Raises NotInRoom for anybody who isn't joined."""
        await self._room_for_writing(room_id, user_id)

    async def _own_membership(self, room_id: RoomId, user_id: UserId) -> tuple[Room, StateEvent]:
        room = await self.memory.get(room_id)
        if room is None:
            raise NotInRoom()
        mine = await self._membership(room, user_id)
        if mine is None:
            raise NotInRoom()
        return room, mine

    async def _membership(self, room: Room, user_id: UserId) -> StateEvent | None:
        key = (_MEMBER, user_id)
        if not room.known(key):
            await self.memory.fill(room, [key])
        return room.current(_MEMBER, user_id)

    async def _already_sent(self, room: Room, key: TransactionKey) -> EventId | None:
        transactions = self.memory.transactions(room.stream)
        known = transactions.committed(key)
        if known is not None:
            return known
        now_ms = self._clock.now_ms()
        if transactions.complete_since_ms <= now_ms - TRANSACTIONS_KEPT_MS:
            return None
        if not self._transaction_index.may_have(key):
            return None
        return await self._transaction_index.find(key, now_ms)

    async def _redaction_target(self, room: Room, event_id: object) -> Event:
        if not isinstance(event_id, str):
            raise InvalidParam("redacts names the event to redact.")
        target = await store.event_by_id(self.memory.reader(), room.key, EventId(event_id))
        if target is None:
            raise NoSuchEvent()
        return target

    async def _append_once(self, room: Room, draft: Draft, key: TransactionKey) -> EventId:
        def judge(room: Room, batch: Batch) -> EventId:
            known = self.memory.transactions(room.stream).pending(key)
            if known is not None:
                # On its way in this batch or the one before: it is answered when that is durable.
                return known
            return self._appender.append(batch, room, draft, self._clock.now_ms()).event_id

        return await self._submit(room, judge)

    async def _append(self, room: Room, draft: Draft) -> Event:
        def judge(room: Room, batch: Batch) -> Event:
            return self._appender.append(batch, room, draft, self._clock.now_ms())

        return await self._submit(room, judge)

    async def _submit(self, room: Room, judge: Callable[[Room, Batch], T]) -> T:
        while True:
            # Memory may have let go of the room while something was awaited; one that is not in
            # memory doesn't hear of commits, and nothing may be judged on it.
            held = self.memory.resident(room.room_id) or await self.memory.get(room.room_id)
            if held is None:
                raise NotFound()
            room = held
            try:
                waiter = self._streams.submit(room.stream, partial(judge, room))
            except Cold as cold:
                if room.loaded:
                    await self.memory.fill(room, [cold.key])
            else:
                return await waiter

    async def _change_membership(
        self, room: Room, actor: UserId, target: UserId, content: JsonObject
    ) -> None:
        event = await self._append(room, Draft(_MEMBER, actor, content, target))
        await self._projector.wait_for(room.stream, event.position)


def _plain_member(membership: str, reason: str | None) -> dict[str, Any]:
    content: dict[str, Any] = {"membership": membership}
    if reason is not None:
        content["reason"] = reason
    return content
