"""The circuit breaker: while it is tripped everything stays queued and loses no try, and it resets by itself."""

import asyncio
from collections import deque

import pytest

from bot.delivery.circuit_breaker import CLEARED_PROBE_SECONDS, CircuitBreaker
from bot.intake.intake import Intake
from bot.metrics import Metrics
from bot.whatsapp.errors import ERROR_POLICIES
from bot.whatsapp.graph.client import Refused
from storage import alerts
from storage.redis.client import RedisSettings, open_redis
from storage.redis.lanes import Lanes
from tests.bot.graph import LOST, refuse
from tests.bot.world import AGENT, ANNE, BEN, NUMBER, World

TOKEN_EXPIRED = refuse(190, 401, error_subcode=463)
MANY = 8


async def channel_alerts(world: World) -> list[str]:
    async with world.database.reading() as tx:
        return [alert.message for alert in await alerts.list_open(tx) if alert.subject == "channel"]


async def test_an_expired_token_stops_everything_and_loses_nothing(world: World) -> None:
    world.graph.always = TOKEN_EXPIRED
    phones = [f"1555000{number:04}" for number in range(1, MANY + 1)]
    async with world.working():
        for phone in phones:
            await world.write("Hi", phone=phone)
        await world.until(lambda: channel_alerts(world))
        await world.until(lambda: has_queued(world, MANY))
        asked = len(world.graph.requests)
        world.clock.forward(120)  # the next probe is refused too
        await world.graph.until(asked + 1)
        assert {status for status, _ in await world.sends()} <= {"queued", "sending"}
        assert await world.rows("SELECT DISTINCT refusals FROM outbox") == [(0,)]
        (alert,) = await channel_alerts(world)
        assert "token" in alert
        world.graph.always = None
        world.clock.forward(6)
        await world.at_rest()
        await world.until(lambda: has_no_channel_alert(world))
    assert [status for status, _ in await world.sends()] == ["accepted"] * MANY
    assert len({request.to for request in world.graph.requests[-MANY:]}) == MANY
    assert not world.graph.doubled


async def has_queued(world: World, count: int) -> bool:
    return await world.rows("SELECT COUNT(*) FROM outbox WHERE status = 'queued'") == [(count,)]


async def has_no_channel_alert(world: World) -> bool:
    return not await channel_alerts(world)


async def test_while_it_is_stopped_one_message_at_a_time_is_tried(world: World) -> None:
    world.graph.always = TOKEN_EXPIRED
    async with world.working():
        await world.write("Hi", phone=ANNE)
        await world.until(lambda: channel_alerts(world))
        asked = len(world.graph.requests)
        for number in range(20):
            await world.write("Hi", phone=f"1555001{number:04}")
        await world.until(lambda: has_queued(world, 21))
        assert len(world.graph.requests) == asked
        world.clock.forward(6)
        await world.graph.until(asked + 1)
        await world.until(lambda: has_queued(world, 21))
    assert len(world.graph.requests) == asked + 1


async def test_a_new_token_in_the_settings_is_taken_without_a_restart(world: World) -> None:
    world.graph.good_token = "renewed"
    async with world.working():
        await world.write("Hi")
        await world.until(lambda: channel_alerts(world))
        world.token = "renewed"
        world.clock.forward(6)
        await world.at_rest()
    assert [status for status, _ in await world.sends()] == ["accepted"]


