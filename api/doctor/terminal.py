"""The report as a person reads it, at 80 columns, with colours or without.

Invariant: what is to be done comes last, where the eye is when the command ends.
"""

from rich.console import Console
from rich.text import Text

from api.doctor.report import Check, Report

WIDTH = 80
MANY = 12
COMMAND = "curl "


def show(report: Report, console: Console) -> None:
    """Prints it."""
    for check in report.looked_at:
        _one(check, console)
    if waiting := report.waiting:
        names = ", ".join(check.title for check in waiting)
        words = f"Not looked at yet: {names}" if len(waiting) <= MANY else f"{len(waiting)} other checks wait for that."
        _line(console, "..", "bright_black", words)
    console.print()
    _last_words(report, len(waiting), console)


def _one(check: Check, console: Console) -> None:
    sign, style = ("ok", "green") if check.ok else ("NO", "bold red")
    said = check.reason if check.name.startswith("settings ") else f"{check.title}: {check.reason}"
    _line(console, sign, style, said)
    if check.fix:
        _fix(console, check.fix)


def _fix(console: Console, fix: str) -> None:
    """A command stands on a line of its own, unbroken, to be copied."""
    words, _, command = fix.partition(COMMAND)
    _line(console, "->", "yellow", words.rstrip(), indent=3)
    if command:
        console.print(Text(f"      {COMMAND}{command}"), soft_wrap=True)


def _line(console: Console, sign: str, style: str, words: str, indent: int = 0) -> None:
    """Text alone: brackets in what Meta says are no markup."""
    width = max(30, min(console.width, WIDTH) - indent - 3)
    for at, line in enumerate(Text(words).wrap(console, width)):
        start = Text(f"{sign:<2} " if at == 0 and sign else "   " if sign else "", style=style)
        line.rstrip()
        console.print(Text.assemble(" " * indent, start, line), soft_wrap=True)


def _last_words(report: Report, waiting: int, console: Console) -> None:
    first = report.first_failing
    if first is None:
        _line(console, "", "", "Everything is as it should be. Write to the number from a phone to see it work.")
        return
    failing = sum(not check.ok for check in report.checks) - waiting
    many = "One thing is" if failing == 1 else f"{failing} things are"
    _line(console, "", "", f"{many} to be mended. Begin with {first.title}:")
    _fix(console, first.fix or first.reason)
    _line(console, "", "", "Then run `tick doctor` again.")
