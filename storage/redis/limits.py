"""Meta's limits, kept by all processes together: how much a number may send, and how much of it to one customer.

Invariants: in any second the number is granted no more than its limit, and a customer no more than a burst and then one
message each few seconds; who waits for one customer's sake costs the others nothing; who waits for the number's sake is
served in the order of coming. All decisions are in limits.lua, by the server's clock. What Redis forgets is at worst a
second too fast, and Meta says so.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Literal, cast

from redis.asyncio import Redis

from storage.redis.script import MAX_CUSTOMERS_PER_CALL, Script, join_words, split_chunks

PAIR_SECONDS = 6.0
PAIR_BURST = 45
LONGEST_WAIT_SECONDS = 3600.0


class Limits:
    """The limits of one number. `per_second`: 0 is none, and then only the pairs have one. All calls raise RedisDown.

    `pair_seconds` and `pair_burst` are Meta's: so many messages at once to one customer, borrowed from the future, and
    in the long run one each so many seconds.
    """

    def __init__(
        self,
        redis: Redis,
        phone_number_id: str,
        per_second: float,
        *,
        pair_seconds: float = PAIR_SECONDS,
        pair_burst: int = PAIR_BURST,
    ) -> None:
        if not phone_number_id or " " in phone_number_id or per_second < 0:
            raise ValueError("a number is named by its id, and its limit is no less than nothing")
        self._script = Script(redis, "limits.lua")
        self._number = (phone_number_id, str(per_second))
        self._pair = (_microseconds(pair_seconds), pair_burst)
        self._asked: list[tuple[int, asyncio.Future[float]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def take(self, customer_id: int) -> float:
        """0.0: one message may go out to this customer now. Else so many seconds from now, if asked again then.

        Calls that come while one is under way share the next.
        """
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._asked.append((customer_id, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await answer

    async def take_many(self, customer_ids: Collection[int]) -> list[float]:
        """One answer for each, in order, as `take` gives it."""
        waits: list[float] = []
        for some in split_chunks(customer_ids):
            answer = cast(bytes, await self._script.call("take", *self._number, *self._pair, join_words(some)))
            waits += [int(wait) / 1_000_000 for wait in answer.split()]
        return waits

    async def slow(self, scope: Literal["number", "pair"], customer_id: int, seconds: float) -> None:
        """Meta refused a message because of a limit.

        Of the pair: this customer waits so long, and then has no burst. Of the number: its rate falls a step, at most
        to three quarters, and comes back by itself; `seconds` says nothing there, since most of what it sends gets
        through.
        """
        if scope == "pair":
            wait = _microseconds(min(max(0.0, seconds), LONGEST_WAIT_SECONDS))
            await self._script.call("slow_pair", *self._number, *self._pair, str(customer_id), wait)
        else:
            await self._script.call("slow_number", *self._number)

    async def _ask(self) -> None:
        try:
            while self._asked:
                some, self._asked = self._asked[:MAX_CUSTOMERS_PER_CALL], self._asked[MAX_CUSTOMERS_PER_CALL:]
                await self._settle(some)
        finally:
            self._asking = None

    async def _settle(self, asked: Sequence[tuple[int, asyncio.Future[float]]]) -> None:
        waiting = [(customer_id, answer) for customer_id, answer in asked if not answer.done()]
        try:
            waits = await self.take_many([customer_id for customer_id, _ in waiting])
        except Exception as error:  # noqa: BLE001 - it belongs to the callers
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for (_, answer), wait in zip(waiting, waits, strict=True):
                if not answer.done():  # who gave up meanwhile has lost a grant, and nothing else
                    answer.set_result(wait)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
