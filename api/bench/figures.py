"""Computes the figures of a run, and formats them to be shown. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the percentile by nearest rank; 0 of no values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One run of one program. `seconds` goes on until everything that came in is done; a step is a message of a
    customer that was answered."""

    program: str
    steps: int
    seconds: float
    statuses: int
    ack_p50: float
    ack_p99: float
    reply_p50: float
    reply_p99: float
    driver_busy: float
    program_busy: float
    ready_seconds: float
    problems: tuple[str, ...]

    @property
    def steps_per_second(self) -> float:
        """The throughput."""
        return self.steps / self.seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest value of a figure over the runs."""

    median: float
    least: float
    most: float

    @classmethod
    def compute(cls, values: Sequence[float]) -> "Spread":
        """Computes the spread; zeros of no values."""
        return cls(median(values), min(values), max(values)) if values else cls(0.0, 0.0, 0.0)

    def format(self, digits: int = 0, scale: float = 1.0) -> str:
        """Formats it as `median (least to most)`."""
        low, middle, high = (f"{value * scale:.{digits}f}" for value in (self.least, self.median, self.most))
        return f"{middle} ({low} to {high})"


def compute_ratio(ours: Sequence[ProgramRun], baseline: Sequence[ProgramRun]) -> Spread:
    """Returns the ratio of throughputs, run by run, since neighbours in time had the same machine."""
    return Spread.compute([a.steps_per_second / b.steps_per_second for a, b in zip(ours, baseline, strict=True)])


def format_row(runs: Sequence[ProgramRun]) -> list[str]:
    """Formats the runs of one program as a row of the table."""

    def format_milliseconds(name: str) -> str:
        return Spread.compute([getattr(each, name) for each in runs]).format(0, 1000)

    return [
        runs[0].program,
        Spread.compute([each.steps_per_second for each in runs]).format(),
        format_milliseconds("ack_p50"),
        format_milliseconds("ack_p99"),
        format_milliseconds("reply_p50"),
        format_milliseconds("reply_p99"),
        f"{Spread.compute([each.program_busy for each in runs]).median:.0%}",
        str(sum(len(each.problems) for each in runs)),
    ]
