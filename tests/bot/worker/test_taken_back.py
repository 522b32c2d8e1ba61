"""A failure that Meta takes back: what has arrived under any id that its row ever had is not sent again, whatever was
reported before and in whatever order."""

import asyncio
from datetime import UTC, datetime
from itertools import permutations, product
from typing import Any

import pytest

from bot.whatsapp.webhook.items import MessageStatus
from bot.worker.statuses import match_statuses
from storage.journal import PendingItem
from storage.outbox import MOVES
from storage.outbox_reads import SentRow
from storage.statuses import Origin, OutboxStatus
from storage.turn_writes import find_known_messages
from tests.bot.delivery.test_held import NAME, Desk
from tests.bot.graph import Reply, Request
from tests.bot.media.test_files_out import uploaded
from tests.bot.test_service_window import has_nothing_pending, last_is, ticket
from tests.bot.worker.test_rerouted import WORDS, answer, count_sends
from tests.bot.world import AGENT, World

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PASSING = (131000, 131016, 131056, 130429, 1, 2)
ARRIVED = ("delivered", "read")
HOUR = 3600
S = OutboxStatus


def build_failure(world: World, request: Request, code: int, *, named: bool = True, ago: float = 5) -> dict[str, Any]:
    """Builds the status that Meta refused this send after all; `named`: with our own id in it."""
    opaque = request.outbox_id if named else ""
    return world.status(request.wamid, "failed", opaque=opaque, ago=ago, errors=[{"code": code, "title": "No"}])


def build_arrival(world: World, request: Request, status: str, *, named: bool = True, ago: float = 3) -> dict[str, Any]:
    """Builds the status that this send arrived."""
    return world.status(request.wamid, status, opaque=request.outbox_id if named else "", ago=ago)


async def hear(world: World, *statuses: dict[str, Any]) -> None:
    """Statuses come in one body, and are applied."""
    await world.receive(*statuses)
    await world.until(lambda: has_nothing_pending(world))


async def assert_stays(world: World, status: str, sends: int) -> None:
    """However much later, the row is where it is, and nothing more goes out."""
    await world.later(HOUR)
    await world.write("Here I am")
    await world.at_rest()
    rows = await world.rows("SELECT status, reason, detail FROM outbox WHERE origin = 'agent'")
    assert rows == [(status, "", "")]
    assert await count_sends(world) == sends


@pytest.mark.parametrize("named", [True, False], ids=["named", "by wamid"])
@pytest.mark.parametrize(("code", "status"), [*product(PASSING, ARRIVED[:1]), (131000, "read")])
async def test_what_would_be_tried_again_has_arrived(world: World, code: int, status: str, named: bool) -> None:
    request = await answer(world)
    async with world.working():
        await hear(world, build_failure(world, request, code, named=named))
        await world.until(lambda: last_is(world, "queued"))
        await hear(world, build_arrival(world, request, status, named=named))
        await assert_stays(world, status, sends=1)


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0), (1, 0, 1), (0, 0, 1, 1)])
@pytest.mark.parametrize("together", [True, False], ids=["in one body", "one by one"])
async def test_the_order_makes_no_difference(world: World, order: tuple[int, ...], together: bool) -> None:
    request = await answer(world)
    told = [
        build_arrival(world, request, "delivered", ago=20 - at) if arrives else
        build_failure(world, request, 131000, ago=20 - at)
        for at, arrives in enumerate(order)
    ]  # fmt: skip
    async with world.working():
        for some in [told] if together else [[one] for one in told]:
            await hear(world, *some)
        await assert_stays(world, "delivered", sends=1)


@pytest.mark.parametrize("status", ARRIVED)
async def test_what_is_held_has_arrived_and_is_not_sent_when_they_write(world: World, status: str) -> None:
    request = await answer(world)
    async with world.working():
        await hear(world, build_failure(world, request, 131047))
        await world.until(lambda: last_is(world, "held"))
        await hear(world, build_arrival(world, request, status))
        await assert_stays(world, status, sends=1)


@pytest.mark.parametrize("together", [True, False], ids=["in one body", "one by one"])
async def test_no_template_carries_what_has_arrived(world: World, together: bool) -> None:
    request = await answer(world)
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    desk = Desk(world, ticket_id)
    failure, arrival = build_failure(world, request, 131047), build_arrival(world, request, "delivered")
    if together:
        await desk.approve(NAME)
        await desk.choose("reply")
    async with world.working():
        if together:
            await hear(world, failure, arrival)
        else:
            await hear(world, failure)
            await world.until(lambda: last_is(world, "held"))
            await hear(world, arrival)
            await desk.approve(NAME)
            await desk.choose("reply")
        await assert_stays(world, "delivered", sends=1)
    assert desk.templates_sent() == []


