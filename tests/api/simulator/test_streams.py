"""The stream of events to one page ends cleanly when the page goes away."""

import asyncio
from contextlib import aclosing

from api.simulator.streams import Streams


async def test_a_page_that_is_closed_while_it_waits_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    streams = Streams()
    reading = asyncio.create_task(_read(streams))
    while len(asyncio.all_tasks() - before) < 3:  # the reader, and the two things it waits for
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading})
    async with asyncio.timeout(20):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0)


async def _read(streams: Streams) -> None:
    # Quart closes what it streams in the same way
    async with aclosing(streams.listen()) as events:  # type: ignore[type-var]
        async for _ in events:
            pass
