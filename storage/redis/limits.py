"""Keeps Meta's rate limits for all processes together: of what a number sends, and of what one customer gets of it.

A pair is our number and one customer. All decisions are in limits.lua, by the server's clock. When Redis forgets, we
send too fast for a second at worst, which Meta refuses (130429 for the number, 131056 for a pair) and we repeat.
https://developers.facebook.com/docs/whatsapp/throughput

Invariants
- In any second the number is granted no more than its limit.
- A customer gets no more than a burst, and then one message each few seconds.
- A message that waits because of its customer holds up no other.
- Messages that wait because of the number are granted in the order of coming; those to customers who wrote just now
  (fresh ones) have a queue of their own, which takes turns with the other.
"""

import asyncio
from collections.abc import Collection, Container, Sequence
from typing import NamedTuple, cast

from redis.asyncio import Redis

from storage.redis.presence import RedisPresence
from storage.redis.script import MAX_CUSTOMERS_PER_CALL, Script, join_words, split_chunks

PAIR_SECONDS = 6.0
PAIR_BURST = 45  # messages
MAX_PAIR_WAIT_SECONDS = 3600.0


class _Request(NamedTuple):
    customer_id: int
    is_fresh: bool
    answer: asyncio.Future[float]


class Limits:
    """The limits of one number. All calls raise RedisDown.

    `per_second`: messages of the number; 0 is no limit, and then only the pairs have one. `pair_burst`: how many
    messages one customer gets at once, borrowed from the future, since in the long run there is one each
    `pair_seconds`.
    """

    def __init__(
        self,
        redis: Redis,
        phone_number_id: str,
        per_second: float,
        *,
        pair_seconds: float = PAIR_SECONDS,
        pair_burst: int = PAIR_BURST,
        presence: RedisPresence | None = None,
    ) -> None:
        if not phone_number_id or " " in phone_number_id or per_second < 0:
            raise ValueError("a number is named by its id, and its limit is no less than nothing")
        self._script = Script(redis, "limits.lua", presence)
        self._number = (phone_number_id, str(per_second))
        self._pair = (_to_microseconds(pair_seconds), pair_burst)
        self._asked: list[_Request] = []
        self._asking: asyncio.Task[None] | None = None

    async def take(self, customer_id: int, *, is_fresh: bool = False) -> float:
        """Takes a grant for one message to this customer, and returns 0.0; else how many seconds to wait before asking
        again.

        Calls that come while one is under way share the next.
        """
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._asked.append(_Request(customer_id, is_fresh, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await answer

    async def take_many(self, customer_ids: Collection[int], *, fresh: Container[int] = ()) -> list[float]:
        """Returns one answer for each customer, in their order, as `take` gives it."""
        waits: list[float] = []
        for some in split_chunks([f"{each}{'+' if each in fresh else ''}" for each in customer_ids]):
            answer = cast(bytes, await self._script.call("take", *self._number, *self._pair, join_words(some)))
            waits += [int(wait) / 1_000_000 for wait in answer.split()]
        return waits

    async def slow_pair(self, customer_id: int, seconds: float) -> None:
        """Has this customer wait so long, and then without a burst: Meta refused a message because of the pair's
        limit."""
        wait = _to_microseconds(min(max(0.0, seconds), MAX_PAIR_WAIT_SECONDS))
        await self._script.call("slow_pair", *self._number, *self._pair, str(customer_id), wait)

    async def slow_number(self) -> None:
        """Lowers the number's rate by a step, to three quarters at most: Meta refused a message because of its limit.
        The rate comes back by itself, and nobody waits, since most of what the number sends gets through."""
        await self._script.call("slow_number", *self._number)

    async def _ask(self) -> None:
        try:
            while self._asked:
                some, self._asked = self._asked[:MAX_CUSTOMERS_PER_CALL], self._asked[MAX_CUSTOMERS_PER_CALL:]
                await self._settle(some)
        finally:
            self._asking = None

    async def _settle(self, asked: Sequence[_Request]) -> None:
        waiting = [request for request in asked if not request.answer.done()]
        try:
            fresh = {request.customer_id for request in waiting if request.is_fresh}
            waits = await self.take_many([request.customer_id for request in waiting], fresh=fresh)
        except Exception as error:  # noqa: BLE001 - it belongs to the callers
            for request in waiting:
                if not request.answer.done():
                    request.answer.set_exception(error)
        else:
            for request, wait in zip(waiting, waits, strict=True):
                if not request.answer.done():  # who gave up meanwhile has lost a grant, and nothing else
                    request.answer.set_result(wait)


def _to_microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
