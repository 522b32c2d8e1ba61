"""Delivery: each row once as far as anybody can know, in order, through everything that Meta answers."""

import asyncio
from itertools import pairwise

import pytest

from bot.delivery.delivery import MAX_RESENDS_AT_ONCE
from bot.worker.round_input import MAX_ROWS_PER_LANE
from storage import outbox
from storage.statuses import TicketStatus
from tests.bot.graph import ACCEPT, LOST, Reply, refuse
from tests.bot.world import AGENT, ANNE, BEN, World
from tests.support.databases import Rival, until_blocked
from tests.support.servers import MariaDBServer

WORDS = ["My printer is on fire", "hardware", "yes"]


async def with_ticket(world: World) -> int:
    """Anne has a ticket, and everything said so far has gone out."""
    await world.write(*WORDS)
    async with world.working():
        await world.at_rest()
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    return int(ticket_id)


async def test_from_a_message_to_a_ticket_in_order(world: World) -> None:
    await with_ticket(world)
    assert [status for status, _ in await world.sends()] == ["accepted"] * 3
    assert len(world.graph.requests) == 3
    assert "opened" in world.graph.texts()[-1] or "ticket" in world.graph.texts()[-1].lower()
    rows = await world.rows("SELECT id, wamid FROM outbox")
    assert {request.outbox_id: request.wamid for request in world.graph.requests} == dict(rows)
    assert {request.to for request in world.graph.requests} == {f"+{ANNE}"}


async def test_a_lost_answer_is_settled_by_a_status_and_sent_once(world: World) -> None:
    world.graph.script.append(LOST)
    await world.write("Hi")
    async with world.working():
        await world.graph.until(1)
        request = world.graph.requests[0]

        async def in_doubt() -> bool:
            return await world.sends() == [("unknown", await reason(world))]

        await world.until(in_doubt)
        await world.receive(world.status(request.wamid, "delivered", opaque=request.outbox_id))
        await world.at_rest()
        await world.later(world.doubt_seconds + 0.3)
        await asyncio.sleep(4 * world.sweep_seconds)  # the time in which it would be sent again
    assert await world.rows("SELECT status, wamid, resent FROM outbox") == [("delivered", request.wamid, 0)]
    assert len(world.graph.requests) == 1


async def reason(world: World) -> str:
    return (await world.sends())[0][1]


async def test_a_send_in_doubt_without_a_status_is_sent_again_once_and_counted(world: World) -> None:
    world.doubt_seconds = 1.0
    world.graph.script += [LOST, ACCEPT]
    await world.write("Hi")
    async with world.working():
        await world.write("Hello?")  # waits behind the one in doubt, and its turn does not
        await world.at_rest()
    assert await world.rows("SELECT status, resent FROM outbox ORDER BY version, id") == [
        ("accepted", 1),
        ("accepted", 0),
    ]
    first, again, second = world.graph.requests
    assert (first.outbox_id, first.text) == (again.outbox_id, again.text)
    assert second.outbox_id != first.outbox_id
    assert not world.graph.doubled


async def test_twice_in_doubt_is_given_up(world: World) -> None:
    world.doubt_seconds = 1.0
    world.graph.script += [LOST, LOST]
    await world.write("Hi")
    async with world.working():
        await world.at_rest()
    ((status, reason),) = await world.sends()
    assert (status, reason) == ("failed", "doubted_again")
    assert len(world.graph.requests) == 2


async def test_what_a_dead_process_was_sending_goes_out_again_a_few_at_a_time(world: World) -> None:
    """Its rows were marked in one commit; a second death must not meet all of them again."""
    phones = [f"1555010{number:04}" for number in range(3 * MAX_RESENDS_AT_ONCE)]
    for phone in phones:
        await world.write("Hi", phone=phone)
    await world.play([await world.lane(phone) for phone in phones])
    rows = [row[0] for row in await world.rows("SELECT id FROM outbox")]
    marked_at = world.clock()
    await world.database.run(lambda tx: outbox.mark_sending(tx, rows, "a dead process", marked_at))
    held = asyncio.Event()
    world.graph.script += [Reply(held=held)] * MAX_RESENDS_AT_ONCE
    async with world.working():

        async def in_doubt() -> bool:
            return await world.sends() == [("unknown", "sender_died")] * len(phones)

        await world.until(in_doubt)
        world.clock.forward(world.doubt_seconds)
        await world.graph.until(MAX_RESENDS_AT_ONCE)
        at_once = await world.rows("SELECT status, COUNT(*) FROM outbox GROUP BY status")
        await world.write("Hello?", phone=BEN)  # whom nobody keeps waiting
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'accepted'"))
        assert f"+{BEN}" in {request.to for request in world.graph.requests}
        held.set()
        await world.at_rest()
    assert dict(at_once) == {"sending": MAX_RESENDS_AT_ONCE, "unknown": 2 * MAX_RESENDS_AT_ONCE}
    assert await world.rows("SELECT status, SUM(resent) FROM outbox GROUP BY status") == [("accepted", len(phones))]
    assert len(world.graph.requests) == len(phones) + 1


