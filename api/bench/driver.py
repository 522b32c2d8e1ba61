"""Simulated customers, each in a closed loop: write, wait for what the bot says, answer that.

A customer says "Hi", taps a topic, describes, taps Send, gets a ticket number, writes follow-ups, and is then replaced
by the next one. What to answer is read from what arrives (a list, buttons, a ticket number), never assumed. Invariant:
the log has one line for everything that a customer sent and saw acknowledged, and one for everything that reached them.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.bench.graph_stand_in import Send
from api.bench.webhooks import NeverAcknowledged, Webhooks
from api.simulator.bodies import BusinessNumber, Person, make_wamid, messages_webhook
from api.simulator.message_bodies import MessageHead, button_reply, list_reply, text

AREAS = (202, 212, 213, 303, 305, 312, 404, 415, 503, 512, 602, 617, 650, 702, 713, 718, 801, 808, 818, 907)
NOT_A_TOPIC = re.compile(r"more|back|my_tickets|agent|person|other", re.IGNORECASE)
SUBMIT = re.compile(r"submit|send|confirm|yes", re.IGNORECASE)
TICKET = re.compile(r"#(\d+)")


@dataclass(frozen=True, slots=True)
class Habits:
    """How customers behave. `burst` follow-ups are written before the first receipt is waited for; `pause_seconds` is
    the longest that somebody thinks before answering."""

    follow_ups: int = 12
    burst: int = 1
    pause_seconds: float = 0.0
    patience_seconds: float = 30.0
    stall_seconds: float = 6.0


@dataclass(slots=True)
class Customer:
    person: Person
    life: int
    said: int = 0
    ticket_id: int = 0
    follow_ups: int = 0
    arrived: asyncio.Queue[Send] = field(default_factory=asyncio.Queue)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a customer. `kind`: hi, topic, describe, submit, follow_up."""

    customer: str
    n: int
    kind: str
    text: str
    wamid: str
    posted_at: float
    acked_at: float
    tries: int


class Unanswered(Exception):
    """A customer gave up waiting."""


