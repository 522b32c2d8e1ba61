"""Defines the commands that read and write the database: agents, API keys, the journal."""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.terminal import exit_with_error, load_settings_and_logs, print_notice, print_table
from api.server.process import run
from api.web.credentials import Role

if TYPE_CHECKING:
    from storage.models import Item

agent = typer.Typer(no_args_is_help=True, help="The people at the desk.")
key = typer.Typer(no_args_is_help=True, help="The keys to the REST API.")
journal = typer.Typer(no_args_is_help=True, help="Everything that arrived, and what became of it.")
MAX_ID = 2**63 - 1  # what is larger is no id, and SQLite takes it for an error
ROLE_HELP = "What they may do: read; read and answer; everything."


@agent.command("add")
def add_agent(
    email: Annotated[str, typer.Argument(help="What they sign in with.")],
    name: Annotated[str, typer.Option(help="What customers and colleagues see.", show_default=False)],
    role: Annotated[Role, typer.Option(help=ROLE_HELP)] = Role.AGENT,
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
) -> None:
    """Let a person sign in at the desk. Asks for their password."""
    from api import admin

    settings = load_settings_and_logs()
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        exit_with_error(
            "There is no terminal to ask for the password on: give it on standard input, with --password-stdin.", 2
        )

    async def add() -> None:
        async with admin.open_database(settings) as database:
            await admin.add_agent(database, email=email, name=name, role=role, password=password, now=datetime.now(UTC))

    run(add())
    typer.echo(f"{email} can sign in as {role}.")


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: Annotated[Role, typer.Option(help=ROLE_HELP, show_default=False)],
) -> None:
    """Make an API key. The last line printed is the key alone; it can't be shown again."""
    from api import admin

    settings = load_settings_and_logs()

    async def create() -> str:
        async with admin.open_database(settings) as database:
            return await admin.create_key(database, name, role, datetime.now(UTC))

    created = run(create())
    print_notice(f"The key of {name!r}, role {role}. Keep it safe: it can't be shown again.")
    typer.echo(created)


@journal.command("list")
def list_journal(
    fate: Annotated[str, typer.Option(help="done, ignored, dead or pending.")] = "dead",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 50,
) -> None:
    """List what arrived, by what became of it; the totals come first."""
    from api import admin
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
            item.error or item.reason,
        )
        for item in items
    ]
    print_table(("id", "kind", "received", "attempts", "why"), rows)


@journal.command("show")
def show_item(
    item_id: Annotated[int, typer.Argument(max=MAX_ID, help="As `tick journal list` prints it.")],
) -> None:
    """Show one item whole, as JSON, with what the customer wrote."""
    from api import admin

    settings = load_settings_and_logs()

    async def read() -> "Item":
        async with admin.open_database(settings):
            return await admin.read_journal_item(item_id)

    item = run(read())
    fields = {name: getattr(item, name) for name in sorted(item._meta.fields)}
    typer.echo(json.dumps(fields, indent=2, default=str))  # escapes every control character


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
        exit_with_error(f"Not dead, so not replayed: {', '.join(missed)}.")
