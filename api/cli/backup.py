"""Defines the commands `tick backup` and `tick restore`."""

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from api.cli.terminal import exit_with_error, load_settings_and_logs, print_notice
from api.server.process import run

if TYPE_CHECKING:
    from api.backup.make import MadeBackup
    from api.backup.manifest import Manifest
    from api.settings import StorageSettings
    from bot.restoration import Settled

AFTERWARDS = """What to do now (docs/BACKUP.md says more):
- Bring back config.env, which no backup has in it, and start Tick. Everybody signs in again.
- Messages in doubt are on their tickets, and under "In doubt" on the desk's page WhatsApp.
- Keys and agents are those of that time. Look at `tick key list` and `tick agent list`: who was locked out since is in
  again."""


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write, such as /backups/tick-monday.tar.")],
) -> None:
    """Write a backup of the database and the files into one archive, while Tick runs or not. For SQLite alone."""
    from api.backup.make import make_backup
    from api.backup.places import find_places

    settings = load_settings_and_logs()
    places = find_places(settings, "tick backup")
    _stop_in_order()
    try:
        made = make_backup(places, file, made_at=datetime.now(UTC), program=_read_version())
    except OSError as error:
        exit_with_error(f"No backup was made: {error.filename or file} can't be used ({error.strerror}).")
    _print_made(made, file)


def restore(
    file: Annotated[Path | None, typer.Argument(help="An archive of `tick backup`.", show_default=False)] = None,
    loaded: Annotated[
        bool,
        typer.Option(
            "--loaded",
            help="Instead: the database was restored by other means, and Tick has not run on it since. What was under "
            "way in it is settled, so that nothing goes out a second time.",
        ),
    ] = False,
) -> None:
    """Restore a backup into an empty DATA_DIR."""
    if (file is None) != loaded:
        exit_with_error("Name the archive to restore, or --loaded.", 2)
    settings = load_settings_and_logs()
    if file is None:
        settled = run(_settle_loaded(settings))
        typer.echo(f"The database is ready. {settled}")
        typer.echo(AFTERWARDS)
        return

    from api.admin import ACTOR
    from api.backup.places import find_places
    from api.backup.restore import restore_backup

    places = find_places(settings, "tick restore")
    _stop_in_order()
    try:
        manifest, settled = run(restore_backup(file, places, at=datetime.now(UTC), actor=ACTOR))
    except OSError as error:
        exit_with_error(f"Nothing was restored: {error.filename or file} can't be used ({error.strerror}).")
    _print_restored(manifest, settled, places.database.parent)


async def _settle_loaded(settings: "StorageSettings") -> "Settled":
    from api.backup.loaded import settle_loaded

    return await settle_loaded(settings, datetime.now(UTC))


def _print_made(made: "MadeBackup", file: Path) -> None:
    counts = made.manifest.counts
    typer.echo(
        f"Wrote {file}, {made.size / 1e6:.1f} MB: {counts.get('ticket', 0)} tickets of {counts.get('customer', 0)} "
        f"customers and {made.manifest.members - 1} files, as of {made.manifest.made_at:%Y-%m-%d %H:%M:%S}Z."
    )
    if made.manifest.missing:
        print_notice(
            f"{made.manifest.missing} files that the database names are not in the store, so not in the backup: "
            f"{', '.join(made.missing)}{' ...' if made.manifest.missing > len(made.missing) else ''}."
        )
    print_notice("It holds what customers wrote, so keep it to yourself. config.env is not in it: keep that too.")


def _print_restored(manifest: "Manifest", settled: "Settled", folder: Path) -> None:
    counts = manifest.counts
    typer.echo(
        f"Restored {counts.get('ticket', 0)} tickets and {manifest.members - 1} files into {folder}, as of "
        f"{manifest.made_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z. {settled}"
    )
    typer.echo(AFTERWARDS)


def _read_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tick")
    except PackageNotFoundError:  # it runs from a checkout that was never installed
        return "unknown"


def _stop_in_order() -> None:
    """Has a SIGTERM end the command as an error does, so that nothing half done is left."""

    def stop(*_: object) -> NoReturn:
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
