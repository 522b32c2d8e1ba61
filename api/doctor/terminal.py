"""Prints the report as a person reads it in a terminal, at 80 columns, with colours or without.

Invariants
- What is to be done comes last, where the eye is when the command ends.
"""

from rich.console import Console
from rich.text import Text

from api.doctor.finding import Outcome
from api.doctor.report import Check, Report

MAX_COLUMNS = 80
MAX_NAMED_CHECKS = 12  # of more that wait, only their number is printed
SIGNS = {  # of a check, and its style
    Outcome.PASSED: ("ok", "green"),
    Outcome.WARNING: ("!!", "bold yellow"),
    Outcome.FAILED: ("NO", "bold red"),
    Outcome.WAITING: ("..", "bright_black"),
}
COMMAND = "curl "  # what follows it in a fix is printed unbroken, to be copied


def print_report(report: Report, console: Console) -> None:
    """Prints every check that has run, then what to fix first."""
    for check in report.looked_at:
        _print_check(check, console)
    if waiting := report.waiting:
        names = ", ".join(check.title for check in waiting)
        words = (
            f"Not looked at yet: {names}"
            if len(waiting) <= MAX_NAMED_CHECKS
            else f"{len(waiting)} other checks wait for that."
        )
        _print_line(console, *SIGNS[Outcome.WAITING], words)
    console.print()
    _print_next_step(report, len(waiting), console)


def _print_check(check: Check, console: Console) -> None:
    sign, style = SIGNS[check.outcome]
    words = check.reason if check.name.startswith("settings ") else f"{check.title}: {check.reason}"
    _print_line(console, sign, style, words)
    if check.fix:
        _print_fix(console, check.fix)


def _print_fix(console: Console, fix: str) -> None:
    """Prints how to fix it; a command stands on a line of its own, unbroken, to be copied."""
    words, _, command = fix.partition(COMMAND)
    _print_line(console, "->", "yellow", words.rstrip(), indent=3)
    if command:
        console.print(Text(f"      {COMMAND}{command}"), soft_wrap=True)


def _print_line(console: Console, sign: str, style: str, words: str, indent: int = 0) -> None:
    """Prints wrapped text. It is never read as markup: Meta's sentences may have brackets in them."""
    width = max(30, min(console.width, MAX_COLUMNS) - indent - 3)
    for at, line in enumerate(Text(words).wrap(console, width)):
        start = Text(f"{sign:<2} " if at == 0 and sign else "   " if sign else "", style=style)
        line.rstrip()
        console.print(Text.assemble(" " * indent, start, line), soft_wrap=True)


def _print_next_step(report: Report, waiting: int, console: Console) -> None:
    first = report.first_failing
    if first is None:
        _print_line(console, "", "", report.farewell)
        return
    failing = sum(not check.ok for check in report.checks) - waiting
    many = "One thing needs fixing" if failing == 1 else f"{failing} things need fixing"
    when = "soon" if first.outcome is Outcome.WARNING else ""
    _print_line(console, "", "", f"{f'{many} {when}'.rstrip()}. Start with {first.title}:")
    _print_fix(console, first.fix or first.reason)
    _print_line(console, "", "", "Then run `tick doctor` again.")
