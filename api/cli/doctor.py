"""Defines the command `tick doctor`, which examines a set-up and says what to fix first."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.terminal import exit_with_error
from api.server.process import run

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from api.doctor.report import Report


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    config: Annotated[Path, typer.Option(help="The file of settings; the environment goes before it.")] = Path(
        "config.env"
    ),
    demo: Annotated[
        bool, typer.Option("--demo", help="Look at the demo, also where a real service is set up beside it.")
    ] = False,
) -> None:
    """Look at the set-up, here and at Meta, and say what to fix first. Exit code 1 when anything needs fixing.

    Where nothing is set up but a demo was started, it looks at the demo.
    """
    report = run(_choose_examination(config, demo=demo))
    if as_json:
        typer.echo(report.to_json())
    else:
        from rich.console import Console

        from api.doctor.terminal import print_report

        print_report(report, Console(highlight=False))
    raise typer.Exit(0 if report.ok else 1)


def _choose_examination(config: Path, *, demo: bool) -> "Coroutine[Any, Any, Report]":
    """Returns the examination of what is set up here. From now on the logs, of which there are few since the report has
    everything, hide its secrets."""
    from api.demo.settings import find_demo_folder, has_demo, load_demo_settings, replace_port
    from api.demo.state import load_demo_state
    from api.doctor.run import examine, examine_files, list_typed_secrets
    from api.logs import configure_logs
    from api.settings_loader import is_anything_set
    from bot.clock import utc_now

    if not demo and (is_anything_set(config) or not has_demo(find_demo_folder(config))):
        configure_logs("error", secrets=list_typed_secrets(config))
        return examine_files(config, utc_now)
    if not has_demo(folder := find_demo_folder(config)):
        exit_with_error(f"There is no demo in {folder}: start one with `tick demo`, or leave --demo out.", 2)
    state = load_demo_state(folder)
    settings = load_demo_settings(config)
    settings = replace_port(settings, state.choose_port(settings.port))
    configure_logs("error", secrets=settings.list_secrets())
    return examine(settings, lambda: state.now(utc_now))
