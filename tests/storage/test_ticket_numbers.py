"""Tests that each ticket number is given out once, whoever asks and whoever dies."""

import asyncio

from storage.sql.database import Database
from storage.ticket_numbers import BLOCK_SIZE, TicketNumbers


async def test_numbers_begin_at_one_and_are_given_once(database: Database) -> None:
    processes = [TicketNumbers(database) for _ in range(6)]
    await asyncio.gather(*(numbers.top_up(BLOCK_SIZE + 1) for numbers in processes))
    taken = [numbers.take() for numbers in processes for _ in range(BLOCK_SIZE + 1)]
    assert len(set(taken)) == len(taken)
    assert min(taken) == 1
    assert max(taken) <= 12 * BLOCK_SIZE


async def test_what_is_looked_at_is_what_is_taken(database: Database) -> None:
    numbers = TicketNumbers(database)
    await numbers.top_up(3)
    assert [(numbers.peek(), numbers.take()) for _ in range(3)] == [(1, 1), (2, 2), (3, 3)]


async def test_a_process_that_dies_leaves_a_gap_of_one_block(database: Database) -> None:
    await TicketNumbers(database).top_up(1)
    after = TicketNumbers(database)
    await after.top_up(1)
    assert after.take() == BLOCK_SIZE + 1


async def test_a_database_that_was_taken_over_goes_on_after_its_numbers(database: Database) -> None:
    columns = ("id", "description", "issue_type", "status", "name", "whatsapp_enabled", "whatsapp_notifications",
               "created_at", "updated_at")  # fmt: skip
    await database.run(lambda tx: tx.insert("ticket", columns, [(1234, "", "other", "new", "", 1, 1, 0, 0)]))
    processes = [TicketNumbers(database) for _ in range(4)]
    await asyncio.gather(*(numbers.top_up(1) for numbers in processes))
    taken = sorted(numbers.take() for numbers in processes)
    assert taken == [1235 + at * BLOCK_SIZE for at in range(4)]
