"""Runs `tick bench --storm`: measures what the others notice when Meta refuses every message to half of the customers.

The customers have tickets and write follow-ups, one after the other at a fixed rate, whatever becomes of the earlier
ones.

Invariants
- A run with the storm differs from the run without by the refusals alone; what is compared are the customers who are
  never refused, the same in both.
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

from api.bench.customers import Customer, Habits
from api.bench.figures import Spread, percentile
from api.bench.report import print_report
from api.bench.rig import Rig
from api.bench.run import count_cores, set_up_on_empty_database
from api.bench.wire import HttpReply
from api.simulator.bodies import Json
from storage.bench_baseline import describe_durability

MAX_RATIO = 2.0  # of the 95th percentiles of reply times, with the storm and without
RETRY_AFTER = b"Retry-After: 2\r\n"


def _build_refusal(status: int, code: int | None, headers: bytes = b"") -> tuple[str, HttpReply]:
    error: Json = {"message": "Refused by the bench", "type": "OAuthException", "fbtrace_id": "A"}
    if code is not None:
        error["code"] = code
    name = f"{code or status}{' with Retry-After' if headers else ''}"
    return name, HttpReply(status, json.dumps({"error": error}).encode(), headers)


REFUSALS = dict(
    _build_refusal(status, code, headers)
    for status, code in ((429, None), (429, 130429), (400, 131056))
    for headers in (b"", RETRY_AFTER)
)


@dataclass(frozen=True, slots=True)
class StormOptions:
    """What the storm is to be: `rate`: messages a second of all customers; `per_second`: what Tick believes it may
    send."""

    customers: int = 60
    rate: float = 20.0
    seconds: float = 20.0
    runs: int = 3
    per_second: float = 80.0
    database_url: str = ""


@dataclass(frozen=True, slots=True)
class StormRun:
    """The figures of one run: the reply times of those who are never refused, in seconds; how often the others were, by
    kind."""

    replies: int
    p50: float
    p95: float
    refusals: dict[str, int]
    problems: tuple[str, ...]


@dataclass(slots=True)
class StormResult:
    """The runs with the storm and without; the fields are keys of the JSON."""

    durability: str
    cores: int
    calm: list[StormRun] = field(default_factory=list)
    storm: list[StormRun] = field(default_factory=list)

    @property
    def ratio(self) -> Spread:
        """The ratio of the 95th percentiles, run by run, since neighbours in time had the same machine."""
        return Spread.compute([b.p95 / a.p95 for a, b in zip(self.calm, self.storm, strict=True) if a.p95])


async def measure(options: StormOptions, progress: Console) -> StormResult:
    """Measures everything; prints each part on `progress` as it is done."""
    with tempfile.TemporaryDirectory(prefix="tick-bench-") as made:
        root = Path(made)
        url = options.database_url or f"sqlite://{root}/bench.db"
        result = StormResult(await describe_durability(url), count_cores())
        for run in range(1, options.runs + 1):
            for name, runs in (("calm", result.calm), ("storm", result.storm)):
                async with set_up_on_empty_database(
                    "tick", root / f"{run}-{name}", url, Habits(follow_ups=2), per_second=options.per_second
                ) as rig:
                    runs.append(await play(rig, options, storm=name == "storm"))
                progress.print(f"run {run}, {name}: p95 {runs[-1].p95 * 1000:.0f} ms")
    return result


async def play(rig: Rig, options: StormOptions, *, storm: bool) -> StormRun:
    """Plays one run: everyone gets a ticket, then the storm breaks, if it does, and everyone writes on."""
    customers = await rig.driver.introduce(options.customers)
    await rig.wait_until_drained()
    spared, others = customers[::2], customers[1::2]
    counted: Counter[str] = Counter()
    if storm:
        kinds = itertools.cycle(REFUSALS)
        fate = {customer.person.wa_id: next(kinds) for customer in others}

        def refuse(phone: str) -> HttpReply | None:
            if (kind := fate.get(phone)) is None:
                return None
            counted[kind] += 1
            return REFUSALS[kind]

        rig.graph.refuse = refuse
    seconds, problems = await _write_at_rate(rig, options, customers, waiting={id(customer) for customer in spared})
    return StormRun(
        replies=len(seconds),
        p50=percentile(seconds, 50),
        p95=percentile(seconds, 95),
        refusals=dict(counted),
        problems=tuple(problems),
    )


async def _write_at_rate(
    rig: Rig, options: StormOptions, customers: list[Customer], *, waiting: set[int]
) -> tuple[list[float], list[str]]:
    """Writes at the rate of the options, never waiting for an answer; returns the reply times, in seconds, of the
    customers whose id() is in `waiting`, and what went wrong."""
    began, tasks, waits = time.monotonic(), [], []
    for number in range(round(options.rate * options.seconds)):
        await asyncio.sleep(began + number / options.rate - time.monotonic())
        customer = customers[number % len(customers)]
        waits.append(id(customer) in waiting)
        tasks.append(asyncio.create_task(rig.driver.write_follow_up(customer, waits=waits[-1])))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    seconds = [each for each, waited in zip(outcomes, waits, strict=True) if waited and isinstance(each, float)]
    return seconds, [repr(each) for each in outcomes if isinstance(each, BaseException)]


def to_json(options: StormOptions, result: StormResult) -> str:
    """Returns the result as programs read it."""
    return json.dumps(asdict(options) | asdict(result) | {"ratio": asdict(result.ratio), "worst": MAX_RATIO}, indent=2)


def print_result(options: StormOptions, result: StormResult, console: Console) -> None:
    """Prints the result as people read it."""
    console.print(
        f"{result.durability}; {result.cores} cores; {options.customers} customers, "
        f"{options.rate:.0f} messages a second, {options.runs} runs of {options.seconds:.0f} s each; "
        f"limit {options.per_second:.0f} a second"
    )
    table = Table("the half that is never refused", "replies", "p50 ms", "p95 ms", "refusals of the others", "problems")
    for name, runs in (("calm", result.calm), ("storm", result.storm)):
        table.add_row(
            name,
            str(sum(run.replies for run in runs)),
            Spread.compute([run.p50 for run in runs]).format(1, 1000),
            Spread.compute([run.p95 for run in runs]).format(1, 1000),
            str(sum(sum(run.refusals.values()) for run in runs)),
            str(sum(len(run.problems) for run in runs)),
        )
    console.print(table)
    kinds = sum((Counter(run.refusals) for run in result.storm), Counter[str]())
    console.print("refused: " + ", ".join(f"{name}: {count}" for name, count in kinds.items()))
    console.print(f"ratio of the p95: {result.ratio.format(2)}; it has to stay under {MAX_RATIO:.0f}")


async def run_storm_bench(options: StormOptions, *, json_only: bool = False) -> int:
    """Measures and prints; returns the exit code, 1 when the others notice too much or one of them gets no answer."""
    result = await measure(options, Console(stderr=True))
    problems = [problem for run in result.calm + result.storm for problem in run.problems]
    print_report(to_json(options, result) if json_only else partial(print_result, options, result), problems)
    return 1 if problems or result.ratio.median >= MAX_RATIO else 0
