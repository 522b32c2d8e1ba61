"""Looks at passwords without getting in the way of anything else.

Invariants: one look at a time in a process, in a thread (each takes all of a core or more for a while, and 64 MiB), so
webhooks are answered beside it; a wrong name takes the same work as a wrong password.
"""

import asyncio

from api.web.credentials import hash_password, is_password_right, rehash_if_outdated

MOST_WAITING = 8  # half a second of patience


class Busy(Exception):
    """Too many passwords wait to be looked at."""


class Passwords:
    """The one place in a process where passwords are looked at."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def right(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; None is that of nobody. Raises Busy."""
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(_right, stored, password)
        finally:
            self._waiting -= 1

    async def renewed(self, stored: str, password: str) -> str | None:
        """A new hash of a password that was right, when its costs are not today's."""
        async with self._turn:
            return await asyncio.to_thread(rehash_if_outdated, stored, password)


def _right(stored: str | None, password: str) -> bool:
    if stored is None:
        hash_password(password)
        return False
    return is_password_right(stored, password)
