"""Who somebody is, from the socket to the answer: numbers that change hands, Meta's notices, odd ids, late names."""

import json
from typing import Any

import pytest

from api.simulator import bodies
from api.simulator.bodies import Person
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.tick import API_KEY, NUMBER, Tick

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANA = Person("Ana Example", "15550100021", "US.555000021")
ANA_LATER = Person("Ana Example", "15550100022", "US.555000022")
NEIGHBOUR = Person("Ben Example", ANA.wa_id, "US.555000029")


@pytest.fixture(scope="module", params=[Variant("sqlite", "instant"), Variant("mariadb", "instant")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


async def answer(tick: Tick, ticket_id: int, text: str) -> None:
    """An agent answers."""
    headers = {"Authorization": f"Bearer {API_KEY}"}
    body = {"ticket_id": ticket_id, "message": text}
    response = await tick.http.post("/api/replies", json=body, headers=headers)
    assert response.status_code == 201, response.text
    await tick.wait_until_settled()


async def read_thread(tick: Tick, ticket_id: int) -> list[tuple[str, str]]:
    """(author, message) of all that an agent reads on a ticket."""
    replies = await tick.read_as_agent(f"/api/replies/{ticket_id}")
    return [(reply["author"], reply["message"]) for reply in replies]


def build_notice(tick: Tick, wamid: str, **system: str) -> bytes:
    """Meta's notice as it is since 2026-08-11, where nothing stands in `from`."""
    message: dict[str, Any] = {"id": wamid, "timestamp": str(tick.now), "type": "system"}
    message["system"] = {"type": "user_changed_number", "body": "…", **system}
    return bodies.build_messages_webhook(NUMBER, [], [message])


def list_texts(tick: Tick, address: str) -> list[str]:
    """What was sent to a phone or to a user id."""
    return [
        sent["text"]["body"] for sent in tick.graph.sends if address in (sent.get("to", "")[1:], sent.get("recipient"))
    ]


async def test_a_recycled_number_tells_its_new_owner_nothing(tick: Tick) -> None:
    await tick.write("My printer is broken", person=ANA)
    ((ticket_id,),) = await tick.tables.fetch("SELECT id FROM ticket")
    before = len(list_texts(tick, ANA.wa_id))
    await tick.write("Is this the pizza place?", person=NEIGHBOUR)
    await answer(tick, ticket_id, "Your password is secret.")
    told = list_texts(tick, ANA.wa_id)[before:]
    assert len(told) == 1
    assert f"#{ticket_id}*" not in told[0]
    assert list_texts(tick, ANA.user_id) == ["Your password is secret."]
    moved = f"[+{ANA.wa_id} now belongs to another customer, so nothing more is sent there]"
    assert ("bot", moved) in await read_thread(tick, ticket_id)
    ((other_id,),) = await tick.tables.fetch("SELECT id FROM ticket WHERE id <> ?", ticket_id)
    assert ("bot", f"[+{ANA.wa_id} belonged to another customer before]") in await read_thread(tick, other_id)


async def test_an_answer_that_leads_to_nobody_says_so(tick: Tick) -> None:
    await tick.write("My printer is broken", person=Person("Ana Example", ANA.wa_id))
    ((ticket_id,),) = await tick.tables.fetch("SELECT id FROM ticket")
    await tick.write("Hello there", person=Person("Ben Example", "", NEIGHBOUR.user_id))
    await tick.write("My number shows now", person=NEIGHBOUR)
    await answer(tick, ticket_id, "Your password is secret.")
    (reply,) = [one for one in await tick.read_as_agent(f"/api/replies/{ticket_id}") if one["author"] == "agent"]
    assert reply["delivery"] == "failed"
    assert "belongs to somebody else" in reply["reason"]
    assert "Your password is secret." not in list_texts(tick, ANA.wa_id)


@pytest.mark.parametrize("first", ["message", "notice"])
async def test_who_has_a_new_number_and_id_finds_their_ticket(tick: Tick, first: str) -> None:
    await tick.write("My printer is broken", person=ANA)
    ((ticket_id,),) = await tick.tables.fetch("SELECT id FROM ticket")
    ids = {"previous_user_id": ANA.user_id, "user_id": ANA_LATER.user_id, "wa_id": ANA_LATER.wa_id}
    if first == "message":
        await tick.write("Any news?", person=ANA_LATER)
    await tick.deliver(build_notice(tick, "wamid.NOTICE1", **ids))
    await tick.deliver(build_notice(tick, "wamid.NOTICE2", **ids))
    await tick.write("It smells", person=ANA_LATER)
    assert len(await tick.tables.fetch("SELECT id FROM customer")) == 1
    said = [message for author, message in await read_thread(tick, ticket_id) if author == "customer"]
    tickets = [row[0] for row in await tick.tables.fetch("SELECT description FROM ticket ORDER BY id")]
    if first == "message":
        assert tickets == ["My printer is broken", "Any news?"]
    else:
        assert said == ["It smells"]
    await answer(tick, ticket_id, "We are on our way.")
    assert list_texts(tick, ANA_LATER.wa_id)[-1] == "We are on our way."
    assert "We are on our way." not in list_texts(tick, ANA.wa_id)


async def test_numbers_as_json_numbers_are_read(tick: Tick) -> None:
    text = {"from": int(ANA.wa_id), "id": 1349, "timestamp": tick.now, "type": "text", "text": {"body": "It burns"}}
    contact = {"wa_id": int(ANA.wa_id), "profile": {"name": "Ana Example"}}
    body = json.loads(bodies.build_messages_webhook(NUMBER, [], [text]))
    body["entry"][0]["changes"][0]["value"]["contacts"] = [contact]
    await tick.deliver(json.dumps(body).encode())
    assert await tick.tables.fetch("SELECT name, mobile FROM ticket") == [("Ana Example", f"+{ANA.wa_id}")]
    await tick.deliver(json.dumps(body).replace("1349", '"1349"').encode())
    assert await tick.count_duplicates() == 1


async def test_a_name_that_comes_later_is_on_the_ticket(tick: Tick) -> None:
    await tick.write("My printer is broken", person=Person("", ANA.wa_id, ANA.user_id))
    await tick.write("It smells", person=ANA)
    ((ticket_id,),) = await tick.tables.fetch("SELECT id FROM ticket")
    assert (await tick.read_as_agent(f"/api/tickets/{ticket_id}"))["name"] == "Ana Example"


async def test_a_status_without_a_recipient_settles_its_message(tick: Tick) -> None:
    await tick.write("My printer is broken", person=ANA)
    status = {"id": tick.graph.wamids[0], "status": "read", "timestamp": str(tick.now)}
    await tick.post(bodies.build_statuses_webhook(NUMBER, [status]))
    await tick.wait_until_at_rest()
    assert [row[0] for row in await tick.read_outbox()] == ["read"]
