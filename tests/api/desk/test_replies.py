"""What agents write at the desk: answers, quotes, reactions and requests."""

import asyncio
import re

from api.web.credentials import Role
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS
from tests.api.desk.rows import add_customer_message, open_ticket
from tests.api.desk.visitor import visitor
from tests.api.rest_service import PHONE, Service


async def test_quoting(light_service: Service) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service, mobile=PHONE, whatsapp_notifications=False)
    path = f"/desk/tickets/{ticket_id}"
    asked = await add_customer_message(light_service, ticket_id, "Which <one>?")
    async with visitor(light_service, Role.AGENT) as alex:
        mine = await alex.send(path, message="So far.", quote_this=str(asked))
        assert f'name="quote" value="{asked}"' in mine.text
        assert ">\nSo far.</textarea>" in mine.text
        for nothing in ("", "7", "x", str(ticket_id)):
            page = (await alex.send(path, message="So far.", quote_this=nothing, quote=str(asked))).text
            assert 'name="quote"' not in page
        assert (await alex.send(f"{path}/replies", message="This one.", quote=str(asked))).status_code == 303
        refused = await alex.send(f"{path}/replies", message="This one.", quote="7")
        assert (refused.status_code, ">\nThis one.</textarea>" in refused.text) == (422, True)
        page = (await alex.get(path)).text
        assert '<bdi class="words">Which &lt;one&gt;?</bdi>\n</blockquote>' in page
    [row] = await light_service.read_outbox()
    assert row["message"]["quoted"] == f"wamid.{asked}"


async def test_asking_and_reacting(light_service: Service) -> None:
    service = light_service
    await service.customer()
    ticket_id = await open_ticket(service, mobile=PHONE, whatsapp_notifications=False)
    path = f"/desk/tickets/{ticket_id}"
    asked = await add_customer_message(service, ticket_id)
    async with visitor(service, Role.AGENT) as alex:
        for form in ({"for": "location", "message": " "}, {"for": "contact", "message": "Whom?"}):
            assert (await alex.send(f"{path}/ask", **form, ask_idempotency_id="70")).status_code == 303
        assert (await alex.send(f"{path}/ask", message="Whom?", **{"for": "money"})).status_code == 422
        assert (await alex.send(f"{path}/replies/{asked}/reaction", emoji="👍")).status_code == 303
        page = (await alex.get(path)).text
        assert "Asks for the location" in page
        assert re.search(r'<p class="reaction"><bdi>👍</bdi> ', page)
        for wrong in ({"emoji": "ok"}, {"emoji": "👍", "idempotency_id": "x" * 50}):
            answer = await alex.send(f"{path}/replies/{asked}/reaction", **wrong)
            assert answer.status_code == (422 if wrong["emoji"] == "ok" else 303)
        assert (await alex.send(f"{path}/replies/7/reaction", emoji="👍")).status_code == 404
        sent = await service.read_outbox()
        assert [row["message"]["type"] for row in sent] == ["location_request", "reaction", "reaction"]
        assert sent[0]["text"] == "Where are you? Please share your location.", "a second click asked once"
        service.clock.forward(hours=23)
        await service.execute("UPDATE desk_session SET expires_at = expires_at * 2")
        page = (await alex.get(path)).text
        assert "Window closed: answers are held until the customer writes." in page
        assert "/reaction" not in page
        assert "/ask" not in page
        refused = await alex.send(f"{path}/ask", **{"for": "location", "message": "Where?"})
        assert (refused.status_code, ">\nWhere?</textarea>" in refused.text) == (409, True)
        assert (await alex.send(f"{path}/replies/{asked}/reaction", emoji="👍")).status_code == 409
        nobodys = await open_ticket(service)
        assert (
            await alex.send(f"/desk/tickets/{nobodys}/ask", **{"for": "contact", "message": "x"})
        ).status_code == 409
    assert len(await service.read_outbox()) == 3


async def test_a_double_click_answers_once(service: Service) -> None:
    ticket_id = await open_ticket(service)
    async with visitor(service, Role.AGENT) as alex:
        page = (await alex.get(f"/desk/tickets/{ticket_id}")).text
        (idempotency_id,) = re.findall(r'name="idempotency_id" value="(\d+)"', page)
        path = f"/desk/tickets/{ticket_id}/replies"
        both = await asyncio.gather(
            *(alex.send(path, message="We are on it.", idempotency_id=idempotency_id) for _ in range(2))
        )
        assert [answer.status_code for answer in both] == [303, 303]
        assert (await alex.send(path, message="We are on it.", idempotency_id=idempotency_id)).status_code == 303
        assert (await alex.send(path, message="And again.", idempotency_id="no number")).status_code == 303
    rows = await service.rows("SELECT message FROM reply ORDER BY id")
    assert [row[0] for row in rows] == ["We are on it.", "And again."]


async def test_an_answer_that_can_not_go_out(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    async with visitor(light_service, Role.AGENT) as alex:
        for message in ("", " \r\n ", "\u200b\u2060", "\u0000", "x" * (MAX_TEXT_CHARACTERS + 1)):
            refused = await alex.send(f"/desk/tickets/{ticket_id}/replies", message=message)
            assert refused.status_code == 422
            assert 'role="alert"' in refused.text
            assert "x" not in message or message in refused.text  # nobody has to write it again
    assert await light_service.rows("SELECT id FROM reply") == []


async def test_what_was_written_comes_back_with_every_refusal(light_service: Service) -> None:
    path = f"/desk/tickets/{await open_ticket(light_service)}/replies"
    async with visitor(light_service, Role.AGENT) as alex, visitor(light_service, Role.VIEWER) as vic:
        refused = [
            (404, await alex.send("/desk/tickets/77/replies", message="A <long> answer.")),
            (403, await vic.send(path, message="A <long> answer.")),
        ]
        await light_service.execute("ALTER TABLE reply RENAME TO gone_reply")
        refused.append((500, await alex.send(path, message="A <long> answer.")))
    for status, answer in refused:
        assert (answer.status_code, "A &lt;long&gt; answer.</textarea>" in answer.text) == (status, True)
