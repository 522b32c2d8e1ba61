"""Tests that an alias belongs to one customer, and is found by its exact bytes."""

import asyncio
from datetime import UTC, datetime

import pytest
from tortoise.exceptions import IntegrityError

from storage import customers
from storage.customers import make_bsuid_alias, make_phone_alias
from storage.directory import Directory
from storage.sql.database import Clash, Database, Tx

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def meet(database: Database, customer_id: int, *aliases: str) -> int:
    """The customer with one of these aliases, made when there is none."""

    async def work(tx: Tx) -> int:
        directory = await customers.read_directory(tx, aliases, NOW, "{}")
        found = directory.find(aliases)
        if found is None:
            found = directory.add(customer_id, "Anne 😀" * 100, list(aliases))
        directory.attach(found, aliases)
        await customers.write_directory(tx, directory)
        return found

    return await database.run(work, clash=Clash.RUN_AGAIN)


async def test_an_alias_is_found_by_its_exact_bytes(database: Database) -> None:
    assert await meet(database, 1, make_bsuid_alias("US.AbC")) == 1
    assert await meet(database, 2, make_bsuid_alias("US.aBc")) == 2
    assert await meet(database, 3, make_phone_alias("15550001111")) == 3
    assert await meet(database, 4, make_bsuid_alias("15550001111")) == 4, "a phone is no user id"
    assert await meet(database, 5, make_phone_alias("15550001111"), make_bsuid_alias("US.new")) == 3
    assert await meet(database, 6, make_bsuid_alias("US.new")) == 3


async def test_of_many_who_meet_a_stranger_at_once_one_makes_them(database: Database) -> None:
    met = await asyncio.gather(*(meet(database, at, "p:1", "b:1") for at in range(1, 13)))
    assert len(set(met)) == 1
    async with database.reading() as tx:
        for table in ("customer", "conversation"):
            assert [tuple(row) for row in await tx.fetch(f"SELECT COUNT(*) FROM {table}")] == [(1,)]  # noqa: S608


async def test_the_loser_of_a_race_leaves_nothing(database: Database) -> None:
    await meet(database, 1, "p:1")
    late = Directory({}, NOW, "{}")  # read before the other's commit
    late.add(2, "Ben", ["p:1"])
    with pytest.raises(IntegrityError):
        await database.run(lambda tx: customers.write_directory(tx, late))
    async with database.reading() as tx:
        assert [row[0] for row in await tx.fetch("SELECT id FROM customer")] == [1]


async def test_a_number_that_was_given_up_can_be_somebody_elses_at_once(database: Database) -> None:
    await meet(database, 1, "p:1")

    async def work(tx: Tx) -> None:
        directory = await customers.read_directory(tx, ["p:1", "p:2"], NOW, "{}")
        directory.detach("p:1")
        directory.attach(1, ["p:2"])
        directory.add(2, "", ["p:1"])
        directory.detach("p:2")
        directory.detach("p:2")
        await customers.write_directory(tx, directory)

    await database.run(work)
    async with database.reading() as tx:
        found = await tx.fetch("SELECT alias, customer_id FROM alias")
    assert [tuple(row) for row in found] == [("p:1", 2)]


async def test_thousands_are_read_at_once(database: Database) -> None:
    aliases = [f"p:{at}" for at in range(2500)]
    directory = Directory({}, NOW, "{}")
    for at, alias in enumerate(aliases):
        directory.add(at, "", [alias])
    await database.run(lambda tx: customers.write_directory(tx, directory))
    async with database.reading() as tx:
        assert len((await customers.read_directory(tx, aliases, NOW, "")).known) == 2500
