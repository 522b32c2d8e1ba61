"""Defines the commands about the journal, everything that arrived: `tick journal list | show | replay`."""

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.terminal import exit_with_error, load_settings_and_logs, print_notice, print_table
from api.server.process import run

if TYPE_CHECKING:
    from storage.models import Item

journal = typer.Typer(no_args_is_help=True, help="Everything that arrived, and what became of it.")
JSON_FIELDS = ("payload", "effects")  # which the journal keeps as JSON text
MAX_ID = 2**63 - 1  # what is larger is no id, and SQLite takes it for an error


@journal.command("list")
def list_journal(
    fate: Annotated[str, typer.Option(help="done, ignored, dead or pending.")] = "dead",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 50,
) -> None:
    """List what arrived, by what became of it; the totals come first."""
    from api import admin
    from api.views.fate_text import explain_fate
    from storage.statuses import Fate

    if fate not in set(Fate):
        exit_with_error(f"--fate is one of {', '.join(Fate)}.", 2)
    settings = load_settings_and_logs()

    async def read() -> "tuple[dict[str, int], list[Item]]":
        async with admin.open_database(settings) as database:
            return await admin.count_journal_items(database), await admin.list_journal_items(fate, limit)

    counts, items = run(read())
    print_notice(", ".join(f"{name} {count}" for name, count in counts.items()))
    rows = [
        (
            str(item.id),
            item.kind,
            f"{item.received_at:%Y-%m-%d %H:%M:%S}Z",
            str(item.attempts),
            explain_fate(item.reason, item.error),
        )
        for item in items
    ]
    print_table(("id", "kind", "received", "attempts", "why"), rows)


@journal.command("show")
def show_item(
    item_id: Annotated[int, typer.Argument(max=MAX_ID, help="As `tick journal list` prints it.")],
) -> None:
    """Show one item whole, as JSON, with what the customer wrote and what came of it."""
    from api import admin
    from api.logs import CONTROLS_BUT_NEWLINE

    settings = load_settings_and_logs()

    async def read() -> "Item":
        async with admin.open_database(settings):
            return await admin.read_journal_item(item_id)

    item = run(read())
    fields = {name: getattr(item, name) for name in sorted(item._meta.fields)}
    typer.echo(CONTROLS_BUT_NEWLINE.sub(_escape, _render(fields)))  # the newlines are those of the indentation


@journal.command("replay")
def replay_item(
    item_ids: Annotated[list[int] | None, typer.Argument(max=MAX_ID, metavar="ITEM_ID...", help="Dead items.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead item.")] = False,
) -> None:
    """Give dead items another chance; a running worker takes them up within seconds."""
    from api import admin

    if bool(item_ids) == every:
        exit_with_error("Name the items to replay, or --all.", 2)
    settings = load_settings_and_logs()

    async def replay() -> tuple[list[int], list[int]]:
        async with admin.open_database(settings) as database:
            wanted = await admin.list_dead_item_ids() if every else list(item_ids or ())
            return wanted, await admin.replay_items(database, wanted, datetime.now(UTC))

    wanted, replayed = run(replay())
    for item_id in replayed:
        typer.echo(f"{item_id} is pending again")
    if missed := [str(item_id) for item_id in wanted if item_id not in replayed]:
        exit_with_error(f"Not replayed, since there is no dead item of this id: {', '.join(missed)}.")


def _render(fields: dict[str, object]) -> str:
    """Renders an item as JSON, with what the journal keeps as JSON text opened up as far as it can be read."""
    opened = fields | {name: _read_json(fields[name]) for name in JSON_FIELDS}
    try:
        return json.dumps(opened, indent=2, default=str, ensure_ascii=False)
    except RecursionError:  # nested more deeply than can be indented
        return json.dumps(fields, indent=2, default=str, ensure_ascii=False)


def _read_json(text: object) -> object:
    """Reads JSON text; what is none, such as a body that nobody could read, stays as it is."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text


def _escape(control: re.Match[str]) -> str:
    """Spells a control character as JSON may: what a customer wrote must not steer the terminal."""
    return f"\\u{ord(control[0]):04x}"
