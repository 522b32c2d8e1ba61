"""Checks passwords with Argon2 in a thread, so that the event loop goes on meanwhile.

Invariants
- A process checks one password at a time: each takes a core or more for some 50 ms, and 64 MiB. Where somebody of ours
  has signed in before there is another place, with a queue of its own, so strangers hold nobody up there.
- An address that no agent has takes the same work as a wrong password, so the time tells nothing.
- At most MAX_WAITING_CHECKS wait for their turn in each queue; who comes then is refused.
"""

import asyncio

from api.web.credentials import hash_password, is_password_right, rehash_if_outdated

MAX_WAITING_CHECKS = 8  # half a second of patience


class TooManyChecks(Exception):
    """Too many passwords wait to be checked."""


class _Queue:
    """Those who wait for one place."""

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(1)
        self.waiting = 0


class PasswordChecker:
    """Checks passwords for one process, a few at a time."""

    def __init__(self) -> None:
        self._strangers, self._known = _Queue(), _Queue()

    async def is_right(self, stored_hash: str | None, password: str, *, is_known_place: bool = False) -> bool:
        """Whether the password is the one that was hashed; `stored_hash` is None where nobody has the address.
        `is_known_place`: the agent has signed in from there before. Raises TooManyChecks."""
        queue = self._known if is_known_place else self._strangers
        if queue.waiting >= MAX_WAITING_CHECKS:
            raise TooManyChecks
        queue.waiting += 1
        try:
            async with queue.turn:
                return await asyncio.to_thread(_is_right, stored_hash, password)
        finally:
            queue.waiting -= 1

    async def renew_hash(self, stored_hash: str, password: str) -> str | None:
        """Hashes a password that was right anew; None where the stored hash was made at today's costs."""
        async with self._known.turn:
            return await asyncio.to_thread(rehash_if_outdated, stored_hash, password)


def _is_right(stored_hash: str | None, password: str) -> bool:
    if stored_hash is None:
        hash_password(password)
        return False
    return is_password_right(stored_hash, password)