async def test_a_person_who_mended_something_need_not_wait_for_the_next_probe(world: World) -> None:
    world.graph.always = refuse(131031)  # a probe each five minutes
    phones = [f"1555000{number:04}" for number in range(1, MANY + 1)]
    async with world.working(world.worker(), world.worker()):
        for phone in phones:
            await world.write("Hi", phone=phone)
        await world.until(lambda: channel_alerts(world))
        await world.until(lambda: has_queued(world, MANY))
        asked = len(world.graph.requests)
        assert await world.connection.retry_stopped_channel(AGENT)  # in vain: each process tries, and stops again
        await world.graph.until(asked + 1)
        await world.until(lambda: channel_alerts(world))
        world.graph.always = None

        async def went() -> bool:
            # once more where the other process was just being refused: what it is told then closes both again
            await world.connection.retry_stopped_channel(AGENT)
            return {status for status, _ in await world.sends()} == {"accepted"}

        await world.until(went)
        await world.until(lambda: has_no_channel_alert(world))
    assert len(await world.sends()) == MANY
    assert not await world.connection.retry_stopped_channel(AGENT)


async def test_a_try_that_meta_does_not_answer_is_made_again_soon(world: World) -> None:
    """Nobody is told meanwhile that the channel stands still, so nobody could have it tried again."""
    world.graph.script += [refuse(131048), LOST]  # a probe each hour
    world.graph.number["health_status"] = {"can_send_message": "BLOCKED"}  # what is asked opens nothing
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: channel_alerts(world))
        await world.write("Hi", phone=BEN)
        await world.until(lambda: has_queued(world, 2))
        assert await world.connection.retry_stopped_channel(AGENT)
        await world.graph.until(2)
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))
        await world.later(CLEARED_PROBE_SECONDS + 1)
        await world.at_rest()
    assert [status for status, _ in await world.sends()] == ["accepted"] * 2


async def test_with_nothing_to_send_a_try_is_a_question_and_its_refusal_is_told(world: World) -> None:
    world.graph.always = TOKEN_EXPIRED
    async with world.working():
        await world.write("Hi")
        await world.until(lambda: channel_alerts(world))
        await world.rows("UPDATE outbox SET status = 'failed'")
        world.graph.questions.clear()
        assert await world.connection.retry_stopped_channel(AGENT)
        await world.until(lambda: channel_alerts(world))
        assert await was_asked_about_number(world)


async def test_a_blocked_number_answers_questions_all_the_same(world: World) -> None:
    world.graph.script.append(refuse(131031))
    world.graph.number["health_status"] = {"can_send_message": "BLOCKED"}
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: channel_alerts(world))
    await world.rows("UPDATE outbox SET status = 'failed'")
    async with world.working():
        await world.until(lambda: was_asked_about_number(world))
        assert await channel_alerts(world)
        world.graph.number["health_status"] = {"can_send_message": "AVAILABLE"}
        world.clock.forward(61)
        await world.until(lambda: has_no_channel_alert(world))


async def test_what_was_refused_meanwhile_outweighs_a_good_answer(world: World) -> None:
    ours = breaker(world)
    await breaker(world).trip(EXPIRED)
    world.graph.questions_held = asyncio.Event()
    asking = asyncio.create_task(ours.probe_number())
    await world.until(lambda: was_asked_about_number(world))
    await ours.trip(EXPIRED)
    world.graph.questions_held.set()
    await asking
    assert ours.is_tripped
    assert await channel_alerts(world)


async def test_an_alert_of_an_earlier_process_is_cleared_by_what_works_now(world: World) -> None:
    world.graph.always = TOKEN_EXPIRED
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: channel_alerts(world))
    world.graph.always = None
    async with world.working():
        await world.until(lambda: has_no_channel_alert(world))
        await world.at_rest()


async def test_with_nothing_to_send_a_question_finds_out(world: World) -> None:
    world.graph.always = TOKEN_EXPIRED
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: channel_alerts(world))
    await world.rows("UPDATE outbox SET status = 'failed'")
    world.graph.always = None
    async with world.working():
        await world.until(lambda: has_no_channel_alert(world))


