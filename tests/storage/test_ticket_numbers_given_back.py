"""Tests that a process that stops gives back the ticket numbers it did not use, and never one that is taken."""

from storage.sql.database import Database
from storage.ticket_numbers import BLOCK_SIZE, TicketNumbers


async def test_a_stop_leaves_no_gap(database: Database) -> None:
    first = TicketNumbers(database)
    await first.top_up(BLOCK_SIZE + 1)
    assert [first.take() for _ in range(3)] == [1, 2, 3]
    await first.give_back()
    await first.give_back()
    second = TicketNumbers(database)
    await second.top_up(1)
    assert second.take() == 4


async def test_what_another_process_reserved_since_stays_theirs(database: Database) -> None:
    first, second = TicketNumbers(database), TicketNumbers(database)
    await first.top_up(1)
    await second.top_up(1)
    await first.give_back()
    third = TicketNumbers(database)
    await third.top_up(1)
    assert (second.take(), third.take()) == (BLOCK_SIZE + 1, 2 * BLOCK_SIZE + 1)


async def test_only_the_end_of_the_counter_is_given_back(database: Database) -> None:
    first, second = TicketNumbers(database), TicketNumbers(database)
    await first.top_up(1)
    await second.top_up(1)
    await first.top_up(BLOCK_SIZE + 1)
    await first.give_back()
    third = TicketNumbers(database)
    await third.top_up(1)
    assert (second.take(), third.take()) == (BLOCK_SIZE + 1, 2 * BLOCK_SIZE + 1)


async def test_one_that_used_all_gives_nothing_back(database: Database) -> None:
    first = TicketNumbers(database)
    await first.give_back()
    await first.top_up(1)
    for _ in range(BLOCK_SIZE):
        first.take()
    await first.give_back()
    second = TicketNumbers(database)
    await second.top_up(1)
    assert second.take() == BLOCK_SIZE + 1
