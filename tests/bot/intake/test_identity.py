"""Who writes, by the ids that Meta names: a phone that changes hands, a notice of a new number or id, a name."""

from datetime import timedelta
from typing import Any

import pytest

from bot.lane_state import LaneState
from storage import outbox
from storage.outbox import OutboxRow
from storage.redis.lanes import ClaimedLane
from storage.sql.database import Tx
from storage.statuses import Origin
from tests.bot.world import AGENT, ANNE, BEN, World

ANNES, BENS, NEW = "US.1349", "US.7777", "US.2222"
LOCAL, WITH_NINE = "554188887777", "5541988887777"  # one Brazilian number


async def owners(world: World) -> list[int]:
    """Whose each item is, in the order of arrival."""
    return [row[0] for row in await world.rows("SELECT customer_id FROM item ORDER BY id")]


async def write(world: World, phone: str, bsuid: str = "", *, ago: float = 0, text: str = "Hi") -> int:
    """Somebody writes; returns who it is taken for."""
    await world.write(text, phone=phone, bsuid=bsuid, ago=ago)
    return (await owners(world))[-1]


async def notes(world: World) -> list[tuple[int, str]]:
    """What agents read on tickets besides what was said: whose the ticket is, and the text."""
    return [
        (customer_id, message)
        for customer_id, message in await world.rows(
            "SELECT ticket.customer_id, reply.message FROM reply JOIN ticket ON ticket.id = reply.ticket_id "
            "WHERE reply.kind = 'note' AND reply.author = 'system' ORDER BY reply.id"
        )
    ]


async def alerts(world: World) -> list[str]:
    return [row[0] for row in await world.rows("SELECT message FROM alert WHERE cleared_at IS NULL")]


async def play(world: World, *customer_ids: int) -> None:
    await world.play([ClaimedLane(customer_id, None, None) for customer_id in sorted(set(customer_ids))])


async def open_ticket(world: World, phone: str, bsuid: str, *, ago: float = 100) -> int:
    """Somebody opens a ticket; returns who it is."""
    for text in ("My printer is on fire", "hardware", "yes"):
        await play(world, await write(world, phone, bsuid, ago=ago, text=text))
    return (await owners(world))[-1]


async def change(world: World, sql: str, *values: object) -> None:
    """Changes a table by hand."""
    world.is_written_by_hand = True
    await world.database.run(lambda tx: tx.execute(sql, values))


async def read_state(world: World, customer_id: int) -> LaneState:
    ((body,),) = await world.rows("SELECT body FROM conversation WHERE customer_id = ?", customer_id)
    return LaneState.from_json(body)


def notice(world: World, kind: str, *, ago: float = 0, sender: dict[str, str], **system: str) -> dict[str, Any]:
    """Meta's notice, with what stands in `from` and `from_user_id`."""
    value = world.message(ago=ago)
    (message,) = value["messages"]
    del value["contacts"], message["from"], message["text"]
    message |= sender | {"type": "system", "system": {"type": kind, "body": "…"} | system}
    return value


def new_number(world: World, *, ago: float = 0, sender: dict[str, str] | None = None, **system: str) -> dict[str, Any]:
    return notice(world, "user_changed_number", ago=ago, sender=sender or {}, **system)


# a phone that comes with another user id


async def test_a_phone_that_comes_with_another_user_id_is_another_person(world: World) -> None:
    first = await open_ticket(world, ANNE, ANNES)
    second = await write(world, ANNE, BENS)
    assert first != second
    assert await world.customers() == {f"b:{ANNES}": first, f"p:{ANNE}": second, f"b:{BENS}": second}
    assert await write(world, ANNE) == second
    assert await write(world, "", ANNES) == first
    (alert,) = await alerts(world)
    assert ANNE[-4:] in alert
    assert ANNE not in alert


async def test_agents_read_on_both_that_the_number_moved(world: World) -> None:
    first = await open_ticket(world, ANNE, ANNES)
    second = await open_ticket(world, ANNE, BENS, ago=50)
    moved = [
        (first, f"[+{ANNE} now belongs to another customer, so nothing more is sent there]"),
        (second, f"[+{ANNE} belonged to another customer before]"),
    ]
    assert await notes(world) == moved
    await write(world, ANNE, BENS, text="It burns still", ago=40)
    await play(world, second)
    assert await notes(world) == moved, "once"
    events = await world.rows("SELECT customer_id FROM ticket_event WHERE kind = 'note' AND author = 'system'")
    assert events == [(first,), (second,)]
    actions = await world.rows("SELECT actor, action, object_id FROM audit")
    assert actions == [("WhatsApp", "customer.number_moved", str(second))]


