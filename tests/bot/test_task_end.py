"""Tasks that are to end have ended, whatever they were waiting for made of the first cancellation."""

import asyncio
import contextlib

from bot.task_end import end_tasks


async def run_for_ever() -> None:
    await asyncio.Event().wait()


async def swallow_one_cancellation() -> None:
    with contextlib.suppress(asyncio.CancelledError):  # as a driver does
        await run_for_ever()
    await run_for_ever()


async def fail() -> None:
    raise RuntimeError


async def test_every_task_has_ended() -> None:
    tasks = [asyncio.create_task(work()) for work in (run_for_ever, swallow_one_cancellation, fail)]
    await asyncio.sleep(0)
    await end_tasks(tasks)
    assert [task.done() for task in tasks] == [True] * 3


async def test_nothing_to_end() -> None:
    await end_tasks([])
