"""Posts webhooks to the service as Meta does: signed, again and again until it answers 200.

The webhooks of one lane go out one at a time and in order; lanes never wait for each other. What is not answered
when the courier stops stays with the chats, and is handed over again at the next start.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from api.simulator import bodies
from api.simulator.chats import Webhook

FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 20.0

log = logging.getLogger(__name__)


class Answer(Protocol):
    @property
    def status_code(self) -> int: ...


class Http(Protocol):
    """The part of an HTTP client that the courier needs."""

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Any: ...


class Courier:
    def __init__(self, http: Http, url: str, app_secret: str, answered: Callable[[Webhook], None]) -> None:
        self._http = http
        self._url = url
        self._app_secret = app_secret
        self._answered = answered
        self._waiting: dict[str, deque[Webhook]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def carry(self, webhook: Webhook) -> None:
        self._waiting.setdefault(webhook.lane, deque()).append(webhook)
        if webhook.lane not in self._tasks:
            self._tasks[webhook.lane] = asyncio.create_task(self._work(webhook.lane))

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, lane: str) -> None:
        waiting = self._waiting[lane]
        try:
            while waiting:
                await self._post(waiting[0])
                self._answered(waiting.popleft())
        finally:
            # Nothing is awaited between the look at an empty lane and this: no webhook is left behind.
            del self._tasks[lane], self._waiting[lane]

    async def _post(self, webhook: Webhook) -> None:
        body = webhook.body.encode("ascii")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": bodies.sign(body, self._app_secret),
        }
        wait_seconds = FIRST_WAIT_SECONDS
        while not await self._accepted(body, headers):
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)

    async def _accepted(self, body: bytes, headers: Mapping[str, str]) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer: Answer = await self._http.post(self._url, content=body, headers=headers)
        except Exception as error:  # noqa: BLE001  whatever kept it from arriving, the remedy is to send it again
            log.info("webhook not delivered: %s", type(error).__name__)
            return False
        if answer.status_code != 200:
            log.info("webhook answered %s", answer.status_code)
        return answer.status_code == 200