async def test_a_closed_ticket_shows_it_where_none_is_open(world: World) -> None:
    first = await open_ticket(world, ANNE, ANNES)
    await change(world, "UPDATE ticket SET status = 'closed'")
    await write(world, ANNE, BENS)
    assert [customer_id for customer_id, _ in await notes(world)] == [first]


async def test_the_new_owner_hears_nothing_of_the_first(world: World) -> None:
    """Neither a ticket's number nor an answer that was on its way."""
    async with world.working():
        await world.write("My printer is on fire", "hardware", "yes", phone=ANNE, bsuid=ANNES)
        await world.at_rest()
        ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
        before = len(world.graph.requests)
        await world.write("Any news?", phone=ANNE, bsuid=BENS)
        await world.at_rest()
        await world.replies.write(AGENT, ticket_id, "Your password is secret.")
        await world.at_rest()
    to_phone = [request.text for request in world.graph.requests[before:] if request.to == f"+{ANNE}"]
    assert len(to_phone) == 1
    assert not [text for text in to_phone if f"#{ticket_id}" in text or "secret" in text]
    answered = world.graph.requests[-1]
    assert (answered.to, answered.text) == (ANNES, "Your password is secret.")


@pytest.mark.parametrize("status", ["queued", "held"])
async def test_what_waited_for_the_first_goes_to_their_user_id(world: World, status: str) -> None:
    first = await open_ticket(world, ANNE, ANNES)
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    await change(world, "DELETE FROM outbox")
    await world.replies.write(AGENT, ticket_id, "The secret is out.")
    await change(world, "UPDATE outbox SET status = ?", status)
    await write(world, ANNE, BENS)
    await write(world, "", ANNES)
    async with world.working():
        await world.at_rest()
    sent = [request.to for request in world.graph.requests if "secret" in request.text]
    assert sent == [ANNES]
    assert (await read_state(world, first)).address == ANNES


async def test_what_leads_to_nobody_fails_and_says_why(world: World) -> None:
    """The first was known by the phone alone, and Meta says that it is another's."""
    first = await open_ticket(world, ANNE, "")
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    await change(world, "DELETE FROM outbox")
    second = await write(world, "", BENS)
    assert await write(world, ANNE, BENS) == second != first
    sent = await world.replies.write(AGENT, ticket_id, "The secret is out.")
    async with world.working():
        await world.at_rest()
    assert "The secret is out." not in world.graph.texts()
    rows = await world.rows("SELECT status, reason FROM outbox WHERE id = ?", sent.reply.outbox_id)
    assert rows == [("failed", "no_address")]


async def test_an_id_that_was_replaced_is_written_to_where_nothing_else_leads(world: World) -> None:
    """Nobody else will ever have it. To look for a better one again and again would never end."""
    first = await open_ticket(world, ANNE, ANNES)
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    await change(world, "DELETE FROM outbox")
    await world.receive(new_number(world, ago=60, previous_user_id=ANNES, wa_id=BEN))
    second = await write(world, "", BENS, ago=50)
    await world.receive(new_number(world, ago=40, previous_user_id=BENS, user_id=NEW, wa_id=BEN))
    assert await world.customers() == {f"o:{ANNES}": first, f"p:{BEN}": second, f"b:{NEW}": second, f"o:{BENS}": second}
    sent = await world.replies.write(AGENT, ticket_id, "The secret is out.")
    async with world.working():
        await world.at_rest()
    assert [request.to for request in world.graph.requests if "secret" in request.text] == [ANNES]
    assert await world.rows("SELECT status FROM outbox WHERE id = ?", sent.reply.outbox_id) == [("accepted",)]


async def test_a_template_follows_the_customer_too(world: World) -> None:
    first = await open_ticket(world, ANNE, ANNES)
    payload = '{"type":"template","name":"hello","language":"en","parameters":{}}'
    row = OutboxRow(world.ids.next(), first, 9, Origin.AGENT, payload, world.clock())

    world.is_written_by_hand = True

    async def replace_rows(tx: Tx) -> None:
        await tx.execute("DELETE FROM outbox")
        await outbox.insert(tx, [row])

    await world.database.run(replace_rows)
    await write(world, ANNE, BENS)
    async with world.working():
        await world.at_rest()
    assert await world.rows("SELECT status FROM outbox WHERE id = ?", row.outbox_id) == [("accepted",)]
    assert {request.to for request in world.graph.requests if request.outbox_id == row.outbox_id} == {ANNES}


