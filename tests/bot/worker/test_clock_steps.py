"""Somebody sets the machine's clock by an hour, back or forward: no wait becomes an hour, and no order turns round."""

import pytest

from storage import replies
from tests.bot.graph import refuse
from tests.bot.world import AGENT, ANNE, BEN, World

HOUR = 3_600.0
OPENED = ("My printer is on fire", "hardware", "yes")


@pytest.mark.parametrize("steps", [(-HOUR, 0.0, 0.0), (HOUR, -HOUR, 0.0), (-HOUR, HOUR, -HOUR)])
async def test_what_is_said_is_listed_in_the_order_in_which_it_happened(
    sqlite_world: World, steps: tuple[float, ...]
) -> None:
    world = sqlite_world
    await world.write(*OPENED)
    await world.play()
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    for number, step in enumerate(steps):
        await world.replies.write(AGENT, ticket_id, f"Note {number}")
        world.clock.step(step)
        world.clock.forward(2)  # Meta's timestamps are in seconds
        await world.write(f"Answer {number}")
        await world.play()
        world.clock.forward(2)
    async with world.database.reading() as tx:
        said = [reply.message for reply in await replies.list_of_ticket(tx, ticket_id)]
    assert said == [f"{word} {number}" for number in range(len(steps)) for word in ("Note", "Answer")]
    told = await world.rows("SELECT kind FROM ticket_event WHERE kind IN ('answer', 'message') ORDER BY id")
    assert [kind for (kind,) in told] == ["answer", "message"] * len(steps)


@pytest.mark.parametrize("step", [-HOUR, HOUR])
async def test_no_wait_becomes_an_hour(sqlite_world: World, step: float) -> None:
    """A row that is tried again, one in doubt, a status that nobody knows, and what an agent says meanwhile."""
    world = sqlite_world
    world.graph.script.append(refuse(131016))
    await world.write("Hi")
    await world.receive(world.status("wamid.unknown", "delivered", phone=BEN))
    async with world.working():
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'queued' AND attempts = 1"))
        world.clock.step(step)
        await world.write("Hello?")
        ((due_at,),) = await world.rows("SELECT MAX(due_at) FROM outbox")
        assert due_at < world.clock().timestamp() * 1000 + 60_000

        async def both() -> bool:
            return [status for status, _ in await world.sends()] == ["accepted", "accepted"]

        await world.until(both)
        await world.later(20)
        await world.until(lambda: world.rows("SELECT 1 FROM item WHERE fate = 'ignored'"))
    assert {request.to for request in world.graph.requests} == {f"+{ANNE}"}


async def test_what_is_stored_from_a_time_that_is_yet_to_come_is_due_now(sqlite_world: World) -> None:
    """Tick stood still while the clock was put back by days, so its own clock has followed."""
    world = sqlite_world
    world.graph.script.append(refuse(131016))
    world.clock.forward(50 * HOUR)
    await world.write("Hi")
    await world.receive(world.status("wamid.unknown", "delivered", phone=BEN))
    async with world.working():
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'queued' AND attempts = 1"))
    await world.write("Hello?", phone=BEN)
    await world.redis.flushall()
    world.clock.forward(-50 * HOUR)
    async with world.working():
        await world.at_rest(60)
    assert [status for status, _ in await world.sends()] == ["accepted", "accepted"]
    assert ("ignored", "unknown_message") in await world.fates()
