"""What people do at random, and what they then must and must not see.

A machine is driven by hypothesis; the server is a real one in this process, started once for many
examples, each of which has people and rooms of its own.
"""

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import quote

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.model.model import ENCRYPTION, MARK, MEMBER, VISIBILITY, Event, Json, Model, Moment, Room
from tests.model.reader import Reader, Token, Wish
from tests.world import PASSWORD, V3, Device, World

T = TypeVar("T")

PEOPLE: Final = 4
DEVICES_MAX: Final = 7
ROOMS_MAX: Final = 3
VISIBILITIES: Final = ("shared", "joined", "invited", "world_readable")

_numbers = itertools.count(1)

some = st.integers(0, 999)
"""Which of the things that there are: the remainder by their number."""

wishes = st.builds(
    Wish,
    limit=st.sampled_from([1, 2, 3, 5, 10, 20]),
    lazy=st.booleans(),
    only_messages=st.sampled_from([False, False, False, True]),
    state_after=st.booleans(),
    full_state=st.sampled_from([False, False, False, True]),
    include_leave=st.booleans(),
    page=st.sampled_from([3, 100, 100]),
)
visibilities = st.sampled_from(VISIBILITIES)


class People(RuleBasedStateMachine):
    """People, their devices, their rooms, and the model of it all."""

    def __init__(self, world: World, runner: asyncio.Runner) -> None:
        super().__init__()
        self.world = world
        self.runner = runner
        self.model = Model()
        self.readers: list[Reader] = []
        self.sends: list[tuple[Reader, str, Json, object]] = []
        """Sends that were granted, with the answer: they may be repeated."""

    def run(self, deed: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(deed)

    # -- who and where -------------------------------------------------------------------------

    @initialize(encrypted=st.booleans(), anarchy=st.booleans(), visibility=visibilities)
    def people_come_together(self, encrypted: bool, anarchy: bool, visibility: str) -> None:
        """All but one of them in one room: most of what matters happens there."""

        async def register() -> None:
            for _ in range(PEOPLE):
                person = await self.world.person(f"p{next(_numbers)}")
                self.readers.append(Reader(self.model, person.phone))

        self.run(register())
        self.users = [reader.user for reader in self.readers]
        self.creates(0, "12", "public_chat", visibility, encrypted, anarchy, set())
        for number in range(1, PEOPLE - 1):
            self.changes_membership(number, 0, 0, "join")
        self._signs_in_again(0)
        for reader in self.readers:
            self.run(self._syncs(reader, None, Wish()))

    def reader(self, number: int) -> Reader:
        return self.readers[number % len(self.readers)]

    def room(self, number: int) -> Room:
        rooms = list(self.model.rooms.values())
        return rooms[number % len(rooms)]

    def member(self, number: int, room: Room) -> Reader:
        """Somebody who is in the room, four times in five."""
        joined = room.joined(len(room.log))
        inside = [reader for reader in self.readers if reader.user in joined]
        return inside[number % len(inside)] if inside and number % 5 else self.reader(number)

    def mark(self) -> str:
        return f"mark-{next(_numbers)}-"

    def new_moment(self) -> None:
        self.model.now += 1

    # -- rooms ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.rooms) < ROOMS_MAX)
    @rule(
        who=some,
        version=st.sampled_from(["10", "11", "12"]),
        preset=st.sampled_from(["private_chat", "trusted_private_chat", "public_chat"]),
        visibility=st.none() | visibilities,
        encrypted=st.booleans(),
        anarchy=st.booleans(),
        guests=st.sets(st.integers(0, PEOPLE - 1)),
    )
    def creates(
        self,
        who: int,
        version: str,
        preset: str,
        visibility: str | None,
        encrypted: bool,
        anarchy: bool,
        guests: set[int],
    ) -> None:
        reader = self.reader(who)
        creator = reader.user
        invited = [self.users[g] for g in sorted(guests) if self.users[g] != creator]
        create, levels, seen, sealed, name = (self.mark() for _ in range(5))
        initial: list[Json] = []
        if visibility is not None:
            content = {"history_visibility": visibility, "mark": seen}
            initial.append({"type": VISIBILITY, "content": content})
        if encrypted:
            content = {"algorithm": "m.megolm.v1.aes-sha2", "mark": sealed}
            initial.append({"type": ENCRYPTION, "content": content})
        wish: Json = {
            "preset": preset,
            "room_version": version,
            "name": name,
            "invite": invited,
            "initial_state": initial,
            "creation_content": {"mark": create},
            "power_level_content_override": {
                "mark": levels,
                "users_default": 100 if anarchy else 0,
            },
        }
        self.new_moment()
        status, answer = self.run(reader.asks("POST", "/createRoom", wish))
        assert status == 200, answer
        room = Room(answer["room_id"])
        self.model.rooms[room.room_id] = room

        def first(type_: str, key: str = "", mark: str = "", value: str = "") -> None:
            mark = mark or f"{room.room_id}|{type_}|{key}"
            self.model.happens(room, type_, creator, key, mark, value=value)

        first("m.room.create", mark=create)
        first(MEMBER, creator, value="join")
        first("m.room.power_levels", mark=levels)
        first("m.room.join_rules", value="public" if preset == "public_chat" else "invite")
        if visibility is None:
            first(VISIBILITY, value="shared")
        first("m.room.guest_access")
        if visibility is not None:
            first(VISIBILITY, mark=seen, value=visibility)
        if encrypted:
            first(ENCRYPTION, mark=sealed)
        first("m.room.name", mark=name)
        for guest in invited:
            first(MEMBER, guest, value="invite")

    @rule(
        who=some,
        where=some,
        whom=some,
        deed=st.sampled_from(
            ["join", "join", "invite", "invite", "leave", "kick", "ban", "unban", "forget"]
        ),
    )
    def changes_membership(self, who: int, where: int, whom: int, deed: str) -> None:
        room = self.room(where)
        reader = self.member(who, room) if deed in _UPON_OTHERS else self.reader(who)
        self.run(self._changes_membership(reader, room, whom, deed))

    async def _changes_membership(self, reader: Reader, room: Room, whom: int, deed: str) -> None:
        target = self.users[whom % PEOPLE] if deed in _UPON_OTHERS else reader.user
        mark = self.mark()
        body: Json = {} if deed == "forget" else {"reason": mark}
        if deed in _UPON_OTHERS:
            body["user_id"] = target
        end = len(room.log)
        standing, own = room.membership(target, end), room.membership(reader.user, end)
        rule_ = room.value("m.room.join_rules", end)
        ever = bool(room.own(reader.user, 0, end))
        granted = {
            "join": own == "join" or (own != "ban" and (rule_ == "public" or own == "invite")),
            "leave": ever,
            "forget": ever and own in ("leave", "ban"),
            "invite": None if own == "join" and standing not in ("join", "ban") else False,
            "kick": None if own == "join" and standing in ("join", "invite") else False,
            "ban": None if own == "join" else False,
            "unban": None if own == "join" and standing == "ban" else False,
        }[deed]
        self.new_moment()
        status, answer = await reader.asks("POST", f"/rooms/{quote(room.room_id)}/{deed}", body)
        assert granted is None or granted == (status == 200), f"{deed} by {own}: {answer}"
        if status != 200:
            return
        if deed == "forget":
            self.model.forgets(room, reader.user)
        elif not (deed == "join" and own == "join") and not (
            deed == "leave" and own in ("leave", "ban")
        ):
            value = {"kick": "leave", "unban": "leave"}.get(deed, deed)
            self.model.happens(room, MEMBER, reader.user, target, mark, value=value)

    # -- events --------------------------------------------------------------------------------

    @rule(
        who=some,
        where=some,
        deeds=st.lists(
            st.sampled_from(["say", "say", "m.room.name", "x.note"]), min_size=1, max_size=8
        ),
    )
    def talk(self, who: int, where: int, deeds: list[str]) -> None:
        room = self.room(where)
        for number, deed in enumerate(deeds, who):
            if deed == "say":
                self.run(self._says(self.member(number, room), room))
            else:
                self.run(self._sets(number, where, deed, "", {}))

    async def _says(self, reader: Reader, room: Room) -> None:
        mark, txn = self.mark(), f"t{next(_numbers)}"
        self.new_moment()
        path = f"/rooms/{quote(room.room_id)}/send/m.room.message/{txn}"
        body = {"msgtype": "m.text", "body": mark}
        status, answer = await reader.asks("PUT", path, body)
        joined = room.membership(reader.user, len(room.log)) == "join"
        assert joined == (status == 200), f"{status} {answer}"
        if joined:
            self._was_said(reader, room, mark, txn, answer["event_id"])
            self.sends.append((reader, path, body, answer))

    def _was_said(self, reader: Reader, room: Room, mark: str, txn: str, event_id: str) -> None:
        of = reader.device.device_id, txn
        self.model.happens(
            room, "m.room.message", reader.user, None, mark, event_id=event_id, txn=of
        )

    @rule(where=some, voices=st.lists(some, min_size=2, max_size=4))
    def speak_at_once(self, where: int, voices: list[int]) -> None:
        """Whoever comes first, comes first for everybody."""
        room = self.room(where)
        joined = room.joined(len(room.log))
        speakers = [r for v in voices if (r := self.reader(v)).user in joined]
        if not speakers:
            return

        async def send(reader: Reader, mark: str, txn: str) -> str:
            path = f"/rooms/{quote(room.room_id)}/send/m.room.message/{txn}"
            status, answer = await reader.asks("PUT", path, {"body": mark})
            assert status == 200, answer
            return str(answer["event_id"])

        async def all_send() -> None:
            said = [(r, self.mark(), f"t{next(_numbers)}") for r in speakers]
            ids = await asyncio.gather(*(send(*each) for each in said))
            by_id = dict(zip(ids, said, strict=True))
            device = speakers[0].device
            page = await device.messages(room.room_id, dir="b", limit=len(ids))
            order = [event["event_id"] for event in reversed(page["chunk"])]
            assert sorted(order) == sorted(ids)
            for event_id in order:
                reader, mark, txn = by_id[event_id]
                self._was_said(reader, room, mark, txn, event_id)

        self.new_moment()
        self.run(all_send())

    @precondition(lambda self: self.sends)
    @rule(which=some)
    def repeats_a_send(self, which: int) -> None:
        """The same transaction again is the same event, whatever has become of the sender."""
        reader, path, body, answer = self.sends[which % len(self.sends)]
        status, again = self.run(reader.asks("PUT", path, body))
        assert (status, again) == (200, answer) or status == 403, again

    @rule(
        who=some,
        where=some,
        what=st.sampled_from(
            [
                *((VISIBILITY, "history_visibility", each) for each in VISIBILITIES),
                ("m.room.join_rules", "join_rule", "public"),
                ("m.room.join_rules", "join_rule", "invite"),
                (ENCRYPTION, "algorithm", "m.megolm.v1.aes-sha2"),
            ]
        ),
    )
    def changes_the_rules(self, who: int, where: int, what: tuple[str, str, str]) -> None:
        type_, field, value = what
        self.run(self._sets(who, where, type_, "", {field: value}, value=value))

    async def _sets(
        self, who: int, where: int, type_: str, key: str, content: Json, value: str = ""
    ) -> None:
        room, mark = self.room(where), self.mark()
        reader = self.member(who, room)
        self.new_moment()
        path = f"/rooms/{quote(room.room_id)}/state/{type_}/{key}"
        status, answer = await reader.asks("PUT", path, {"mark": mark, **content})
        joined = room.membership(reader.user, len(room.log)) == "join"
        assert joined or status == 403, answer
        if status == 200:
            self.model.happens(
                room, type_, reader.user, key, mark, value=value, event_id=answer["event_id"]
            )

    @rule(who=some, where=some, what=some)
    def redacts(self, who: int, where: int, what: int) -> None:
        room = self.room(where)
        named = [e for e in room.log if e.event_id and e.type not in ("m.room.create", ENCRYPTION)]
        if not named:
            return
        reader, target = self.member(who, room), named[what % len(named)]
        mark, txn = self.mark(), f"t{next(_numbers)}"
        self.new_moment()
        path = f"/rooms/{quote(room.room_id)}/redact/{quote(str(target.event_id))}/{txn}"
        status, answer = self.run(reader.asks("PUT", path, {"reason": mark}))
        joined = room.membership(reader.user, len(room.log)) == "join"
        assert joined or status in (403, 404), answer
        if status == 200:
            self.model.happens(
                room,
                "m.room.redaction",
                reader.user,
                None,
                mark,
                event_id=answer["event_id"],
                txn=(reader.device.device_id, txn),
                redacts=target,
            )

    # -- devices -------------------------------------------------------------------------------

    @rule(who=some, whom=st.lists(some, min_size=1, max_size=3), every=st.booleans())
    def sends_to_devices(self, who: int, whom: list[int], every: bool) -> None:
        readers = [self.reader(each) for each in whom]
        self.run(self._sends_to_devices(self.reader(who), readers, every=every))

    async def _sends_to_devices(
        self, reader: Reader, targets: list[Reader], *, every: bool
    ) -> None:
        self.new_moment()
        messages: dict[str, dict[str, Json]] = {}
        for target in targets:
            device = "*" if every else target.device.device_id
            messages.setdefault(target.user, {})[device] = {"body": self.mark()}
        path = f"/sendToDevice/x.whisper/t{next(_numbers)}"
        status, answer = await reader.asks("PUT", path, {"messages": messages})
        assert status == 200, answer
        for other in self.readers:
            by_device = messages.get(other.user, {})
            sent = by_device.get(other.device.device_id) or by_device.get("*")
            if sent is not None:
                self.model.mail[other.device.device_id].append((self.model.now, sent["body"]))
        self.sends.append((reader, path, {"messages": messages}, answer))

    @rule(who=some, anew=st.booleans())
    def changes_devices(self, who: int, anew: bool) -> None:
        if anew and len(self.readers) < DEVICES_MAX:
            self._signs_in_again(who)
        else:
            self._publishes_keys(who)

    def _signs_in_again(self, who: int) -> None:
        user = self.users[who % PEOPLE]

        async def sign_in() -> None:
            body = {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": user},
                "password": PASSWORD,
            }
            status, answer = await self.world.request("POST", f"{V3}/login", body)
            assert status == 200, answer
            device = Device(self.world, user, answer["device_id"], answer["access_token"])
            self.readers.append(Reader(self.model, device))

        self.run(sign_in())

    def _publishes_keys(self, who: int) -> None:
        reader = self.reader(who)
        device_id = reader.device.device_id
        keys = {
            "user_id": reader.user,
            "device_id": device_id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
            "keys": {f"curve25519:{device_id}": f"key{next(_numbers)}"},
            "signatures": {},
        }

        async def publish() -> None:
            status, answer = await reader.asks("POST", "/keys/upload", {"device_keys": keys})
            assert status == 200, answer
            await self.world.services.settled()

        self.new_moment()
        self.run(publish())
        self.model.key_changes.append((self.model.now, reader.user))

    # -- syncs ---------------------------------------------------------------------------------

    @rule(who=some, wish=wishes)
    def syncs(self, who: int, wish: Wish) -> None:
        reader = self.reader(who)
        self.run(self._syncs(reader, reader.tokens[-1] if reader.tokens else None, wish))

    @rule(
        who=some,
        which=st.sampled_from(["older", "another device's", "none"]),
        wish=wishes,
        age=some,
    )
    def syncs_from_elsewhere(self, who: int, which: str, wish: Wish, age: int) -> None:
        """A token that is stale or was used before, or of another device of the same person: it
        stands for its place all the same, and deletes nothing of any other device.
        """
        reader = self.reader(who)
        tokens = reader.tokens
        if which == "another device's":
            others = [r for r in self.readers if r.user == reader.user and r is not reader]
            tokens = [token for other in others for token in other.tokens]
        if which == "none":
            self.run(self._syncs(reader, None, wish))
        elif tokens:
            self.run(self._syncs(reader, tokens[-1 - age % len(tokens)], wish))

    @rule(who=some, from_=some)
    def mixes_up_its_tokens_with_a_sister(self, who: int, from_: int) -> None:
        """A device with unfetched messages shows the newer token of another device, and then its
        own again: what it hadn't fetched is still there.
        """
        reader, sender = self.reader(who), self.reader(from_)
        sisters = [r for r in self.readers if r.user == reader.user and r is not reader]
        if sisters and reader.tokens:

            async def mix_up() -> None:
                await self._sends_to_devices(sender, [reader], every=False)
                await self._syncs(reader, reader.tokens[-1], Wish())
                own = reader.tokens[-1]
                await self._sends_to_devices(sender, [reader], every=False)
                await self._syncs(sisters[0], None, Wish())
                await self._syncs(reader, sisters[0].tokens[-1], Wish())
                await self._syncs(reader, own, Wish())

            self.run(mix_up())

    @rule(where=some, who=some, wish=wishes, turns=st.integers(2, 4))
    def a_talk_is_followed(self, where: int, who: int, wish: Wish, turns: int) -> None:
        """Some look at every message and others at every second: from different places to one."""
        room = self.room(where)
        wish = replace(wish, full_state=False)
        for turn in range(turns):
            for number, reader in enumerate(self.readers):
                if reader.tokens and number % 2 <= turn % 2:
                    self.run(self._syncs(reader, reader.tokens[-1], wish))
            self.run(self._says(self.member(who, room), room))
        self.everybody_syncs(wish, False)

    @rule(wish=wishes, first=st.booleans())
    def everybody_syncs(self, wish: Wish, first: bool) -> None:
        """With one wish, one after another: what was made for one is given to the next."""
        for reader in self.readers:
            if reader.tokens:
                token = reader.tokens[0 if first else -1]
                self.run(self._syncs(reader, token, wish))

    async def _syncs(self, reader: Reader, token: Token | None, wish: Wish) -> None:
        if token is not None and token in reader.tokens:
            reader.presents(token)
        await reader.syncs(token, wish)

    @rule(
        who=some, whose=some, wish=wishes, cut=st.integers(0, 30), put=st.text("abX-09", max_size=3)
    )
    def syncs_with_what_is_not_theirs(
        self, who: int, whose: int, wish: Wish, cut: int, put: str
    ) -> None:
        self._syncs_from_a_foreign_token(who, whose, wish)
        self._syncs_from_garbage(who, cut, put)

    def _syncs_from_a_foreign_token(self, who: int, whose: int, wish: Wish) -> None:
        """Somebody else's token: refused or answered, with nothing that isn't the asker's."""
        reader, other = self.reader(who), self.reader(whose)
        if other.tokens and other.user != reader.user:
            token = other.tokens[-1].text
            status, answer = self.run(reader.asks("GET", "/sync", since=token, **wish.query()))
            assert status in (200, 400), answer

    def _syncs_from_garbage(self, who: int, cut: int, put: str) -> None:
        reader = self.reader(who)
        text = reader.tokens[-1].text if reader.tokens else "s1234"
        cut = min(cut, len(text) - 2)  # the last character may stand for the same bytes as another
        spoilt = text[:cut] + put + text[cut + max(1, len(put)) :]
        if spoilt == text:
            return
        status, answer = self.run(reader.asks("GET", "/sync", since=spoilt or "x"))
        assert status == 400, answer

    @rule(
        who=some,
        wish=wishes,
        actor=some,
        where=some,
        elsewhere=some,
        deed=st.sampled_from(["say", "invite", "kick", "ban", "join", "leave"]),
    )
    def waits(
        self, who: int, wish: Wish, actor: int, where: int, elsewhere: int, deed: str
    ) -> None:
        """Things happen while a poll waits, in two rooms at once; a message to the device ends the
        wait surely.
        """
        wish = replace(wish, only_messages=False)  # else the answer needn't show what it tells of
        reader, room, other_room = self.reader(who), self.room(where), self.room(elsewhere)
        other = reader if deed in ("join", "leave") else self.member(actor, room)

        async def do() -> None:
            if deed == "say":
                await self._says(other, room)
            else:
                await self._changes_membership(other, room, self.users.index(reader.user), deed)

        async def talk() -> None:
            for number in range(3):
                if other_room is not room:
                    await self._says(self.member(number, other_room), other_room)

        async def happen() -> None:
            await asyncio.gather(do(), talk())
            await self._sends_to_devices(other, [reader], every=False)

        async def wait() -> None:
            await self._syncs(reader, reader.tokens[-1] if reader.tokens else None, wish)
            token = reader.tokens[-1]
            start = self.model.moment()
            reader.presents(token)
            (status, answer), _ = await asyncio.gather(
                reader.fetches("GET", "/sync", since=token.text, timeout=5_000, **wish.query()),
                happen(),
            )
            assert status == 200, answer
            reader.check_nothing_leaks(answer)
            await reader.understands(answer, token, wish, self._moment_of(answer, start))

        self.run(wait())

    def _moment_of(self, answer: Json, start: Moment) -> Moment:
        """What an answer that raced with deeds has in it, by its own word."""
        marks = set(MARK.findall(orjson.dumps(answer).decode()))
        mail = [time for box in self.model.mail.values() for time, mark in box if mark in marks]
        ends = {
            room.room_id: max(
                [start.end(room), *(e.index + 1 for e in room.log if e.mark in marks)]
            )
            for room in self.model.rooms.values()
        }
        return Moment(max([start.time, *mail]), ends)

    # -- asking --------------------------------------------------------------------------------

    @rule(who=some, where=some, what=some, wish=wishes)
    def asks(self, who: int, where: int, what: int, wish: Wish) -> None:
        self._asks_for_an_event(who, where, what)
        self._asks_for_state(who, where)
        self._reads_from_the_beginning(who, where, wish)

    def _asks_for_an_event(self, who: int, where: int, what: int) -> None:
        room, reader = self.room(where), self.reader(who)
        named = [event for event in room.log if event.event_id]
        if named:
            self.run(self._asks_for(reader, room, named[what % len(named)]))

    async def _asks_for(self, reader: Reader, room: Room, event: Event) -> None:
        path = f"/rooms/{quote(room.room_id)}"
        event_id = quote(str(event.event_id))
        for asked in (f"{path}/event/{event_id}", f"{path}/context/{event_id}"):
            status, answer = await reader.asks("GET", asked)
            assert (status == 200) == room.shows(reader.user, event), f"{asked}: {answer}"
            told = answer.get("event", answer)
            if status == 200:
                assert self.model.name(room, told) is event
            for key in ("events_before", "events_after"):
                told = self.model.told(room, answer.get(key, ()))
                assert all(room.shows(reader.user, each) for each in told)

    def _asks_for_state(self, who: int, where: int) -> None:
        room, reader = self.room(where), self.reader(who)
        user, end = reader.user, len(room.log)
        stands = "leave" if user in room.forgotten else room.membership(user, end)
        stayed = user not in room.forgotten and any(
            event.value == "join" for event in room.own(user, 0, end)
        )
        place: int | None = None
        if stands == "join" or room.value(VISIBILITY, end, "shared") == "world_readable":
            place = end
        if stayed and stands != "join":
            place = room.leaving(user, end)

        async def ask() -> None:
            path = f"/rooms/{quote(room.room_id)}"
            status, answer = await reader.asks("GET", f"{path}/state")
            assert (status == 200) == (place is not None), answer
            status, members = await reader.asks("GET", f"{path}/members")
            assert (status == 200) == (place is not None), members
            if place is not None:
                state = room.state(place)
                told = self.model.told(room, answer)  # type: ignore[arg-type]  # a list this time
                assert {event.key: event for event in told} == state
                told = self.model.told(room, members["chunk"])
                assert {e.key: e for e in told} == {
                    k: e for k, e in state.items() if k[0] == MEMBER
                }
            status, answer = await reader.asks("GET", f"{path}/joined_members")
            assert (status == 200) == (stands == "join"), answer
            if status == 200:
                assert answer["joined"].keys() == room.joined(end)
            status, answer = await reader.asks("GET", "/joined_rooms")
            rooms = {r.room_id for r in self.model.rooms.values() if user in r.joined(len(r.log))}
            assert set(answer["joined_rooms"]) == rooms

        self.run(ask())

    def _reads_from_the_beginning(self, who: int, where: int, wish: Wish) -> None:
        room, reader = self.room(where), self.reader(who)
        seen = [e for e in room.log if room.shows(reader.user, e) and wish.shows(e)]
        if seen:
            assert self.run(reader.pages(room, None, wish, way="f")) == seen
            assert self.run(reader.pages(room, None, wish, way="b")) == seen[::-1]

    # -- the server ----------------------------------------------------------------------------

    @rule(what=st.sampled_from(["restart", "homes", "tails"]))
    def memory_is_lost(self, what: str) -> None:
        """A restart; or people not seen for five minutes, whose homes are built anew; or recent
        events pushed out by 16 MiB of others', so that what is told is read from storage.
        """
        services = self.world.services
        if what == "restart":
            self.run(self.world.restart())
        elif what == "homes":
            for home in services.sync._homes.values():
                home.leave_rooms()
            services.sync._homes.clear()
        else:
            for stream in services.room_streams.streams.ids:
                services.memory.tail(stream).reset(services.room_streams.head(stream))

    # -- at the end ----------------------------------------------------------------------------

    def teardown(self) -> None:
        """Every device catches up and then begins anew; every event is asked for by everybody."""

        async def catch_up() -> None:
            for reader in self.readers:
                if reader.tokens:
                    await self._syncs(reader, reader.tokens[-1], Wish())
                await self._syncs(reader, None, Wish(include_leave=True))

        if self.readers:
            self.run(catch_up())


_UPON_OTHERS: Final = frozenset({"invite", "kick", "ban", "unban"})
