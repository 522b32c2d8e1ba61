"""Numbers out of a run, and how they are shown. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass(frozen=True, slots=True)
class Round:
    """One run of one program. `seconds` goes on until everything that came in is done."""

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
        return self.steps / self.seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and most of a figure over the runs."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values)) if values else cls(0.0, 0.0, 0.0)

    def shown(self, digits: int = 0, scale: float = 1.0) -> str:
        low, middle, high = (f"{value * scale:.{digits}f}" for value in (self.least, self.median, self.most))
        return f"{middle} ({low} to {high})"


def ratio(ours: Sequence[Round], bare: Sequence[Round]) -> Spread:
    """Run by run, since neighbours in time had the same machine."""
    return Spread.of([a.steps_per_second / b.steps_per_second for a, b in zip(ours, bare, strict=True)])


def row(rounds: Sequence[Round]) -> list[str]:
    """One line of the table."""

    def milliseconds(name: str) -> str:
        return Spread.of([getattr(each, name) for each in rounds]).shown(0, 1000)

    return [
        rounds[0].program,
        Spread.of([each.steps_per_second for each in rounds]).shown(),
        milliseconds("ack_p50"),
        milliseconds("ack_p99"),
        milliseconds("reply_p50"),
        milliseconds("reply_p99"),
        f"{Spread.of([each.program_busy for each in rounds]).median:.0%}",
        str(sum(len(each.problems) for each in rounds)),
    ]
