"""Tests the lanes against a model of a few lines, by any order of calls of any processes.

Nothing that is due or rung gets lost, nothing is held twice, and the table keeps its shape. Instants are now or far
away, so that no clock is waited for.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from storage.redis.embedded import EmbeddedRedis
from storage.redis.lanes import LanePhase, Lanes, WorkingCopy
from storage.redis.programs import find_redis_programs

OWNERS = ("one", "two", "three")
customers = st.integers(2**62, 2**62 + 4)
owners = st.sampled_from(OWNERS)
delays = st.sampled_from([0.0, 1000.0, 2000.0, 3000.0])


class Model(RuleBasedStateMachine):
    """`due`, `again`: lane -> delay; `holder`: lane -> process; `working`: process -> lanes it believes it holds."""

    server: ClassVar[EmbeddedRedis]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis: Any = self.server.open()
        self.forget()
        self.lanes = {owner: Lanes(self.redis, owner) for owner in OWNERS}
        self.due: dict[int, float] = {}
        self.again: dict[int, float] = {}
        self.holder: dict[int, str] = {}
        self.working: dict[str, set[int]] = {owner: set() for owner in OWNERS}
        self.returned: set[tuple[str, int]] = set()
        self.copies: dict[int, int] = {}
        self.beating: set[str] = set()

    def forget(self) -> None:
        self.runner.run(self.redis.flushall())

    def teardown(self) -> None:
        self.runner.run(self.redis.aclose())
        self.runner.close()

    def end_hold(self, customer_id: int, delay: float | None) -> None:
        del self.holder[customer_id]
        wanted = [at for at in (self.again.pop(customer_id, None), delay) if at is not None]
        if wanted:
            self.due[customer_id] = min(wanted)

    @rule(rung=st.dictionaries(customers, delays, min_size=1), forgotten=st.sets(customers, max_size=2))
    def ring(self, rung: dict[int, float], forgotten: set[int]) -> None:
        self.runner.run(self.lanes["one"].ring(rung, forget=forgotten))
        for customer_id, delay in rung.items():
            table = self.again if customer_id in self.holder else self.due
            table[customer_id] = min(delay, table.get(customer_id, delay))
        for customer_id in forgotten:
            self.copies.pop(customer_id, None)

    @rule(delay=delays)
    def ring_what_is_held(self, delay: float) -> None:
        self.ring(dict.fromkeys(self.holder, delay), set())

    @rule(owner=owners)
    def ring_and_claim(self, owner: str) -> None:
        self.ring(dict.fromkeys(range(2**62, 2**62 + 5), 0.0), set())
        self.claim(owner, 3)

    @rule(owner=owners, limit=st.integers(1, 3))
    def claim(self, owner: str, limit: int) -> None:
        claim = self.runner.run(self.lanes[owner].claim(limit))
        waiting = {customer_id for customer_id, delay in self.due.items() if delay == 0}
        taken = {lane.customer_id for lane in claim.lanes}
        again = {c for c in waiting if c in self.working[owner]}  # came back while its first work runs: not shown
        assert taken <= waiting - again
        assert min(limit, len(waiting)) - len(again) <= len(taken) <= limit
        for lane in claim.lanes:
            assert lane.version == self.copies.get(lane.customer_id)
        left = {int(c) for c in self.runner.run(self.redis.zrange("tick:due", 0, -1))}
        for customer_id in waiting - left:
            del self.due[customer_id]
            self.holder[customer_id] = owner
            if customer_id in taken:
                self.working[owner].add(customer_id)
            else:
                self.returned.add((owner, customer_id))
        self.beating.add(owner)
        assert (claim.next_due_seconds == 0) == any(delay == 0 for delay in self.due.values())
        assert (claim.next_due_seconds is None) == (not self.due)

    @rule(owner=owners, delay=st.none() | delays, data=st.data())
    def release(self, owner: str, delay: float | None, data: st.DataObject) -> None:
        if not self.working[owner]:
            return
        customer_id = data.draw(st.sampled_from(sorted(self.working[owner])))
        self.runner.run(self.lanes[owner].release({customer_id: delay}))
        self.working[owner].discard(customer_id)
        if (owner, customer_id) in self.returned:
            self.returned.discard((owner, customer_id))
            delay = 0.0
        if self.holder.get(customer_id) == owner:
            self.end_hold(customer_id, delay)

    @rule(owner=owners, customer_id=customers, version=st.integers(0, 5), force=st.booleans())
    def put(self, owner: str, customer_id: int, version: int, force: bool) -> None:
        forced = [customer_id] if force else []
        self.runner.run(self.lanes[owner].put_copies([WorkingCopy(customer_id, version, "{}")], force=forced))
        if force or version > self.copies.get(customer_id, -1):
            self.copies[customer_id] = version

    @rule(owner=owners, marked=st.sets(customers), phase=st.sampled_from([LanePhase.ROUND, LanePhase.WAITING]))
    def mark(self, owner: str, marked: set[int], phase: LanePhase) -> None:
        self.runner.run(self.lanes[owner].mark(marked, phase))

    @rule(owner=owners)
    def beat(self, owner: str) -> None:
        self.runner.run(self.lanes[owner].beat())
        self.beating.add(owner)

    @rule(dead=st.sets(owners, min_size=1, max_size=2), owner=owners)
    def stall(self, dead: set[str], owner: str) -> None:
        """Some are silent for so long that another takes them for dead; their work goes on all the same."""
        dead.discard(owner)

        async def take_over() -> int:
            await self.lanes[owner].beat()
            for silent in OWNERS:
                await (self.redis.delete if silent in dead else self.redis.persist)(f"tick:alive:{silent}")
            for living in self.beating - dead:
                await self.redis.set(f"tick:alive:{living}", "1")
            await self.redis.hset("tick:pulse", "since", "1")
            return await self.lanes[owner].beat()

        reaped = self.runner.run(take_over())
        lost = {customer_id for customer_id, holder in self.holder.items() if holder in dead}
        assert reaped == len(lost)
        for customer_id in lost:
            self.end_hold(customer_id, 0.0)
        self.beating = (self.beating - dead) | {owner}

    @rule()
    def flush(self) -> None:
        self.forget()
        self.due, self.again, self.holder, self.copies = {}, {}, {}, {}
        self.beating = set()

    @invariant()
    def table(self) -> None:
        ask = self.redis.pipeline().zrange("tick:due", 0, -1).hgetall("tick:owner").zrange("tick:again", 0, -1)
        ask.llen("tick:wake")
        for owner in OWNERS:
            ask.smembers(f"tick:held:{owner}")
        due, owned, again, tokens, *sets = self.runner.run(ask.execute())
        due, again, token = {int(c) for c in due}, {int(c) for c in again}, tokens == 1
        holder = {int(c): name.split(b"|")[0].decode() for c, name in owned.items()}
        held = {owner: {int(c) for c in some} for owner, some in zip(OWNERS, sets, strict=True)}
        assert due == self.due.keys()
        assert holder == self.holder
        assert again == self.again.keys()
        assert held == {owner: {c for c, h in holder.items() if h == owner} for owner in OWNERS}
        assert token or all(delay > 0 for delay in self.due.values()), "something is due and nobody would wake"


class ModelInside(Model):
    """The same, inside the process."""


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    """One of each for all examples."""
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        Model.server = EmbeddedRedis.start(Path(one), programs=lambda: find_redis_programs()[:1])
        ModelInside.server = EmbeddedRedis.start(Path(other), programs=list)
        yield
        Model.server.stop()
        ModelInside.server.stop()


bounds = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
TestRealServer = Model.TestCase
TestRealServer.settings = bounds
TestInside = ModelInside.TestCase
TestInside.settings = settings(bounds, max_examples=15)
