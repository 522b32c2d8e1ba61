"""Provides what the commands share: notices on stderr, tables on stdout, settings and logs, and running until a signal.

Invariants
- An error is a sentence on stderr and an exit code, 2 for what was asked or set wrongly and 1 for the rest.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from api.server.line_writer import guard_standard_output
from api.server.process import PARENT_FD, run, stop_on_signals

if TYPE_CHECKING:
    from datetime import datetime

    from api.settings import Settings, StorageSettings


def load_settings_and_logs() -> "StorageSettings":
    """Loads the settings of a command that needs no WhatsApp, and sets the logs up by them."""
    from api.settings_loader import load_storage_settings

    settings = load_storage_settings()
    set_up_logs(settings)
    return settings


def set_up_logs(settings: "StorageSettings") -> None:
    """Sets this process's logs up; from now on they hide the secrets of these settings."""
    from api.logs import configure_logs

    configure_logs(settings.log_level, settings.log_format, secrets=settings.list_secrets())


def warn_of_weak_settings(settings: "Settings") -> None:
    """Logs what is weak or exposed in settings that work; once, where a process starts others with the same ones."""
    if PARENT_FD in os.environ:
        return

    import structlog

    from api.settings_loader import CONFIG_FILE
    from api.weak_settings import find_weaknesses

    for weakness in find_weaknesses(settings, CONFIG_FILE):
        structlog.get_logger(__name__).warning("weak_setting", weakness=weakness)


def run_until_stopped(main: "Callable[[asyncio.Event], Coroutine[Any, Any, int | None]]") -> NoReturn:
    """Runs `main` with an event that signals set, and ends the process with the exit code that it returns."""

    guard_standard_output()  # what is printed now is a greeting, and not what the command is for

    async def run_main() -> int:
        async with stop_on_signals() as stop:
            return await main(stop) or 0

    sys.exit(run(run_main()))


def print_notice(line: str) -> None:
    """Prints a line for people, on stderr."""
    typer.echo(line, err=True)


def exit_with_error(line: str, code: int = 1) -> NoReturn:
    """Prints a sentence and ends the process with this exit code."""
    print_notice(line)
    sys.exit(code)


def show_instant(at: "datetime | None") -> str:
    """Shows an instant to the minute, in UTC; "" for none."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}Z"


def print_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table with its headings: in columns on a terminal, with tabs where a program reads it."""
    from api.logs import CONTROLS

    rows = [[CONTROLS.sub(" ", cell)[:200] for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (names, *rows):
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for place, name in enumerate(names):  # an id is typed again, so all of it has to be there
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
