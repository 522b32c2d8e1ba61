"""Checks what is on this side: database, Redis, files, the worker, sending, and how long ago a webhook came."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from api.doctor.check_context import CheckContext, require
from api.doctor.finding import Finding, fail_check, pass_check, warn_check
from bot.delivery import circuit_breaker
from bot.restoration import GUIDE
from storage import alerts, restored
from storage.blobs.open import open_store
from storage.blobs.store import StoreDown
from storage.diagnostics import open_redis_at, probe_redis, read_traffic
from storage.errors import WrongDatabase
from storage.original_tables import is_takeover_due
from storage.redis.client import RedisDown, RedisRefusal, describe_refusal
from storage.redis.lanes import BEAT_SECONDS, Lanes
from storage.redis.server_folder import find_recorded_url
from storage.sql.database import Database, DatabaseDown, DatabaseSettings
from storage.sql.driver_errors import explain_down, explain_refusal
from storage.sql.migrate import find_newer_problem, list_applied, list_missing
from storage.sql.server_checks import (
    Problem,
    Server,
    find_durability_problem,
    find_packet_problem,
    find_table_problem,
    find_text_problem,
    find_version_problem,
    read_server,
)

WORKER_SECONDS = 3.0
FIRST_BEAT_SECONDS = 1.2 * BEAT_SECONDS
MIN_KNOWN_FOR = timedelta(days=7)  # in less there may have been no night and no weekend
MIN_SILENCE = timedelta(hours=1)  # less is never unusual
MAX_SILENCE_AT_FIRST = timedelta(days=3)  # while nothing is known of what is usual
NOT_MADE_YET = "The database is made when Tick first starts."


async def check_database(context: CheckContext) -> Finding:
    """Checks that the database answers and lets Tick in; it makes no file for SQLite."""
    settings = require(context.storage)
    if context.database is None:
        if (file := settings.sqlite_file) and (finding := _check_sqlite_file(file)):
            return finding
        try:
            context.database = await Database.open(DatabaseSettings(settings.database, pool_size=1))
        except WrongDatabase as error:
            return _fail_with(str(error), "Check DATABASE_URL.")
        context.stack.push_async_callback(context.database.close)
    try:
        async with context.database.reading() as tx:
            await tx.fetch("SELECT 1")
    except DatabaseDown as error:
        return _fail_with(explain_down(error), "Check DATABASE_URL.")
    except Exception as error:  # noqa: BLE001 - whatever a driver thinks of what it found there
        unknown = f"What DATABASE_URL names can't be used as a database ({type(error).__name__})."
        return _fail_with(explain_refusal(error) or unknown, "Check DATABASE_URL.")
    return pass_check("It answers.")


def _check_sqlite_file(path: Path) -> Finding | None:
    """Returns what can be said of SQLite's file without opening it, which would make it; None when it may be opened."""
    if not path.exists():
        if wrong := _check_folder(path.parent):
            return wrong
        return pass_check(NOT_MADE_YET)
    if not os.access(path, os.R_OK | os.W_OK):
        return fail_check(
            f"{path} can't be read and written by this user.", f"chown {path} to the user that Tick runs as."
        )
    return None


