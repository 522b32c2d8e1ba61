"""Tests that the migrations make the whole schema, each once, and that the models hold nothing else."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

import pytest
from tortoise.indexes import Index

from storage.errors import WrongDatabase
from storage.sql.database import Database, DatabaseSettings, Tx
from storage.sql.migrate import list_known, list_missing, list_unwritten, migrate
from storage.sql.server_checks import check_server
from tests.support.servers import MariaDBServer

ASCII = {
    ("item", "key"), ("item", "address"), ("alias", "alias"), ("outbox", "wamid"), ("outbox", "status"),
    ("api_key", "digest"), ("reply", "whatsapp_message_id"), ("counter", "name"), ("daily_total", "id"),
}  # fmt: skip


async def test_a_database_is_made_once(database_url: str) -> None:
    settings = DatabaseSettings(database_url)
    applied = await migrate(settings)
    assert applied == sorted(set(applied))
    assert applied[0] == "0001_initial"
    assert await migrate(settings) == []
    opened = await Database.open(settings)
    assert await list_missing(opened) == []
    await opened.close()


async def test_a_database_of_a_newer_version_is_refused(migrated_url: str) -> None:
    await change_migrations(migrated_url, add_migration)
    try:
        with pytest.raises(WrongDatabase, match=f"has the migration 9999_tomorrow.* up to {list_known()[-1]}.*Install"):
            await migrate(DatabaseSettings(migrated_url))
    finally:  # the tests' database on MariaDB is made once a run
        await change_migrations(migrated_url, remove_migration)
    assert await migrate(DatabaseSettings(migrated_url)) == []


async def change_migrations(url: str, change: Callable[[Tx], Awaitable[object]]) -> None:
    opened = await Database.open(DatabaseSettings(url))
    async with opened.transaction() as tx:
        await change(tx)
    await opened.close()


async def add_migration(tx: Tx) -> None:
    row = ("models", "9999_tomorrow", "2030-01-01 00:00:00")
    await tx.insert("tortoise_migrations", ("app", "name", "applied_at"), [row])


async def remove_migration(tx: Tx) -> None:
    await tx.execute("DELETE FROM tortoise_migrations WHERE name = '9999_tomorrow'")


async def test_a_migration_that_is_interrupted_goes_on(
    mariadb_server: MariaDBServer, mariadb_url: str, mariadb_tables: tuple[str, list[str]]
) -> None:
    """MySQL commits each change of the schema by itself, and takes none back."""
    settings, steps, tries = DatabaseSettings(mariadb_url), 300, 0
    while True:
        task = asyncio.create_task(migrate(settings))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(outcome, BaseException):
            break
        assert isinstance(outcome, asyncio.CancelledError), outcome
        steps, tries = 2 * steps, tries + 1
    assert tries > 2
    assert await migrate(settings) == []
    assert read_schema(mariadb_server, mariadb_url.rpartition("/")[2]) == read_schema(mariadb_server, mariadb_tables[0])


def read_schema(server: MariaDBServer, name: str) -> list[tuple[object, ...]]:
    columns = server.execute(
        "SELECT table_name, column_name, column_type, is_nullable, column_default FROM information_schema.columns "
        "WHERE table_schema = %s ORDER BY table_name, column_name",
        (name,),
    )
    indexes = server.execute(
        "SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics "
        "WHERE table_schema = %s ORDER BY table_name, index_name, seq_in_index",
        (name,),
    )
    return [*columns, *indexes]


async def test_a_table_of_somebody_else_is_not_taken_for_ours(mariadb_server: MariaDBServer, mariadb_url: str) -> None:
    mariadb_server.execute(f"CREATE TABLE `{mariadb_url.rpartition('/')[2]}`.account (iban VARCHAR(40))")
    with pytest.raises(WrongDatabase, match="a table `account` that is not Tick's"):
        await migrate(DatabaseSettings(mariadb_url))


async def test_the_models_ask_for_nothing_more(migrated_url: str) -> None:
    assert await list_unwritten(DatabaseSettings(migrated_url)) == []


async def test_every_index_of_the_models_is_there_and_no_other(
    database: Database, mariadb_server: MariaDBServer, migrated_url: str
) -> None:
    """A migration that alters a column may make the table anew, and lose what nobody misses until it is large."""
    wanted = set()
    for model in database.apps["models"].values():
        table = model._meta.db_table
        wanted |= {(table, tuple(index.fields)) for index in model._meta.indexes if isinstance(index, Index)}
        wanted |= {(table, (name,)) for name, field in model._meta.fields_map.items() if field.index and not field.pk}
        wanted |= {(table, (name,)) for name, field in model._meta.fields_map.items() if field.unique and not field.pk}
    found = (
        list_sqlite_indexes(migrated_url)
        if database.dialect == "sqlite"
        else list_indexes(mariadb_server, migrated_url)
    )
    assert {index for index in found if "migrations" not in index[0]} == wanted


def list_sqlite_indexes(url: str) -> set[tuple[str, tuple[str, ...]]]:
    """(table, columns) of each index but those of primary keys."""
    with sqlite3.connect(url.removeprefix("sqlite://")) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        indexes = [(table, *row) for (table,) in tables for row in connection.execute(f"PRAGMA index_list({table})")]
        found = {
            (table, tuple(row[2] for row in connection.execute(f"PRAGMA index_info({name})")))
            for table, _, name, _, origin, _ in indexes
            if origin != "pk"
        }
    connection.close()
    return found


def list_indexes(server: MariaDBServer, url: str) -> set[tuple[str, tuple[str, ...]]]:
    rows = server.execute(
        "SELECT table_name, index_name, GROUP_CONCAT(column_name ORDER BY seq_in_index) "
        "FROM information_schema.statistics WHERE table_schema = %s AND index_name <> 'PRIMARY' GROUP BY 1, 2",
        (url.rpartition("/")[2].partition("?")[0],),
    )
    return {(table, tuple(columns.split(","))) for table, _, columns in rows}


async def test_ids_compare_byte_by_byte_and_text_holds_everything(
    mariadb_server: MariaDBServer, migrated_mariadb_url: str
) -> None:
    name = migrated_mariadb_url.rpartition("/")[2]
    columns = mariadb_server.execute(
        "SELECT table_name, column_name, character_set_name, collation_name FROM information_schema.columns "
        "WHERE table_schema = %s AND character_set_name IS NOT NULL AND table_name NOT LIKE %s",
        (name, "%migrations%"),
    )
    kinds = {(table, column): (charset, collation) for table, column, charset, collation in columns}
    assert {kinds[column] for column in ASCII} == {("ascii", "ascii_bin")}
    assert {charset for charset, _ in kinds.values()} == {"ascii", "utf8mb4"}
    keys = mariadb_server.execute(
        "SELECT table_name, extra FROM information_schema.columns WHERE table_schema = %s AND extra LIKE %s",
        (name, "%auto_increment%"),
    )
    assert [table for table, _ in keys if "migrations" not in table] == [], "ids are made by the process"


@pytest.mark.parametrize("charset", ["latin1", "utf8mb3"])
async def test_a_database_that_would_harm_texts_is_refused(mariadb_server: MariaDBServer, charset: str) -> None:
    name = mariadb_server.new_database()
    mariadb_server.execute(f"ALTER DATABASE `{name}` CHARACTER SET {charset}")
    with pytest.raises(WrongDatabase, match="utf8mb4"):
        await migrate(DatabaseSettings(mariadb_server.url(name)))
    mariadb_server.execute(f"DROP DATABASE `{name}`")


async def test_small_packets_are_refused_and_weak_durability_is_named(
    mariadb_server: MariaDBServer, mariadb_database: Database
) -> None:
    assert await check_server(mariadb_database) == []
    mariadb_server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        (warning,) = await check_server(mariadb_database)
    finally:
        mariadb_server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert "innodb_flush_log_at_trx_commit is 2" in warning


async def test_a_file_of_something_else_is_not_harmed(migrated_sqlite_url: str) -> None:
    path = migrated_sqlite_url.removeprefix("sqlite://")
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (kept TEXT)")
        other.execute("INSERT INTO theirs VALUES ('yes')")
    other.close()
    assert await migrate(DatabaseSettings(migrated_sqlite_url)) == []
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT kept FROM theirs").fetchall() == [("yes",)]
    other.close()
