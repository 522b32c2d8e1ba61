"""Defines the commands about the people at the desk: `tick agent add | list | disable | enable | password | role |
sign-out`."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from api.cli.terminal import exit_with_error, load_settings_and_logs, print_table, show_instant
from api.server.process import run
from api.web.credentials import Role

if TYPE_CHECKING:
    from storage.agents import ListedAgent
    from storage.sql.database import Database

agent = typer.Typer(no_args_is_help=True, help="The people at the desk.")
ROLE_HELP = "What they may do: read; read and answer; everything."
Email = Annotated[str, typer.Argument(help="What they sign in with.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
T = TypeVar("T")


@agent.command("add")
def add_agent(
    email: Email,
    name: Annotated[str, typer.Option(help="What customers and colleagues see.", show_default=False)],
    role: Annotated[Role, typer.Option(help=ROLE_HELP)] = Role.AGENT,
    password_stdin: PasswordStdin = False,
) -> None:
    """Let a person sign in at the desk. Asks for their password."""
    from api import admin

    now, password = datetime.now(UTC), _read_new_password(from_stdin=password_stdin)
    _run_on_database(
        lambda database: admin.add_agent(database, email=email, name=name, role=role, password=password, now=now)
    )
    typer.echo(f"{email} can sign in as {role}.")


@agent.command("list")
def list_agents() -> None:
    """List everybody who may sign in at the desk, or might once."""
    from api import access

    found = _run_on_database(lambda database: access.list_agents(database, datetime.now(UTC)))
    print_table(("e-mail", "name", "role", "state", "last sign-in", "signed in"), [_make_row(each) for each in found])


@agent.command("disable")
def disable_agent(email: Email) -> None:
    """Lock a person out of the desk, at once, and sign them out everywhere."""
    from api import access

    is_new = _run_on_database(lambda database: access.disable_agent(database, email, datetime.now(UTC)))
    typer.echo(f"{email} can't sign in any more, and is signed out." if is_new else f"{email} was disabled before.")


@agent.command("enable")
def enable_agent(email: Email) -> None:
    """Let a disabled person sign in again, with the password that they had."""
    from api import access

    is_new = _run_on_database(lambda database: access.enable_agent(database, email, datetime.now(UTC)))
    typer.echo(f"{email} can sign in again." if is_new else f"{email} was not disabled.")


@agent.command("password")
def set_password(email: Email, password_stdin: PasswordStdin = False) -> None:
    """Set another password for a person, and sign them out everywhere. Asks for it."""
    from api import access

    password = _read_new_password(from_stdin=password_stdin)
    _run_on_database(lambda database: access.set_password(database, email, password, datetime.now(UTC)))
    typer.echo(f"{email} has another password, and is signed out.")


@agent.command("role")
def set_role(email: Email, role: Annotated[Role, typer.Argument(help=ROLE_HELP, show_default=False)]) -> None:
    """Let a person do more or less than before, from their next click on."""
    from api import access

    is_new = _run_on_database(lambda database: access.set_role(database, email, role, datetime.now(UTC)))
    typer.echo(f"{email} is {role} now." if is_new else f"{email} was {role} before.")


@agent.command("sign-out")
def sign_out(email: Email) -> None:
    """Sign a person out in every browser, at once. They can sign in again."""
    from api import access

    ended = _run_on_database(lambda database: access.sign_out_everywhere(database, email, datetime.now(UTC)))
    typer.echo(f"{email} is signed out everywhere." if ended else f"{email} was not signed in anywhere.")


def _run_on_database(work: "Callable[[Database], Awaitable[T]]") -> T:
    from api import admin

    settings = load_settings_and_logs()

    async def open_and_run() -> T:
        async with admin.open_database(settings) as database:
            return await work(database)

    return run(open_and_run())


def _read_new_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        exit_with_error(
            "There is no terminal to ask for the password on: give it on standard input, with --password-stdin.", 2
        )
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _make_row(agent: "ListedAgent") -> tuple[str, ...]:
    is_active = agent.disabled_at is None
    return (
        agent.email,
        agent.name,
        agent.role,
        "may sign in" if is_active else f"disabled {show_instant(agent.disabled_at)}",
        show_instant(agent.last_sign_in_at) or "never",
        f"in {agent.open_sessions} browser{'s' * (agent.open_sessions != 1)}" if agent.open_sessions else "no",
    )
