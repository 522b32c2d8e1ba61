"""The 24-hour window: its edges to the second, and what is done when Meta says that it is closed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.lane_state import LaneState
from bot.service_window import close_window, is_window_open
from storage.statuses import TicketStatus
from tests.bot.graph import Reply, refuse
from tests.bot.world import AGENT, World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLOSED = refuse(131047)


@pytest.mark.parametrize(
    ("ago", "is_open"),
    [
        (timedelta(), True),
        (timedelta(hours=23, minutes=59, seconds=59), True),
        (timedelta(hours=24), False),
        (timedelta(hours=24, seconds=1), False),
        (timedelta(days=7), False),
    ],
)
def test_it_lasts_24_hours_from_the_last_message(ago: timedelta, is_open: bool) -> None:
    assert is_window_open(NOW - ago, NOW) is is_open


def test_who_never_wrote_has_none() -> None:
    assert not is_window_open(None, NOW)


@pytest.mark.parametrize(("sent_after", "kept"), [(-1, True), (0, False), (1, False)])
def test_metas_word_closes_it_unless_they_wrote_since(sent_after: int, kept: bool) -> None:
    state = LaneState("15550001111", NOW, NOW, "{}")
    after = close_window(state, NOW + timedelta(seconds=sent_after))
    assert (after.last_inbound_at == NOW) is kept
    assert (after.address, after.flow) == (state.address, state.flow)


async def ticket(world: World) -> int:
    await world.write("My printer is on fire", "hardware", "yes")
    async with world.working():
        await world.at_rest()
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    return int(ticket_id)


@pytest.mark.parametrize(("ahead_seconds", "status"), [(86_390, "accepted"), (86_402, "held")])
async def test_the_edge_is_judged_when_it_is_sent(world: World, ahead_seconds: float, status: str) -> None:
    ticket_id = await ticket(world)
    world.clock.forward(ahead_seconds)
    await world.tickets.set_status(AGENT, ticket_id, TicketStatus.IN_PROGRESS)
    async with world.working():
        await world.until(lambda: last_is(world, status))


async def last_is(world: World, status: str) -> bool:
    return [state for state, _ in await world.sends()][-1:] == [status]


async def test_a_notice_that_meta_refuses_at_once_is_held_and_goes_out_when_they_write(world: World) -> None:
    ticket_id = await ticket(world)
    world.graph.script.append(CLOSED)
    async with world.working():
        await world.tickets.set_status(AGENT, ticket_id, TicketStatus.IN_PROGRESS)
        await world.until(lambda: last_is(world, "held"))
        asked = len(world.graph.requests)
        await world.tickets.set_status(AGENT, ticket_id, TicketStatus.WAITING)  # our record of it is closed by now
        await world.until(lambda: last_is(world, "held"))
        assert len(world.graph.requests) == asked
        await world.write("Are you there?")
        await world.at_rest()
    assert "waiting" in world.graph.texts()[asked]
    states = [status for status, _ in await world.sends()]
    assert states[-3:] == ["failed", "accepted", "accepted"], "what a later notice overtook is not sent"


async def test_a_notice_that_meta_refuses_afterwards_takes_another_way(world: World) -> None:
    ticket_id = await ticket(world)
    async with world.working():
        await world.replies.write(AGENT, ticket_id, "Have you tried turning it off?")
        await world.until(lambda: last_is(world, "accepted"))
        request = world.graph.requests[-1]
        failed = world.status(
            request.wamid, "failed", opaque=request.outbox_id, errors=[{"code": 131047, "title": "Re-engagement"}]
        )
        await world.receive(failed)
        await world.until(lambda: last_is(world, "held"))
        asked = len(world.graph.requests)
        await world.write("Here I am")
        await world.at_rest()
    assert world.graph.texts()[asked] == "Have you tried turning it off?"
    assert {status for status, _ in await world.sends()} == {"accepted"}


async def test_a_prompt_that_meta_refuses_is_not_sent_again(world: World) -> None:
    async with world.working():
        await world.write("Hi")
        await world.until(lambda: last_is(world, "accepted"))
        request = world.graph.requests[-1]
        failed = world.status(request.wamid, "failed", opaque=request.outbox_id, errors=[{"code": 131047}])
        await world.receive(failed)
        await world.until(lambda: last_is(world, "failed"))
    assert len(world.graph.requests) == 1


async def test_whom_nothing_reaches_is_marked(world: World) -> None:
    world.graph.script.append(refuse(131026))
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: last_is(world, "failed"))
    ((reason, at),) = await world.rows("SELECT unreachable_reason, unreachable_at FROM customer")
    assert reason.endswith("(Meta's code 131026).")
    assert at


async def test_a_status_marks_them_too(world: World) -> None:
    async with world.working():
        await world.write("Hi")
        await world.until(lambda: last_is(world, "accepted"))
        request = world.graph.requests[-1]
        await world.receive(world.status(request.wamid, "failed", errors=[{"code": 131026, "title": "Nein"}]))
        await world.until(lambda: last_is(world, "failed"))
    ((reason,),) = await world.rows("SELECT unreachable_reason FROM customer")
    assert reason.endswith("(Meta's code 131026: Nein).")


async def is_unreachable(world: World) -> bool:
    return await world.rows("SELECT COUNT(*) FROM customer WHERE unreachable_at IS NOT NULL") == [(1,)]


async def is_reachable(world: World) -> bool:
    return await world.rows("SELECT unreachable_at, unreachable_reason FROM customer") == [(None, "")]


async def test_who_writes_again_can_be_reached_again(world: World) -> None:
    world.graph.script.append(refuse(131026))
    async with world.working():
        await world.write("Hi")
        await world.until(lambda: is_unreachable(world))
        await world.write("Hi again")
        await world.until(lambda: is_reachable(world))


@pytest.mark.parametrize("status", ["delivered", "read"])
async def test_whom_a_message_reaches_after_all_is_marked_no_more(world: World, status: str) -> None:
    async with world.working():
        await world.write("Hi")
        await world.until(lambda: last_is(world, "accepted"))
        request = world.graph.requests[-1]
        await world.receive(world.status(request.wamid, "failed", errors=[{"code": 131026, "title": "Nein"}]))
        await world.until(lambda: is_unreachable(world))
        await world.receive(world.status(request.wamid, "sent"))
        await world.receive(world.status(request.wamid, status))
        await world.until(lambda: is_reachable(world))


async def test_what_waits_behind_a_slow_request_is_not_held_when_they_write_meanwhile(world: World) -> None:
    ticket_id = await ticket(world)
    world.clock.forward(86_390)
    for words in ("First this.", "Then that."):
        await world.replies.write(AGENT, ticket_id, words)
    slow = asyncio.Event()
    world.graph.script.append(Reply(held=slow))
    asked = len(world.graph.requests)
    async with world.working():
        await world.graph.until(asked + 1)
        world.clock.forward(20)
        await world.write("Are you there?")
        await world.until(lambda: has_nothing_pending(world))
        slow.set()
        await world.at_rest()
    assert world.graph.texts()[asked : asked + 2] == ["First this.", "Then that."]
    assert {status for status, _ in await world.sends()} == {"accepted"}


async def has_nothing_pending(world: World) -> bool:
    return not await world.rows("SELECT 1 FROM item WHERE fate = 'pending'")
