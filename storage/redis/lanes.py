"""Keeps the table of lanes in Redis: which process works for which customer, and when each lane is due next.

A lane is the serial queue of one customer. It is due at an instant (one that has passed says since when the customer
waits), is claimed by one process at a time and released by it. All decisions are in lanes.lua, by the server's clock.
Nothing here is a promise: what waits is in SQL, whose fence keeps two workers from both having an effect, and a table
that was lost fills again.

Invariants, which save work and time
- A lane that was rung is claimed afterwards, also when it was held at that moment.
- When there is a backlog, half of what a claim takes is fresh, and half has waited longest: nobody who writes now is
  behind those who wrote an hour ago, and nobody starves.
- A lane of a dead process is due again within seconds.
- A process that lost track of a lane gives it back with its next beat.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, zip_longest
from typing import NamedTuple, cast

from redis.asyncio import Redis

from storage.redis.client import redis_errors
from storage.redis.owner_sessions import OwnerSessions
from storage.redis.presence import RedisPresence
from storage.redis.script import MAX_CUSTOMERS_PER_CALL, Script, join_words, split_chunks

BEAT_SECONDS = 0.4  # lanes.lua takes a process for dead after 1.2 s without a beat
MAX_WAIT_SECONDS = 1.0
FRESH_SECONDS = 60.0  # a lane that has been due for no longer is fresh; lanes.lua has the same


class LanePhase(StrEnum):
    """What a process does with a lane that it has claimed, should it die; lanes.lua has the same words."""

    ROUND = "round"  # its items are in the round that is being played
    WAITING = "waiting"  # for its own round: its items have no part in what is being played
    DELIVERY = "delivery"  # its round is committed, and its messages go out


class WorkingCopy(NamedTuple):
    """A lane state as Redis keeps it, so that a round need not read it from SQL; the body is JSON."""

    customer_id: int
    version: int
    body: str


@dataclass(frozen=True, slots=True)
class ClaimedLane:
    """A lane that this process works for until it releases it. `version` and `body`: the working copy of its
    state, None where Redis has none; `orphan_phase`: what a dead process was doing with the lane when it was
    taken from it, None where none died."""

    customer_id: int
    version: int | None
    body: str | None
    orphan_phase: LanePhase | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The lanes that a claim brought. `next_due_seconds`: when to claim again at the latest; 0 when more is due now,
    None when nothing is."""

    lanes: list[ClaimedLane]
    next_due_seconds: float | None