async def test_a_template_that_went_out_is_settled_by_what_arrives_first(world: World) -> None:
    request = await answer(world)
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    desk = Desk(world, ticket_id)
    await desk.approve(NAME)
    await desk.choose("reply")
    async with world.working():
        await hear(world, build_failure(world, request, 131047))
        await world.until(lambda: last_is(world, "accepted"))
        template = world.graph.requests[-1]
        assert "template" in template.body
        await hear(world, build_arrival(world, request, "delivered", named=False))
        await hear(world, build_failure(world, template, 132015, ago=1))
        rows = await world.rows("SELECT status, wamid FROM outbox WHERE origin = 'agent'")
        assert rows == [("delivered", request.wamid)]
        await hear(world, build_arrival(world, template, "read", named=False, ago=1))
        rows = await world.rows("SELECT status, wamid FROM outbox WHERE origin = 'agent'")
        assert rows == [("read", template.wamid)]
    (customer_id,) = (await world.customers()).values()
    async with world.database.reading() as tx:
        known = await find_known_messages(tx, [customer_id], [request.wamid, template.wamid])
    assert {wamid: one.text for wamid, one in known[customer_id].items()} == {
        request.wamid: WORDS,
        template.wamid: WORDS,
    }, "who quotes either means this answer"


@pytest.mark.parametrize("named", [True, False], ids=["named", "by wamid"])
async def test_the_sender_that_has_the_row_in_hand_is_the_last(world: World, named: bool) -> None:
    """Its request has gone out when the first turns out to have arrived: what becomes of it changes nothing."""
    request = await answer(world)
    slow = asyncio.Event()
    async with world.working():
        await hear(world, build_failure(world, request, 131000, named=named))
        await world.until(lambda: last_is(world, "queued"))
        world.graph.script.append(Reply(held=slow))
        asked = len(world.graph.requests)
        await world.later(6)
        await world.graph.until(asked + 1)
        second = world.graph.requests[-1]
        await hear(world, build_arrival(world, request, "delivered", named=named))
        assert await last_is(world, "delivered")
        slow.set()
        await world.until(lambda: world.rows("SELECT 1 FROM outbox_wamid WHERE wamid = ?", second.wamid))
        await hear(world, build_failure(world, second, 131000, named=named))
        await assert_stays(world, "delivered", sends=2)


async def test_a_row_that_is_being_prepared_is_not_sent(world: World) -> None:
    """Its file is on its way to Meta once more when the first send turns out to have arrived."""
    ticket_id, file_id = await ticket(world), await uploaded(world)
    async with world.working():
        await world.replies.write(AGENT, ticket_id, "", file_ids=[file_id])
        await world.until(lambda: last_is(world, "accepted"))
        request = world.graph.requests[-1]
        await hear(world, build_failure(world, request, 131000))
        await world.until(lambda: last_is(world, "queued"))
        await world.database.run(lambda tx: tx.execute("UPDATE file SET media_id = '', media_until = NULL"))
        slow, uploads, asked = asyncio.Event(), world.graph.uploads, len(world.graph.requests)
        world.graph.upload_script.append(Reply(held=slow))
        await world.later(6)
        await world.until(lambda: is_uploading(world, uploads + 1))
        await hear(world, build_arrival(world, request, "delivered"))
        slow.set()
        await world.write("Here I am")
        await world.at_rest()
    assert [one.body["type"] for one in world.graph.requests[asked:]] == ["text"]
    assert await world.rows("SELECT status FROM outbox WHERE origin = 'agent'") == [("delivered",)]


async def is_uploading(world: World, uploads: int) -> bool:
    return world.graph.uploads >= uploads


@pytest.mark.parametrize("rounds", [2, 3, 4])
async def test_the_first_arrives_after_the_others_failed(world: World, rounds: int) -> None:
    first = request = await answer(world)
    async with world.working():
        for again in range(rounds):
            await hear(world, build_failure(world, request, 131000))
            await world.until(lambda: last_is(world, "queued" if again < 3 else "failed"))  # noqa: B023 - run here
            if again + 1 < rounds:
                await world.later(60)
                await world.until(lambda: last_is(world, "accepted"))
                request = world.graph.requests[-1]
        await hear(world, build_arrival(world, first, "delivered", named=False))
        await assert_stays(world, "delivered", sends=rounds)


