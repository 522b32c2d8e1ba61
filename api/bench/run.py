"""Runs `tick bench`: measures Tick and the baseline in turn, with the same customers, so that the result is a ratio.

Everything is made for the run and goes with it: databases, a Redis, folders, ports of loopback. Nothing of the caller's
own Tick is read or touched.
"""

import json
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from api.bench.customers import Habits
from api.bench.figures import ProgramRun, Spread, compute_ratio, format_row
from api.bench.programs import run_redis
from api.bench.report import print_report
from api.bench.rig import Batch, MemoryReading, Rig, set_up_rig
from storage.bench_baseline import create_database, describe_durability, drop_database


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure. `database_url` names a server and an account that may create databases; empty: SQLite."""

    customers: int = 64
    seconds: float = 20.0
    runs: int = 3
    database_url: str = ""
    steps: int = 20_000
    follow_ups: int = 12


@dataclass(slots=True)
class BenchResult:
    """What was measured; its fields are the keys of the JSON. `bare`: the baseline."""

    durability: str
    cores: int
    ours: list[ProgramRun] = field(default_factory=list)
    bare: list[ProgramRun] = field(default_factory=list)
    memory: list[MemoryReading] = field(default_factory=list)
    messages: Batch | None = None
    statuses: Batch | None = None


async def measure(options: BenchOptions, progress: Console) -> BenchResult:
    """Measures everything; prints each part on `progress` as it is done."""
    with tempfile.TemporaryDirectory(prefix="tick-bench-") as made:
        root = Path(made)
        url = options.database_url or f"sqlite://{root}/bench.db"
        result = BenchResult(await describe_durability(url), count_cores())
        habits = Habits(follow_ups=options.follow_ups)
        for run in range(1, options.runs + 1):
            for name, rounds in (("bare", result.bare), ("tick", result.ours)):
                async with set_up_on_empty_database(name, root / f"{run}-{name}", url, habits) as rig:
                    rounds.append(await rig.measure(options.customers, options.seconds))
                    progress.print(f"run {run}, {name}: {rounds[-1].steps_per_second:.0f} steps per second")
                    if name == "tick" and run == options.runs:
                        result.messages, result.statuses = await rig.measure_batches()
        if options.steps:
            async with set_up_on_empty_database("tick", root / "memory", url, habits) as rig:
                result.memory = await rig.measure_memory(options.customers, options.steps)
    return result


@asynccontextmanager
async def set_up_on_empty_database(
    name: str, folder: Path, url: str, habits: Habits, *, per_second: float = 0.0
) -> AsyncIterator[Rig]:
    """Sets a rig up on an empty database and an empty Redis, so that no run pays for another."""
    folder.mkdir()  # noqa: ASYNC240 - nothing runs yet
    database = f"tick_bench_{secrets.token_hex(4)}"
    try:
        fresh = await create_database(url, database)
        async with (
            run_redis(folder) as redis_url,
            set_up_rig(name, folder, fresh, redis_url, habits=habits, per_second=per_second) as rig,
        ):
            yield rig
    finally:
        await drop_database(url, database)


def count_cores() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def to_json(options: BenchOptions, result: BenchResult) -> str:
    """Returns the result as programs read it."""
    document = asdict(result) | {"customers": options.customers, "seconds": options.seconds}
    document["ratio"] = asdict(compute_ratio(result.ours, result.bare))
    for name, rounds in (("ours", result.ours), ("bare", result.bare)):
        document[f"{name}_steps_per_second"] = asdict(Spread.compute([each.steps_per_second for each in rounds]))
    return json.dumps(document, indent=2)


def print_result(options: BenchOptions, result: BenchResult, console: Console) -> None:
    """Prints the result as people read it."""
    console.print(f"{result.durability}; {result.cores} cores; {options.customers} customers, {options.runs} runs of "
                  f"{options.seconds:.0f} s each, three statuses a message")  # fmt: skip
    table = Table("", "steps/s", "ack p50 ms", "ack p99 ms", "reply p50 ms", "reply p99 ms", "CPU", "problems")
    for rounds in (result.bare, result.ours):
        table.add_row(*format_row(rounds))
    console.print(table)
    console.print(f"ratio: {compute_ratio(result.ours, result.bare).format(2)} of the bare loop")
    busy = max(each.driver_busy for each in result.ours + result.bare)
    console.print(f"start to ready: {Spread.compute([each.ready_seconds for each in result.ours]).format(2)} s; "
                  f"the driver itself used {busy:.0%} of a core at most")  # fmt: skip
    console.print("memory: " + ", ".join(f"{mib:.0f} MiB after {steps} steps" for steps, mib in result.memory))
    for what, batch in (("messages", result.messages), ("statuses", result.statuses)):
        if batch:
            console.print(f"a batch of 1000 {what}: acknowledged in {batch.acked:.2f} s, done in {batch.done:.2f} s")


async def run_bench(options: BenchOptions, *, json_only: bool = False) -> int:
    """Measures and prints; returns the exit code, 1 when any message went unanswered."""
    result = await measure(options, Console(stderr=True))
    problems = [problem for each in result.ours + result.bare for problem in each.problems]
    print_report(to_json(options, result) if json_only else partial(print_result, options, result), problems)
    return 1 if problems else 0
