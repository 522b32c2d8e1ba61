"""Delivery statuses: whatever their order and however often they come, a row only moves forward."""

import asyncio
from datetime import UTC, datetime
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

from bot.whatsapp.errors import Action, classify_error
from bot.whatsapp.webhook.events import read_status
from bot.whatsapp.webhook.items import IgnoredReason, MessageStatus
from bot.worker.rounds import MAX_ITEMS_PER_LANE
from bot.worker.statuses import match_statuses
from storage.customers import NOBODY
from storage.journal import PendingItem
from storage.outbox import MOVES
from storage.outbox_reads import SentRow
from storage.redis.lanes import ClaimedLane, WorkingCopy
from storage.statuses import Origin, OutboxReason, OutboxStatus
from tests.bot.graph import Reply
from tests.bot.whatsapp.webhook.reading import parse_items
from tests.bot.world import AGENT, BEN, World
from tests.support.places import PAYLOADS

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RANKS = {
    OutboxStatus.ACCEPTED: 0,
    OutboxStatus.SENT: 1,
    OutboxStatus.FAILED: 1.5,
    OutboxStatus.DELIVERED: 2,
    OutboxStatus.READ: 3,
}
REPORTED = (OutboxStatus.SENT, OutboxStatus.DELIVERED, OutboxStatus.READ, OutboxStatus.FAILED)


def beats(new: OutboxStatus, old: OutboxStatus) -> bool:
    """Whether a status changes a row, in one's own words: later beats earlier; a failure is overruled by what proves
    it wrong, and overrules nothing that does."""
    return RANKS[new] > RANKS[old]


@pytest.mark.parametrize("old", RANKS)
@pytest.mark.parametrize("new", REPORTED)
def test_the_table_says_what_beats_what(old: OutboxStatus, new: OutboxStatus) -> None:
    assert (old in MOVES[new]) is beats(new, old)


def orders() -> list[tuple[OutboxStatus, ...]]:
    whole = list(permutations(REPORTED))
    repeated = [order for size in (2, 3) for order in product(REPORTED, repeat=size)]
    return whole + repeated


@pytest.mark.parametrize("order", orders(), ids="-".join)
def test_every_order_and_repeat_ends_in_the_furthest(order: tuple[OutboxStatus, ...]) -> None:
    row = SentRow(7, 1, OutboxStatus.ACCEPTED, "wamid.A")
    told = [(_item(at), MessageStatus("wamid.A", status, NOW)) for at, status in enumerate(order, 1)]
    matched = match_statuses(told, [row], NOW)
    current, done, superseded = OutboxStatus.ACCEPTED, [], []
    for at, status in enumerate(order, 1):
        if beats(status, current):
            current = status
            done.append(at)
        else:
            superseded.append(at)
    assert matched.done == done
    assert matched.ignored.get(IgnoredReason.SUPERSEDED, []) == superseded
    assert [status for status, rows in matched.advances.items() if 7 in rows] == [current]


# What becomes of an agent's words by the class of the code: where they end, and what else is noted.
ENDS = {
    Action.RETRY: ("queued", ""),
    Action.RETRY_AFTER: ("queued", ""),
    Action.TEMPLATE: ("queued", "window"),
    Action.DROP: ("failed", ""),
    Action.RECIPIENT: ("failed", "customer"),
    Action.STOP: ("failed", "channel"),
}


