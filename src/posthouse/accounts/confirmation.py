"""User-interactive authentication: proving again who one is, for one operation.

https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
"""

import enum
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from posthouse.accounts import rules, store
from posthouse.accounts.errors import AuthenticationNeeded, Unproven, WrongSignIn
from posthouse.accounts.passwords import Passwords
from posthouse.accounts.sessions import Operation, Sessions
from posthouse.http import Limit, RateLimiter
from posthouse.matrix import MissingParam, Refusal, ServerName, UserId
from posthouse.std.clock import Clock, Randomness
from posthouse.streams import UserStreams


class Stage(enum.StrEnum):
    """A proof. Every flow that this server offers has exactly one."""

    PASSWORD = "m.login.password"
    DUMMY = "m.login.dummy"
    REGISTRATION_TOKEN = "m.login.registration_token"


class UserIdentifier(Struct, frozen=True):
    """Who is meant; of the specification's ways to say it, `m.id.user` alone is served."""

    type: str
    user: str | None = None


class AuthData(Struct, frozen=True):
    """A stage's proof, as it comes in a request's `auth`."""

    type: str | None = None
    session: str | None = None
    identifier: UserIdentifier | None = None
    user: str | None = None
    password: str | None = None
    token: str | None = None


PERSON: Final = (Stage.PASSWORD,)


class Confirmation:
    """Asks, and judges the answer."""

    def __init__(
        self,
        sessions: Sessions,
        passwords: Passwords,
        streams: UserStreams,
        server: ServerName,
        clock: Clock,
        random: Randomness,
        limiter: RateLimiter,
    ) -> None:
        self._sessions = sessions
        self._passwords = passwords
        self._streams = streams
        self._server = server
        self._clock = clock
        self._random = random
        self._limiter = limiter

    def answer_of(
        self, operation: Operation, auth: AuthData | None, stages: Sequence[Stage]
    ) -> AuthData:
        """The client's answer, of an offered stage; raises AuthenticationNeeded without one.

        An answer may come without a session (simple clients send the proof at once), but not
        with one of another request.
        """
        if auth is None or auth.type is None:
            raise self.question(operation, stages)
        if auth.session is not None and not self._sessions.holds(
            auth.session, operation, now_ms=self._clock.now_ms()
        ):
            failed = Unproven("The session belongs to another request, or is too old.")
            raise self.question(operation, stages, failed)
        if auth.type not in stages:
            raise self.question(operation, stages, Unproven("This way is not offered here."))
        return auth

    def question(
        self, operation: Operation, stages: Sequence[Stage], failed: Refusal | None = None
    ) -> AuthenticationNeeded:
        """What to raise: the flows, a session, and what was wrong with the answer before."""
        session = self._sessions.open(
            operation, nonce=self._random.token_bytes(9), now_ms=self._clock.now_ms()
        )
        return AuthenticationNeeded(
            session=session, flows=[[stage.value] for stage in stages], failed=failed
        )

    async def confirm(self, operation: Operation, auth: AuthData | None) -> None:
        """Returns where the answer proves the person of the operation; raises otherwise."""
        assert operation.user_id is not None
        answer = self.answer_of(operation, auth, PERSON)
        if answer.password is None:
            raise MissingParam("The password is missing.")
        # A stolen access token must not become a password by patience. Apart from sign-ins, so
        # that strangers can't use it up.
        self._limiter.take(Limit.GUESSES, f"confirming {operation.user_id}")
        if not await self._proves(operation.user_id, answer, answer.password):
            raise self.question(operation, PERSON, WrongSignIn())

    async def _proves(self, user_id: UserId, answer: AuthData, password: str) -> bool:
        named = answer.user if answer.identifier is None else answer.identifier.user
        if named is not None and rules.named_user(named, self._server) != user_id:
            return False
        user = await store.user_of(self._streams.reader(), user_id)
        return await self._passwords.matches(password, None if user is None else user.password_hash)
