"""Takes over the original system's tickets, as the last part of `tick migrate`, and asks for what it has to be told."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from api.cli.terminal import print_notice
from api.server.process import run

if TYPE_CHECKING:
    from api.settings import StorageSettings
    from api.takeover.choices import Choices, Findings
    from api.takeover.run import Outcome


def take_over_original(settings: "StorageSettings", country: str, time_zone: str) -> bool:
    """Takes over what the database of these settings has of the original system; returns whether there was anything to
    say of it."""
    from api.takeover.choices import Choices, settle_choices
    from api.takeover.report import describe_foreign, describe_outcome

    findings = run(_look(settings))
    for line in describe_foreign(findings.tables):
        typer.echo(line)
    if not findings.is_due:
        return bool(findings.tables.foreign)
    set_before = Choices(settings.takeover_country, settings.takeover_time_zone)
    ask = typer.prompt if sys.stdin.isatty() else None
    choices = settle_choices(findings, Choices(country, time_zone), set_before, ask)
    outcome = run(_take_over(settings, findings, choices))
    for line in describe_outcome(outcome, findings.tables):
        typer.echo(line)
    return True


async def _look(settings: "StorageSettings") -> "Findings":
    from api import admin
    from api.takeover.choices import look_for_original

    async with admin.open_database(settings) as database:
        return await look_for_original(database)


async def _take_over(settings: "StorageSettings", findings: "Findings", choices: "Choices") -> "Outcome":
    from api import admin
    from api.takeover.run import take_over
    from storage.blobs.open import open_store

    store = open_store(settings.files_url, settings.data_dir / "files", settings.s3)
    async with admin.open_database(settings, is_patient=True) as database:
        return await take_over(
            database, store, findings.tables, choices, clock=lambda: datetime.now(UTC), say=print_notice
        )
