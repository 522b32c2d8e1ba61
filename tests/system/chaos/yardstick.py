"""Measures, in a process of its own, how much longer a piece of work takes on this machine than its own time.

Beside other heavy work everything takes longer, a worker's start above all, and nobody stands still for it: what the
judge allows a customer to wait is stretched by what was measured in the same run.
"""

import asyncio
import select
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.places import ROOT

WORK_SECONDS = 0.01  # of processor time
EVERY_SECONDS = 0.25
OWN_SLOWNESS = 1.5  # that the rig itself may bring about on two cores, with nothing beside it


class Yardstick:
    """What was measured, once the run is over. `stretch`: at least 1."""

    stretch = 1.0


@asynccontextmanager
async def measure_slowness() -> AsyncIterator[Yardstick]:
    """Measures from here to the end of the block."""
    yardstick = Yardstick()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.system.chaos.yardstick", cwd=ROOT, stdin=-1, stdout=-1
    )
    try:
        yield yardstick
    finally:
        said, _ = await process.communicate(b"")  # closes its input
    yardstick.stretch = max(1.0, float(said) / OWN_SLOWNESS)


def measure_until_closed() -> float:
    """Works a little now and then until the input is closed; returns elapsed time as a multiple of processor time."""
    elapsed = worked = 0.0
    while not elapsed or not select.select([sys.stdin], [], [], EVERY_SECONDS)[0]:
        began, began_work = time.monotonic(), time.process_time()
        while time.process_time() - began_work < WORK_SECONDS:
            pass
        elapsed += time.monotonic() - began
        worked += time.process_time() - began_work
    return elapsed / worked


if __name__ == "__main__":
    sys.stdout.write(str(measure_until_closed()))