def _check_folder(wanted: Path) -> Finding | None:
    """Returns what keeps this folder from being used or made; None when nothing does."""
    existing = next(place for place in (wanted, *wanted.parents) if place.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return None
    what = "can't be written to" if existing.is_dir() else "is no folder"
    return fail_check(f"{existing} {what}.", "Set DATA_DIR to a folder of Tick's own that its user may write to.")


def _fail_with(sentence: str, default_fix: str) -> Finding:
    """Makes a finding out of a sentence that names a trouble and, after a colon or in brackets, how to fix it."""
    sign = " (" if sentence.endswith(").") else ": "
    reason, found, fix = sentence.partition(sign)
    if not found:
        return fail_check(sentence, default_fix)
    return fail_check(f"{reason}.", f"{fix[:1].upper()}{fix[1:].replace(').', '.')}")


async def check_migrations(context: CheckContext) -> Finding:
    """Checks that every migration is applied."""
    if context.database is None:
        return pass_check(NOT_MADE_YET)
    async with asyncio.timeout(10):
        newer = find_newer_problem(await list_applied(context.database))
        lacking = await list_missing(context.database)
    if newer:
        return fail_check(*newer)
    if not lacking:
        async with context.database.reading() as tx:
            is_due = await is_takeover_due(tx)
        if is_due:
            return fail_check("The original system's tickets are not all taken over yet.", "Run `tick migrate`.")
        return pass_check("All are applied.")
    if require(context.storage).on_sqlite:
        return pass_check(f"{len(lacking)} are missing: `{context.command}` applies them when it starts.")
    return fail_check(
        f"{len(lacking)} are missing: {', '.join(lacking)}.", "Run `tick migrate`, then start `tick serve` again."
    )


async def check_history(context: CheckContext) -> Finding:
    """Checks that the database has not gone back to an earlier state lately."""
    if context.database is None:
        return pass_check(NOT_MADE_YET)
    async with context.database.reading() as tx:
        went_back = await alerts.find(tx, restored.SUBJECT)
    if went_back is None:
        return pass_check("The database has not gone back to an earlier state lately.")
    told = went_back.message.removesuffix(GUIDE).rstrip()
    return warn_check(f"{went_back.raised_at:%Y-%m-%d %H:%M} UTC: {told}", GUIDE)


async def check_database_text(context: CheckContext) -> Finding:
    """Checks that every character survives: MySQL's database, tables and connections are utf8mb4."""
    server = await _read_server(context)
    if server is None:
        return pass_check("SQLite keeps every character.")
    return _to_finding(find_text_problem(server), "The database, its tables and connections are utf8mb4.")


async def check_database_tables(context: CheckContext) -> Finding:
    """Checks that MySQL takes back what fails half-way, and lets others go on: the tables are InnoDB, the server is new
    enough."""
    server = await _read_server(context)
    if server is None:
        return pass_check("SQLite takes back what fails half-way.")
    return _to_finding(find_version_problem(server) or find_table_problem(server), "They are InnoDB.")


async def check_database_packets(context: CheckContext) -> Finding:
    """Checks that a batch of Meta's fits into a packet of MySQL, and that each commit is on the disk."""
    server = await _read_server(context)
    if server is None:
        return pass_check("SQLite has no such limit.")
    if problem := find_packet_problem(server):
        return fail_check(*problem)
    if problem := find_durability_problem(server):
        return warn_check(*problem)
    return pass_check(f"max_allowed_packet is {server.packet_bytes // 2**20} MB, and each commit is on the disk.")


async def _read_server(context: CheckContext) -> Server | None:
    database = context.database
    return None if database is None else await context.ask_once("server", lambda: read_server(database))


def _to_finding(problem: Problem | None, passed: str) -> Finding:
    return fail_check(*problem) if problem else pass_check(passed)


async def check_redis(context: CheckContext) -> Finding:
    """Checks that Redis answers, lets Tick in, and keeps what it is given; it starts none."""
    settings = require(context.storage)
    url = settings.redis or find_recorded_url(settings.data_dir)
    if not url:
        if context.lanes is not None:
            return pass_check(f"Redis is inside the process of `{context.command}`, for want of a redis-server.")
        return pass_check(f"`{context.command}` starts a Redis of its own.")
    client = open_redis_at(url)
    context.stack.push_async_callback(client.aclose)
    server = await probe_redis(client)
    if server is None:
        return fail_check(
            "Redis can't be reached.", "Start the server of REDIS_URL, and check the host and the port in it."
        )
    if isinstance(server, RedisRefusal):
        return _fail_with(describe_refusal(server, is_embedded=not settings.redis), "Check REDIS_URL.")
    if server.refusal:
        reason, _, fix = server.refusal.removeprefix("REDIS_URL: ").partition("; ")
        return fail_check(
            f"{reason[:1].upper()}{reason[1:].rstrip('.')}.", fix or "Install a newer Redis for REDIS_URL."
        )
    context.lanes = context.lanes or Lanes(client, "doctor")
    version = f"Version {server.version}. " if server.version else ""
    return pass_check(f"{version}{server.persistence}")


async def check_files(context: CheckContext) -> Finding:
    """Checks that files can be stored, in the folder or the bucket of FILES_URL."""
    settings = require(context.storage)
    folder = Path(settings.files_url) if settings.files_url else settings.data_dir / "files"
    if "://" not in settings.files_url and not folder.exists():
        return _check_folder(folder) or pass_check("The folder is made when the first file comes.")
    try:
        wrong = await open_store(settings.files_url, folder, settings.s3).check()
    except StoreDown as error:  # half of a key, or an address that is none
        wrong = str(error)
    if wrong:
        return _fail_with(wrong, "FILES_URL names a folder that Tick may write to, or a bucket that its keys may use.")
    return pass_check("Files can be stored.")


async def check_worker(context: CheckContext) -> Finding:
    """Checks that a worker is alive."""
    alive = await _is_worker_alive(context)
    if alive is False:
        await asyncio.sleep(FIRST_BEAT_SECONDS)  # one that has just been started may not have spoken yet
        alive = await _is_worker_alive(context)
    if alive is False:
        return fail_check(
            "No worker is alive: messages are taken in, and nobody answers them.",
            "Start `tick worker` on the same DATABASE_URL and REDIS_URL, or `tick serve` without --no-worker.",
        )
    return pass_check(
        "One is alive." if alive else "Probably one is: Redis has only just started, and has not heard from any yet."
    )


async def _is_worker_alive(context: CheckContext) -> bool | None:
    """Whether a worker is alive, by Redis, else by the server; None when neither can say."""
    if context.lanes is not None:
        try:
            async with asyncio.timeout(WORKER_SECONDS):
                alive = await context.lanes.is_anybody_alive()
        except (RedisDown, TimeoutError):
            alive = None
        if alive is not None:
            return alive
    return await context.visitor.has_worker(context.own_url if await context.is_running_here() else context.public_url)


async def check_channel(context: CheckContext) -> Finding:
    """Checks that no alert says that sending has stopped."""
    if context.database is None:
        return pass_check("Nothing has been sent yet.")
    async with context.database.reading() as tx:
        stopped = await alerts.find(tx, circuit_breaker.SUBJECT)
    if stopped is None:
        return pass_check("Nothing keeps messages from going out.")
    return fail_check(
        f"Nothing has gone out since {stopped.raised_at:%Y-%m-%d %H:%M} UTC: {stopped.message.rstrip('.')}.",
        "Fix that first. Tick then goes on by itself within the hour, and at once when an admin presses Try now at "
        "/desk/whatsapp.",
    )


async def check_webhooks_lately(context: CheckContext) -> Finding:
    """Checks that Meta has not been silent for longer than usual."""
    if context.database is None:
        return pass_check("None has come yet.")
    now = context.now()
    async with context.database.reading() as tx:
        seen = await read_traffic(tx, now)
    if seen.last_at is None:
        return pass_check(f"None has come yet: {context.write_to_number} to see one.")
    silence = now - seen.last_at
    known = seen.known_for >= MIN_KNOWN_FOR
    patience = max(MIN_SILENCE, seen.longest * 1.5) if known else MAX_SILENCE_AT_FIRST
    if silence <= patience:
        return pass_check(f"The last one came {_describe_span(silence)} ago.")
    usual = (
        f"the longest silence before was {_describe_span(seen.longest)}" if known else "that is long for a new number"
    )
    return warn_check(
        f"No webhook has come for {_describe_span(silence)}; {usual}.",
        "Write to the number from a phone. If nothing comes, look at the app's webhooks in the App Dashboard: "
        "Meta may have stopped calling after many failures.",
    )


def _describe_span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours:.0f} hours" if hours >= 2 else f"{max(0, span.total_seconds()) / 60:.0f} minutes"
