"""A message that Meta took and then refused, on its other way: what Meta still says of the first is no word on the
second, however often and however late it comes."""

import asyncio
from typing import Any

import pytest

from bot.whatsapp.errors import classify_error, describe_refusal
from storage import alerts
from tests.bot.graph import Reply, Request
from tests.bot.test_service_window import last_is, ticket
from tests.bot.world import AGENT, World

CLOSED: dict[str, Any] = {"errors": [{"code": 131047, "title": "Re-engagement message"}]}
WORDS = "Have you tried turning it off?"


async def answer(world: World) -> Request:
    """An agent's words that Meta took."""
    ticket_id = await ticket(world)
    asked = len(world.graph.requests)
    async with world.working():
        await world.replies.write(AGENT, ticket_id, WORDS)
        await world.until(lambda: last_is(world, "accepted"))
    assert len(world.graph.requests) == asked + 1
    return world.graph.requests[-1]


def make_refusal(world: World, request: Request, ago: float = 0) -> dict[str, Any]:
    return world.status(request.wamid, "failed", opaque=request.outbox_id, ago=ago, **CLOSED)


async def count_sends(world: World) -> int:
    return world.graph.texts().count(WORDS)


@pytest.mark.parametrize("together", [True, False])
async def test_a_refusal_that_comes_twice_is_one(world: World, together: bool) -> None:
    request = await answer(world)
    twice = [make_refusal(world, request, ago=3), make_refusal(world, request, ago=1)]
    async with world.working():
        for some in [twice] if together else [[one] for one in twice]:
            await world.receive(*some)
            await world.until(lambda: has_nothing_pending(world))
        await world.until(lambda: last_is(world, "held"))
        await world.write("Here I am")
        await world.at_rest()
    assert await count_sends(world) == 2


async def has_nothing_pending(world: World) -> bool:
    return not await world.rows("SELECT 1 FROM item WHERE fate = 'pending'")


@pytest.mark.parametrize("straggler", ["sent", "failed"])
async def test_what_is_late_about_the_first_leaves_the_second_alone(world: World, straggler: str) -> None:
    request = await answer(world)
    async with world.working():
        await world.receive(make_refusal(world, request))
        await world.until(lambda: last_is(world, "held"))
        more: dict[str, Any] = CLOSED if straggler == "failed" else {}
        for ago in range(2, 7):
            await world.receive(world.status(request.wamid, straggler, opaque=request.outbox_id, ago=ago, **more))
        await world.until(lambda: has_nothing_pending(world))
        assert await last_is(world, "held")
        await world.write("Here I am")
        await world.at_rest()
    assert await count_sends(world) == 2


async def test_a_late_refusal_does_not_send_what_is_being_sent(world: World) -> None:
    request = await answer(world)
    slow = asyncio.Event()
    async with world.working():
        await world.receive(make_refusal(world, request))
        await world.until(lambda: last_is(world, "held"))
        world.graph.script.append(Reply(held=slow))
        await world.write("Here I am")
        await world.graph.until(len(world.graph.requests) + 1)
        await world.receive(make_refusal(world, request, ago=5))
        await world.until(lambda: has_nothing_pending(world))
        slow.set()
        await world.at_rest()
    assert await count_sends(world) == 2
    assert await last_is(world, "accepted")
    assert not [status for status, _ in await world.sends() if status == "held"]


async def test_a_refusal_that_overtakes_the_answer_counts_once(world: World) -> None:
    ticket_id = await ticket(world)
    slow = asyncio.Event()
    world.graph.script.append(Reply(held=slow))
    async with world.working():
        await world.replies.write(AGENT, ticket_id, WORDS)
        await world.graph.until(len(world.graph.requests) + 1)
        request = world.graph.requests[-1]
        await world.receive(make_refusal(world, request, ago=2))
        await world.receive(make_refusal(world, request, ago=1))
        await world.until(lambda: has_nothing_pending(world))
        slow.set()
        await world.until(lambda: last_is(world, "held"))
        await world.write("Here I am")
        await world.at_rest()
    assert await count_sends(world) == 2


async def test_the_second_is_known_by_its_row_before_its_own_id_is(world: World) -> None:
    request = await answer(world)
    async with world.working():
        await world.receive(make_refusal(world, request))
        await world.until(lambda: last_is(world, "held"))
        world.graph.script.append(Reply(lost=True))
        await world.write("Here I am")
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))
        second = world.graph.requests[-1]
        assert second.outbox_id == request.outbox_id
        await world.receive(world.status(second.wamid, "delivered", opaque=second.outbox_id))
        await world.at_rest()
    assert await count_sends(world) == 2


async def test_what_a_template_could_not_carry_waits_for_nobody_who_wrote_meanwhile(world: World) -> None:
    request = await answer(world)
    paused: dict[str, Any] = {"errors": [{"code": 132015, "title": "Template is paused"}]}
    async with world.working():
        await world.write("Here I am")
        await world.at_rest()
        await world.receive(world.status(request.wamid, "failed", opaque=request.outbox_id, **paused))
        await world.until(lambda: has_nothing_pending(world))
        await world.at_rest()
    assert await count_sends(world) == 2
    assert {status for status, _ in await world.sends()} == {"accepted"}


@pytest.mark.parametrize(
    ("code", "ahead_seconds"), [(131000, 6), (131016, 6), (130429, 2), (131056, 2), (131057, 61), (80007, 301)]
)
async def test_what_may_pass_is_tried_again_after_its_wait(world: World, code: int, ahead_seconds: float) -> None:
    request = await answer(world)
    failed = world.status(request.wamid, "failed", opaque=request.outbox_id, errors=[{"code": code, "title": "No"}])
    async with world.working():
        await world.receive(failed)
        await world.until(lambda: last_is(world, "queued"))
        ((reason,),) = await world.rows("SELECT detail FROM outbox WHERE status = 'queued'")
        assert reason.endswith(f"(Meta's code {code}: No).")
        assert await count_sends(world) == 1
        await world.later(ahead_seconds)
        await world.until(lambda: last_is(world, "accepted"))
    assert await count_sends(world) == 2
    assert world.graph.requests[-1].outbox_id == request.outbox_id


async def test_a_prompt_is_tried_again_too_and_nothing_for_ever(world: World) -> None:
    async with world.working():
        await world.write("Hi")
        for tries in range(1, 5):
            await world.graph.until(tries)
            await world.until(lambda: last_is(world, "accepted"))
            request = world.graph.requests[-1]
            await world.receive(world.status(request.wamid, "failed", errors=[{"code": 131000, "title": "No"}]))
            await world.until(lambda: last_is(world, "queued" if tries < 4 else "failed"))  # noqa: B023 - run here
            await world.later(60)
    assert len(world.graph.requests) == 4


@pytest.mark.parametrize("code", [190, 131042, 131048])
async def test_what_would_stop_the_channel_is_told(world: World, code: int) -> None:
    request = await answer(world)
    failed = world.status(request.wamid, "failed", errors=[{"code": code, "title": "Sorry"}])
    async with world.working():
        await world.receive(failed)
        await world.until(lambda: last_is(world, "failed"))
    async with world.database.reading() as tx:
        (alert,) = [alert for alert in await alerts.list_open(tx) if alert.subject == f"sending:{code}"]
    assert alert.severity == "red"
    assert alert.message.startswith("Meta took a message, and refused it afterwards")
    assert alert.message.endswith(describe_refusal(classify_error(code).reason, code, "Sorry"))
