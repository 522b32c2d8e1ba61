"""Does what an operator does to the database from the command line, beside a running service or without one.

Invariants
- Nothing here starts a Redis or waits for one; what it leaves to be done is found by the workers' sweep.
- Every change is written in one transaction with its line in the audit.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from api.settings import StorageSettings
from api.web.common_passwords import is_common
from api.web.credentials import MIN_PASSWORD_LENGTH, Role, digest_key, hash_password, make_key, shorten_key
from bot.ids import IdMaker
from storage import api_keys, audit, journal, kept_counts
from storage.api_keys import NewKey
from storage.audit import AuditLine
from storage.desk_models import Agent, ApiKey
from storage.errors import OperatorError
from storage.models import Item
from storage.sql.columns import to_millis
from storage.sql.database import Database, DatabaseSettings, Tx
from storage.sql.migrate import apply, list_missing, make_folder, refuse_newer
from storage.statuses import AuditAction, Fate

ACTOR = "command line"


class CommandRefused(OperatorError):
    """The command can't do what it was asked to. The text is one sentence."""


@asynccontextmanager
async def open_database(settings: StorageSettings, *, is_patient: bool = False) -> AsyncIterator[Database]:
    """Opens the database, with every migration applied: on SQLite here, on MySQL by an operator who decides when.

    Raises CommandRefused where MySQL lacks a migration, WrongDatabase where the database is newer than this version.
    `is_patient`: for what takes minutes.
    """
    wanted = DatabaseSettings(settings.database, pool_size=1, is_patient=is_patient)
    make_folder(wanted)
    database = await Database.open(wanted)
    try:
        async with database.reading() as tx:
            await tx.fetch("SELECT 1")  # a server that is away fails here, with an error of its own
        await refuse_newer(database)
        if settings.on_sqlite:
            await apply(database)
        elif await list_missing(database):
            raise CommandRefused("The database is not in the shape that this version needs: run `tick migrate` first.")
        yield database
    finally:
        await database.close()


async def create_key(
    database: Database, name: str, role: Role, now: datetime, expires_at: datetime | None = None
) -> str:
    """Makes an API key and returns it: it can't be read again."""
    key = make_key()
    await store_key(database, key, name=name, role=role, now=now, expires_at=expires_at)
    return key


async def store_key(
    database: Database, key: str, *, name: str, role: Role, now: datetime, expires_at: datetime | None = None
) -> None:
    """Stores the digest of an API key, unless it is there already."""
    name = _check_name(name, 100)
    if await ApiKey.filter(digest=digest_key(key)).exists():
        return
    ids = IdMaker(lambda: now)
    key_id, audit_id = ids.next(), ids.next()
    stored = NewKey(key_id, name, role.value, shorten_key(key), digest_key(key), now, expires_at)
    until = "" if expires_at is None else f" until {expires_at:%Y-%m-%d %H:%M}Z"
    line = AuditLine(audit_id, now, ACTOR, AuditAction.KEY_CREATE, key_id, f"{name} ({role}){until}")

    async def write(tx: Tx) -> None:
        if await audit.is_committed(tx, audit_id):
            return
        await api_keys.insert(tx, stored)
        await audit.write(tx, line)

    await database.run(write)


async def add_agent(database: Database, *, email: str, name: str, role: Role, password: str, now: datetime) -> None:
    """Adds a person who may sign in at the desk. Raises CommandRefused for what is no address, name or password."""
    email, name = email.strip().lower(), _check_name(name, 200)
    if "@" not in email.strip("@") or not email.isprintable() or " " in email or len(email) > 191:
        raise CommandRefused("The e-mail address doesn't look like one.")
    check_password(password)
    if await Agent.filter(email=email).exists():
        raise CommandRefused("There is an agent with this e-mail address already.")
    ids, stored = IdMaker(lambda: now), hash_password(password)
    agent_id, audit_id = ids.next(), ids.next()

    async def write(tx: Tx) -> None:
        if await audit.is_committed(tx, audit_id):
            return
        await tx.insert(
            "agent",
            ("id", "email", "name", "role", "password_hash", "created_at"),
            [(agent_id, email, name, role.value, stored, to_millis(now))],
        )
        await audit.write(tx, AuditLine(audit_id, now, ACTOR, AuditAction.AGENT_ADD, agent_id, f"{email} ({role})"))

    await database.run(write)


def check_password(password: str) -> None:
    """Raises CommandRefused for a password that is too easy to guess."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise CommandRefused(f"The password is too short: it needs {MIN_PASSWORD_LENGTH} characters or more.")
    if is_common(password):
        raise CommandRefused("The password is one of those that are tried first: take several words, or a random one.")


async def count_journal_items(database: Database) -> dict[str, int]:
    """Returns the journal's totals, by fate."""
    async with database.reading() as tx:
        return (await kept_counts.count_items(tx))._asdict()


async def list_journal_items(fate: str, limit: int) -> list[Item]:
    """Returns the newest items of one fate."""
    return await Item.filter(fate=fate).order_by("-id").limit(limit)


async def read_journal_item(item_id: int) -> Item:
    """Returns one item, whole. Raises CommandRefused when there is none."""
    item = await Item.get_or_none(id=item_id)
    if item is None:
        raise CommandRefused(f"There is no item {item_id}.")
    return item


async def replay_items(database: Database, item_ids: Sequence[int], now: datetime) -> list[int]:
    """Sets dead items pending again; returns those that were dead."""
    replayed, ids = [], IdMaker(lambda: now)
    for item_id in item_ids:
        audit_id = ids.next()

        async def write(tx: Tx, item_id: int = item_id, audit_id: int = audit_id) -> bool:
            was_dead = await journal.replay(tx, item_id)
            if was_dead:
                await audit.write(tx, AuditLine(audit_id, now, ACTOR, AuditAction.JOURNAL_REPLAY, item_id))
            return was_dead

        if await database.run(write):
            replayed.append(item_id)
    return replayed


async def list_dead_item_ids() -> list[int]:
    """Returns the ids of every dead item, in the order in which they arrived."""
    return [item.id for item in await Item.filter(fate=Fate.DEAD).order_by("id").only("id")]


def _check_name(name: str, max_characters: int) -> str:
    name = name.strip()
    if not name or not name.isprintable() or len(name) > max_characters:
        raise CommandRefused(f"The name must be 1 to {max_characters} visible characters.")
    return name