async def test_what_is_told_again_of_the_first_is_no_word_on_the_third(world: World) -> None:
    first = await answer(world)
    async with world.working():
        request = first
        for _ in range(2):
            await hear(world, build_failure(world, request, 131000))
            await world.later(60)
            await world.until(lambda: last_is(world, "accepted"))
            request = world.graph.requests[-1]
        for ago, named in enumerate((True, False)):
            await hear(world, build_failure(world, first, 131026, named=named, ago=ago))
            await hear(world, world.status(first.wamid, "sent", opaque=first.outbox_id if named else "", ago=ago))
        assert await last_is(world, "accepted")
        assert await world.rows("SELECT wamid FROM outbox WHERE id = ?", first.outbox_id) == [(request.wamid,)]
        assert await count_sends(world) == 3


async def test_an_id_that_no_answer_brought_settles_its_row(world: World) -> None:
    """The answer to the first send was lost, the second was taken and refused: it was the first that arrived."""
    world.graph.script.append(Reply(lost=True))
    async with world.working():
        await world.write("Hi")
        await world.graph.until(2)
        await world.until(lambda: last_is(world, "accepted"))
        first, second = world.graph.requests
        assert first.outbox_id == second.outbox_id
        await hear(world, build_failure(world, second, 131000))
        await world.until(lambda: last_is(world, "queued"))
        await hear(world, build_arrival(world, first, "delivered"))
        await world.later(HOUR)
        await world.at_rest()
    assert [status for status, _ in await world.sends()] == ["delivered"]
    assert len(world.graph.requests) == 2


async def test_an_id_that_no_answer_brought_settles_a_row_that_meta_took_again(world: World) -> None:
    world.graph.script.append(Reply(lost=True))
    async with world.working():
        await world.write("Hi")
        await world.graph.until(2)
        await world.until(lambda: last_is(world, "accepted"))
        first, second = world.graph.requests
        await hear(world, build_arrival(world, first, "read"))
        assert await world.rows("SELECT status, wamid FROM outbox") == [("read", first.wamid)]
        await hear(world, build_failure(world, second, 131000, named=False))
        assert await world.rows("SELECT status, wamid FROM outbox") == [("read", first.wamid)]


async def test_a_failure_ends_nothing_that_waits(world: World) -> None:
    """Nothing of a row that is queued or held is on its way, so there is nothing that Meta could refuse."""
    row = SentRow(7, 1, S.QUEUED, "wamid.B", Origin.AGENT, refusals=1)
    for current in (S.QUEUED, S.HELD):
        told = [(_item(1), MessageStatus("wamid.A", S.FAILED, NOW, "7", 131026))]
        matched = match_statuses(told, [SentRow(7, 1, current, row.wamid, Origin.AGENT, refusals=1)], NOW)
        assert not matched.reroutes
        assert not any(matched.advances.values())


WAMIDS = ("wamid.A", "wamid.B", "wamid.C")
TOLD = [*product(WAMIDS[:2], (S.SENT, S.FAILED, S.DELIVERED)), ("wamid.C", S.READ)]


@pytest.mark.parametrize("current", sorted(OutboxStatus))
def test_whatever_arrived_is_settled_in_any_order(current: OutboxStatus) -> None:
    """wamid.A and wamid.B were refused before, wamid.B lately; wamid.C is of the send whose answer may still come."""
    unsent = current in (S.QUEUED, S.HELD, S.SENDING, S.UNKNOWN)
    for size in (1, 2, 3):
        for order in permutations(TOLD, size):
            row = SentRow(
                7, 1, current, "wamid.B" if unsent else "wamid.C", Origin.AGENT, refusals=1,
                earlier=frozenset(WAMIDS[:2]),
            )  # fmt: skip
            told = [
                (_item(at), MessageStatus(wamid, status, NOW, "7", 131000 if status is S.FAILED else None))
                for at, (wamid, status) in enumerate(order, 1)
            ]
            matched = match_statuses(told, [row], NOW)
            ends = [status for status, rows in matched.advances.items() if 7 in rows]
            ends += [reroute.move.status for reroute in matched.reroutes.values()]
            arrived = {status for _, status in order} & {S.DELIVERED, S.READ}
            furthest = max(arrived, key=[S.DELIVERED, S.READ].index, default=None)
            if furthest is None:
                assert ends == [], (order, "what is past says nothing")
            else:
                assert ends == ([furthest] if current in MOVES[furthest] else []), order


def _item(item_id: int) -> PendingItem:
    return PendingItem(item_id, "s", "status", 1, "", NOW, NOW, "", 0, False)
