"""Reads how a MySQL or MariaDB server is set, and says what of it would harm our data: for the start and the doctor.

Invariants
- It only reads.
- What start, `tick migrate` and the doctor say of a server is said here, once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from storage.errors import WrongDatabase
from storage.sql.database import DEADLINE_SECONDS, Database, Tx

MIN_PACKET_BYTES = 16 * 1024 * 1024  # a batch of Meta's in one statement
TEXT_CHARSET = "utf8mb4"
LOSSLESS_CHARSETS = (TEXT_CHARSET, "ascii")  # ids are ASCII on purpose
ENGINE = "InnoDB"
VERSION = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")
MIGRATIONS_TABLE = "tortoise_migrations"
MIN_MARIADB, MIN_MYSQL = (10, 6), (8, 0)  # which lock rows and skip those that others have locked
VARIABLES = (
    "character_set_database",
    "enforce_storage_engine",
    "init_connect",
    "innodb_flush_log_at_trx_commit",
    "max_allowed_packet",
    "version",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How a server is set. `name`: the database's; `first_names`: the character sets of a session that has set none;
    `forced_engine`: the one that MariaDB makes every table in; `lossy`: our tables whose text is not utf8mb4;
    `not_innodb`: our tables in another engine."""

    name: str
    version: str  # as it says it itself, such as 10.11.6-MariaDB
    charset: str
    first_names: Sequence[str]
    init_connect: str
    packet_bytes: int
    flush: int
    forced_engine: str
    lossy: Sequence[str]
    not_innodb: Sequence[str]


class Problem(NamedTuple):
    """What is wrong with a server, and how to fix it: a sentence each."""

    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.reason} {self.fix}"


async def read_server(database: Database) -> Server | None:
    """Reads how the server is set; None for SQLite, which has nothing to set. Raises DatabaseDown."""
    if database.dialect == "sqlite":
        return None
    ours = {model._meta.db_table for model in database.apps["models"].values()} | {MIGRATIONS_TABLE}
    async with database.reading(DEADLINE_SECONDS) as tx:
        ((name,),) = await tx.fetch("SELECT DATABASE()")
        rows = await tx.fetch(f"SHOW VARIABLES WHERE Variable_name IN ({','.join('?' * len(VARIABLES))})", VARIABLES)
        lossy = await _list_lossy_tables(tx)
        engines = await tx.fetch(
            "SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE() "
            "AND engine IS NOT NULL ORDER BY table_name"
        )
        first_names = await tx.client.read_first_names()  # type: ignore[attr-defined]  # it is a StrictMySQLClient
    values: dict[str, str] = dict(rows)
    return Server(
        name=name,
        version=values["version"],
        charset=values["character_set_database"],
        first_names=first_names,
        init_connect=values["init_connect"],
        packet_bytes=int(values["max_allowed_packet"]),
        flush=int(values["innodb_flush_log_at_trx_commit"]),
        forced_engine=values.get("enforce_storage_engine") or "",
        lossy=[table for table in lossy if table in ours],
        not_innodb=[table for table, engine in engines if table in ours and engine != ENGINE],
    )


async def _list_lossy_tables(tx: Tx) -> list[str]:
    rows = await tx.fetch(
        "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = DATABASE() "
        "AND character_set_name IS NOT NULL AND character_set_name NOT IN (?, ?) ORDER BY table_name",
        LOSSLESS_CHARSETS,
    )
    return [row[0] for row in rows]


def find_version_problem(server: Server) -> Problem | None:
    """Returns why the server is too old: one locked row would stop every customer."""
    is_mariadb = "mariadb" in server.version.lower()
    minimum, name = (MIN_MARIADB, "MariaDB") if is_mariadb else (MIN_MYSQL, "MySQL")
    found = VERSION.match(server.version)
    if found is None or (int(found[1]), int(found[2])) >= minimum:
        return None
    wanted = ".".join(map(str, minimum)) if is_mariadb else str(minimum[0])
    return Problem(
        f"The database server is {name} {found[0]}: one locked row would stop every customer.",
        f"Upgrade it to {name} {wanted} or newer.",
    )


def find_text_problem(server: Server) -> Problem | None:
    """Returns what would garble or lose characters."""
    if server.charset != TEXT_CHARSET:
        return Problem(
            f"The character set of the database is {server.charset}: emoji would be lost, it needs utf8mb4.",
            f"ALTER DATABASE `{server.name}` CHARACTER SET utf8mb4, then `tick migrate`.",
        )
    if server.lossy:
        return Problem(
            f"Columns of {', '.join(server.lossy)} are not utf8mb4: emoji would be lost.",
            f"ALTER TABLE `{server.lossy[0]}` CONVERT TO CHARACTER SET utf8mb4, and so on for each of them.",
        )
    others = [charset for charset in server.first_names if charset != TEXT_CHARSET]
    if not others:
        return None
    if _sets_names(server.init_connect):
        return Problem(
            f"The server's init_connect sets new connections to {others[0]}: texts may be garbled.",
            "Take the character set out of init_connect in the server's configuration, or make it utf8mb4.",
        )
    return Problem(
        f"The server takes {others[0]} where a connection asks for utf8mb4: texts may be garbled.",
        "Take skip-character-set-client-handshake out of the server's configuration, and restart it.",
    )


def _sets_names(statements: str) -> bool:
    return any(word in statements.lower() for word in ("names", "character_set", "character set", "charset"))


def find_table_problem(server: Server) -> Problem | None:
    """Returns what would keep half of a transaction that failed: only InnoDB takes one back."""
    if server.not_innodb:
        return Problem(
            f"Not in the engine InnoDB: {', '.join(server.not_innodb)}. What fails half-way would stay half done.",
            f"ALTER TABLE `{server.not_innodb[0]}` ENGINE=InnoDB, and so on for each of them.",
        )
    if server.forced_engine and server.forced_engine.lower() != ENGINE.lower():
        return Problem(
            f"The server's enforce_storage_engine is {server.forced_engine}: Tick's tables have to be InnoDB.",
            "Take enforce_storage_engine out of the server's configuration, or make it InnoDB.",
        )
    return None


def find_packet_problem(server: Server) -> Problem | None:
    """Returns what would refuse a large statement."""
    if server.packet_bytes >= MIN_PACKET_BYTES:
        return None
    return Problem(
        f"max_allowed_packet is {server.packet_bytes} bytes: a batch of Meta's would not fit.",
        "Set max_allowed_packet=16M or more in the server's configuration, and restart it.",
    )


def find_durability_problem(server: Server) -> Problem | None:
    """Returns what a power cut would undo. It harms nothing before that, so a start only warns of it."""
    if server.flush == 1:
        return None
    return Problem(
        f"innodb_flush_log_at_trx_commit is {server.flush}: a power cut may lose what Meta was told is safe.",
        "Set innodb_flush_log_at_trx_commit=1 in the server's configuration.",
    )


async def check_server(database: Database) -> list[str]:
    """Raises WrongDatabase where data would be harmed; returns warnings about weaker durability than promised."""
    server = await read_server(database)
    if server is None:
        return []
    for find in (find_version_problem, find_text_problem, find_table_problem, find_packet_problem):
        if problem := find(server):
            raise WrongDatabase(str(problem))
    weaker = find_durability_problem(server)
    return [str(weaker)] if weaker else []
