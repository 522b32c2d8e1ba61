"""Defines the commands that run Tick: demo, serve, worker, migrate, bench."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from api.cli.terminal import (
    exit_with_error,
    load_settings_and_logs,
    print_notice,
    run_until_stopped,
    set_up_logs,
    warn_of_weak_settings,
)
from api.server.process import run

if TYPE_CHECKING:
    from socket import socket

    from api.settings import Settings


def demo() -> None:
    """Run all of Tick with a stand-in for Meta, on this machine alone, under DATA_DIR/demo."""
    from dataclasses import replace

    from api.demo.settings import load_demo_settings, replace_port
    from api.demo.state import load_demo_state, save_demo_state
    from api.server.serving import get_port, listen_nearby

    settings = load_demo_settings()
    state = load_demo_state(settings.data_dir)
    first_port = state.choose_port(settings.port)
    listener = listen_nearby(settings.host, first_port)
    port = get_port(listener)
    if port != first_port:
        print_notice(f"Port {first_port} is taken: this demo is on port {port}.")
    elif port != settings.port:
        print_notice(f"This demo is on port {port}, as it was before.")
    set_up_logs(settings)
    save_demo_state(settings.data_dir, replace(state, wanted_port=settings.port, port=port))
    settings = replace_port(settings, port)

    from api.demo.demo import run_demo

    run_until_stopped(lambda stop: run_demo(settings, listener, stop))


def serve(
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Also do the work, or leave it to `tick worker`.")
    ] = True,
    processes: Annotated[
        int,
        typer.Option(min=1, max=64, help="Web processes; above 1 the worker is one of its own. Not on SQLite."),
    ] = 1,
) -> None:
    """Serve the webhook, the API and the desk, connected to Meta by the WHATSAPP_* settings."""
    from api.settings_loader import load_settings

    settings = load_settings()
    set_up_logs(settings)
    warn_of_weak_settings(settings)
    if processes > 1:
        _supervise(settings, worker=worker, processes=processes)

    from api.server.serving import find_inherited_listener, listen

    listener = find_inherited_listener() or listen(settings.host, settings.port)

    from api import app

    address = settings.public_url or f"http://{settings.host}:{settings.port}"
    run_until_stopped(
        lambda stop: app.serve(
            settings, listener, stop, worker=worker, on_ready=lambda: print_notice(f"Tick serves {address}")
        )
    )


def worker(
    heartbeat_file: Annotated[
        Path | None,
        typer.Option(
            help="A file to touch at each heartbeat, every half second: while it is young, this worker works."
        ),
    ] = None,
) -> None:
    """Do the work that `tick serve --no-worker` takes in. Any number of these share one database and one Redis."""
    from api.settings_loader import load_settings

    settings = load_settings()
    set_up_logs(settings)
    warn_of_weak_settings(settings)
    if heartbeat_file is not None:
        _check_heartbeat_file(heartbeat_file)

    from api.bootstrap import run_worker

    run_until_stopped(lambda stop: run_worker(settings, stop, heartbeat_file=heartbeat_file))


def migrate(
    country: Annotated[
        str,
        typer.Option(help="Taking over: the country of the phone numbers without +, such as DE.", show_default=False),
    ] = "",
    time_zone: Annotated[
        str, typer.Option(help="Taking over: the time zone of the dates, such as Europe/Berlin.", show_default=False)
    ] = "",
) -> None:
    """Bring the database to the shape that this version needs, and take over what the original system left in it."""
    settings = load_settings_and_logs()

    from storage.sql.database import DatabaseSettings
    from storage.sql.migrate import migrate

    names = run(migrate(DatabaseSettings(settings.database)))
    for name in names:
        typer.echo(f"Applied {name}")

    from api.cli.takeover import take_over_original

    is_done = not settings.on_sqlite and take_over_original(settings, country, time_zone)
    if not names and not is_done:
        typer.echo("Nothing to do: the database is up to date.")


def bench(
    customers: Annotated[int, typer.Option(min=1, max=2000, help="Simulated customers, each in a closed loop.")] = 64,
    seconds: Annotated[float, typer.Option(min=1, help="How long each run measures.")] = 20.0,
    runs: Annotated[int, typer.Option(min=1, max=20, help="Runs of each of the two, in turn.")] = 3,
    steps: Annotated[int, typer.Option(min=0, help="Steps between two looks at memory; 0: none.")] = 20_000,
    mysql: Annotated[bool, typer.Option("--mysql", help="On the server of DATABASE_URL, in new databases.")] = False,
    storm: Annotated[
        bool, typer.Option("--storm", help="Instead: what the others notice when Meta refuses half of the customers.")
    ] = False,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Instead: fill the empty database of DATA_DIR, or with --mysql that of DATABASE_URL, with so many "
            "items and a fifth as many tickets.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure Tick against a bare loop that keeps the same things, on this machine. Touches nothing of yours, but for
    what --seed fills in."""
    from api.bench.run import BenchOptions, run_bench
    from api.bench.storm import StormOptions, run_storm_bench

    url = load_settings_and_logs().database if mysql else ""
    if mysql and not url.startswith("mysql:"):
        exit_with_error("--mysql needs a DATABASE_URL that begins with mysql://.", 2)
    if seed:
        _seed(seed, mysql=mysql)
    if storm:
        stormy = StormOptions(seconds=seconds, runs=runs, database_url=url)
        raise typer.Exit(run(run_storm_bench(stormy, json_only=as_json)))
    options = BenchOptions(customers=customers, seconds=seconds, runs=runs, steps=steps, database_url=url)
    raise typer.Exit(run(run_bench(options, json_only=as_json)))


def _seed(items: int, *, mysql: bool) -> NoReturn:
    """Fills the database of the settings, which is MySQL only where that was said."""
    from api.admin import open_database
    from api.bench.seed import run_seed

    settings = load_settings_and_logs()

    async def fill() -> int:
        async with open_database(settings) as database:
            return await run_seed(database, items)

    if not mysql and not settings.on_sqlite:
        exit_with_error("DATABASE_URL names a MySQL database: give --mysql too, if it is that one which you mean.", 2)
    raise typer.Exit(run(fill()))


def _check_heartbeat_file(path: Path) -> None:
    try:
        path.touch()
    except OSError:
        exit_with_error(
            f"--heartbeat-file {path} can't be written: name one in a folder that Tick's user may write.", 2
        )


def _supervise(settings: "Settings", *, worker: bool, processes: int) -> NoReturn:
    """Runs this many web processes, and a worker process, as children of this one."""
    if settings.on_sqlite:
        exit_with_error("--processes needs MySQL or MariaDB, by DATABASE_URL: SQLite lets one process alone write.")
    if not settings.redis:
        exit_with_error("--processes needs a Redis server, by REDIS_URL: the embedded one belongs to a single process.")

    from api.server.serving import listen
    from api.server.supervisor import supervise

    children: list[Sequence[str]] = [("serve", "--no-worker")] * processes + [("worker",)] * worker
    listener: socket = listen(settings.host, settings.port)
    run_until_stopped(lambda stop: supervise(children, listener, stop))
