"""`tick bench`: Tick and the bare loop in turn, the same customers for both, so that the result is a ratio.

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

from api.bench.driver import Habits
from api.bench.figures import Round, Spread, ratio, row
from api.bench.programs import private_redis
from api.bench.report import report
from api.bench.rig import Batch, Stage, staged
from storage.bench_baseline import drop_database, durability, fresh_database


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `database_url` names a server and an account that may create databases; empty: SQLite."""

    customers: int = 64
    seconds: float = 20.0
    runs: int = 3
    database_url: str = ""
    steps: int = 20_000
    follow_ups: int = 12


@dataclass(slots=True)
class Result:
    durability: str
    cores: int
    ours: list[Round] = field(default_factory=list)
    bare: list[Round] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)
    messages: Batch | None = None
    statuses: Batch | None = None


async def measure(wish: Wish, say: Console) -> Result:
    """All of it; `say` hears of each part as it is done."""
    with tempfile.TemporaryDirectory(prefix="tick-bench-") as made:
        root = Path(made)
        url = wish.database_url or f"sqlite://{root}/bench.db"
        result = Result(await durability(url), cores())
        habits = Habits(follow_ups=wish.follow_ups)
        for run in range(1, wish.runs + 1):
            for name, rounds in (("bare", result.bare), ("tick", result.ours)):
                async with on_empty_database(name, root / f"{run}-{name}", url, habits) as stage:
                    rounds.append(await stage.play(wish.customers, wish.seconds))
                    say.print(f"run {run}, {name}: {rounds[-1].steps_per_second:.0f} steps per second")
                    if name == "tick" and run == wish.runs:
                        result.messages, result.statuses = await stage.batches()
        if wish.steps:
            async with on_empty_database("tick", root / "memory", url, habits) as stage:
                result.memory = await stage.memory(wish.customers, wish.steps)
    return result


@asynccontextmanager
async def on_empty_database(
    name: str, folder: Path, url: str, habits: Habits, *, per_second: float = 0.0
) -> AsyncIterator[Stage]:
    """A database and a Redis that have seen nothing, so that no run pays for another."""
    folder.mkdir()  # noqa: ASYNC240 - nothing runs yet
    database = f"tick_bench_{secrets.token_hex(4)}"
    try:
        fresh = await fresh_database(url, database)
        async with (
            private_redis(folder) as redis_url,
            staged(name, folder, fresh, redis_url, habits=habits, per_second=per_second) as stage,
        ):
            yield stage
    finally:
        await drop_database(url, database)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def as_json(wish: Wish, result: Result) -> str:
    shown = asdict(result) | {"customers": wish.customers, "seconds": wish.seconds}
    shown["ratio"] = asdict(ratio(result.ours, result.bare))
    for name, rounds in (("ours", result.ours), ("bare", result.bare)):
        shown[f"{name}_steps_per_second"] = asdict(Spread.of([each.steps_per_second for each in rounds]))
    return json.dumps(shown, indent=2)


def show(wish: Wish, result: Result, console: Console) -> None:
    console.print(f"{result.durability}; {result.cores} cores; {wish.customers} customers, {wish.runs} runs of "
                  f"{wish.seconds:.0f} s each, three statuses a message")  # fmt: skip
    table = Table("", "steps/s", "ack p50 ms", "ack p99 ms", "reply p50 ms", "reply p99 ms", "CPU", "problems")
    for rounds in (result.bare, result.ours):
        table.add_row(*row(rounds))
    console.print(table)
    console.print(f"ratio: {ratio(result.ours, result.bare).shown(2)} of the bare loop")
    busy = max(each.driver_busy for each in result.ours + result.bare)
    console.print(f"start to ready: {Spread.of([each.ready_seconds for each in result.ours]).shown(2)} s; "
                  f"the driver itself used {busy:.0%} of a core at most")  # fmt: skip
    console.print("memory: " + ", ".join(f"{mib:.0f} MiB after {steps} steps" for steps, mib in result.memory))
    for what, batch in (("messages", result.messages), ("statuses", result.statuses)):
        if batch:
            console.print(f"a batch of 1000 {what}: acknowledged in {batch.acked:.2f} s, done in {batch.done:.2f} s")


async def bench(wish: Wish, *, json_only: bool = False) -> int:
    """The command. 1 when anything went unanswered."""
    result = await measure(wish, Console(stderr=True))
    problems = [problem for each in result.ours + result.bare for problem in each.problems]
    report(as_json(wish, result) if json_only else partial(show, wish, result), problems)
    return 1 if problems else 0
