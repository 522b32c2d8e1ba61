"""Defines the command line: each command reads the settings, then calls the part of Tick that does the work.

Invariants
- An error is a sentence, never a traceback.
- Nothing heavy is imported before it is known which command runs: hence the imports inside the functions.
- No secret is taken from the command line, where every user of the machine can read it.
- What is said on standard error is help for a person, and never in the way of the work (`server/line_writer.py`).
"""

import os
import sys
from typing import Annotated, NoReturn

import typer

from api.cli import agents, backup, doctor, journal, keys, running
from api.cli.terminal import exit_with_error
from api.server.line_writer import drain_standard_streams, guard_standard_error
from api.server.process import pause_garbage_collection
from storage.errors import OperatorError

tick = typer.Typer(
    name="tick",
    help="Tick, a support desk on WhatsApp that you host yourself. Start with `tick demo`: it needs no Meta account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    running.demo,
    running.serve,
    running.worker,
    running.migrate,
    doctor.doctor,
    backup.backup,
    backup.restore,
    running.bench,
):
    tick.command()(command)
tick.add_typer(agents.agent, name="agent")
tick.add_typer(keys.key, name="key")
tick.add_typer(journal.journal, name="journal")


@tick.command()
def flows(
    name: Annotated[str, typer.Argument(help="One flow alone.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Draw the committed charts anew.")] = False,
) -> None:
    """Print the conversations as state charts (Mermaid)."""
    from flows.chart import draw_chart, write_charts
    from flows.scripts.open_ticket import FLOWS

    if name and name not in FLOWS:
        exit_with_error(f"There is no flow {name!r}, only {', '.join(FLOWS)}.", 2)
    if write:
        for path in write_charts():
            typer.echo(f"Wrote {path}")
        return
    for each in [FLOWS[name]] if name else FLOWS.values():
        typer.echo(f"%% {each.name}\n{draw_chart(each)}")


def main() -> None:
    """Runs the command that the arguments name; every error ends the process with a sentence and an exit code."""
    os.umask(0o077)  # what Tick writes is its user's alone
    guard_standard_error()
    pause_garbage_collection()
    try:
        tick(prog_name="tick")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `tick journal list | head`
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the one place where an error becomes a sentence
        exit_with_reason(error)
    finally:
        drain_standard_streams()


def exit_with_reason(error: Exception) -> NoReturn:
    """Ends the process with the sentence of an error; with LOG_LEVEL=debug, its traceback goes to the log."""
    if isinstance(error, OperatorError):
        exit_with_error(str(error), error.exit_code)
    if isinstance(error, OSError) and error.filename:
        exit_with_error(
            f"{error.filename} can't be used: {error.strerror}. DATA_DIR names the folder that Tick may write to."
        )

    from storage.redis.client import RedisDown
    from storage.sql.database import DatabaseDown, RowsHeld
    from storage.sql.driver_errors import explain_down, explain_refusal

    if isinstance(error, RowsHeld):
        exit_with_error("Another session at the database holds what this command changes: try again in a few seconds.")
    if isinstance(error, DatabaseDown):
        exit_with_error(explain_down(error))
    if isinstance(error, RedisDown):
        exit_with_error("Redis can't be reached: is the server of REDIS_URL running, and does it let Tick in?")
    if refusal := explain_refusal(error):
        exit_with_error(refusal)

    import structlog

    from api.logs import PROCESS_REDACTION

    if structlog.is_configured():
        structlog.get_logger().debug("unexpected error", exc_info=error)
    reason = PROCESS_REDACTION.clean("error", f"{type(error).__name__}: {error}")
    exit_with_error(f"Tick stopped because of an error that it does not know ({reason}). LOG_LEVEL=debug shows where.")