@pytest.mark.parametrize("path", sorted((PAYLOADS / "statuses-failed").iterdir()), ids=lambda path: path.stem)
def test_every_recorded_failure_ends_as_its_code_asks_for(path: Path) -> None:
    (item,) = parse_items(path.read_bytes())
    status = read_status(item.payload)
    matched = match_statuses(
        [(_item(1), status)], [SentRow(7, 1, OutboxStatus.ACCEPTED, status.wamid, Origin.AGENT)], NOW
    )
    end, noted = ENDS[classify_error(status.error_code).action]
    if str(status.error_code).startswith("132"):
        end = "held"  # a template's trouble is not the words'
    elif status.error_code == 131050:
        noted = ""  # who wants no marketing can be answered all the same
    reroute = matched.reroutes.get(7)
    assert (reroute.move.status if reroute else "failed") == end
    assert (7 in matched.failures) is (end == "failed")
    said = reroute.move.why if reroute else matched.failures[7]
    assert said.reason is OutboxReason.REFUSED
    assert said.detail.startswith(
        f"{classify_error(status.error_code).reason.rstrip('.')} (Meta's code {status.error_code}"
    )
    assert (matched.closed_windows != {}) is (noted == "window")
    assert (matched.unreachable != {}) is (noted == "customer")
    assert list(matched.alerts) == ([status.error_code] if noted == "channel" else [])
    assert matched.done == [1]


def _item(item_id: int) -> PendingItem:
    return PendingItem(item_id, "s", "status", 1, "", NOW, NOW, "", 0, False)


async def send_answer(world: World) -> tuple[int, str]:
    """Anne was answered: (row, wamid)."""
    await world.write("Hi")
    async with world.working():
        await world.at_rest()
    ((outbox_id, wamid),) = await world.rows("SELECT id, wamid FROM outbox")
    return int(outbox_id), str(wamid)


@pytest.mark.parametrize(
    "rounds",
    [
        [["sent", "delivered", "read"]],
        [["read"], ["delivered"], ["sent"]],
        [["failed"], ["delivered"]],
        [["sent"], ["failed"], ["sent", "sent"]],
        [["delivered"], ["failed"], ["read"], ["failed"]],
    ],
)
async def test_the_rows_and_the_fates_agree(world: World, rounds: list[list[str]]) -> None:
    _, wamid = await send_answer(world)
    expected, fates = OutboxStatus.ACCEPTED, []
    seen: dict[tuple[str, int], dict[str, Any]] = {}
    for at, statuses in enumerate(rounds):
        for status in statuses:
            again = seen.get((status, at))  # made anew it could have the next second for its timestamp
            told = seen[status, at] = again or world.status(wamid, status, ago=60 - at)
            await world.receive(told)
            if not again:
                reported = OutboxStatus(status)
                won = beats(reported, expected)
                fates.append(("done", "") if won else ("ignored", "superseded"))
                expected = reported if won else expected
        await world.play()
    assert [status for status, _ in await world.sends()] == [expected]
    assert (await world.fates())[1:] == fates
    assert (await world.counts())["duplicates"] == sum(map(len, rounds)) - len(fates)


async def test_a_failure_says_why(world: World) -> None:
    _, wamid = await send_answer(world)
    error = {"code": 131049, "title": "no", "error_data": {"details": "healthy ecosystem engagement"}}
    await world.receive(world.status(wamid, "failed", errors=[error]))
    await world.play()
    ((status, reason),) = await world.sends()
    assert status == "failed"
    assert reason.startswith("Meta held this message back")
    assert reason.endswith(" (Meta's code 131049: healthy ecosystem engagement)."), "Meta's own words may say more"


async def test_what_nobody_knows_waits_and_is_then_ignored(world: World) -> None:
    await send_answer(world)
    await world.receive(world.status("wamid.unheard", "delivered"))
    (played,) = await world.rounds().play([await world.lane()])
    assert played.again_seconds is not None
    assert 5 < played.again_seconds <= 15
    assert (await world.fates())[1:] == [("pending", "")]
    world.clock.forward(16)
    await world.play()
    assert (await world.fates())[1:] == [("ignored", "unknown_message")]