async def test_what_waits_to_be_resent_waits_once_however_often_its_lane_is_looked_at(world: World) -> None:
    """While Meta takes its time over the first, each lane is given back, and looked at again and again."""
    world.slow_seconds = 0.05
    phones = [f"1555010{number:04}" for number in range(2 * MAX_RESENDS_AT_ONCE)]
    for phone in phones:
        await world.write("Hi", phone=phone)
    await world.play([await world.lane(phone) for phone in phones])
    rows = [row[0] for row in await world.rows("SELECT id FROM outbox")]
    await world.database.run(lambda tx: outbox.mark_sending(tx, rows, "a dead process", world.clock()))
    held = asyncio.Event()
    world.graph.script += [Reply(held=held)] * MAX_RESENDS_AT_ONCE
    async with world.working():
        await world.until(lambda: world.rows("SELECT 1 FROM outbox GROUP BY status HAVING status = 'unknown'"))
        world.clock.forward(world.doubt_seconds)
        await world.graph.until(MAX_RESENDS_AT_ONCE)
        await asyncio.sleep(8 * world.sweep_seconds)  # each of which rings what waits
        looks = sum("Worker._deliver" in repr(task) for task in asyncio.all_tasks())
        await world.graph.until(len(phones))  # who has waited so long goes out beside them
        held.set()
        await world.at_rest()
    assert looks <= 2 * len(phones), "one that waits, and one that has just found it waiting"
    assert await world.rows("SELECT status, SUM(resent) FROM outbox GROUP BY status") == [("accepted", len(phones))]
    assert len(world.graph.requests) == len(phones)


async def test_what_a_failed_server_took_is_settled_by_its_status_and_sent_once(world: World) -> None:
    world.doubt_seconds = 30
    world.graph.script.append(refuse(131000, 500))
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))
        await world.later(10)  # longer than a refusal waits, and shorter than the doubt
        await asyncio.sleep(4 * world.sweep_seconds)
        (request,) = world.graph.requests
        await world.receive(world.status(request.wamid, "delivered", opaque=request.outbox_id))
        await world.at_rest()
    assert await world.rows("SELECT status, wamid, resent FROM outbox") == [("delivered", request.wamid, 0)]
    assert len(world.graph.requests) == 1


@pytest.mark.parametrize("is_agent", [False, True], ids=["prompt", "agent"])
async def test_a_server_that_fails_is_tried_five_times_each_after_a_longer_doubt(world: World, is_agent: bool) -> None:
    world.doubt_seconds = 6
    ticket_id = await with_ticket(world)
    before = len(world.graph.requests)
    world.graph.always = refuse(131000, 500)
    doubts: list[int] = []
    async with world.working():
        if is_agent:
            await world.replies.write(AGENT, ticket_id, "Have you tried turning it off?")
        else:
            await world.write("Any news?")
        for tries in range(1, 6):
            await world.graph.until(before + tries)
            in_doubt = "SELECT due_at - status_at FROM outbox WHERE status = 'unknown' AND attempts = ?"
            ((doubt,),) = await world.until(lambda sql=in_doubt, tries=tries: world.rows(sql, tries))  # type: ignore[misc]
            doubts.append(doubt)
            await world.later(doubt / 1000)
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE reason IN ('ask_a_person', 'doubted_again')"))
    assert 5900 < doubts[0] < 6100
    assert all(1.5 < later / sooner < 3.5 for sooner, later in pairwise(doubts)), doubts
    assert len(world.graph.requests) == before + 5
    ended = (await world.rows("SELECT status, resent, refusals FROM outbox ORDER BY version, id"))[-1]
    assert ended == ("unknown" if is_agent else "failed", 4, 0)
    assert [request.text for request in world.graph.requests[before:]] == [world.graph.texts()[before]] * 5


async def test_a_server_that_fails_over_what_all_would_meet_uses_up_nobodys_tries(world: World) -> None:
    world.doubt_seconds = 0.2
    world.graph.script.extend([refuse(190, 500)] * 7)
    await world.write("Hi")
    async with world.working():

        async def went() -> bool:
            await world.later(5)  # the next probe
            return [status for status, _ in await world.sends()] == ["accepted"]

        await world.until(went)
    assert len(world.graph.requests) == 8


