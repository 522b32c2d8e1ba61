"""Server-sent events to every open page, and the means to end them all.

A server that waits for its connections before it stops would wait for these for ever: close() ends them, at once
and for good. A page that falls behind is cut off; it comes back and reads everything anew.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

BACKLOG: Final = 1_000
KEEP_ALIVE_SECONDS: Final = 15.0


class Streams:
    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._closed = asyncio.Event()

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        event = _event(kind, data)
        for queue in list(self._queues):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._queues.discard(queue)

    async def listen(self) -> AsyncIterator[bytes]:
        """Everything published from now on. The first event tells the page to read what there is already."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(BACKLOG)
        self._queues.add(queue)
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            yield _event("hello", {})
            while queue in self._queues and not self._closed.is_set():
                coming = asyncio.ensure_future(queue.get())
                try:
                    await asyncio.wait(
                        {coming, closed}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    coming.cancel()  # also when the page is gone: a task that nobody ends is an error in the log
                if coming.done():
                    yield coming.result()
                elif not closed.done():
                    yield b": still here\n\n"
        finally:
            closed.cancel()
            self._queues.discard(queue)

    def close(self) -> None:
        self._closed.set()


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
