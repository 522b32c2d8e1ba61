"""How a benchmark says what it found: figures on stdout, troubles on stderr."""

import sys
from collections.abc import Callable, Sequence

from rich.console import Console

WIDTH = 140  # in a file, where nothing says how wide a line may be


def report(told: str | Callable[[Console], None], problems: Sequence[str]) -> None:
    """The figures, as JSON or by what shows them, and the first problems."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if isinstance(told, str):
        console.print_json(told)
    else:
        told(console)
    for problem in problems[:10]:
        Console(stderr=True).print(problem, markup=False)