async def test_resends_are_counted_by_what_began_the_doubt(world: World) -> None:
    world.doubt_seconds = 0.2
    world.graph.script += [refuse(131000, 500), refuse(131000, 500), ACCEPT, LOST, ACCEPT]
    worker, metrics = world.make_counted_worker()
    async with world.working(worker):
        await world.write("Hi", "Hello?")

        async def went() -> bool:
            await world.later(5)  # as long as a server that failed is left alone
            return [status for status, _ in await world.sends()] == ["accepted"] * 2

        await world.until(went)
    assert await world.rows("SELECT status, resent FROM outbox ORDER BY version, id") == [
        ("accepted", 2),
        ("accepted", 1),
    ]
    counted = metrics.render().decode()
    assert 'tick_resends_total{reason="server_failed"} 2.0' in counted
    assert 'tick_resends_total{reason="answer_lost"} 1.0' in counted


async def test_an_agents_words_in_doubt_wait_for_a_person_and_block_nobody(world: World) -> None:
    ticket_id = await with_ticket(world)
    world.doubt_seconds = 1.0
    world.graph.script.append(LOST)
    async with world.working():
        await world.replies.write(AGENT, ticket_id, "Have you tried turning it off?")
        await world.replies.write(AGENT, ticket_id, "And on again?")

        async def settled() -> bool:
            return [status for status, _ in await world.sends()][3:] == ["unknown", "accepted"]

        await world.until(settled)
        waits = "SELECT due_at FROM outbox WHERE status = 'unknown' AND due_at > ?"
        far = int(world.clock().timestamp() * 1000) + 86_400_000
        await world.until(lambda: world.rows(waits, far))  # the sweep leaves it alone
    assert world.graph.texts()[3:] == ["Have you tried turning it off?", "And on again?"]


async def test_a_status_settles_what_waited_for_a_person(world: World) -> None:
    ticket_id = await with_ticket(world)
    world.doubt_seconds = 1.0
    world.graph.script.append(LOST)
    async with world.working():
        await world.replies.write(AGENT, ticket_id, "Have you tried turning it off?")
        await world.until(
            lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown' AND reason = 'ask_a_person'")
        )
        request = world.graph.requests[-1]
        await world.receive(world.status(request.wamid, "sent", opaque=request.outbox_id))
        await world.at_rest()
    assert (await world.sends())[-1][0] == "sent"


async def test_a_back_off_holds_the_later_sends_and_not_the_turns(world: World) -> None:
    world.graph.script.append(refuse(131056))  # pair limit: 6 s
    await world.write("Hi")
    async with world.working():
        await world.graph.until(1)
        await world.write("My printer is on fire")
        await world.until(
            lambda: world.rows("SELECT fate FROM item GROUP BY fate HAVING fate = 'done' AND COUNT(*) = 2")
        )
        assert len(world.graph.requests) == 1
        assert [status for status, _ in await world.sends()] == ["queued", "queued"]
        await world.later(10)
        await world.at_rest()
    assert [request.outbox_id for request in world.graph.requests] == [
        world.graph.requests[0].outbox_id,
        *(row[0] for row in await world.rows("SELECT id FROM outbox ORDER BY version, id")),
    ]


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        (refuse(131026), "failed", "131026"),  # recipient
        (refuse(131009), "failed", "131009"),  # drop
        (refuse(131047), "failed", "window_closed"),  # only a template: a prompt is not held
        (refuse(190, 401), "queued", "190"),  # the channel stops
        (refuse(131016, 400), "queued", "131016"),  # retry
        (refuse(131000, 500), "unknown", "131000"),  # Meta's server failed, before or after it took it
        (refuse(190, 500), "unknown", "190"),
        (refuse(130429), "queued", "130429"),  # retry after
        (Reply(500, {"what": "ever"}), "unknown", "HTTP 500"),
    ],
)  # fmt: skip
async def test_what_each_answer_makes_of_a_row(world: World, reply: Reply, status: str, reason: str) -> None:
    world.doubt_seconds = 30
    world.graph.script.append(reply)
    await world.write("Hi")
    async with world.working():

        async def settled() -> bool:
            sends = await world.sends()
            return len(sends) == 1 and sends[0][0] == status and bool(sends[0][1])

        await world.until(settled)
    assert reason in (await world.sends())[0][1]
    assert len(world.graph.requests) == 1


