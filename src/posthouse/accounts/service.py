"""Accounts: the verbs, and what other domains ask."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from posthouse.accounts import rules, store
from posthouse.accounts.account_data import AccountData
from posthouse.accounts.confirmation import AuthData, Confirmation, Stage
from posthouse.accounts.errors import (
    DeactivatedUser,
    NotYours,
    PasswordMissing,
    RegistrationClosed,
    UserInUse,
    UserNotFound,
    WrongRegistrationToken,
    WrongSignIn,
)
from posthouse.accounts.filter_shelf import FilterShelf
from posthouse.accounts.filters import Filter
from posthouse.accounts.model import (
    AccountDatum,
    Device,
    DeviceWish,
    Issued,
    Profile,
    RegistrationToken,
    SignIn,
)
from posthouse.accounts.openid import OpenIdTokens
from posthouse.accounts.passwords import Passwords
from posthouse.accounts.profiles import Profiles
from posthouse.accounts.registration import Invitations
from posthouse.accounts.sessions import Operation, Sessions
from posthouse.accounts.settings import AccountSettings, RegistrationMode
from posthouse.accounts.sign_ins import SignIns
from posthouse.http import Caller, Limit, LimitSettings, RateLimiter
from posthouse.matrix import DeviceId, Refusal, RoomId, ServerName, UserId
from posthouse.std.clock import Clock, Randomness
from posthouse.std.faults import Unavailable
from posthouse.storage import Database, Owner, Reader
from posthouse.streams import EntryKind, UserStreams, Write

_log = structlog.get_logger(__name__)

_MS: Final = timedelta(milliseconds=1)
_SESSION_KEY: Final = "sessions"
_OPENID_KEY: Final = "openid"
_USUAL_LIMITS: Final = LimitSettings()


async def open_accounts(
    database: Database,
    streams: UserStreams,
    settings: AccountSettings,
    *,
    server: ServerName,
    registration: RegistrationMode,
    clock: Clock,
    random: Randomness,
    limits: LimitSettings = _USUAL_LIMITS,
) -> "Accounts":
    """The service, with the server's keys for what it signs (made at the first start)."""
    async with database.transaction(of=Owner.GLOBAL) as tx:
        key = await store.secret(tx, _SESSION_KEY, random.token_bytes(32))
        openid_key = await store.secret(tx, _OPENID_KEY, random.token_bytes(32))
    sessions = Sessions(key, settings.session_lifetime // _MS)
    return Accounts(
        database,
        streams,
        settings,
        sessions,
        OpenIdTokens(openid_key, streams, clock),
        server=server,
        registration=registration,
        clock=clock,
        random=random,
        limiter=RateLimiter(limits, clock),
    )


class Accounts:
    """Who exists, how they prove it, where they are signed in, and what only they see.

    Also the server's authenticator: `cached` and `authenticate`.
    """

    def __init__(
        self,
        database: Database,
        streams: UserStreams,
        settings: AccountSettings,
        sessions: Sessions,
        openid: OpenIdTokens,
        *,
        server: ServerName,
        registration: RegistrationMode,
        clock: Clock,
        random: Randomness,
        limiter: RateLimiter,
    ) -> None:
        self._streams = streams
        self._settings = settings
        self._random = random
        self._registration = registration
        self._limiter = limiter
        self._passwords = Passwords(settings.passwords, random)
        self._confirmation = Confirmation(
            sessions, self._passwords, streams, server, clock, random, limiter
        )
        self.server = server
        self.openid = openid
        self.sign_ins = SignIns(streams, settings, clock, random)
        self.invitations = Invitations(database, clock, random)
        self.profiles = Profiles(streams)
        self.account_data = AccountData(streams, settings)
        self.filters = FilterShelf(streams, settings)

    async def run(self) -> None:
        """What accounts do by themselves; ends by cancellation."""
        await self._passwords.warm()
        await self.sign_ins.run()

    def close(self) -> None:
        self._passwords.close()

    # Authenticator

    def cached(self, token: str) -> Caller | None:
        return self.sign_ins.cached(token)

    async def authenticate(self, token: str) -> Caller:
        return await self.sign_ins.authenticate(token)

    # What other domains ask

    async def exists(self, user_id: UserId) -> bool:
        """Is, or was, there an account of that name?"""
        return await store.user_of(self._streams.reader(), user_id) is not None

    async def existing(self, users: Sequence[UserId]) -> set[UserId]:
        """Those of the people who have, or had, an account."""
        return await store.existing_users(self._streams.reader(), users)

    async def is_active(self, user_id: UserId) -> bool:
        """Is there an account of that name that can still be used?"""
        user = await store.user_of(self._streams.reader(), user_id)
        return user is not None and user.is_active

    async def device_ids(self, user_id: UserId) -> list[DeviceId]:
        """The devices that somebody is signed in on."""
        return [device.device_id for device in await self.sign_ins.devices(user_id)]

    async def devices_of(
        self, reader: Reader | Write, users: Sequence[UserId]
    ) -> dict[UserId, dict[DeviceId, str | None]]:
        """The devices of several people, with the names they gave them; in one statement.

        Given a `Write`, read inside its transaction: what another domain then stores for a device
        is stored before its sign-out, or not at all.
        """
        return await store.device_names(reader, users)

    async def profile_of(self, user_id: UserId) -> Profile:
        return await self.profiles.profile_of(user_id)

    async def account_data_since(
        self, user_id: UserId, after: int, up_to: int
    ) -> list[AccountDatum]:
        return await self.account_data.since(user_id, after, up_to)

    async def account_data_of_rooms(
        self, user_id: UserId, rooms: Sequence[RoomId], up_to: int
    ) -> list[AccountDatum]:
        return await self.account_data.of_rooms(user_id, rooms, up_to)

    def cached_filter(self, user_id: UserId, id_or_json: str) -> Filter | None:
        return self.filters.cached(user_id, id_or_json)

    async def filter_of(self, user_id: UserId, id_or_json: str) -> Filter:
        return await self.filters.filter_of(user_id, id_or_json)

    async def write_account_data(
        self, write: Write, user_id: UserId, room_id: RoomId, type_: str, content: bytes
    ) -> int:
        """Part of another domain's work: data that only the server writes (`m.fully_read`)."""
        return await self.account_data.write(write, user_id, room_id, type_, content)

    async def confirm(
        self, caller: Caller, operation: str, parameters: Mapping[str, Any], auth: AuthData | None
    ) -> None:
        """Returns where the caller proved anew who they are; raises AuthenticationNeeded.

        `operation` names the endpoint; `parameters` are all that the request asks for, so that a
        session can't be carried over to another request.
        """
        await self._confirmation.confirm(
            Operation(operation, parameters, caller.user_id, caller.device_id), auth
        )

    # Coming and going

    async def sign_in(self, name: str, password: str, wish: DeviceWish) -> SignIn:
        """Signs in by password; `name` is a localpart or a whole user id."""
        _check_wish(wish)
        user_id = rules.named_user(name, self.server)
        # By account beside the limit by address, for guesses that come from many addresses. Names
        # that nobody has are limited alike.
        self._limiter.take(Limit.GUESSES, "nobody" if user_id is None else user_id)
        user = None if user_id is None else await store.user_of(self._streams.reader(), user_id)
        kept = None if user is None else user.password_hash
        if not await self._passwords.matches(password, kept) or user is None:
            raise WrongSignIn
        if not user.is_active:
            raise DeactivatedUser

        async def work(write: Write) -> SignIn:
            # The password may have been changed, or the account closed, while it was checked.
            now = await store.user_of(write, user.user_id)
            if now is None or now.password_hash != kept or not now.is_active:
                raise WrongSignIn
            return await self.sign_ins.issue(write, user.user_id, wish)

        return await self._streams.write(user.user_id, work)

    async def refresh(self, token: str) -> Issued:
        return await self.sign_ins.refresh(token)

    async def sign_out(self, user_id: UserId, devices: Iterable[DeviceId]) -> None:
        """Ends sign-ins; once it returns, no token of theirs works."""
        await self.sign_ins.sign_out(user_id, devices)

    async def sign_out_everywhere(self, user_id: UserId) -> None:
        await self._streams.write(user_id, lambda write: self.sign_ins.end_all(write, user_id))

    async def devices_seen_by(self, caller: Caller, user_id: UserId) -> list[Device]:
        """Where a person is signed in, for an operator or themselves."""
        if not caller.is_admin and caller.user_id != user_id:
            raise NotYours
        if not await self.exists(user_id):
            raise UserNotFound
        return await self.sign_ins.devices(user_id)

    # Registration

    async def check_username(self, username: str) -> UserId:
        """The id that a username would get; raises where it can't be, or is taken."""
        self._check_open()
        user_id = rules.new_user_id(username, self.server)
        if await self.exists(user_id):
            raise UserInUse
        return user_id

    async def register(
        self,
        username: str | None,
        password: str | None,
        wish: DeviceWish,
        *,
        auth: AuthData | None,
        inhibit_login: bool,
    ) -> UserId | SignIn:
        """Makes an account for who may have one; signs in at once unless that is inhibited."""
        self._check_open()
        _check_wish(wish)
        user_id = None if username is None else await self.check_username(username)
        if password is not None:
            self.check_password(password)
        # What a client asks for without a name or a password is which flows there are.
        asked = {"username": username, "password": password}
        operation = Operation("register", asked if any(asked.values()) else {})
        stages = (
            (Stage.REGISTRATION_TOKEN,)
            if self._registration is RegistrationMode.TOKEN
            else (Stage.DUMMY,)
        )
        answer = self._confirmation.answer_of(operation, auth, stages)
        if password is None:
            raise PasswordMissing
        if user_id is None:
            user_id = rules.new_user_id(self._random_name(), self.server)
        if answer.type != Stage.REGISTRATION_TOKEN:
            return await self._create(user_id, password, None if inhibit_login else wish)
        reservation = await self.invitations.reserve(answer.token or "", user_id)
        if reservation is None:
            raise self._confirmation.question(operation, stages, WrongRegistrationToken())
        assert answer.token is not None
        return await self._create_invited(
            user_id, password, None if inhibit_login else wish, reservation, answer.token
        )

    async def is_registration_token_valid(self, token: str) -> bool:
        if self._registration is not RegistrationMode.TOKEN:
            raise RegistrationClosed("This server takes no registration tokens.")
        return await self.invitations.is_valid(token)

    # Changing and closing an account

    async def change_password(
        self, caller: Caller, new_password: str, *, logout_devices: bool
    ) -> None:
        """Sets the password of somebody confirmed; by default ends their other sign-ins."""
        self.check_password(new_password)
        await self._set_password(
            caller.user_id,
            new_password,
            logout_devices=logout_devices,
            besides=caller.device_id,
        )

    async def deactivate(self, user_id: UserId, *, erase: bool) -> None:
        """Closes an account for good. The name stays taken; rooms are left by a consumer."""

        async def work(write: Write) -> None:
            user = await store.user_of(write, user_id)
            if user is None:
                raise UserNotFound
            if user.is_active:
                await self.sign_ins.end_all(write, user_id)
                await store.deactivate(write, user_id)
                write.append(user_id, EntryKind.DEACTIVATED, subject="erase" if erase else "")
            if erase:
                await store.erase(write, user_id)
            write.after_commit(lambda: self.sign_ins.forget(user_id))

        await self._streams.write(user_id, work)

    # The operator

    async def create_user(self, localpart: str, password: str, *, admin: bool = False) -> UserId:
        """Makes an account, whatever the mode of registration."""
        user_id = rules.new_user_id(localpart, self.server)
        self.check_password(password)
        await self._create(user_id, password, None, is_admin=admin)
        return user_id

    async def reset_password(
        self, user_id: UserId, password: str, *, logout_devices: bool = True
    ) -> None:
        """Sets somebody's password; raises UserNotFound, DeactivatedUser."""
        self.check_password(password)
        await self._set_password(user_id, password, logout_devices=logout_devices)

    async def create_registration_token(
        self,
        token: str | None = None,
        *,
        uses_allowed: int | None = None,
        expires_ms: int | None = None,
    ) -> RegistrationToken:
        return await self.invitations.create(
            token, uses_allowed=uses_allowed, expires_ms=expires_ms
        )

    # Parts

    def _check_open(self) -> None:
        if self._registration is RegistrationMode.CLOSED:
            raise RegistrationClosed

    def check_password(self, password: str) -> None:
        rules.check_password(password, length_min=self._settings.passwords.length_min)

    async def _create(
        self,
        user_id: UserId,
        password: str,
        wish: DeviceWish | None,
        *,
        is_admin: bool = False,
    ) -> UserId | SignIn:
        password_hash = await self._passwords.hash(password)

        async def work(write: Write) -> UserId | SignIn:
            if await store.user_of(write, user_id) is not None:
                raise UserInUse
            await store.add_user(write, user_id, password_hash, is_admin=is_admin)
            return user_id if wish is None else await self.sign_ins.issue(write, user_id, wish)

        return await self._streams.write(user_id, work)

    async def _create_invited(
        self,
        user_id: UserId,
        password: str,
        wish: DeviceWish | None,
        reservation: bytes,
        token: str,
    ) -> UserId | SignIn:
        try:
            made = await self._create(user_id, password, wish)
        except Refusal:
            await self.invitations.end(reservation, token, completed=False)
            raise
        try:
            await self.invitations.end(reservation, token, completed=True)
        except Unavailable as fault:
            # The account exists and its reservation holds the place: it is settled by the next
            # use of the token (registration.py, invariant 2).
            _log.warning("use of a registration token not yet counted", reason=str(fault))
        return made

    async def _set_password(
        self,
        user_id: UserId,
        password: str,
        *,
        logout_devices: bool,
        besides: DeviceId | None = None,
    ) -> None:
        password_hash = await self._passwords.hash(password)

        async def work(write: Write) -> None:
            user = await store.user_of(write, user_id)
            if user is None:
                raise UserNotFound
            if not user.is_active:
                raise DeactivatedUser
            await store.set_password(write, user_id, password_hash)
            if logout_devices:
                await self.sign_ins.end_all(write, user_id, besides=besides)

        await self._streams.write(user_id, work)

    def _random_name(self) -> str:
        return self._random.token_bytes(8).hex()


def _check_wish(wish: DeviceWish) -> None:
    if wish.device_id is not None:
        rules.new_device_id(wish.device_id)
    if wish.display_name is not None:
        rules.check_device_name(wish.display_name)