async def test_a_phone_goes_to_the_user_id_that_meta_names_beside_it(world: World) -> None:
    """Both are known, and are two customers: the user id says who writes, and nobody is merged."""
    by_phone = await write(world, ANNE)
    by_id = await write(world, "", BENS)
    assert await write(world, ANNE, BENS) == by_id != by_phone
    assert await world.customers() == {f"p:{ANNE}": by_id, f"b:{BENS}": by_id}
    assert len(await world.rows("SELECT 1 FROM customer")) == 2


async def test_who_had_no_user_id_gets_the_first_that_comes_with_their_phone(world: World) -> None:
    annes = await write(world, WITH_NINE)
    assert await write(world, LOCAL, ANNES) == annes
    assert await write(world, LOCAL, BENS) != annes


async def test_a_straggler_takes_no_number_back(world: World) -> None:
    """Else answers to the first would go to its new owner again."""
    first = await write(world, ANNE, ANNES, ago=100)
    second = await write(world, ANNE, BENS, ago=50)
    assert await write(world, ANNE, ANNES, ago=90) == first
    assert (await world.customers())[f"p:{ANNE}"] == second
    assert await write(world, ANNE, ANNES, ago=10) == first
    assert (await world.customers())[f"p:{ANNE}"] == first


async def test_who_writes_from_another_number_has_given_up_the_one_from_before(world: World) -> None:
    annes = await open_ticket(world, ANNE, ANNES)
    assert await write(world, BEN, ANNES) == annes
    assert await world.customers() == {f"b:{ANNES}": annes, f"p:{BEN}": annes}
    assert await notes(world) == [(annes, f"[they now write from +{BEN}]")]
    await write(world, ANNE, ANNES, ago=50)
    assert f"p:{ANNE}" not in await world.customers(), "a straggler"


# the same elsewhere


async def test_an_echo_to_another_user_id_is_not_on_the_firsts_ticket(world: World) -> None:
    first = await write(world, ANNE, ANNES, ago=50)
    echo = world.message("Your new password")["messages"][0] | {"from": "15550783881", "to": ANNE, "to_user_id": BENS}
    await world.receive({"message_echoes": [echo]}, field="smb_message_echoes")
    assert (await owners(world))[-1] != first


async def test_a_handover_of_another_user_id_is_another_person(world: World) -> None:
    first = await write(world, ANNE, ANNES, ago=50)
    at = str(int(world.clock().timestamp()))
    value = {"sender": {"phone_number": ANNE, "user_id": BENS}, "type": "control_passed", "timestamp": at}
    await world.receive(value, field="messaging_handovers")
    assert (await owners(world))[-1] != first


async def test_a_status_that_names_another_user_id_says_nothing_of_the_first(world: World) -> None:
    await write(world, ANNE, ANNES)
    await world.receive(world.status("wamid.1", "read", phone=ANNE, recipient_user_id=BENS))
    await world.receive(world.status("wamid.2", "read", phone=ANNE, recipient_user_id=ANNES))
    assert (await owners(world))[1:] == [0, (await owners(world))[0]]
    assert len(await world.rows("SELECT 1 FROM customer")) == 1


async def test_a_status_without_a_recipient_is_found_by_its_wamid(world: World) -> None:
    async with world.working():
        await world.write("Hi")
        await world.at_rest()
        (request,) = world.graph.requests
        value = world.status(request.wamid, "delivered")
        del value["statuses"][0]["recipient_id"]
        await world.receive(value)
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'delivered'"))
    assert await world.fates() == [("done", "")] * 2


async def test_an_agent_who_writes_to_a_number_reaches_whose_it_is_now(world: World) -> None:
    await write(world, ANNE, ANNES, ago=50)
    second = await write(world, ANNE, BENS)
    assert await world.agents.find_customer(ANNE) == second


async def test_a_number_that_was_given_goes_to_whom_a_notice_names(world: World) -> None:
    giver, annes = await write(world, "", BENS, ago=50), await write(world, ANNE, ANNES, ago=50)
    await world.database.run(lambda tx: tx.insert("alias", ("alias", "customer_id"), [(f"g:{BEN}", giver)]))
    await world.receive(new_number(world, previous_user_id=ANNES, user_id=NEW, wa_id=BEN))
    assert await world.customers() == {f"b:{BENS}": giver, f"p:{BEN}": annes, f"b:{NEW}": annes, f"o:{ANNES}": annes}
    assert len(await alerts(world)) == 1


async def test_nobody_has_our_own_number(world: World) -> None:
    value = world.message("to myself", phone="15550783881")
    value["metadata"] = {"phone_number_id": "106540352242922", "display_phone_number": "+1 555-078-3881"}
    await world.receive(value)
    assert await world.fates() == [("ignored", "own_number")]
    assert await world.customers() == {}