async def test_a_notice_that_needs_a_template_is_held_until_the_customer_writes(world: World) -> None:
    ticket_id = await with_ticket(world)
    world.graph.script.append(refuse(131047))
    async with world.working():
        await world.tickets.set_status(AGENT, ticket_id, TicketStatus.IN_PROGRESS)
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'held'"))
        await world.write("Any news?")
        await world.at_rest()
    assert (await world.sends())[3:] == [("accepted", ""), ("accepted", "")]
    assert "working on" in world.graph.texts()[-2], "what was held goes out first"


async def test_no_connection_is_no_attempt_that_counts(world: World) -> None:
    url, world.graph.url = world.graph.url, "http://127.0.0.1:9/v25.0"
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'queued' AND attempts > 0"))
    world.graph.url = url
    world.clock.forward(60)
    async with world.working():
        await world.at_rest()
    assert [status for status, _ in await world.sends()] == ["accepted"]


async def test_with_the_window_closed_prompts_fail_and_notices_are_held(world: World) -> None:
    ticket_id = await with_ticket(world)
    world.graph.script.append(refuse(130429))
    async with world.working():
        await world.write("Any news?")
        await world.graph.until(4)
    world.clock.forward(24 * 3600)
    assert (await world.tickets.set_status(AGENT, ticket_id, TicketStatus.IN_PROGRESS)).delivery == "held"
    assert (await world.tickets.set_status(AGENT, ticket_id, TicketStatus.RESOLVED)).delivery == "held"
    assert (await world.replies.write(AGENT, ticket_id, "It is fixed.")).delivery == "held"
    async with world.working():
        await world.at_rest()
    assert [row[0] for row in await world.sends()][3:] == ["failed", "held", "held", "held"]
    assert (await world.sends())[3][1] == "window_closed"
    assert len(world.graph.requests) == 4

    async with world.working():
        await world.write("Hello?")
        await world.at_rest()
    texts = world.graph.texts()[4:]
    assert len(texts) == 3
    assert "solved" in texts[0], "the overtaken notice is not sent"
    assert texts[1] == "It is fixed."
    assert ("failed", "superseded") in await world.sends()


async def test_two_workers_never_send_one_row_twice(world: World) -> None:
    await world.write("Hi", "My printer is on fire", "hardware")
    await world.write("Hi", "My mouse bit me", "hardware", phone="15550003333")
    async with world.working(*(world.worker() for _ in range(4))):
        for _ in range(20):
            await world.redis.flushall()  # they lose sight of each other again and again
            await asyncio.sleep(0.02)
        await world.at_rest()
    assert not world.graph.doubled
    assert len(world.graph.requests) == 6
    assert len({request.outbox_id for request in world.graph.requests}) == 6
    for phone in (f"+{ANNE}", "+15550003333"):
        sent = [request.outbox_id for request in world.graph.requests if request.to == phone]
        assert sent == sorted(sent)


async def test_a_row_that_was_marked_too_slowly_is_not_sent_on_that_mark(
    mariadb_world: World, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    """Half of the time in which a status could settle a doubt is gone: others may hold the row for abandoned."""
    world = mariadb_world
    world.doubt_seconds = 1.0
    await world.write("Hi")
    await world.play()
    rival = Rival(migrated_mariadb_url)
    rival.begin()
    rival.execute("SELECT id FROM outbox FOR UPDATE")
    async with world.working():
        await until_blocked(mariadb_server)
        await asyncio.sleep(0.6)
        assert not world.graph.requests
        rival.commit()
        await world.at_rest()
    rival.close()
    assert await world.rows("SELECT status, attempts FROM outbox") == [("accepted", 2)]
    assert len(world.graph.requests) == 1


async def test_a_clock_that_goes_back_holds_nothing_up(world: World) -> None:
    world.graph.script.append(refuse(131016))
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'queued' AND attempts = 1"))
        world.clock.forward(-3600)
        await world.write("Hello?")

        async def both() -> bool:
            return [status for status, _ in await world.sends()] == ["accepted", "accepted"]

        await world.until(both)
    assert [request.outbox_id for request in world.graph.requests[1:]] == [
        row[0] for row in await world.rows("SELECT id FROM outbox ORDER BY version, id")
    ]


async def test_more_than_a_lane_loads_goes_out_in_order(world: World) -> None:
    ticket_id = await with_ticket(world)
    for number in range(MAX_ROWS_PER_LANE + 20):
        await world.replies.write(AGENT, ticket_id, f"Line {number}")
    async with world.working():
        await world.at_rest()
    assert world.graph.texts()[3:] == [f"Line {number}" for number in range(MAX_ROWS_PER_LANE + 20)]
