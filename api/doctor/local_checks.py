"""The checks of what is on our side: database, Redis, files, the worker, and how long Meta has been silent."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from api.doctor.check_context import Exam, there
from api.doctor.finding import Finding, bad, good
from bot.delivery import circuit_breaker
from storage import alerts
from storage.blobs.open import open_store
from storage.blobs.store import StoreDown
from storage.diagnostics import RedisTrouble, look_at_redis, redis_at, server_of, traffic
from storage.redis.client import RedisDown
from storage.redis.lanes import BEAT_SECONDS, Lanes
from storage.redis.server_folder import find_recorded_url
from storage.sql.database import Database, DatabaseDown, DatabaseSettings
from storage.sql.driver_errors import explain_down
from storage.sql.migrate import MIN_PACKET_BYTES, list_missing

WORKER_SECONDS = 3.0
FIRST_BEAT_SECONDS = 1.2 * BEAT_SECONDS
LEAST_KNOWN = timedelta(days=7)  # in less there may have been no night and no weekend
LEAST_SILENCE = timedelta(hours=1)
SILENCE_AT_FIRST = timedelta(days=3)
NOT_MADE_YET = "The database is made when `tick serve` first starts."


async def database(exam: Exam) -> Finding:
    """Is it there, and does it let us in?"""
    settings = there(exam.storage)
    if exam.database is None:
        if settings.on_sqlite and (finding := _file(Path(settings.database.removeprefix("sqlite://")))):
            return finding
        exam.database = await Database.open(DatabaseSettings(settings.database, pool_size=1))
        exam.stack.push_async_callback(exam.database.close)
    try:
        async with exam.database.reading() as tx:
            await tx.fetch("SELECT 1")
    except DatabaseDown as error:
        return _said(explain_down(error), "Look at DATABASE_URL.")
    except Exception as error:  # noqa: BLE001 - whatever a driver thinks of what it found there
        kind = type(error).__name__
        return bad(f"What DATABASE_URL names can't be used as a database ({kind}).", "Look at DATABASE_URL.")
    return good("It answers.")


def _file(path: Path) -> Finding | None:
    """What can be said of SQLite's file before it is opened, which would make it."""
    if not path.exists():
        if wrong := _no_folder(path.parent):
            return wrong
        return good(NOT_MADE_YET)
    if not os.access(path, os.R_OK | os.W_OK):
        return bad(f"{path} can't be read and written by this user.", f"chown {path} to the user that Tick runs as.")
    return None


def _no_folder(wanted: Path) -> Finding | None:
    """Whether this folder is there or can be made."""
    there_is = next(place for place in (wanted, *wanted.parents) if place.exists())
    if there_is.is_dir() and os.access(there_is, os.W_OK | os.X_OK):
        return None
    what = "can't be written to" if there_is.is_dir() else "is no folder"
    return bad(f"{there_is} {what}.", "Set DATA_DIR to a folder of Tick's own that its user may write to.")


def _said(sentence: str, otherwise: str) -> Finding:
    """A sentence that names a trouble, and most often how to mend it."""
    sign = " (" if sentence.endswith(").") else ": "
    reason, found, fix = sentence.partition(sign)
    if not found:
        return bad(sentence, otherwise)
    return bad(f"{reason}.", f"{fix[:1].upper()}{fix[1:].replace(').', '.')}")


async def migrations(exam: Exam) -> Finding:
    """Has it the shape that this version needs?"""
    if exam.database is None:
        return good(NOT_MADE_YET)
    async with asyncio.timeout(10):
        lacking = await list_missing(exam.database)
    if not lacking:
        return good("All are applied.")
    if there(exam.storage).on_sqlite:
        return good(f"{len(lacking)} are missing: `tick serve` applies them when it starts.")
    return bad(
        f"{len(lacking)} are missing: {', '.join(lacking)}.", "Run `tick migrate`, then start `tick serve` again."
    )


async def database_text(exam: Exam) -> Finding:
    """Does every character survive?"""
    server = await server_of(exam.database) if exam.database else None
    if server is None:
        return good("SQLite keeps every character.")
    if server.charset != "utf8mb4":
        return bad(
            f"The character set of the database is {server.charset}: emoji would be lost, it needs utf8mb4.",
            f"ALTER DATABASE `{server.name}` CHARACTER SET utf8mb4, then `tick migrate`.",
        )
    if server.lossy:
        return bad(
            f"Columns of {', '.join(server.lossy)} are not utf8mb4: emoji would be lost.",
            f"ALTER TABLE `{server.lossy[0]}` CONVERT TO CHARACTER SET utf8mb4, and so on for each of them.",
        )
    return good("The database and its tables are utf8mb4.")


async def database_packets(exam: Exam) -> Finding:
    """Does a batch of Meta's fit, and is what was committed on the disk?"""
    server = await server_of(exam.database) if exam.database else None
    if server is None:
        return good("SQLite has no such limit.")
    if server.packet_bytes < MIN_PACKET_BYTES:
        return bad(
            f"max_allowed_packet is {server.packet_bytes} bytes: a batch of Meta's would not fit.",
            "Set max_allowed_packet=16M or more in the server's configuration, and restart it.",
        )
    if server.flush != 1:
        return bad(
            f"innodb_flush_log_at_trx_commit is {server.flush}: a power cut may lose what Meta was told is safe.",
            "Set innodb_flush_log_at_trx_commit=1 in the server's configuration.",
        )
    return good(f"max_allowed_packet is {server.packet_bytes // 2**20} MB, and each commit is on the disk.")


