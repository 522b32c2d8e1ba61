"""The figures that are printed are those that were measured."""

from dataclasses import replace

from api.bench.figures import ProgramRun, Spread, compute_ratio, format_row, percentile

RUN = ProgramRun(
    program="tick", steps=1000, seconds=10.0, statuses=3000, ack_p50=0.01, ack_p99=0.1, reply_p50=0.02, reply_p99=0.2,
    driver_busy=0.2, program_busy=0.9, ready_seconds=1.0, problems=(),
)  # fmt: skip


def test_percentiles_are_of_the_nearest_rank() -> None:
    values = [float(n) for n in range(100)]
    assert (percentile(values, 50), percentile(values, 99), percentile([], 50), percentile([7.0], 99)) == (50, 99, 0, 7)


def test_a_ratio_is_taken_run_by_run() -> None:
    ours = [RUN, replace(RUN, steps=3000), replace(RUN, steps=2000)]
    bare = [RUN, RUN, replace(RUN, steps=4000)]
    assert compute_ratio(ours, bare) == Spread(1.0, 0.5, 3.0)


def test_a_row_names_median_and_spread() -> None:
    shown = format_row([RUN, replace(RUN, steps=1200, problems=("one",)), replace(RUN, steps=900)])
    assert shown[:3] == ["tick", "100 (90 to 120)", "10 (10 to 10)"]
    assert shown[-1] == "1"
