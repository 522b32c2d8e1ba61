"""Runs `tick bench --seed`: fills an empty database with what a desk holds after a long time, to measure on it.

This is the one part of the benchmark that writes into a database of the operator's, so it takes none with customers.
"""

import time

from rich.console import Console

from bot.clock import utc_now
from storage import bench_seed
from storage.sql.database import Database


async def run_seed(database: Database, items: int) -> int:
    """Fills a database with so many items of the journal, and what comes with them; returns the exit code."""
    console, began = Console(stderr=True), time.monotonic()
    await bench_seed.seed(database, items, utc_now(), console.print)
    console.print(f"filled in {time.monotonic() - began:.0f} s")
    return 0