async def redis(exam: Exam) -> Finding:
    """Is it there, does it let us in, and does it keep what it is given?"""
    settings = there(exam.storage)
    url = settings.redis or find_recorded_url(settings.data_dir)
    if not url:
        if exam.lanes is not None:
            return good("Redis is inside the process of `tick serve`, for want of a redis-server.")
        return good("Tick starts a Redis of its own together with `tick serve`.")
    client = redis_at(url)
    exam.stack.push_async_callback(client.aclose)
    server = await look_at_redis(client)
    if server is RedisTrouble.PASSWORD:
        return bad(
            "The Redis server refuses the user or the password of REDIS_URL.",
            "Set REDIS_URL=redis://:PASSWORD@host:6379/0, with the server's requirepass, percent-encoded.",
        )
    if isinstance(server, RedisTrouble):
        return bad("Redis can't be reached.", "Start the server of REDIS_URL, and look at the host and the port in it.")
    if server.refusal:
        reason, _, fix = server.refusal.removeprefix("REDIS_URL: ").partition("; ")
        return bad(f"{reason[:1].upper()}{reason[1:].rstrip('.')}.", fix or "Install a newer Redis for REDIS_URL.")
    exam.lanes = exam.lanes or Lanes(client, "doctor")
    return good(f"Version {server.version}. {server.persistence}")


async def files(exam: Exam) -> Finding:
    """Can what customers send be kept?"""
    settings = there(exam.storage)
    folder = Path(settings.files_url) if settings.files_url else settings.data_dir / "files"
    if "://" not in settings.files_url and not folder.exists():
        return _no_folder(folder) or good("The folder is made when the first file comes.")
    try:
        wrong = await open_store(settings.files_url, folder, settings.s3).check()
    except StoreDown as error:  # half of a key, or an address that is none
        wrong = str(error)
    if wrong:
        return _said(wrong, "FILES_URL names a folder that Tick may write to, or a bucket that its keys may use.")
    return good("They can be kept.")


async def worker(exam: Exam) -> Finding:
    """Does anybody do the work?"""
    alive = await _worker_alive(exam)
    if alive is False:
        await asyncio.sleep(FIRST_BEAT_SECONDS)  # one that has just been started may not have spoken yet
        alive = await _worker_alive(exam)
    if alive is False:
        return bad(
            "No worker is alive: messages are taken in, and nobody answers them.",
            "Start `tick worker` on the same DATABASE_URL and REDIS_URL, or `tick serve` without --no-worker.",
        )
    return good("One is alive." if alive else "Nobody says otherwise: Redis has just come (back).")


async def _worker_alive(exam: Exam) -> bool | None:
    """By Redis, else by the server; None when neither can say."""
    if exam.lanes is not None:
        try:
            async with asyncio.timeout(WORKER_SECONDS):
                alive = await exam.lanes.is_anybody_alive()
        except (RedisDown, TimeoutError):
            alive = None
        if alive is not None:
            return alive
    return await exam.visitor.has_worker(exam.own_url if await exam.runs_here() else exam.public_url)


async def channel(exam: Exam) -> Finding:
    """Do messages go out?"""
    if exam.database is None:
        return good("Nothing has been sent yet.")
    async with exam.database.reading() as tx:
        stopped = await alerts.find(tx, circuit_breaker.SUBJECT)
    if stopped is None:
        return good("Nothing keeps messages from going out.")
    return bad(
        f"Nothing goes out since {stopped.raised_at:%Y-%m-%d %H:%M} UTC: {stopped.message.rstrip('.')}.",
        "Mend that first. Tick then goes on by itself within the hour, and at once when an admin presses Try now at "
        "/desk/whatsapp.",
    )


async def webhooks_lately(exam: Exam) -> Finding:
    """Has Meta been silent for longer than usual?"""
    if exam.database is None:
        return good("None has come yet.")
    now = exam.now()
    async with exam.database.reading() as tx:
        seen = await traffic(tx, now)
    if seen.last_at is None:
        return good("None has come yet: write to the number from a phone to see one.")
    silence = now - seen.last_at
    known = seen.known_for >= LEAST_KNOWN
    patience = max(LEAST_SILENCE, seen.longest * 1.5) if known else SILENCE_AT_FIRST
    if silence <= patience:
        return good(f"The last one came {_spoken(silence)} ago.")
    usual = f"the longest silence before was {_spoken(seen.longest)}" if known else "that is long for a new number"
    return bad(
        f"No webhook has come for {_spoken(silence)}; {usual}.",
        "Write to the number from a phone. If nothing comes, look at the app's webhooks in the App Dashboard: "
        "Meta may have stopped calling after many failures.",
    )


def _spoken(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours:.0f} hours" if hours >= 2 else f"{max(0, span.total_seconds()) / 60:.0f} minutes"
