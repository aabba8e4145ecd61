"""Passwords as Argon2id hashes, computed off the event loop in a bounded pool.

(1) Checking costs the same whether the account exists or not.
(2) So many hashes at a time and so many waiting; beyond that the answer is 429.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from posthouse.accounts.settings import PasswordSettings
from posthouse.matrix import LimitExceeded
from posthouse.std.clock import Randomness

T = TypeVar("T")

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32


class Passwords:
    """Makes and checks PHC strings. `close` when no more will be asked."""

    def __init__(self, settings: PasswordSettings, random: Randomness) -> None:
        self._settings = settings
        self._random = random
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="argon2")
        self._asked = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The PHC string to keep for a password."""
        return await self._run(lambda: self._make(password, self._random.token_bytes(_SALT_BYTES)))

    async def matches(self, password: str, kept: str | None) -> bool:
        """Is it the password that was kept? False, after the same work, where none was."""
        if kept is not None:
            return await self._run(lambda: _verify(password, kept))
        if self._nobody is None:
            self._nobody = await self.hash(self._random.token_urlsafe(_HASH_BYTES))
        nobody = self._nobody
        await self._run(lambda: _verify(password, nobody))
        return False

    async def warm(self) -> None:
        """Makes the hash that stands for nobody, so that the first stranger sees no difference."""
        await self.matches("", None)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, password: str, salt: bytes) -> str:
        hasher = Argon2id(
            salt=salt,
            length=_HASH_BYTES,
            iterations=self._settings.passes,
            lanes=1,
            memory_cost=self._settings.memory_kib,
        )
        return hasher.derive_phc_encoded(_bytes_of(password))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._asked >= self._settings.threads + self._settings.waiting_max:
            raise LimitExceeded(retry_after_ms=1_000)
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._asked -= 1


def _verify(password: str, kept: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(_bytes_of(password), kept)
    except InvalidKey:
        return False
    return True


def _bytes_of(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