# Meta's notices


@pytest.mark.parametrize(
    "sender",
    [{}, {"from_user_id": NEW}, {"from": BEN, "from_user_id": NEW}, {"from": ANNE, "from_user_id": ANNES}],
    ids=["nobody", "the new id", "the new ones", "the old ones"],
)
async def test_a_number_change_is_found_by_the_former_user_id(world: World, sender: dict[str, str]) -> None:
    annes = await write(world, ANNE, ANNES, ago=50)
    await world.receive(new_number(world, sender=sender, previous_user_id=ANNES, user_id=NEW, wa_id=BEN))
    assert await world.customers() == {f"p:{BEN}": annes, f"b:{NEW}": annes, f"o:{ANNES}": annes}
    assert await write(world, BEN, NEW) == annes
    assert await write(world, ANNE) != annes, "the old number is free"


@pytest.mark.parametrize("sender", [{}, {"from_user_id": NEW}, {"from_user_id": ANNES}])
async def test_a_change_of_the_user_id_alone(world: World, sender: dict[str, str]) -> None:
    annes = await write(world, "", ANNES, ago=50)
    change = notice(world, "user_changed_user_id", sender=sender, previous_user_id=ANNES, user_id=NEW)
    await world.receive(change)
    assert await world.customers() == {f"b:{NEW}": annes, f"o:{ANNES}": annes}
    await play(world, annes)
    assert (await read_state(world, annes)).address == NEW


async def test_a_hidden_new_number_leaves_the_old_one_to_others(world: World) -> None:
    """A new user id comes with a new number: nothing is sent to the old one from then on, not even what was queued
    before."""
    annes = await write(world, ANNE, ANNES, ago=50)
    await play(world, annes)
    change = notice(world, "user_changed_user_id", sender={}, previous_user_id=ANNES, user_id=NEW)
    await world.receive(change)
    assert await world.customers() == {f"b:{NEW}": annes, f"o:{ANNES}": annes}
    async with world.working():
        await world.at_rest()
    assert {request.to for request in world.graph.requests} == {NEW}


async def test_a_new_number_goes_to_whom_meta_names_whoever_had_it(world: World) -> None:
    annes, bens = await open_ticket(world, ANNE, ANNES), await open_ticket(world, BEN, BENS)
    await world.receive(new_number(world, sender={"from": ANNE, "from_user_id": ANNES}, wa_id=BEN))
    assert await world.customers() == {f"p:{BEN}": annes, f"o:{ANNES}": annes, f"b:{BENS}": bens}
    assert await write(world, BEN, "US.9999") == annes, "the id that a new number brings, and the notice did not say"
    await play(world, annes, bens)
    assert (await read_state(world, bens)).address == BENS
    said = await notes(world)
    assert {customer_id for customer_id, _ in said} == {annes, bens}
    assert (annes, f"[their number is now +{BEN}]") in said


async def test_a_user_id_that_is_used_long_after_it_was_replaced_is_theirs_again(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=50)
    await world.receive(new_number(world, ago=40, sender={"from": ANNE, "from_user_id": ANNES}, wa_id=BEN))
    assert await write(world, "", ANNES, ago=45) == annes
    assert f"o:{ANNES}" in await world.customers()
    assert await write(world, "", ANNES, ago=30) == annes
    assert await world.customers() == {f"p:{BEN}": annes, f"b:{ANNES}": annes}


async def test_a_notice_that_comes_late_undoes_nothing_newer(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=100)
    older = new_number(world, ago=80, previous_user_id=ANNES, user_id=NEW, wa_id=BEN)
    await world.receive(new_number(world, ago=40, previous_user_id=ANNES, user_id="US.3333", wa_id="15550003333"))
    await world.receive(older)
    now = {"p:15550003333": annes, "b:US.3333": annes}
    assert await world.customers() == now | {f"o:{ANNES}": annes, f"o:{NEW}": annes}


async def test_a_notice_by_a_phone_that_is_anothers_by_now_is_not_about_them(world: World) -> None:
    """The number has a new owner, and only now comes the notice of the one who gave it up."""
    owner = await write(world, ANNE, BENS, ago=50)
    await world.receive(
        new_number(world, ago=60, sender={"from": ANNE}, previous_user_id=ANNES, user_id=NEW, wa_id=BEN)
    )
    assert (await owners(world))[-1] != owner
    assert (await world.customers())[f"p:{ANNE}"] == owner


async def test_a_notice_about_a_stranger_makes_them_known(world: World) -> None:
    await world.receive(new_number(world, previous_user_id=ANNES, user_id=NEW, wa_id=BEN))
    (known,) = set((await world.customers()).values())
    assert await write(world, BEN, NEW) == known
    assert await write(world, "", ANNES, ago=60) == known


