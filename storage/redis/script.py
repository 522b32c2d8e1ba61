"""A Lua script in Redis: sent once, then named by its digest.

Invariant: one call of Python is one run of the script at most; whoever called knows from RedisDown that nobody knows.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from importlib.resources import files
from itertools import islice
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from storage.redis.client import redis_errors

T = TypeVar("T")

# What there is of each customer comes in one argument, in parts that fit on Lua's stack.
CHUNK = 1000


class Script:
    """`name`: a file of this package."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._text = files("storage.redis").joinpath(name).read_bytes()
        self._digest = hashlib.sha1(self._text, usedforsecurity=False).hexdigest()  # the name that Redis gives it

    async def call(self, *arguments: int | str) -> object:
        """Runs it; raises RedisDown."""
        with redis_errors():
            try:
                return await self._send("EVALSHA", self._digest, 0, *arguments)
            except NoScriptError:  # a new server, or one that was flushed: nothing has run yet
                return await self._send("EVAL", self._text, 0, *arguments)

    async def _send(self, *command: bytes | int | str) -> object:
        return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]


def joined(words: Iterable[object]) -> str:
    """What a script splits at its spaces."""
    return " ".join(map(str, words))


def chunks(rows: Collection[T]) -> Iterator[list[T]]:
    """`rows` in parts of CHUNK."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk
