"""Drives the load: simulated customers, each in a closed loop of writing, waiting for the bot's message, answering it.

A customer says "Hi", taps a topic, describes, taps Send, gets a ticket number, writes follow-ups, and is then replaced
by the next one. What to answer is read from what arrives (a list, buttons, a ticket number), never assumed.

Invariants
- The log has one line for everything that a customer sent and saw acknowledged, and one for everything that reached
  them.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from api.bench.customers import Customer, Habits, SentMessage, Unanswered
from api.bench.graph_stand_in import AcceptedSend
from api.bench.webhooks import NeverAcknowledged, Webhooks
from api.simulator.bodies import BusinessNumber, Person, build_messages_webhook, make_wamid
from api.simulator.message_bodies import MessageHead, button_reply, list_reply, text

AREA_CODES = (202, 212, 213, 303, 305, 312, 404, 415, 503, 512, 602, 617, 650, 702, 713, 718, 801, 808, 818, 907)
NOT_A_TOPIC = re.compile(r"more|back|my_tickets|agent|person|other", re.IGNORECASE)
SUBMIT = re.compile(r"submit|send|confirm|yes", re.IGNORECASE)
TICKET = re.compile(r"#(\d+)")


class LoadDriver:
    """Plays many customers at once against one service.

    `before_answer` is awaited with a message before its customer answers it. `on_stall` is awaited with each wait that
    is too long, and returns whether the turn was committed at least (None: unknown).
    """

    def __init__(
        self,
        number: BusinessNumber,
        webhooks: Webhooks,
        *,
        habits: Habits,
        log: Path | None = None,
        seed: int = 0,
        before_answer: Callable[[AcceptedSend], Awaitable[Any]] | None = None,
        on_stall: Callable[[Customer, SentMessage], Awaitable[bool | None]] | None = None,
    ) -> None:
        self._number = number
        self._webhooks = webhooks
        self._habits = habits
        self._log = log.open("a", buffering=1) if log else None
        self._random = random.Random(seed)  # noqa: S311 - ids must be repeatable, not secret
        self._before_answer = before_answer
        self._on_stall = on_stall
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
        """How many messages of customers were answered."""
        return len(self.reply_seconds)

    def receive(self, send: AcceptedSend) -> None:
        """Hands a message to the customer whom it is for."""
        customer = self._customers.get(send.customer)
        if self._log:
            self._log_event("received", customer=send.customer, outbox_id=send.outbox_id, wamid=send.wamid, at=send.at)
        if customer is not None:
            customer.arrived.put_nowait(send)

    def stop(self) -> None:
        """Lets each customer end the step that is under way and write no more."""
        self._stop = True

    async def play(self, customers: int, *, steps: int | None = None) -> None:
        """Plays `customers` at a time, until `stop` is called or `steps` were answered in all."""
        self._stop = False
        self._last_step = steps
        await asyncio.gather(*(self._play_one_after_the_other() for _ in range(customers)))

    async def introduce(self, count: int) -> list[Customer]:
        """Plays `count` customers to the end of their habits; returns them, each with a ticket."""
        customers = [self.make_customer() for _ in range(count)]
        await asyncio.gather(*(self._play(customer) for customer in customers))
        return customers

    async def write_follow_up(self, customer: Customer, *, waits: bool) -> float:
        """Writes one more follow-up, whatever else is under way; returns the seconds until its answer if it `waits`."""
        sent = await self._send_follow_up(customer)
        if waits:
            await self._wait_for_answer(customer, sent)
        return time.monotonic() - sent.posted_at

    async def _play_one_after_the_other(self) -> None:
        while not self._stop:
            customer = self.make_customer()
            try:
                await self._play(customer)
            except (Unanswered, NeverAcknowledged) as problem:
                self.problems.append(f"{customer.person.wa_id}: {problem}")
                if self._log:
                    self._log_event("gave_up", customer=customer.person.wa_id, problem=str(problem))
            if self._log is None:  # nobody will ask who they were
                del self._customers[customer.person.wa_id]

    def make_customer(self) -> Customer:
        """Makes the next customer, with a 555 number of their own."""
        life = self._started
        self._started += 1
        phone = f"1{AREA_CODES[life // 10_000 % len(AREA_CODES)]}555{life % 10_000:04d}"
        customer = self._customers[phone] = Customer(Person(f"Customer {life}", wa_id=phone), life)
        return customer

    async def _play(self, customer: Customer) -> None:
        answer = await self._step(customer, "hi", "Hi")
        while not self._stop and not customer.ticket_id:
            answer = await self._answer(customer, answer)
        while not self._stop and customer.follow_ups < self._habits.follow_ups:
            posted: list[SentMessage] = []
            for _ in range(min(self._habits.burst, self._habits.follow_ups - customer.follow_ups)):
                posted.append(await self._send_follow_up(customer))
            for sent in posted:
                await self._wait_for_answer(customer, sent)

    async def _send_follow_up(self, customer: Customer) -> SentMessage:
        customer.follow_ups += 1
        return await self._send(customer, "follow_up", f"Follow-up {customer.follow_ups} of customer {customer.life}")

    async def _answer(self, customer: Customer, seen: AcceptedSend) -> AcceptedSend:
        """Does what a customer does about a message of the bot; returns the next one."""
        if seen.kind == "list":
            topics = [option for option in seen.options if not NOT_A_TOPIC.search(option)] or list(seen.options)
            return await self._step(customer, "topic", "Topic", option=topics[customer.life % len(topics)], row=True)
        if seen.kind == "button":
            option = next((option for option in seen.options if SUBMIT.search(option)), seen.options[0])
            answer = await self._step(customer, "submit", "Send", option=option)
            if number := TICKET.search(answer.text):
                customer.ticket_id = int(number[1])
                if self._log:
                    self._log_event("ticket", customer=customer.person.wa_id, ticket_id=customer.ticket_id)
            return answer
        return await self._step(customer, "describe", f"Customer {customer.life} has a printer that does not print")

    async def _step(
        self, customer: Customer, kind: str, words: str, *, option: str = "", row: bool = False
    ) -> AcceptedSend:
        return await self._wait_for_answer(customer, await self._send(customer, kind, words, option=option, row=row))

    async def _send(
        self, customer: Customer, kind: str, words: str, *, option: str = "", row: bool = False
    ) -> SentMessage:
        customer.sent_messages += 1
        person, unique = customer.person, self._random.randbytes(8)
        wamid = make_wamid(person.wa_id, unique)
        head = MessageHead(person, wamid, int(time.time()))
        message = (list_reply if row else button_reply)(head, option, words) if option else text(head, words)
        delivery = await self._webhooks.deliver(build_messages_webhook(self._number, [person], [message]))
        sent = SentMessage(
            customer=person.wa_id,
            n=customer.sent_messages,
            kind=kind,
            text=words,
            wamid=wamid,
            posted_at=delivery.posted_at,
            acked_at=delivery.acked_at,
            tries=delivery.tries,
        )
        self.ack_seconds.append(sent.acked_at - sent.posted_at)
        if self._log:
            acked_at = time.time() - (time.monotonic() - sent.acked_at)
            ack_seconds = sent.acked_at - sent.posted_at
            logged = {"customer": sent.customer, "n": sent.n, "kind": kind, "text": words, "wamid": wamid}
            self._log_event("sent", **logged, tries=sent.tries, acked_at=acked_at, ack_seconds=ack_seconds)
        if self._on_stall:
            self._watches[sent.wamid] = asyncio.create_task(self._watch_for_stall(customer, sent))
        return sent

    async def _wait_for_answer(self, customer: Customer, sent: SentMessage) -> AcceptedSend:
        """Returns the next message that reaches the customer. Raises Unanswered."""
        try:
            async with asyncio.timeout(self._habits.patience_seconds):
                seen = await customer.arrived.get()
        except TimeoutError:
            waited = time.monotonic() - sent.acked_at
            raise Unanswered(f"no answer to message {sent.n} ({sent.kind}) in {waited:.1f} s") from None
        finally:
            if watch := self._watches.pop(sent.wamid, None):
                watch.cancel()
        self.reply_seconds.append(time.monotonic() - sent.posted_at)
        if self._last_step is not None and self.steps >= self._last_step:
            self._stop = True
        if self._before_answer:
            await self._before_answer(seen)
        if self._habits.pause_seconds:
            await asyncio.sleep(self._random.uniform(0.0, self._habits.pause_seconds))
        return seen

    async def _watch_for_stall(self, customer: Customer, sent: SentMessage) -> None:
        """Asks, once a wait is too long, whether the turn was committed at least."""
        assert self._on_stall is not None
        await asyncio.sleep(sent.acked_at + self._habits.stall_seconds - time.monotonic())
        committed = await self._on_stall(customer, sent)
        if self._log:
            self._log_event("stalled", customer=sent.customer, n=sent.n, committed=committed, at=time.time())

    def _log_event(self, event: str, **fields: Any) -> None:
        assert self._log is not None
        self._log.write(json.dumps({"event": event} | fields) + "\n")

    def close(self) -> None:
        """Ends the watches, and closes the log."""
        for watch in self._watches.values():
            watch.cancel()
        if self._log:
            self._log.close()
