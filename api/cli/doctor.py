"""Defines the command `tick doctor`, which examines a set-up and says what to mend first."""

from pathlib import Path
from typing import Annotated

import typer

from api.server.process import run


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    config: Annotated[Path, typer.Option(help="The file of settings; the environment goes before it.")] = Path(
        "config.env"
    ),
) -> None:
    """Look at the set-up, here and at Meta, and say what to mend first. Exit code 1 when anything is wrong."""
    from api.doctor.run import examine_files, list_typed_secrets
    from api.logs import configure_logs
    from bot.clock import utc_now

    configure_logs("error", secrets=list_typed_secrets(config))  # the report has everything else
    report = run(examine_files(config, utc_now))
    if as_json:
        typer.echo(report.to_json())
    else:
        from rich.console import Console

        from api.doctor.terminal import print_report

        print_report(report, Console(highlight=False))
    raise typer.Exit(0 if report.ok else 1)
