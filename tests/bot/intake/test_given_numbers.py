"""A number that a customer gives when asked: believed as far as nobody can take somebody else's by it."""

import asyncio
from typing import Any

import pytest

from bot.lane_state import LaneState
from storage import outbox
from storage.outbox import OutboxRow
from storage.redis.lanes import ClaimedLane
from storage.sql.database import Tx
from storage.statuses import Origin, OutboxStatus
from tests.bot.graph import LOST
from tests.bot.world import ANNE, BEN, World

ANNES, BENS = "US.1349", "US.7777"
PHONE = f"p:{ANNE}"
GIVEN = f"g:{ANNE}"


async def ask_for_number(
    world: World, bsuid: str = ANNES, *, status: str = "sent", wamid: str | None = "wamid.asked"
) -> int:
    """A customer whose phone is hidden, and whom an agent has asked for it."""
    await world.write("Hi", phone="", bsuid=bsuid)
    customer_id = (await world.customers())[f"b:{bsuid}"]
    payload = '{"type":"contact_request","text":"Your number?"}'
    at, outbox_id = world.clock(), world.ids.next()
    row = OutboxRow(outbox_id, customer_id, 0, Origin.AGENT, payload, at, status=OutboxStatus(status))

    async def send(tx: Tx) -> None:
        await outbox.insert(tx, [row])
        await tx.execute("UPDATE outbox SET wamid = ? WHERE id = ?", [wamid, row.outbox_id])

    await world.database.run(send)
    return customer_id


def card(world: World, phone: str = ANNE, *, bsuid: str = ANNES, **entry: Any) -> dict[str, Any]:
    """Their answer."""
    value = world.message(phone="", bsuid=bsuid)
    (message,) = value["messages"]
    del message["text"]
    phones = [{"phone": f"+{phone}", "wa_id": phone} | entry]
    message |= {"type": "contacts", "contacts": [{"origin": "contact_request", "phones": phones}]}
    return value


async def writers(world: World) -> list[int]:
    """Whose each item is, in the order of arrival."""
    return [row[0] for row in await world.rows("SELECT customer_id FROM item ORDER BY id")]


async def read_address(world: World, customer_id: int) -> str:
    """Where they are answered, once what they wrote is handled."""
    await world.play([ClaimedLane(customer_id, None, None)])
    ((body,),) = await world.rows("SELECT body FROM conversation WHERE customer_id = ?", customer_id)
    return LaneState.from_json(body).address


async def alerts(world: World) -> list[str]:
    return [row[0] for row in await world.rows("SELECT message FROM alert WHERE cleared_at IS NULL")]


async def test_who_gives_their_number_is_known_by_it(world: World) -> None:
    annes = await ask_for_number(world)
    await world.receive(card(world, user_id=ANNES))
    assert await world.customers() == {f"b:{ANNES}": annes, GIVEN: annes}
    await world.write("It is me", phone=ANNE)
    assert set(await writers(world)) == {annes}
    assert await read_address(world, annes) == ANNE, "where they last wrote from"
    assert await alerts(world) == []


async def test_meta_confirms_it(world: World) -> None:
    annes = await ask_for_number(world)
    await world.receive(card(world), world.message("It is me", phone=ANNE, bsuid=ANNES))
    assert await world.customers() == {f"b:{ANNES}": annes, PHONE: annes}
    await world.write("And me", phone=ANNE)
    assert set(await writers(world)) == {annes}
    assert await alerts(world) == []


async def test_news_of_an_answer_to_it_is_news_of_theirs(world: World) -> None:
    """Else an answer that was lost on its way to us would go out twice."""
    annes = await ask_for_number(world)
    async with world.working():
        await world.receive(card(world))
        await world.at_rest()
        world.graph.script.append(LOST)
        await world.write("It is me", phone=ANNE)
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))
        lost = world.graph.requests[-1]
        await world.receive(world.status(lost.wamid, "delivered", opaque=lost.outbox_id))
        await world.at_rest()
    assert lost.to == f"+{ANNE}"
    assert await world.rows("SELECT status, resent FROM outbox WHERE id = ?", lost.outbox_id) == [("delivered", 0)]
    assert set(await writers(world)) == {annes}


async def test_an_answer_goes_to_where_they_wrote_from(world: World) -> None:
    annes = await ask_for_number(world)
    await world.receive(card(world))
    assert await read_address(world, annes) == ANNES


