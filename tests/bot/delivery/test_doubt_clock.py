"""A doubt counts only time in which news could come: while somebody answers webhooks, by no clock that is set."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.delivery.doubt import find_doubt_end
from storage import answering
from storage.answering import AnsweringSpan, join_spans
from tests.bot.graph import ACCEPT, LOST
from tests.bot.world import World

T = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def span(begun: float, seen: float) -> AnsweringSpan:
    return AnsweringSpan(at(begun), at(seen))


@pytest.mark.parametrize(
    ("spans", "joined"),
    [
        ([], []),
        ([(0, 50)], [(0, 50)]),
        ([(0, 20), (45, 50)], [(0, 20), (45, 50)]),  # a gap, in which nobody answered
        ([(0, 20), (20, 50)], [(0, 50)]),
        ([(0, 49), (40, 41), (45, 50)], [(0, 50)]),  # others that begin beside one that answers
        ([(0, 10), (5, 30), (29, 40), (60, 70)], [(0, 40), (60, 70)]),
    ],
)
def test_spans_that_touch_are_one(spans: list[tuple[int, int]], joined: list[tuple[int, int]]) -> None:
    assert join_spans(span(*one) for one in reversed(spans)) == [span(*one) for one in joined]


@pytest.mark.parametrize(
    ("due", "answered", "ends"),
    [
        (100, [], 100),  # nobody ever did: there is no end to be seen
        (100, [(0, 99)], 100),  # whoever answers has not said so by then
        (100, [(0, 100)], None),
        (100, [(84, 100)], None),
        (100, [(90, 104)], 105),  # they began in the middle of the doubt
        (100, [(90, 105)], None),
        (100, [(0, 95), (300, 301)], 315),  # long after it
        (100, [(0, 100), (300, 301)], None),  # it was over before the gap
        (100, [(0, 100.2), (100.4, 100.5)], None),  # another begins before the first says again that it answers
        (100, [(0, 50)], 65),  # nobody answers any more, since when is not known: it goes on where they left off
        (3700, [(0, 100)], 115),  # a clock that has been set, or another machine's
        (115, [(0, 114)], 115),
    ],
)
def test_when_a_doubt_of_15_seconds_ends(due: int, answered: list[tuple[float, float]], ends: int | None) -> None:
    end = find_doubt_end(at(due), timedelta(seconds=15), [span(*one) for one in answered])
    assert end == (None if ends is None else at(ends))


async def become_doubtful(world: World) -> None:
    """Anne's first answer goes out, and Meta's answer to it is lost."""
    await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))


async def be_looked_at(world: World) -> None:
    """The time in which it would be sent again."""
    await asyncio.sleep(5 * world.sweep_seconds)


async def expect_sent_once(world: World) -> None:
    """The status comes, and the message went out once."""
    (request,) = world.graph.requests
    await world.receive(world.status(request.wamid, "delivered", opaque=request.outbox_id))
    await world.at_rest()
    assert await world.rows("SELECT status, resent FROM outbox") == [("delivered", 0)]
    assert len(world.graph.requests) == 1


async def test_while_nobody_answers_webhooks_no_doubt_ends_and_then_it_begins_anew(world: World) -> None:
    world.doubt_seconds = 15.0
    world.graph.script.append(LOST)
    await world.write("Hi")
    async with world.working(is_answering=False):
        async with world.answering():
            await become_doubtful(world)
        await world.later(25)
        await be_looked_at(world)
        async with world.answering():
            await be_looked_at(world)
            await world.later(5)
            await be_looked_at(world)
            await expect_sent_once(world)


async def test_without_news_it_is_sent_again_once_somebody_has_answered_for_as_long(world: World) -> None:
    world.doubt_seconds = 1.0
    world.graph.script += [LOST, ACCEPT]
    await world.write("Hi")
    async with world.working(is_answering=False):
        await become_doubtful(world)
        await world.later(25)
        await be_looked_at(world)
        assert len(world.graph.requests) == 1
        async with world.answering():
            await world.at_rest()
    assert await world.rows("SELECT status, resent FROM outbox") == [("accepted", 1)]


async def test_processes_that_begin_beside_one_that_answers_put_nothing_off(world: World) -> None:
    world.doubt_seconds = 1.5
    world.graph.script += [LOST, ACCEPT]
    await world.write("Hi")
    async with world.working():
        await become_doubtful(world)
        crashes = 0
        while not await world.rows("SELECT 1 FROM outbox WHERE resent = 1"):
            crashes += 1
            assert crashes < 40, await world.everything()
            async with world.answering():
                await asyncio.sleep(0.3)
        await world.at_rest()
    async with world.database.reading() as tx:
        assert len(await tx.fetch("SELECT owner FROM answering")) > 1


@pytest.mark.parametrize("step", [3600, 20])
async def test_a_clock_that_is_put_forward_ends_no_doubt(world: World, step: int) -> None:
    world.doubt_seconds = 15.0
    world.graph.script.append(LOST)
    await world.write("Hi")
    async with world.working():
        await become_doubtful(world)
        await be_looked_at(world)
        world.clock.jump(step)
        await be_looked_at(world)
        await expect_sent_once(world)


async def test_a_clock_that_is_put_back_stretches_no_doubt(world: World) -> None:
    world.doubt_seconds = 1.0
    world.graph.script += [LOST, ACCEPT]
    await world.write("Hi")
    async with world.working():
        await become_doubtful(world)
        await be_looked_at(world)
        world.clock.jump(-3600)
        await world.at_rest()
    assert await world.rows("SELECT status, resent FROM outbox") == [("accepted", 1)]


async def test_a_status_that_has_come_is_applied_before_the_doubt_ends(world: World) -> None:
    """However many came before it: a round takes only so many."""
    world.doubt_seconds = 15.0
    world.graph.script.append(LOST)
    await world.write("Hi")
    async with world.working():
        await become_doubtful(world)
        await be_looked_at(world)
    (request,) = world.graph.requests
    others = [world.status(f"wamid.other{number}", "sent") for number in range(250)]
    for some in range(0, 250, 50):
        await world.receive(*others[some : some + 50])
    await world.receive(world.status(request.wamid, "delivered", opaque=request.outbox_id))
    async with world.working():
        await world.later(16)
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'delivered'"))
    assert len(world.graph.requests) == 1


async def test_while_nothing_is_in_doubt_nothing_is_written(world: World) -> None:
    record = world.record()
    await record.look()
    ((_, _, first),) = await world.rows("SELECT owner, begun_at, seen_at FROM answering")
    world.clock.forward(1)
    await record.look()
    assert await world.rows("SELECT seen_at FROM answering") == [(first,)]


async def test_a_process_that_stood_still_begins_anew(world: World) -> None:
    record = world.record()
    await record.look()
    world.clock.forward(901)
    await record.look()
    async with world.database.reading() as tx:
        *_, latest = await answering.load_spans(tx)
    assert latest.seen_at - latest.begun_at < timedelta(seconds=60)
