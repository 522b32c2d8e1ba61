"""Ends tasks that run until they are cancelled.

Invariants
- They have ended when `end_tasks` returns: it cancels again as long as one goes on, since now and then a client of
  Redis or SQL swallows a cancellation.
"""

import asyncio
from collections.abc import Collection
from typing import Any

CANCEL_SECONDS = 0.2


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels the tasks, and waits until all have ended. What they raise is nobody's any more."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
