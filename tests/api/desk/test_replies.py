"""What agents write at the desk: answers, quotes, reactions and requests."""

import asyncio
import re

from api.web.credentials import Role
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS
from tests.api.desk.rows import PNG, add_customer_message, open_ticket
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
        once = find_form_id((await alex.get(path)).text, "ask_idempotency_id")
        for _ in range(2):
            asking = {"for": "location", "message": " ", "ask_idempotency_id": once}
            assert (await alex.send(f"{path}/ask", **asking)).status_code == 303
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
        idempotency_id = find_form_id((await alex.get(f"/desk/tickets/{ticket_id}")).text)
        path = f"/desk/tickets/{ticket_id}/replies"
        both = await asyncio.gather(
            *(alex.send(path, message="We are on it.", idempotency_id=idempotency_id) for _ in range(2))
        )
        assert [answer.status_code for answer in both] == [303, 303]
        assert (await alex.send(path, message="We are on it.", idempotency_id=idempotency_id)).status_code == 303
        assert (await alex.send(path, message="And again.", idempotency_id="no number")).status_code == 303
    rows = await service.rows("SELECT message FROM reply ORDER BY id")
    assert [row[0] for row in rows] == ["We are on it.", "And again."]


async def test_a_form_that_is_sent_once_more_with_other_words_is_another_answer(service: Service) -> None:
    """The browser went back to the page as it was."""
    ticket_id = await open_ticket(service)
    async with visitor(service, Role.AGENT) as alex:
        path, once = f"/desk/tickets/{ticket_id}", find_form_id((await alex.get(f"/desk/tickets/{ticket_id}")).text)
        for message in ("We are on it.", "It is done.", "We are on it."):
            assert (await alex.send(f"{path}/replies", message=message, idempotency_id=once)).status_code == 303
        file = ("file", ("lamps.png", PNG, "image/png"))
        for _ in range(2):
            sent = await alex.send(f"{path}/replies", files=[file], message="", idempotency_id=once)
            assert sent.status_code == 303
    rows = await service.rows("SELECT message FROM reply ORDER BY id")
    assert [row[0] for row in rows] == ["We are on it.", "It is done.", ""]


async def test_a_made_up_form_id_swallows_nothing_and_is_nobodys(service: Service) -> None:
    first, second = await open_ticket(service), await open_ticket(service)
    async with visitor(service, Role.AGENT) as alex, visitor(service, Role.ADMIN) as eve:
        pages = [(await alex.get(f"/desk/tickets/{ticket_id}")).text for ticket_id in (first, second)]
        own, of_another_ticket = (find_form_id(page) for page in pages)
        of_another_session = find_form_id((await eve.get(f"/desk/tickets/{first}")).text)
        number, _, signature = own.partition(".")
        before = {row[0] for row in await service.rows("SELECT id FROM audit")}
        taken = str(next(iter(before)))
        forged = ["", "70", taken, number, f"{taken}.{signature}", f"{number}.", f"{number}.{signature[:-1]}",
                  "70.\u00e9", of_another_ticket, of_another_session, f"{int(number) + 1}.{signature}"]  # fmt: skip
        path = f"/desk/tickets/{first}/replies"
        for once in forged:
            for _ in range(2):
                assert (await alex.send(path, message="We are on it.", idempotency_id=once)).status_code == 303
        assert (await alex.send(path, message="The real one.", idempotency_id=own)).status_code == 303
    ids = {row[0] for row in await service.rows("SELECT id FROM audit WHERE action = 'ticket.reply'")}
    assert len(ids) == 2 * len(forged) + 1
    chosen = {70, int(taken), int(number) + 1, int(of_another_ticket.partition(".")[0])}
    assert ids & (chosen | {int(of_another_session.partition(".")[0])}) == set()
    assert int(number) in ids


def find_form_id(page: str, name: str = "idempotency_id") -> str:
    """Finds the idempotency id of the composer on a ticket's page."""
    [found] = re.findall(rf'name="{name}" value="(\d+\.[0-9a-f]{{64}})"', page.partition('id="end"')[2])
    return str(found)


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
