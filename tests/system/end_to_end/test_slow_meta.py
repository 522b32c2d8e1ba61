"""Meta takes its time over one request: the customer's next message is handled meanwhile, and answered in its order."""

import asyncio

import pytest

from api.simulator import bodies
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.scripted_graph import ScriptedAnswer
from tests.system.end_to_end.tick import ANN, NUMBER, Tick

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", params=[Variant("sqlite", "instant"), Variant("mariadb", "instant")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


async def test_turns_go_on_while_a_send_is_under_way(tick: Tick) -> None:
    gate = asyncio.Event()
    tick.graph.script.append(ScriptedAnswer(gate=gate))

    async def under_way() -> bool:
        return len(tick.graph.sends) == 1

    await tick.post(bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message("The printer is broken")]))
    await tick.wait_until("our answer is on its way", under_way)
    await tick.post(bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message("It smokes")]))

    async def both_done() -> bool:
        return await tick.read_items() == [["message", "done", ""]] * 2

    await tick.wait_until("both turns are committed while the first answer of ours is still on its way", both_done)
    assert len(tick.graph.sends) == 1
    gate.set()

    async def both_sent() -> bool:
        return len(tick.graph.sends) == 2

    await tick.wait_until("the second answer follows the first", both_sent)
    await tick.wait_until_at_rest()
    ids = [body["biz_opaque_callback_data"] for body in tick.graph.sends]
    assert ids == sorted(ids, key=int)
    assert len(set(ids)) == 2
