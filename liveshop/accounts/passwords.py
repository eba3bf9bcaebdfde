"""argon2id, off the event loop, a few at a time.

One hash takes 64 MiB (RFC 9106, the low-memory choice) and tens of milliseconds of every core, so a
flood of sign-ins must queue here and not starve the video beside it.
"""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from liveshop.kernel.ids import new_secret

_AT_ONCE = 2


class Passwords:
    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._nobody = self._hasher.hash(new_secret())

    async def hash(self, password: str) -> str:
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, stored_hash: str | None, password: str) -> bool:
        """Whether the password fits. Without a hash it works as long and is always False."""
        async with self._turn:
            fits = await asyncio.to_thread(self._fits, stored_hash or self._nobody, password)
        return fits and stored_hash is not None

    def is_outdated(self, stored_hash: str) -> bool:
        """Whether it was made with other parameters than would be used today."""
        return self._hasher.check_needs_rehash(stored_hash)

    def _fits(self, stored_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored_hash, password)
        except (VerificationError, InvalidHashError):
            return False
