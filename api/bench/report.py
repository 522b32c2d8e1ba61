"""Prints the results of a benchmark: figures on stdout, problems on stderr."""

import sys
from collections.abc import Callable, Sequence

from rich.console import Console

COLUMNS_IN_FILE = 140  # where nothing says how wide a line may be
MAX_PROBLEMS = 10  # the first ones tell enough


def print_report(figures: str | Callable[[Console], None], problems: Sequence[str]) -> None:
    """Prints the figures, which are JSON or a function that prints them, and the first problems."""
    console = Console(width=None if sys.stdout.isatty() else COLUMNS_IN_FILE)
    if isinstance(figures, str):
        console.print_json(figures)
    else:
        figures(console)
    for problem in problems[:MAX_PROBLEMS]:
        Console(stderr=True).print(problem, markup=False)
