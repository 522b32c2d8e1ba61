"""Sends server-sent events to every open page.

Invariants
- `close` ends all streams at once and for good: a server that waits for its connections before it stops would wait for
  these for ever.
- A page that falls behind is cut off; it connects again and reads everything anew.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

MAX_QUEUED_EVENTS: Final = 1_000  # a page
KEEP_ALIVE_SECONDS: Final = 15.0


class Streams:
    """Publishes events to the pages that listen."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._closed = asyncio.Event()

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        """Sends an event to every page."""
        event = _encode_event(kind, data)
        for queue in list(self._queues):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._queues.discard(queue)

    async def listen(self) -> AsyncIterator[bytes]:
        """Yields everything that is published from now on, encoded. The first event, `hello`, tells the page to read
        what there is already."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED_EVENTS)
        self._queues.add(queue)
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            yield _encode_event("hello", {})
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
        """Ends every stream, and every one that is opened after this."""
        self._closed.set()


def _encode_event(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
