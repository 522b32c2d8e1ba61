"""Bad inputs among the delivery statuses, each named after its number in the catalogue: a status counts for the message
of ours that it is about, for the customer it came from, and never backwards.
"""

import asyncio

import pytest

from api.simulator import bodies
from api.simulator.bodies import Person
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.scripted_graph import ScriptedAnswer
from tests.system.end_to_end.tick import ANN, BEN, NUMBER, STATUS_GIVEN_UP, Tick

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = ["status", "ignored", "unknown_message"]
WAITS = ["status", "pending", ""]
DONE = ["status", "done", ""]
SUPERSEDED = ["status", "ignored", "superseded"]


@pytest.fixture(scope="module", params=[Variant("sqlite", "instant"), Variant("mariadb", "instant")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


async def statuses(tick: Tick) -> list[list[str]]:
    return [item for item in await tick.read_items() if item[0] == "status"]


async def wait_for_statuses(tick: Tick, *wanted: list[str]) -> None:
    """Waits until the statuses have these fates."""

    async def have_become() -> bool:
        return await statuses(tick) == list(wanted)

    await tick.wait_until(f"the statuses become {wanted}", have_become)


async def row(tick: Tick) -> tuple[str, str]:
    """(id, status) of the only message of ours."""
    ((outbox_id, status),) = await tick.tables.fetch("SELECT id, status FROM outbox")
    return str(outbox_id), status


async def test_bad_input_33_a_status_of_a_message_that_nobody_knows(tick: Tick) -> None:
    await tick.write("It is broken")
    await tick.report_status("wamid.NEVER", "delivered")
    await wait_for_statuses(tick, WAITS)
    await tick.wait_until_at_rest()
    assert await statuses(tick) == [UNKNOWN]
    assert (await row(tick))[1] == "accepted"


async def in_flight(tick: Tick) -> asyncio.Event:
    """A customer has written, and our answer is on its way to them: set the event to let it arrive."""
    gate = asyncio.Event()
    tick.graph.script.append(ScriptedAnswer(gate=gate))
    await tick.post(bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message("It is broken")]))

    async def asked() -> bool:
        return bool(tick.graph.wamids)

    await tick.wait_until("our answer reaches the Graph API", asked)
    return gate


@pytest.mark.parametrize("named", [False, True])
async def test_bad_input_33_a_status_before_our_send_is_recorded(tick: Tick, named: bool) -> None:
    gate = await in_flight(tick)
    outbox_id, status = await row(tick)
    await tick.report_status(tick.graph.wamids[0], "sent", "delivered", opaque=outbox_id if named else "")
    assert (status, await statuses(tick)) == ("sending", [WAITS, WAITS])
    gate.set()
    await wait_for_statuses(tick, DONE, DONE)
    assert (await row(tick))[1] == "delivered"


async def test_bad_input_33_a_status_that_was_given_up_before_our_send_is_recorded(tick: Tick) -> None:
    gate = await in_flight(tick)
    await tick.report_status(
        tick.graph.wamids[0], "delivered", person=Person(user_id="US.1349")
    )  # an id that is new to us
    await wait_for_statuses(tick, WAITS)
    tick.clock.advance(STATUS_GIVEN_UP)
    await wait_for_statuses(tick, UNKNOWN)
    gate.set()
    await wait_for_statuses(tick, DONE)
    assert (await row(tick))[1] == "delivered"


async def test_bad_input_34_statuses_that_run_backwards(tick: Tick) -> None:
    await tick.write("It is broken")
    for name in ("read", "delivered", "sent"):
        await tick.report_status(tick.graph.wamids[0], name)
        await tick.wait_until_at_rest()
        assert (await row(tick))[1] == "read"
    assert await statuses(tick) == [DONE, SUPERSEDED, SUPERSEDED]


@pytest.mark.parametrize("together", [False, True])
async def test_bad_input_35_failed_after_read(tick: Tick, together: bool) -> None:
    await tick.write("It is broken")
    for names in (("read", "failed"),) if together else (("read",), ("failed",)):
        await tick.report_status(tick.graph.wamids[0], *names)
        await tick.wait_until_at_rest()
    assert (await row(tick))[1] == "read"
    assert await statuses(tick) == [DONE, SUPERSEDED]


@pytest.mark.parametrize("recorded", [False, True])
async def test_bad_input_36_a_status_with_the_key_of_anothers_message(tick: Tick, recorded: bool) -> None:
    """Ben's statuses name Ann's message, by our id of it, by Meta's, or by both."""
    await tick.write("Mine too", person=BEN)
    await tick.tables.fetch("DELETE FROM outbox")
    await tick.tables.fetch("DELETE FROM kept_count WHERE counted = 'outbox'")
    tick.graph.reset()
    gate = await in_flight(tick)
    if recorded:
        gate.set()
        await tick.wait_until_settled()
    outbox_id, before = await row(tick)
    wamid = tick.graph.wamids[0]
    await tick.report_status("wamid.FORGED", "read", opaque=outbox_id, person=BEN)
    await tick.report_status(wamid, "read", person=BEN)
    await tick.report_status(wamid, "failed", opaque=outbox_id, person=BEN)
    if recorded:  # Ann's own wamid, but not the message with this id
        await tick.report_status("wamid.FORGED", "failed", opaque=outbox_id, person=ANN)
    forged = await statuses(tick)
    assert forged == [WAITS] * len(forged)
    tick.clock.advance(STATUS_GIVEN_UP)
    await wait_for_statuses(tick, *[UNKNOWN] * len(forged))
    assert await row(tick) == (outbox_id, before)
    gate.set()
    await tick.wait_until_settled()
    assert (await row(tick))[1] == "accepted"


async def test_bad_input_36_a_strangers_status_with_our_key(tick: Tick) -> None:
    gate = await in_flight(tick)
    outbox_id, _ = await row(tick)
    await tick.report_status("wamid.FORGED", "read", opaque=outbox_id, person=BEN)
    for at, key in enumerate(("", "0", "-1", "9" * 30, "x", "١", outbox_id + " ")):
        await tick.report_status(f"wamid.FORGED{at}", "read", opaque=key, person=BEN)
    tick.clock.advance(STATUS_GIVEN_UP)
    await wait_for_statuses(tick, *[UNKNOWN] * 8)
    gate.set()
    await tick.wait_until_settled()
    assert (await row(tick))[1] == "accepted"
