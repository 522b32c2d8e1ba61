"""Ends tasks that run until they are cancelled.

Invariants
- They have ended when `end_tasks` returns: it cancels again as long as one goes on.

A client may swallow a cancellation: redis-py sends each command by asyncio.wait_for, which until Python 3.12 gives its
result instead where both come in the same step of the loop (python/cpython issue 86296).
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
