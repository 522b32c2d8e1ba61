"""The command that says what is wrong with a set-up."""

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
    from api.doctor.run import examine_files, typed_secrets
    from api.logs import configure_logs
    from bot.clock import utc_now

    configure_logs("error", secrets=typed_secrets(config))  # the report says it all
    report = run(examine_files(config, utc_now))
    if as_json:
        typer.echo(report.json())
    else:
        from rich.console import Console

        from api.doctor.terminal import show

        show(report, Console(highlight=False))
    raise typer.Exit(0 if report.ok else 1)
