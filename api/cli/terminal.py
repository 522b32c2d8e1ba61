"""How every command speaks and starts: lines on stderr, tables on stdout, settings and logs before anything else.

Invariant: an error is a sentence on stderr and an exit code, 2 for what was asked or set wrongly and 1 for the rest.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from api.server.process import run, stopped_by_signals

if TYPE_CHECKING:
    from api.settings import StorageSettings


def storage_settings() -> "StorageSettings":
    from api.settings import load_storage_settings

    settings = load_storage_settings()
    logs(settings)
    return settings


def logs(settings: "StorageSettings") -> None:
    from api.logs import configure_logs

    configure_logs(settings.log_level, settings.log_format, settings.secrets())


def until_stopped(main_of: "Callable[[asyncio.Event], Coroutine[Any, Any, int | None]]") -> NoReturn:
    async def work() -> int:
        async with stopped_by_signals() as stop:
            return await main_of(stop) or 0

    sys.exit(run(work()))


def say(line: str) -> None:
    typer.echo(line, err=True)


def fail(line: str, code: int = 1) -> NoReturn:
    say(line)
    sys.exit(code)


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; lines with tabs where a program reads."""
    from api.logs import CONTROLS

    rows = [[CONTROLS.sub(" ", cell)[:200] for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*names, box=None)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
