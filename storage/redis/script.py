"""Runs the Lua scripts of Redis: redis-py sends one once, then names it by its digest.

Invariants
- One call runs the script once at most. redis-py sends it a second time only after NOSCRIPT, by which the server says
  that nothing has run, and our connections repeat no command (`client.py`).
- A caller who gets RedisDown doesn't know whether the script ran.
"""

from collections.abc import Collection, Iterable, Iterator
from importlib.resources import files
from itertools import islice
from typing import TypeVar

from redis.asyncio import Redis

from storage.redis.client import redis_errors
from storage.redis.presence import RedisPresence

T = TypeVar("T")

# What there is of each customer goes into one argument, in chunks that fit on Lua's stack.
MAX_CUSTOMERS_PER_CALL = 1000


class Script:
    """A script of this package, which lies in the file `name`, with the clock before it."""

    def __init__(self, redis: Redis, name: str, presence: RedisPresence | None = None) -> None:
        self._presence = presence or RedisPresence()
        folder = files("storage.redis")
        self._run = redis.register_script(b"".join(folder.joinpath(part).read_bytes() for part in ("clock.lua", name)))

    async def call(self, *arguments: int | str) -> object:
        """Runs the script and returns its answer; raises RedisDown."""
        async with self._presence.watch_call():
            with redis_errors():
                return await self._run(args=arguments)


def join_words(words: Iterable[object]) -> str:
    """Joins what a script splits at the spaces."""
    return " ".join(map(str, words))


def split_chunks(rows: Collection[T]) -> Iterator[list[T]]:
    """Splits `rows` into chunks of at most MAX_CUSTOMERS_PER_CALL."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, MAX_CUSTOMERS_PER_CALL)):
        yield chunk