async def test_it_is_applied_when_the_wamid_is_learned_after_all(world: World) -> None:
    """Meta took the message, its answer took half a minute, and the statuses came first."""
    world.doubt_seconds = world.answer_seconds = 100
    held = asyncio.Event()
    world.graph.script.append(Reply(held=held))
    await world.write("Hi")
    async with world.working():
        await world.graph.until(1)
        wamid = world.graph.requests[0].wamid
        await world.receive(world.status(wamid, "delivered"))
        world.clock.forward(20)
        # its lane is being delivered to: a second process has nothing to do with that
        await world.play()
        assert (await world.fates())[1:] == [("ignored", "unknown_message")]
        held.set()
        await world.at_rest()
    assert (await world.fates())[1:] == [("done", "")]
    assert await world.rows("SELECT status, wamid FROM outbox") == [("delivered", wamid)]


async def test_the_id_that_was_sent_along_matches_where_the_wamid_is_not_known(world: World) -> None:
    await world.write("Hi")
    await world.play()
    ((outbox_id,),) = await world.rows("SELECT id FROM outbox")
    await world.receive(world.status("wamid.new", "sent", opaque=outbox_id))
    await world.receive(world.status("wamid.new", "read"))
    await world.play()
    await world.play()
    assert await world.rows("SELECT status, wamid FROM outbox") == [("read", "wamid.new")]


async def test_a_status_counts_only_for_the_customer_it_came_from(world: World) -> None:
    outbox_id, wamid = await send_answer(world)
    await world.write("Hi", phone=BEN)
    await world.receive(world.status(wamid, "read", phone=BEN), world.status("wamid.other", "read", phone=BEN))
    await world.receive(world.status("wamid.z", "read", phone=BEN, opaque=outbox_id))
    await world.receive(world.status("wamid.z", "failed", phone="15550009999", opaque=outbox_id))
    world.clock.forward(16)
    await world.play([await world.lane(BEN)])
    await world.play([ClaimedLane(NOBODY, None, None)])
    assert await world.rows("SELECT status FROM outbox WHERE id = ?", outbox_id) == [("accepted",)]
    assert ("ignored", "unknown_message") in await world.fates()
    assert (await world.counts())["pending"] == 0


async def test_a_status_makes_no_customer(world: World) -> None:
    await world.receive(world.status("wamid.a", "sent", phone="15550009999"))
    assert await world.customers() == {}
    assert await world.rows("SELECT customer_id, fate FROM item") == [(NOBODY, "pending")]


@pytest.mark.parametrize(
    "opaque", ["9223372036854775807", "9223372036854775808", "9999999999999999999", "1" * 40, "-1"]
)
async def test_an_id_that_no_row_can_have_holds_nobody_up(world: World, opaque: str) -> None:
    _, wamid = await send_answer(world)
    await world.receive(world.status("wamid.odd", "read", opaque=opaque), world.status(wamid, "sent", opaque=opaque))
    await world.play()
    assert (await world.fates())[1:] == [("pending", ""), ("done", "")]


async def test_a_window_is_judged_by_sql_where_redis_has_an_old_copy(world: World) -> None:
    """What a round put into Redis got lost, and an older copy stayed there: an agent's words still go out."""
    await world.write("My printer is on fire", "hardware", "yes")
    customer_id = (await world.lane()).customer_id
    async with world.working():
        await world.at_rest()
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    await world.replies.write(AGENT, ticket_id, "Have you tried turning it off?")
    await world.lanes.put_copies([WorkingCopy(customer_id, 0, '["",null,null,""]')], force=[customer_id])
    async with world.working():
        await world.at_rest()
    assert (await world.sends())[-1] == ("accepted", "")


async def test_many_that_nobody_knows_wait_without_haste(world: World) -> None:
    foreign = [world.status(f"wamid.foreign.{n}", "sent", phone="4915550000") for n in range(MAX_ITEMS_PER_LANE + 1)]
    await world.receive(*foreign)
    (played,) = await world.rounds().play([ClaimedLane(NOBODY, None, None)])
    assert played.again_seconds is not None
    assert played.again_seconds > 5