async def test_who_owns_the_number_is_somebody_else_once_they_write(world: World) -> None:
    """The card was forged: its sender gets nothing of the owner's, before and after."""
    forger = await ask_for_number(world)
    await world.receive(card(world))
    await world.write("I have a question", phone=ANNE, bsuid=BENS)
    owner = (await writers(world))[-1]
    assert owner != forger
    assert await world.customers() == {f"b:{ANNES}": forger, PHONE: owner, f"b:{BENS}": owner}
    await world.write("And another", phone=ANNE)
    assert (await writers(world))[-1] == owner
    (alert,) = await alerts(world)
    assert ANNE[-4:] in alert
    assert ANNE not in alert
    await world.receive(card(world))
    assert GIVEN not in await world.customers(), "a number that is somebody's can't be given"
    assert len(await alerts(world)) == 1


async def test_what_an_agent_sends_to_the_number_is_not_for_who_gave_it(world: World) -> None:
    forger = await ask_for_number(world)
    await world.receive(card(world))
    assert await world.agents.find_customer(ANNE) is None
    assert forger in set(await writers(world))


async def test_an_echo_or_a_handover_by_the_number_alone_is_not_for_who_gave_it(world: World) -> None:
    forger = await ask_for_number(world)
    await world.receive(card(world))
    echo = world.message("We will call you.")["messages"][0] | {"from": "15550783881", "to": ANNE}
    await world.receive({"message_echoes": [echo]}, field="smb_message_echoes")
    assert (await writers(world))[-1] != forger


async def test_a_number_of_somebody_else_is_not_taken(world: World) -> None:
    await world.write("Hi", phone=ANNE, bsuid=BENS)
    before = await world.customers()
    forger = await ask_for_number(world)
    await world.receive(card(world))
    assert await world.customers() == before | {f"b:{ANNES}": forger}
    (alert,) = await alerts(world)
    assert "another customer" in alert
    await world.receive(card(world))
    assert await alerts(world) == [alert]


async def test_a_number_is_given_once(world: World) -> None:
    annes = await ask_for_number(world)
    await world.receive(card(world), card(world, BEN))
    assert await world.customers() == {f"b:{ANNES}": annes, GIVEN: annes}
    await world.receive(card(world, BEN))
    assert await world.customers() == {f"b:{ANNES}": annes, GIVEN: annes}


async def test_another_form_of_a_number_that_is_somebodys_is_theirs(world: World) -> None:
    await world.write("Hi", phone="5541988887777")
    before = await world.customers()
    forger = await ask_for_number(world)
    await world.receive(card(world, "554188887777"))
    assert await world.customers() == before | {f"b:{ANNES}": forger}


@pytest.mark.parametrize(("status", "wamid"), [("failed", "wamid.asked"), ("queued", None), ("held", None)])
async def test_who_was_not_asked_gives_nothing(world: World, status: str, wamid: str | None) -> None:
    annes = await ask_for_number(world, status=status, wamid=wamid)
    await world.receive(card(world))
    assert await world.customers() == {f"b:{ANNES}": annes}
    assert await alerts(world) == []


async def test_who_has_a_number_gives_none(world: World) -> None:
    annes = await ask_for_number(world)
    await world.write("Hi", phone=BEN, bsuid=ANNES)
    await world.receive(card(world))
    assert await world.customers() == {f"b:{ANNES}": annes, f"p:{BEN}": annes}


async def test_a_number_that_was_given_goes_with_the_customer_who_changes_it(world: World) -> None:
    annes = await ask_for_number(world)
    await world.receive(card(world))
    change = world.message(phone=ANNE, bsuid=ANNES)
    (message,) = change["messages"]
    del message["text"], change["contacts"]
    message |= {"type": "system", "system": {"type": "user_changed_number", "wa_id": BEN}}
    await world.receive(change)
    assert await world.customers() == {f"o:{ANNES}": annes, f"p:{BEN}": annes}, "a new number has a new user id"


async def test_two_processes_are_given_the_same_number_at_once(world: World) -> None:
    """By two customers: one of them has it."""
    await ask_for_number(world)
    await ask_for_number(world, BENS)
    one, two = world.another(), world.another()
    await asyncio.gather(one.receive(card(world)), two.receive(card(world, bsuid=BENS)))
    assert [alias for alias in await world.customers() if alias.startswith("g:")] == [GIVEN]
    assert len(await alerts(world)) == 1
