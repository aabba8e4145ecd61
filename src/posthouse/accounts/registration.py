"""Invitations to register: tokens with a bound on their uses.

A use crosses two kinds of table, the token's (global) and the new account's (the person's stream),
and so two transactions. Between them stands a reservation:

(1) Completed uses and reservations together never exceed what a token allows.
(2) A reservation that was left behind by a crash is settled by whether the account came to be.
"""

from typing import Final

from posthouse.accounts import store
from posthouse.accounts.model import RegistrationToken
from posthouse.accounts.rules import is_registration_token
from posthouse.matrix import InvalidParam, UserId
from posthouse.std.clock import Clock, Randomness
from posthouse.storage import Database, Owner

_RESERVED_MS_MAX: Final = 600_000


class Invitations:
    """Who may register by a token."""

    def __init__(self, database: Database, clock: Clock, random: Randomness) -> None:
        self._database = database
        self._clock = clock
        self._random = random

    async def create(
        self, token: str | None, *, uses_allowed: int | None, expires_ms: int | None
    ) -> RegistrationToken:
        """Makes an invitation, with a token of its own choice where none is given."""
        text = token if token is not None else self._random.token_urlsafe(12)
        if not is_registration_token(text):
            raise InvalidParam("A token has 1 to 64 letters, digits and . _ ~ -")
        made = RegistrationToken(text, uses_allowed, 0, expires_ms)
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            if not await store.add_registration_token(tx, made, now_ms=self._clock.now_ms()):
                raise InvalidParam("There is such a token already.")
        return made

    async def is_valid(self, token: str) -> bool:
        """Could somebody register with it now?"""
        if not is_registration_token(token):
            return False
        reader = self._database.reader(of=Owner.GLOBAL)
        found = await store.registration_token(reader, token)
        return found is not None and self._is_open(found, await store.count_reserved(reader, token))

    async def reserve(self, token: str, user_id: UserId) -> bytes | None:
        """Holds a place for an account about to be made; None where there is none."""
        if not is_registration_token(token):
            return None
        left_behind = await self._left_behind(token)
        now = self._clock.now_ms()
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            await store.lock_registration_token(tx, token)
            for reservation, completed in left_behind:
                await store.end_reservation(tx, reservation, token, completed=completed)
            found = await store.registration_token(tx, token)
            if found is None or not self._is_open(found, await store.count_reserved(tx, token)):
                return None
            reservation = self._random.token_bytes(16)
            await store.reserve(tx, reservation, token, user_id, now_ms=now)
        return reservation

    async def end(self, reservation: bytes, token: str, *, completed: bool) -> None:
        """The account came to be, or didn't."""
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            await store.end_reservation(tx, reservation, token, completed=completed)

    async def _left_behind(self, token: str) -> list[tuple[bytes, bool]]:
        """Invariant 2: reservations too old to be in progress, and whether the account exists."""
        before = self._clock.now_ms() - _RESERVED_MS_MAX
        stale = await store.stale_reservations(
            self._database.reader(of=Owner.GLOBAL), token, before_ms=before
        )
        if not stale:
            return []
        people = await store.existing_users(
            self._database.reader(of=Owner.USER), [user_id for _, user_id in stale]
        )
        return [(reservation, user_id in people) for reservation, user_id in stale]

    def _is_open(self, token: RegistrationToken, reserved: int) -> bool:
        if token.expires_ms is not None and token.expires_ms <= self._clock.now_ms():
            return False
        return token.uses_allowed is None or token.completed + reserved < token.uses_allowed
