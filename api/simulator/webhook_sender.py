"""Posts webhooks to the service as Meta does: signed, again and again until it answers 200.

Invariants
- The webhooks of one lane go out one at a time and in order, unless a fault says otherwise; lanes never wait for each
  other.
- What is not acknowledged when the sender stops stays with the chats, and is enqueued again at the next start.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

from api.simulator import bodies
from api.simulator.faults import OF_WEBHOOKS, WEBHOOK, WEBHOOKS, Faults
from api.simulator.records import Webhook
from api.simulator.setup import Setup

FIRST_WAIT_SECONDS: Final = 0.1
MAX_WAIT_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 20.0
LATE_SECONDS: Final = 5.0  # where a fault does not say
OVERTAKEN_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


class HttpAnswer(Protocol):
    """The part of an HTTP client's response that is read here."""

    @property
    def status_code(self) -> int: ...

    @property
    def text(self) -> str: ...


class Http(Protocol):
    """The part of an HTTP client that is used here."""

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Any: ...

    async def get(self, url: str, *, params: Mapping[str, str]) -> Any: ...


class WebhookSender:
    """Posts webhooks, with a queue and a task for each lane that has any. `on_answered` is called with each that was
    answered 200."""

    def __init__(self, http: Http, setup: Setup, faults: Faults, on_answered: Callable[[Webhook], None]) -> None:
        self._http = http
        self._setup = setup
        self._faults = faults
        self._on_answered = on_answered
        self._waiting: dict[str, deque[Webhook]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._aside: set[asyncio.Task[None]] = set()  # the webhooks that a fault has taken out of their lane
        self._overtakers: dict[str, asyncio.Event] = {}  # by lane: the next webhook of it was delivered

    def enqueue(self, webhook: Webhook) -> None:
        """Posts this webhook after those of its lane that wait already."""
        self._waiting.setdefault(webhook.lane, deque()).append(webhook)
        if webhook.lane not in self._tasks:
            self._tasks[webhook.lane] = asyncio.create_task(self._work_off(webhook.lane))

    async def verify_callback(self, url: str, verify_token: str) -> str:
        """Shakes hands with an address that is to get webhooks; returns what went wrong, in Meta's words, or ""."""
        challenge = str(int.from_bytes(os.urandom(4)))
        asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer: HttpAnswer = await self._http.get(url, params=asked)
        except Exception as error:  # noqa: BLE001 - whatever it is, the address can't be used
            return f"Could not reach the callback URL ({type(error).__name__})."
        if answer.status_code != 200:
            return f"HTTP Status Code = {answer.status_code}; HTTP Message = the verify token was not accepted."
        return "" if answer.text == challenge else "The response does not match the challenge."

    async def stop(self) -> None:
        """Ends everything that is under way."""
        tasks = [*self._tasks.values(), *self._aside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for held in (self._tasks, self._waiting, self._overtakers):
            held.clear()  # a task that had not begun has left its lane behind

    async def _work_off(self, lane: str) -> None:
        waiting = self._waiting[lane]
        try:
            while waiting:
                await self._wait_while_lost(waiting[0])
                await self._send(waiting[0])
                waiting.popleft()
        finally:
            # Nothing is awaited between the look at an empty lane and this: no webhook is left behind.
            del self._tasks[lane], self._waiting[lane]

    async def _wait_while_lost(self, webhook: Webhook) -> None:
        """Waits while a fault loses the webhooks of this customer; Meta tries again later, hence so do we."""
        while (fault := self._faults.find_lost(_get_kind(webhook), webhook.phone)) is not None:
            await self._faults.wait_for_change(fault.delay_seconds or None)
            if fault.delay_seconds:
                self._faults.remove(fault.fault_id)

    async def _send(self, webhook: Webhook) -> None:
        fault = self._faults.strike(_get_kind(webhook), webhook.phone, only=OF_WEBHOOKS - {"lost"})
        if fault is None:
            await self._deliver(webhook)
        elif fault.then == "duplicate":
            async with asyncio.TaskGroup() as both:
                both.create_task(self._post(webhook))
                both.create_task(self._post(webhook))
            self._on_answered(webhook)
        elif fault.then == "late":
            self._put_aside(self._deliver_late(fault.delay_seconds or LATE_SECONDS, webhook))
        else:
            self._put_aside(self._deliver_overtaken(fault.delay_seconds or OVERTAKEN_SECONDS, webhook))

    async def _deliver(self, webhook: Webhook) -> None:
        await self._post(webhook)
        self._on_answered(webhook)
        if overtaken := self._overtakers.pop(webhook.lane, None):
            overtaken.set()

    def _put_aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def _deliver_late(self, seconds: float, webhook: Webhook) -> None:
        await asyncio.sleep(seconds)
        await self._deliver(webhook)

    async def _deliver_overtaken(self, seconds: float, webhook: Webhook) -> None:
        """Delivers it after the next one of its lane; or alone, when none comes in time."""
        overtaken = self._overtakers.setdefault(webhook.lane, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await overtaken.wait()
        except TimeoutError:
            log.info("nothing overtook a webhook")
        await self._deliver(webhook)

    async def _post(self, webhook: Webhook) -> None:
        """Posts it until it is answered 200."""
        body = webhook.body.encode("ascii")
        wait_seconds = FIRST_WAIT_SECONDS
        while not await self._post_once(body):
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, MAX_WAIT_SECONDS)

    async def _post_once(self, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": bodies.sign(body, self._setup.app_secret),
        }
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer: HttpAnswer = await self._http.post(self._setup.webhook_url, content=body, headers=headers)
        except Exception as error:  # noqa: BLE001 - whatever kept it from arriving, the remedy is to send it again
            log.info("webhook not delivered: %s", type(error).__name__)
            return False
        if answer.status_code != 200:
            log.info("webhook answered %s", answer.status_code)
        return answer.status_code == 200


def _get_kind(webhook: Webhook) -> str:
    """Returns what a fault may be meant for: messages, statuses, or any webhook."""
    kind = webhook.lane.partition(":")[0]
    return kind if kind in WEBHOOKS else WEBHOOK
