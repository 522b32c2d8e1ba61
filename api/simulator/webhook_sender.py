"""Posts webhooks to the service as Meta does: signed, again and again until it answers 200.

The webhooks of one lane go out one at a time and in order, unless a fault says otherwise; lanes never wait for each
other. What is not answered when the courier stops stays with the chats, and is handed over again at the next start.
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
LONGEST_WAIT_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 20.0
LATE_SECONDS: Final = 5.0  # where a fault does not say
OVERTAKEN_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


class Answer(Protocol):
    @property
    def status_code(self) -> int: ...

    @property
    def text(self) -> str: ...


class Http(Protocol):
    """The part of an HTTP client that the courier needs."""

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Any: ...

    async def get(self, url: str, *, params: Mapping[str, str]) -> Any: ...


class Courier:
    def __init__(self, http: Http, setup: Setup, faults: Faults, answered: Callable[[Webhook], None]) -> None:
        self._http = http
        self._setup = setup
        self._faults = faults
        self._answered = answered
        self._waiting: dict[str, deque[Webhook]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._aside: set[asyncio.Task[None]] = set()  # what a fault has taken out of its lane
        self._posted: dict[str, asyncio.Event] = {}

    def carry(self, webhook: Webhook) -> None:
        self._waiting.setdefault(webhook.lane, deque()).append(webhook)
        if webhook.lane not in self._tasks:
            self._tasks[webhook.lane] = asyncio.create_task(self._work(webhook.lane))

    async def verify(self, url: str, verify_token: str) -> str:
        """The handshake with an address that is to get webhooks: what went wrong, or nothing."""
        challenge = str(int.from_bytes(os.urandom(4)))
        asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer: Answer = await self._http.get(url, params=asked)
        except Exception as error:  # noqa: BLE001  whatever it is, the address can't be used
            return f"Could not reach the callback URL ({type(error).__name__})."
        if answer.status_code != 200:
            return f"HTTP Status Code = {answer.status_code}; HTTP Message = the verify token was not accepted."
        return "" if answer.text == challenge else "The response does not match the challenge."

    async def stop(self) -> None:
        tasks = [*self._tasks.values(), *self._aside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, lane: str) -> None:
        waiting = self._waiting[lane]
        try:
            while waiting:
                await self._found(waiting[0])
                await self._take(waiting[0])
                waiting.popleft()
        finally:
            # Nothing is awaited between the look at an empty lane and this: no webhook is left behind.
            del self._tasks[lane], self._waiting[lane]

    async def _found(self, webhook: Webhook) -> None:
        """Wait while webhooks of this customer get lost. Meta tries again later, hence so do we."""
        while (fault := self._faults.lost(_kind(webhook), webhook.phone)) is not None:
            await self._faults.changed(fault.delay_seconds or None)
            if fault.delay_seconds:
                self._faults.remove(fault.fault_id)

    async def _take(self, webhook: Webhook) -> None:
        fault = self._faults.strike(_kind(webhook), webhook.phone, only=OF_WEBHOOKS - {"lost"})
        if fault is None:
            await self._deliver(webhook)
        elif fault.then == "duplicate":
            async with asyncio.TaskGroup() as both:
                both.create_task(self._post(webhook))
                both.create_task(self._post(webhook))
            self._answered(webhook)
        elif fault.then == "late":
            self._put_aside(self._after(fault.delay_seconds or LATE_SECONDS, webhook))
        else:
            self._put_aside(self._overtaken(fault.delay_seconds or OVERTAKEN_SECONDS, webhook))

    async def _deliver(self, webhook: Webhook) -> None:
        await self._post(webhook)
        self._answered(webhook)
        if overtaken := self._posted.pop(webhook.lane, None):
            overtaken.set()

    def _put_aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def _after(self, seconds: float, webhook: Webhook) -> None:
        await asyncio.sleep(seconds)
        await self._deliver(webhook)

    async def _overtaken(self, seconds: float, webhook: Webhook) -> None:
        """After the next one of its lane; or alone, when none comes."""
        overtaken = self._posted.setdefault(webhook.lane, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await overtaken.wait()
        except TimeoutError:
            log.info("nothing overtook a webhook")
        await self._deliver(webhook)

    async def _post(self, webhook: Webhook) -> None:
        body = webhook.body.encode("ascii")
        wait_seconds = FIRST_WAIT_SECONDS
        while not await self._accepted(body):
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)

    async def _accepted(self, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": bodies.sign(body, self._setup.app_secret),
        }
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer: Answer = await self._http.post(self._setup.webhook_url, content=body, headers=headers)
        except Exception as error:  # noqa: BLE001  whatever kept it from arriving, the remedy is to send it again
            log.info("webhook not delivered: %s", type(error).__name__)
            return False
        if answer.status_code != 200:
            log.info("webhook answered %s", answer.status_code)
        return answer.status_code == 200


def _kind(webhook: Webhook) -> str:
    """What a fault may be meant for: messages, statuses, or any webhook."""
    kind = webhook.lane.partition(":")[0]
    return kind if kind in WEBHOOKS else WEBHOOK
