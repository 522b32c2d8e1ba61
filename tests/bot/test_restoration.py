"""A database that went back to an earlier state: nothing is sent a second time, and whoever runs Tick is told.

The first test has everything under way that can be, and settles it; the others have Redis know more than SQL.
"""

from datetime import timedelta

import pytest

from bot.restoration import check_history, settle_earlier_state
from storage import alerts, restored
from storage.statuses import TicketStatus
from storage.ticket_numbers import find_last
from tests.bot.graph import LOST
from tests.bot.test_service_window import ticket
from tests.bot.world import AGENT, BEN, World

HOUR = 3600


async def put_all_under_way(world: World) -> int:
    """Has one message of each kind wait, and a customer's message; returns the ticket."""
    ticket_id = await ticket(world)
    world.doubt_seconds = 60.0
    world.graph.script.append(LOST)
    async with world.working():
        await world.write("Hello", phone=BEN)  # its prompt is in doubt
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))
    await world.tickets.set_status(AGENT, ticket_id, TicketStatus.IN_PROGRESS)
    await world.replies.write(AGENT, ticket_id, "We are on it.")
    await world.write("menu")  # pending
    return ticket_id


async def settle(world: World) -> None:
    async with world.database.transaction() as tx:
        await settle_earlier_state(tx, "It went back.", actor="me", make_id=world.ids.next, at=world.clock())


async def read_alert(world: World) -> str:
    async with world.database.reading() as tx:
        found = await alerts.find(tx, restored.SUBJECT)
    return found.message if found else ""


async def test_what_was_under_way_is_in_doubt_and_nothing_goes_out_by_itself(world: World) -> None:
    ticket_id = await put_all_under_way(world)
    asked = len(world.graph.requests)
    async with world.database.reading() as tx:
        last_number = await find_last(tx)
    await settle(world)
    async with world.working():
        await world.until(lambda: is_nothing_pending(world))
        await world.later(HOUR)
        await world.until(lambda: is_swept(world))
    assert len(world.graph.requests) == asked
    assert sorted(send for send in await world.sends() if send[1]) == [
        ("failed", "went_back"),  # the notice
        ("failed", "went_back"),  # the prompt in doubt
        ("failed", "went_back"),  # the answer to what was pending
        ("unknown", "went_back"),  # what the agent wrote
    ]
    assert "1 of agents wait for a person, 2 of the bot are given up. 1 messages" in await read_alert(world)
    assert await world.rows("SELECT actor FROM audit WHERE action = 'went_back'") == [("me",)]
    async with world.database.reading() as tx:
        assert await find_last(tx) >= last_number + 1000

    async with world.working():  # it goes on as ever with what comes from now on
        await world.write("menu", phone=BEN)
        await world.until(lambda: has_asked(world, asked + 1))
        (reply_id,) = (await world.rows("SELECT id FROM reply WHERE author = 'agent'"))[0]
        await world.replies.send_again(AGENT, reply_id)
        await world.until(lambda: has_asked(world, asked + 2))
    assert world.graph.texts()[-1] == "We are on it."
    assert ticket_id


async def is_nothing_pending(world: World) -> bool:
    return not await world.rows("SELECT 1 FROM item WHERE fate = 'pending'")


async def is_swept(world: World) -> bool:
    """Whether no lane is due: a sweep would have rung it."""
    return not await world.redis.zcount("tick:due", "-inf", "+inf")


async def has_asked(world: World, requests: int) -> bool:
    return len(world.graph.requests) >= requests


async def test_a_status_settles_what_had_gone_out(world: World) -> None:
    await put_all_under_way(world)
    (outbox_id,) = (await world.rows("SELECT id FROM outbox WHERE origin = 'agent'"))[0]
    await settle(world)
    async with world.working():
        await world.receive(world.status("wamid.of.then", "delivered", opaque=outbox_id))
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE id = ? AND status = 'delivered'", outbox_id))


async def test_redis_ahead_of_sql_is_told_and_settled_once(world: World) -> None:
    await put_all_under_way(world)
    asked = len(world.graph.requests)
    await world.rows("UPDATE conversation SET version = version - 2, body = '[]'")
    await world.later(2)  # whoever worked has been silent for as long
    await check_history(world.database, world.lanes, make_id=world.ids.next, at=world.clock())
    told = await read_alert(world)
    assert "Redis knows newer ones of 1 conversations" in told
    assert "1 of agents wait for a person" in told
    assert not [key async for key in world.redis.scan_iter("tick:conv:*")]
    versions = await world.rows("SELECT version FROM conversation ORDER BY customer_id")
    await check_history(world.database, world.lanes, make_id=world.ids.next, at=world.clock() + timedelta(hours=1))
    assert (await read_alert(world), await world.rows("SELECT version FROM conversation ORDER BY customer_id")) == (
        told,
        versions,
    )
    async with world.working():
        await world.until(lambda: is_nothing_pending(world))
    assert len(world.graph.requests) == asked


async def test_while_a_worker_is_at_work_it_is_only_told(world: World) -> None:
    await put_all_under_way(world)
    await world.rows("UPDATE conversation SET version = version - 2")
    before = await world.rows("SELECT status, reason FROM outbox ORDER BY id")
    other = world.another()
    await other.lanes.beat()
    await check_history(world.database, world.lanes, make_id=world.ids.next, at=world.clock(), patience_seconds=0.0)
    assert "Stop all of Tick, run `tick restore --loaded`" in await read_alert(world)
    assert await world.rows("SELECT status, reason FROM outbox ORDER BY id") == before
    assert not [key async for key in world.redis.scan_iter("tick:conv:*")]


async def test_a_database_that_has_not_gone_back_is_left_alone(world: World) -> None:
    await ticket(world)
    await check_history(world.database, world.lanes, make_id=world.ids.next, at=world.clock())
    assert await read_alert(world) == ""
    assert [key async for key in world.redis.scan_iter("tick:conv:*")]


@pytest.mark.parametrize("copies", [2500])
async def test_copies_of_any_number_are_looked_at(world: World, copies: int) -> None:
    await world.redis.mset({f"tick:conv:{number}": f"{number} []" for number in range(1, copies + 1)})
    found: dict[int, int] = {}
    async for some in world.lanes.list_copies(copies * 2):
        found |= some
    assert found == {number: number for number in range(1, copies + 1)}
    await world.lanes.forget_copies()
    assert not await world.redis.keys("tick:conv:*")
