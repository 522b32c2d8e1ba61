"""`tick bench --storm`: what the others notice when Meta refuses every message to half of the customers.

The customers have tickets and write follow-ups, one after the other at a fixed rate, whatever becomes of the earlier
ones. Invariant: a run with the storm differs from the run without by the refusals alone; what is compared are the
customers who are never refused, the same in both.
"""

import asyncio
import itertools
import json
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from api.bench.driver import Customer, Habits
from api.bench.figures import Spread, percentile
from api.bench.report import report
from api.bench.rig import Stage
from api.bench.run import cores, on_empty_database
from api.bench.wire import Reply
from api.simulator.bodies import Json
from storage.bench_baseline import durability

WORST_RATIO = 2.0
RETRY_AFTER = b"Retry-After: 2\r\n"


def _refusal(status: int, code: int | None, headers: bytes = b"") -> tuple[str, Reply]:
    error: Json = {"message": "Refused by the bench", "type": "OAuthException", "fbtrace_id": "A"}
    if code is not None:
        error["code"] = code
    name = f"{code or status}{' with Retry-After' if headers else ''}"
    return name, Reply(status, json.dumps({"error": error}).encode(), headers)


REFUSALS = dict(
    _refusal(status, code, headers)
    for status, code in ((429, None), (429, 130429), (400, 131056))
    for headers in (b"", RETRY_AFTER)
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `rate`: messages a second of all customers; `per_second`: what Tick believes it may send."""

    customers: int = 60
    rate: float = 20.0
    seconds: float = 20.0
    runs: int = 3
    per_second: float = 80.0
    database_url: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The reply times of those who are never refused, in seconds; how often the others were, by kind."""

    replies: int
    p50: float
    p95: float
    refusals: dict[str, int]
    problems: tuple[str, ...]


@dataclass(slots=True)
class Result:
    durability: str
    cores: int
    calm: list[Run] = field(default_factory=list)
    storm: list[Run] = field(default_factory=list)

    @property
    def ratio(self) -> Spread:
        """Run by run, since neighbours in time had the same machine."""
        return Spread.of([b.p95 / a.p95 for a, b in zip(self.calm, self.storm, strict=True) if a.p95])


async def measure(wish: Wish, say: Console) -> Result:
    """All of it; `say` hears of each part as it is done."""
    with tempfile.TemporaryDirectory(prefix="tick-bench-") as made:
        root = Path(made)
        url = wish.database_url or f"sqlite://{root}/bench.db"
        result = Result(await durability(url), cores())
        for run in range(1, wish.runs + 1):
            for name, runs in (("calm", result.calm), ("storm", result.storm)):
                async with on_empty_database(
                    "tick", root / f"{run}-{name}", url, Habits(follow_ups=2), per_second=wish.per_second
                ) as stage:
                    runs.append(await play(stage, wish, storm=name == "storm"))
                say.print(f"run {run}, {name}: p95 {runs[-1].p95 * 1000:.0f} ms")
    return result


async def play(stage: Stage, wish: Wish, *, storm: bool) -> Run:
    """One run: everyone gets a ticket, then the storm breaks, if it does, and everyone writes on."""
    customers = await stage.driver.introduce(wish.customers)
    await stage.drained()
    spared, others = customers[::2], customers[1::2]
    counted: Counter[str] = Counter()
    if storm:
        kinds = itertools.cycle(REFUSALS)
        fate = {customer.person.wa_id: next(kinds) for customer in others}

        def refuse(phone: str) -> Reply | None:
            if (kind := fate.get(phone)) is None:
                return None
            counted[kind] += 1
            return REFUSALS[kind]

        stage.standin.refuse = refuse
    seconds, problems = await _write(stage, wish, customers, waiting={id(customer) for customer in spared})
    return Run(len(seconds), percentile(seconds, 50), percentile(seconds, 95), dict(counted), tuple(problems))


async def _write(
    stage: Stage, wish: Wish, customers: list[Customer], *, waiting: set[int]
) -> tuple[list[float], list[str]]:
    """Writes at the rate that was asked for, never waiting for an answer; the reply times of those who wait for one."""
    began, tasks, waits = time.monotonic(), [], []
    for number in range(round(wish.rate * wish.seconds)):
        await asyncio.sleep(began + number / wish.rate - time.monotonic())
        customer = customers[number % len(customers)]
        waits.append(id(customer) in waiting)
        tasks.append(asyncio.create_task(stage.driver.add(customer, waits=waits[-1])))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    seconds = [each for each, waited in zip(outcomes, waits, strict=True) if waited and isinstance(each, float)]
    return seconds, [repr(each) for each in outcomes if isinstance(each, BaseException)]


def as_json(wish: Wish, result: Result) -> str:
    return json.dumps(asdict(wish) | asdict(result) | {"ratio": asdict(result.ratio), "worst": WORST_RATIO}, indent=2)


def show(wish: Wish, result: Result, console: Console) -> None:
    console.print(
        f"{result.durability}; {result.cores} cores; {wish.customers} customers, {wish.rate:.0f} messages a second, "
        f"{wish.runs} runs of {wish.seconds:.0f} s each; limit {wish.per_second:.0f} a second"
    )
    table = Table("the half that is never refused", "replies", "p50 ms", "p95 ms", "refusals of the others", "problems")
    for name, runs in (("calm", result.calm), ("storm", result.storm)):
        table.add_row(
            name,
            str(sum(run.replies for run in runs)),
            Spread.of([run.p50 for run in runs]).shown(1, 1000),
            Spread.of([run.p95 for run in runs]).shown(1, 1000),
            str(sum(sum(run.refusals.values()) for run in runs)),
            str(sum(len(run.problems) for run in runs)),
        )
    console.print(table)
    kinds = sum((Counter(run.refusals) for run in result.storm), Counter[str]())
    console.print("refused: " + ", ".join(f"{name}: {count}" for name, count in kinds.items()))
    console.print(f"ratio of the p95: {result.ratio.shown(2)}; it has to stay under {WORST_RATIO:.0f}")


async def bench(wish: Wish, *, json_only: bool = False) -> int:
    """The command. 1 when the others notice too much, or anybody who is not refused goes without an answer."""
    result = await measure(wish, Console(stderr=True))
    problems = [problem for run in result.calm + result.storm for problem in run.problems]
    report(as_json(wish, result) if json_only else partial(show, wish, result), problems)
    return 1 if problems or result.ratio.median >= WORST_RATIO else 0
