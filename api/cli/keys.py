"""Defines the commands about the keys to the REST API: `tick key create | list | revoke`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.terminal import load_settings_and_logs, print_notice, print_table, show_instant
from api.server.process import run
from api.web.credentials import Role

if TYPE_CHECKING:
    from storage.api_keys import ListedKey

key = typer.Typer(no_args_is_help=True, help="The keys to the REST API.")
ROLE_HELP = "What its holder may do: read; read and answer; everything."


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: Annotated[Role, typer.Option(help=ROLE_HELP, show_default=False)],
    expires: Annotated[
        str, typer.Option(help="In how many days it stops working, or its last day, such as 2027-01-31.")
    ] = "",
) -> None:
    """Make an API key. The last line printed is the key alone; it can't be shown again."""
    from api import access, admin

    now = datetime.now(UTC)
    expires_at = access.read_expiry(expires, now) if expires else None
    settings = load_settings_and_logs()

    async def create() -> str:
        async with admin.open_database(settings) as database:
            return await admin.create_key(database, name, role, now, expires_at)

    created = run(create())
    until = f" It works until {show_instant(expires_at)}." if expires_at else ""
    print_notice(f"The key of {name!r}, role {role}.{until} Keep it safe: it can't be shown again.")
    typer.echo(created)


@key.command("list")
def list_keys() -> None:
    """List every key that was ever made: whether it still works, and when it was last used."""
    from api import access, admin

    settings = load_settings_and_logs()

    async def read() -> "list[ListedKey]":
        async with admin.open_database(settings) as database:
            return await access.list_keys(database)

    now = datetime.now(UTC)
    rows = [
        (
            str(each.key_id),
            each.name,
            each.role,
            f"{each.prefix}...",
            describe_state(each, now),
            show_instant(each.created_at),
            show_instant(each.last_used_at) or "never",
        )
        for each in run(read())
    ]
    print_table(("id", "name", "role", "begins with", "state", "created", "last used"), rows)


@key.command("revoke")
def revoke_key(
    wanted: Annotated[
        str, typer.Argument(metavar="KEY", help="Its id or how it begins, as `tick key list` prints it; or its name.")
    ],
) -> None:
    """Make a key useless, at once and for good."""
    from api import access, admin

    settings = load_settings_and_logs()

    async def revoke() -> "tuple[ListedKey, bool]":
        async with admin.open_database(settings) as database:
            return await access.revoke_key(database, wanted, datetime.now(UTC))

    revoked, is_new = run(revoke())
    shown = f"The key {revoked.name!r} ({revoked.prefix}...)"
    typer.echo(f"{shown} no longer works." if is_new else f"{shown} was revoked before.")


def describe_state(key: "ListedKey", now: datetime) -> str:
    """Says whether a key still works, and until when."""
    if key.revoked_at is not None:
        return f"revoked {show_instant(key.revoked_at)}"
    if key.expires_at is None:
        return "works"
    return f"{'expired' if key.expires_at <= now else 'works until'} {show_instant(key.expires_at)}"