# names


async def read_names(world: World) -> list[tuple[str, ...]]:
    return await world.rows("SELECT name FROM customer UNION ALL SELECT name FROM ticket")


async def test_a_name_that_comes_later_is_taken(world: World) -> None:
    await world.write("My printer is on fire", "hardware", "yes")
    await world.play()
    assert await read_names(world) == [("",), ("",)]
    await world.write("It smells", name="Ana Example")
    assert await read_names(world) == [("Ana Example",)] * 2


async def test_a_name_that_changes_is_taken_and_a_tickets_own_stays(world: World) -> None:
    await world.write("My printer is on fire", "hardware", "yes", name="Ana")
    await world.play()
    await change(world, "UPDATE ticket SET name = 'Ms. Example'")
    await world.write("It smells", name="Ana Example")
    assert await read_names(world) == [("Ana Example",), ("Ms. Example",)]


async def test_a_ticket_that_is_opened_without_a_name_has_the_one_that_we_know(world: World) -> None:
    await world.write("Hi", name="Ana Example")
    await world.write("My printer is on fire", "hardware", "yes")
    await world.play()
    assert await read_names(world) == [("Ana Example",)] * 2


async def test_of_names_in_one_webhook_the_last_said_counts(world: World) -> None:
    await world.receive(world.message("one", name="New", ago=1), world.message("two", name="Old", ago=9))
    assert await world.rows("SELECT name FROM customer") == [("New",)]
    await world.receive(world.message("three"), world.message("four", name="Newer"))
    assert await world.rows("SELECT name FROM customer") == [("Newer",)]


async def test_a_first_name_overtakes_no_turn(world: World) -> None:
    """The round that opens the nameless ticket either sees the name, or is seen."""
    await world.write("My printer is on fire", "hardware", "yes")
    async with world.working():
        await world.write("It smells", name="Ana Example")
        await world.at_rest()
    assert await read_names(world) == [("Ana Example",)] * 2


async def test_the_window_is_not_touched_by_any_of_it(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=100)
    await play(world, annes)
    before = (await read_state(world, annes)).last_inbound_at
    await write(world, ANNE, BENS)
    state = await read_state(world, annes)
    assert state.last_inbound_at == before
    assert before is not None
    assert world.clock() - before > timedelta(seconds=99)


LATE, SECOND, THIRD = "US.3333", "US.4444", "US.5555"


async def test_a_late_notice_of_an_id_that_was_replaced_since_joins_whom_it_made(world: World) -> None:
    """They were made under the new id, which another notice has replaced by now. Were they not joined, the older one
    would be left with a phone and no id, and taken for whoever gets that phone."""
    anne = await open_ticket(world, ANNE, ANNES, ago=5000)
    assert await write(world, "", LATE, ago=3000) != anne
    await world.receive(new_number(world, ago=2000, user_id=SECOND, previous_user_id=LATE))
    await world.receive(new_number(world, ago=4000, user_id=LATE, previous_user_id=ANNES, wa_id=BEN))
    assert await write(world, "", SECOND, ago=1000) == anne
    assert await write(world, BEN, BENS) != anne
    assert set(await owners(world)) == {anne, (await owners(world))[-1]}
    aliases = await world.rows("SELECT alias FROM alias WHERE customer_id = ? ORDER BY alias", anne)
    assert [alias for (alias,) in aliases] == [f"b:{SECOND}", f"o:{ANNES}", f"o:{LATE}"]


async def test_notices_of_one_second_in_the_wrong_order_leave_the_newest_id(world: World) -> None:
    anne = await open_ticket(world, ANNE, ANNES)
    await world.receive(new_number(world, ago=50, user_id=THIRD, previous_user_id=SECOND, wa_id="15550009999"))
    await world.receive(new_number(world, ago=50, user_id=SECOND, previous_user_id=ANNES, wa_id=BEN))
    joined = (await owners(world))[-1]
    assert joined == anne
    assert await write(world, BEN, BENS, ago=10) != anne
    assert await write(world, "", THIRD) == anne


async def test_an_id_that_comes_back_is_theirs_again(world: World) -> None:
    anne = await open_ticket(world, ANNE, ANNES)
    await world.receive(new_number(world, ago=60, user_id=NEW, previous_user_id=ANNES, wa_id=BEN))
    await world.receive(new_number(world, ago=50, user_id=ANNES, previous_user_id=NEW, wa_id=ANNE))
    assert await write(world, ANNE, BENS, ago=40) != anne
    assert await write(world, "", ANNES) == anne