class Driver:
    """`settled` is waited for before a customer answers a message; `stalled` hears of each wait that is too long."""

    def __init__(
        self,
        number: BusinessNumber,
        webhooks: Webhooks,
        *,
        habits: Habits,
        log: Path | None = None,
        seed: int = 0,
        settled: Callable[[Send], Awaitable[Any]] | None = None,
        stalled: Callable[[Customer, Said], Awaitable[bool | None]] | None = None,
    ) -> None:
        self._number = number
        self._webhooks = webhooks
        self._habits = habits
        self._log = log.open("a", buffering=1) if log else None
        self._random = random.Random(seed)  # noqa: S311 - ids must be repeatable, not secret
        self._settled = settled
        self._stalled = stalled
        self._customers: dict[str, Customer] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._stop = False
        self._last_step: int | None = None
        self._started = 0
        self.ack_seconds: list[float] = []
        self.reply_seconds: list[float] = []
        self.problems: list[str] = []

    @property
    def steps(self) -> int:
        """Messages of customers that were answered."""
        return len(self.reply_seconds)

    def heard(self, send: Send) -> None:
        """A message has reached its customer's phone."""
        customer = self._customers.get(send.customer)
        if self._log:
            self._write("got", customer=send.customer, outbox_id=send.outbox_id, wamid=send.wamid, at=send.at)
        if customer is not None:
            customer.arrived.put_nowait(send)

    def stop(self) -> None:
        """Each customer ends the step that is under way and writes no more."""
        self._stop = True

    async def play(self, customers: int, *, steps: int | None = None) -> None:
        """`customers` of them at a time, until `stop` is called or `steps` were answered in all."""
        self._stop = False
        self._last_step = steps
        await asyncio.gather(*(self._slot() for _ in range(customers)))

    async def introduce(self, count: int) -> list[Customer]:
        """So many customers, each with a ticket, who have said all that their habits make them say."""
        customers = [self.newcomer() for _ in range(count)]
        await asyncio.gather(*(self._live(customer) for customer in customers))
        return customers

    async def add(self, customer: Customer, *, waits: bool) -> float:
        """One more follow-up, whatever else is under way; the seconds until its answer, if anybody waits for it."""
        said = await self._follow_up(customer)
        if waits:
            await self._wait(customer, said)
        return time.monotonic() - said.posted_at

    async def _slot(self) -> None:
        while not self._stop:
            customer = self.newcomer()
            try:
                await self._live(customer)
            except (Unanswered, NeverAcknowledged) as problem:
                self.problems.append(f"{customer.person.wa_id}: {problem}")
                if self._log:
                    self._write("gave_up", customer=customer.person.wa_id, problem=str(problem))
            if self._log is None:  # nobody will ask who they were
                del self._customers[customer.person.wa_id]

    def newcomer(self) -> Customer:
        life = self._started
        self._started += 1
        phone = f"1{AREAS[life // 10_000 % len(AREAS)]}555{life % 10_000:04d}"
        customer = self._customers[phone] = Customer(Person(f"Customer {life}", wa_id=phone), life)
        return customer

    async def _live(self, customer: Customer) -> None:
        answer = await self._step(customer, "hi", "Hi")
        while not self._stop and not customer.ticket_id:
            answer = await self._answer(customer, answer)
        while not self._stop and customer.follow_ups < self._habits.follow_ups:
            posted: list[Said] = []
            for _ in range(min(self._habits.burst, self._habits.follow_ups - customer.follow_ups)):
                posted.append(await self._follow_up(customer))
            for said in posted:
                await self._wait(customer, said)

    async def _follow_up(self, customer: Customer) -> Said:
        customer.follow_ups += 1
        return await self._say(customer, "follow_up", f"Follow-up {customer.follow_ups} of customer {customer.life}")

    async def _answer(self, customer: Customer, seen: Send) -> Send:
        """What a customer does about what the bot says."""
        if seen.kind == "list":
            topics = [option for option in seen.options if not NOT_A_TOPIC.search(option)] or list(seen.options)
            return await self._step(customer, "topic", "Topic", option=topics[customer.life % len(topics)], row=True)
        if seen.kind == "button":
            option = next((option for option in seen.options if SUBMIT.search(option)), seen.options[0])
            answer = await self._step(customer, "submit", "Send", option=option)
            if number := TICKET.search(answer.text):
                customer.ticket_id = int(number[1])
                if self._log:
                    self._write("ticket", customer=customer.person.wa_id, ticket_id=customer.ticket_id)
            return answer
        return await self._step(customer, "describe", f"Customer {customer.life} has a printer that does not print")

    async def _step(self, customer: Customer, kind: str, words: str, *, option: str = "", row: bool = False) -> Send:
        return await self._wait(customer, await self._say(customer, kind, words, option=option, row=row))

    async def _say(self, customer: Customer, kind: str, words: str, *, option: str = "", row: bool = False) -> Said:
        customer.said += 1
        person, unique = customer.person, self._random.randbytes(8)
        wamid = make_wamid(person.wa_id, unique)
        head = MessageHead(person, wamid, int(time.time()))
        message = (list_reply if row else button_reply)(head, option, words) if option else text(head, words)
        delivery = await self._webhooks.deliver(messages_webhook(self._number, [person], [message]))
        said = Said(
            person.wa_id, customer.said, kind, words, wamid, delivery.posted_at, delivery.acked_at, delivery.tries
        )
        self.ack_seconds.append(said.acked_at - said.posted_at)
        if self._log:
            acked_at = time.time() - (time.monotonic() - said.acked_at)
            self._write("said", customer=said.customer, n=said.n, kind=kind, text=words, wamid=wamid, tries=said.tries,
                        acked_at=acked_at)  # fmt: skip
        if self._stalled:
            self._watches[said.wamid] = asyncio.create_task(self._watch(customer, said))
        return said

    async def _wait(self, customer: Customer, said: Said) -> Send:
        """The next message that reaches the customer."""
        try:
            async with asyncio.timeout(self._habits.patience_seconds):
                seen = await customer.arrived.get()
        except TimeoutError:
            waited = time.monotonic() - said.acked_at
            raise Unanswered(f"no answer to message {said.n} ({said.kind}) in {waited:.1f} s") from None
        finally:
            if watch := self._watches.pop(said.wamid, None):
                watch.cancel()
        self.reply_seconds.append(time.monotonic() - said.posted_at)
        if self._last_step is not None and self.steps >= self._last_step:
            self._stop = True
        if self._settled:
            await self._settled(seen)
        if self._habits.pause_seconds:
            await asyncio.sleep(self._random.uniform(0.0, self._habits.pause_seconds))
        return seen

    async def _watch(self, customer: Customer, said: Said) -> None:
        """Asks, once a wait is too long, whether the turn was committed at least."""
        assert self._stalled is not None
        await asyncio.sleep(said.acked_at + self._habits.stall_seconds - time.monotonic())
        committed = await self._stalled(customer, said)
        if self._log:
            self._write("stalled", customer=said.customer, n=said.n, committed=committed, at=time.time())

    def _write(self, event: str, **what: Any) -> None:
        assert self._log is not None
        self._log.write(json.dumps({"event": event} | what) + "\n")

    def close(self) -> None:
        for watch in self._watches.values():
            watch.cancel()
        if self._log:
            self._log.close()