class Lanes:
    """The table of lanes, as one process uses it. `owner` names the process and is random for each of its starts;
    `presence`: whether Redis is there for it.

    Every lane that `claim` returned has to be released once, whatever happens in between. All calls raise RedisDown.
    """

    def __init__(
        self, redis: Redis, owner: str, *, copy_seconds: int = 8 * 86_400, presence: RedisPresence | None = None
    ) -> None:
        if not owner or "|" in owner:
            raise ValueError("an owner is named by letters and digits")
        self.owner = owner
        self._redis = redis
        self._copy_ms = copy_seconds * 1000
        self._presence = presence or RedisPresence()
        self._script = Script(redis, "lanes.lua", self._presence)
        self.sessions = OwnerSessions(redis, owner)
        self._claims = 0
        self._claims_under_way: set[int] = set()
        self._held: dict[int, int] = {}  # customer_id -> the claim that brought it
        self._to_release: dict[int, str] = {}
        self._releasing = asyncio.Lock()
        self._claimed_twice: set[int] = set()

    @property
    def held(self) -> Collection[int]:
        """The customers whose lanes this process has claimed and not released."""
        return self._held.keys()

    async def ring(self, delays: Mapping[int, float], *, forget: Collection[int] = ()) -> None:
        """Makes lanes due in so many seconds, unless they are due earlier; below zero, their customers have waited for
        so many already. A held one is due once it is released.

        `forget`: customers whose working copy is wrong.
        """
        rung = [f"{customer_id} {_to_milliseconds(delay_seconds)}" for customer_id, delay_seconds in delays.items()]
        for some, wrong in zip_longest(split_chunks(rung), split_chunks(forget), fillvalue=()):
            await self._call("ring", join_words(some), join_words(wrong))

    async def claim(self, limit: int) -> Claim:
        """Takes lanes that are due, and brings their working copies: the oldest first. Where there is a backlog (more
        than `limit`, and some for longer than a second) fresh ones are half of them and come first."""
        self._claims += 1
        claim = self._claims
        self._claims_under_way.add(claim)
        try:
            answer = cast(list[bytes], await self._call("claim", claim, max(0, min(limit, MAX_CUSTOMERS_PER_CALL))))
        finally:
            self._claims_under_way.discard(claim)
        lanes = []
        for at in range(1, len(answer), 3):
            customer_id = int(answer[at])
            version, _, body = answer[at + 1].decode().partition(" ")
            if customer_id in self._held:
                # We stood still for so long that the lane was taken from us, and now we got it back while the work that
                # held it first still runs: that work keeps it, and when it is done the lane is looked at once more.
                self._claimed_twice.add(customer_id)
            else:
                phase = LanePhase(answer[at + 2].decode()) if answer[at + 2] else None
                known = ClaimedLane(customer_id, int(version), body, phase) if version else None
                lanes.append(known or ClaimedLane(customer_id, None, None, phase))
            self._held[customer_id] = claim
        return Claim(lanes, int(answer[0]) / 1000 if answer[0] else None)

    async def put_copies(
        self,
        copies: Sequence[WorkingCopy],
        *,
        force: Collection[int] = (),
        delivering: Collection[int] = (),
    ) -> None:
        """Keeps working copies, each only forward in version; those of the customers in `force` also backwards.

        The lanes among them that this process holds go on from their round to the delivery, and so do `delivering`,
        whose state did not change.
        """
        lanes = self._list_holds({*delivering, *(copy.customer_id for copy in copies)})
        for some, part in zip_longest(split_chunks(lanes), split_chunks(copies), fillvalue=()):
            versions = (
                f"{customer_id} {version}{'!' if customer_id in force else ''}" for customer_id, version, _ in part
            )
            bodies = (f"{version} {body}" for _, version, body in part)
            await self._call("put", self._copy_ms, join_words(some), join_words(versions), *bodies)

    async def mark(self, customer_ids: Collection[int], phase: LanePhase) -> None:
        """Notes what this process does with lanes that it holds, for whoever takes them over should it die. A claimed
        lane is in a round, unless it waits for one of its own."""
        for some in split_chunks(self._list_holds(customer_ids)):
            await self._call("mark", join_words(some), phase)

    def _list_holds(self, customer_ids: Collection[int]) -> list[str]:
        return [f"{customer_id} {self._held[customer_id]}" for customer_id in self._held.keys() & set(customer_ids)]

    async def release(self, delays: Mapping[int, float | None]) -> None:
        """Gives lanes back, due again in so many seconds, or earlier when rung meanwhile; None: only when rung. Below
        zero as in `ring`.

        A lane that another process has taken over stays with it. Calls that come while one is under way share the next.
        When it fails, the next beat gives the lanes back, due at once.
        """
        for customer_id, delay_seconds in delays.items():
            delay = "never" if delay_seconds is None else str(_to_milliseconds(delay_seconds))
            if customer_id in self._claimed_twice:
                self._claimed_twice.discard(customer_id)
                delay = "0"
            if (claim := self._held.pop(customer_id, None)) is not None:
                self._to_release[customer_id] = f"{customer_id} {claim} {delay}"
        async with self._releasing:
            while self._to_release:
                some = dict(islice(self._to_release.items(), MAX_CUSTOMERS_PER_CALL))
                try:
                    await self._call("release", join_words(some.values()))
                finally:
                    for customer_id in some:
                        self._to_release.pop(customer_id, None)

    async def beat(self) -> int:
        """Says that this process is alive: to be called each BEAT_SECONDS. Returns how many lanes of dead processes it
        made due again."""
        seen = min(self._claims_under_way, default=self._claims + 1) - 1
        return cast(int, await self._call("beat", seen, join_words((*self._held, *self._to_release))))

    async def retire(self) -> None:
        """Ends this process's part: all that it still holds is due for others, and nobody waits for its beat."""
        self._held.clear()
        self._claimed_twice.clear()
        await self._call("retire")
        await self.sessions.forget()

    async def check_writes(self) -> None:
        """Raises RedisDown when Redis takes no writes of ours."""
        await self._call("check")

    async def list_copies(self, limit: int) -> AsyncIterator[dict[int, int]]:
        """Lists the versions of working copies by their customers, some at a time, until there are `limit` or more."""
        cursor, seen = b"0", 0
        while seen < limit:
            cursor, *found = cast(list[bytes], await self._call("copies", cursor.decode()))
            pairs = zip(found[::2], found[1::2], strict=True)
            copies = {int(customer_id): int(version) for customer_id, version in pairs if version}
            seen += len(copies)
            if copies:
                yield copies
            if cursor == b"0":
                return

    async def forget_copies(self) -> None:
        """Drops every working copy: the states are read from SQL again."""
        cursor = b"0"
        while (cursor := cast(bytes, await self._call("forget", cursor.decode()))) != b"0":
            pass

    async def find_alive_owners(self) -> set[str] | None:
        """Returns the processes that are alive; None just after Redis came back, before all of them had time for a
        beat."""
        settled, owners = await self._read_owners()
        return owners if settled else None

    async def is_anybody_alive(self) -> bool | None:
        """Returns whether a process is alive; None just after Redis came back, when none has had time for a beat. One
        beat is enough to say yes: there is no need to wait for the others."""
        settled, owners = await self._read_owners()
        return True if owners else False if settled else None

    async def _read_owners(self) -> tuple[bool, set[str]]:
        settled, *owners = cast(list[bytes], await self._call("owners"))
        return settled == b"1", {owner.decode() for owner in owners}

    async def wait(self, timeout_seconds: float) -> bool:
        """Waits until a lane is due, but no longer than `timeout_seconds` or MAX_WAIT_SECONDS; returns whether one is.

        Claim after it, always: who was woken holds the one token, and the claim puts it back where more is due.
        """
        if timeout_seconds <= 0:
            return False
        # A pooled connection is this call's own until it returns. Zero would block for ever.
        seconds = max(0.001, min(timeout_seconds, MAX_WAIT_SECONDS))
        async with self._presence.watch_call():
            with redis_errors():
                token = await self._redis.execute_command("BLPOP", "tick:wake", seconds)  # type: ignore[no-untyped-call]
        return token is not None

    async def _call(self, operation: str, *arguments: int | str) -> object:
        return await self._script.call(operation, self.owner, *arguments)


def _to_milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
