"""Tells work that grows with the text from work that grows with its square, by processor time, whatever else runs."""

import time
from collections.abc import Callable

TIMES_LONGER = 16


def compute_growth(work: Callable[[str], object], build: Callable[[int], str], length: int) -> float:
    """Returns how many times more of the processor a text takes that is TIMES_LONGER times as long: as many when the
    work is linear, their square when it is not."""
    return _measure(work, build(length * TIMES_LONGER)) / _measure(work, build(length))


def _measure(work: Callable[[str], object], text: str) -> float:
    """Returns the least time of several tries: what disturbs one only makes it longer."""
    times = []
    for _ in range(5):
        began = time.thread_time()
        work(text)
        times.append(time.thread_time() - began)
    return max(min(times), 1e-6)