@pytest.mark.parametrize("code", [131056, 131026, 131009])
async def test_what_is_one_messages_own_trouble_stops_nobody_else(world: World, code: int) -> None:
    world.graph.by_customer[f"+{ANNE}"] = deque([refuse(code)])
    await world.write("Hi", phone=ANNE)
    await world.write("Hi", phone=BEN)
    async with world.working():
        await world.until(
            lambda: world.rows(
                "SELECT 1 FROM outbox JOIN alias ON alias.customer_id = outbox.customer_id "
                "WHERE alias.alias = ? AND outbox.status = 'accepted'",
                f"p:{BEN}",
            )
        )
        assert not await channel_alerts(world)


async def test_a_broken_answer_to_a_probe_resets_nothing(world: World) -> None:
    world.graph.always = TOKEN_EXPIRED
    async with world.working():
        await world.write("Hi")
        await world.until(lambda: channel_alerts(world))
        world.graph.always = refuse(2, 503)
        asked = len(world.graph.requests)
        world.clock.forward(6)
        await world.graph.until(asked + 1)
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))
        assert await channel_alerts(world)


async def test_the_numbers_limit_uses_up_nobodys_tries(world: World) -> None:
    world.graph.script.extend([refuse(130429, 429)] * 6 + [refuse(131000)])
    async with world.working():
        await world.write("Hi")

        async def went() -> bool:
            await world.later(1)
            return [status for status, _ in await world.sends()] == ["accepted"]

        await world.until(went)
    assert len(world.graph.requests) == 8


EXPIRED = Refused(190, ERROR_POLICIES[190].action, ERROR_POLICIES[190].wait_seconds, ERROR_POLICIES[190].reason)


def breaker(world: World) -> CircuitBreaker:
    """Of one more process."""
    return CircuitBreaker(
        database=world.database, graph=world.client(), clock=world.clock, read_token=lambda: world.token
    )


async def test_what_a_process_that_died_left_is_cleared_by_one_that_was_there_before(world: World) -> None:
    one, other = breaker(world), breaker(world)
    await other.probe_number()
    await one.trip(EXPIRED)
    world.clock.forward(61)
    await other.reset()
    await other.probe_number()
    assert not await channel_alerts(world)


async def test_a_question_at_once_does_not_reset_what_a_message_tripped(world: World) -> None:
    """To a question about the number Meta has a good answer, whatever became of the message."""
    ours = breaker(world)
    await ours.trip(EXPIRED)
    await ours.probe_number()
    assert ours.is_tripped
    assert await channel_alerts(world)
    world.clock.forward(61)
    await ours.probe_number()
    assert not await channel_alerts(world), "a minute later there was nothing that could be the probe"


async def test_a_clock_that_is_put_back_keeps_nobody_waiting(world: World) -> None:
    ours = breaker(world)
    await ours.trip(EXPIRED)
    assert ours.admit() > 0
    world.clock.forward(-7200)
    assert ours.admit() == 0
    assert ours.admit() > 0, "one is enough"


async def test_an_answer_that_does_not_come_keeps_no_sweep_waiting(world: World) -> None:
    world.graph.always = TOKEN_EXPIRED
    await world.write("Hi")
    async with world.working():
        await world.until(lambda: channel_alerts(world))
    await world.rows("UPDATE outbox SET status = 'failed'")
    world.graph.questions_held = asyncio.Event()
    nowhere = open_redis(RedisSettings("redis://127.0.0.1:1"))
    unheard = Intake(
        database=world.database,
        lanes=Lanes(nowhere, "unheard"),
        ids=world.ids,
        clock=world.clock,
        phone_number_id=NUMBER,
        metrics=Metrics(),
    )
    async with world.working():
        await world.until(lambda: was_asked_about_number(world))
        await unheard.receive(world.body(world.message("Hello?", phone=BEN)))
        await world.until(lambda: has_nothing_pending(world))
        world.graph.questions_held.set()
    await nowhere.aclose()


async def was_asked_about_number(world: World) -> bool:
    return any("fields=health_status&" in question for question in world.graph.questions)


async def has_nothing_pending(world: World) -> bool:
    return not await world.rows("SELECT 1 FROM item WHERE fate = 'pending'")
