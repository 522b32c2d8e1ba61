"""Posts webhooks as Meta would: signed bodies, each posted until it is answered 200.

Invariants
- `deliver` returns only once the service has acknowledged the body, or raises.
- A body is never changed between two tries, so that all of them are one delivery for the service.
"""

import asyncio
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from api.bench.wire import Client, ConnectionBroken
from api.simulator.bodies import sign

WEBHOOK_PATH = "/api/whatsapp/webhook"
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 1.0


class NeverAcknowledged(Exception):
    """The service did not answer 200 within the time that it gets here. Meta would go on for seven days."""


@dataclass(frozen=True, slots=True)
class AcknowledgedWebhook:
    """A webhook that was acknowledged. Its times are of the monotonic clock (a loop's own may be coarse); `tries`
    counts the POSTs."""

    posted_at: float
    acked_at: float
    tries: int


class Webhooks:
    """Posts webhooks to one service. `doubled` is the fraction of bodies that are posted twice, at the same time."""

    def __init__(
        self, service_url: str, app_secret: str, *, doubled: float = 0.0, seed: int = 0, give_up_seconds: float = 60.0
    ) -> None:
        self._client = Client(service_url)
        self._app_secret = app_secret
        self._doubled = doubled
        self._random = random.Random(seed)  # noqa: S311 - which ones are doubled must be repeatable, not secret
        self._give_up_seconds = give_up_seconds
        self._under_way: set[asyncio.Task[Any]] = set()
        self.delivered = 0

    async def deliver(self, body: bytes) -> AcknowledgedWebhook:
        """Posts a body until it is acknowledged. Raises NeverAcknowledged."""
        headers = f"X-Hub-Signature-256: {sign(body, self._app_secret)}\r\n".encode()
        if self._doubled and self._random.random() < self._doubled:
            self.spawn(self._post_until_acknowledged(body, headers))
        return await self._post_until_acknowledged(body, headers)

    async def _post_until_acknowledged(self, body: bytes, headers: bytes) -> AcknowledgedWebhook:
        posted_at, tries, pause = time.monotonic(), 0, FIRST_PAUSE_SECONDS
        while True:
            tries += 1
            problem: object
            try:
                answer = await self._client.ask("POST", WEBHOOK_PATH, body, headers)
            except (OSError, TimeoutError, ConnectionBroken) as error:
                problem = error
            else:
                if answer.status == 200:
                    self.delivered += 1
                    return AcknowledgedWebhook(posted_at, time.monotonic(), tries)
                problem = f"{answer.status} {answer.body[:200]!r}"
            if time.monotonic() - posted_at + pause > self._give_up_seconds:
                raise NeverAcknowledged(f"after {tries} tries: {problem}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts work that nobody waits for now; `wait_until_settled` does."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def wait_until_settled(self) -> None:
        """Waits until nothing is under way; raises what any of it raised since it was asked."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def close(self) -> None:
        """Ends what is under way, and closes the connections."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._client.close()
