"""Files at the desk: those that agents send, and how far those of customers have come."""

import re

from api.web.credentials import Role
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS
from storage.sql.columns import to_millis
from storage.statuses import FileState
from tests.api.desk.rows import PNG, add_customer_file, add_customer_message, open_ticket
from tests.api.desk.visitor import visitor
from tests.api.rest_service import PHONE, Service


async def test_answering_with_files(service: Service) -> None:
    await service.customer()
    ticket_id = await open_ticket(service, mobile=PHONE, whatsapp_notifications=False)
    path = f"/desk/tickets/{ticket_id}/replies"
    sent = [("file", ("lamps.png", PNG, "image/png")), ("file", ("report.pdf", b"%PDF-1.4", "application/pdf"))]
    async with visitor(service, Role.AGENT) as alex:
        assert (await alex.send(path, files=sent, message="Both.\r\nOf them.")).status_code == 303
        nothing = [("file", ("", b"", "application/octet-stream"))]  # what a browser sends for a field left empty
        assert (await alex.send(path, files=nothing, message="None.")).status_code == 303
        assert (await alex.send(path, files=nothing, message=" ")).status_code == 422
        assert (await alex.send(path, files=sent[:1], message="")).status_code == 303
        page = (await alex.get(f"/desk/tickets/{ticket_id}")).text
        first, second, alone = await service.rows("SELECT id FROM file ORDER BY id")
        assert page.count(f'<img src="/api/files/{first[0]}?inline=1" alt="lamps.png"') == 1
        assert f'<a href="/api/files/{second[0]}" download><bdi>report.pdf</bdi></a>' in page
        assert (await alex.get(f"/api/files/{first[0]}?inline=1")).content == PNG
    messages = [row["message"] for row in await service.read_outbox()]
    assert [(m["type"], m.get("caption", m.get("text", "")), m.get("file_id")) for m in messages] == [
        ("media", "Both.\nOf them.", str(first[0])),
        ("media", "", str(second[0])),
        ("text", "None.", None),
        ("media", "", str(alone[0])),
    ]


async def test_files_that_are_not_taken(light_service: Service) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service, mobile=PHONE, whatsapp_notifications=False)
    path = f"/desk/tickets/{ticket_id}/replies"
    good = ("file", ("lamps.png", PNG, "image/png"))
    async with visitor(light_service, Role.AGENT) as alex:
        for sent in (
            [("file", ("a.zip", b"PK", "application/zip"))],
            [good] * 11,
            [("file", ("empty.pdf", b"", "application/pdf"))],
        ):
            refused = await alex.send(path, files=sent, message="Look at this.")
            assert (refused.status_code, "Look at this." in refused.text) == (422, True), sent[0]
            assert 'role="alert"><bdi>The answer was not sent. ' in refused.text
        assert await light_service.read_outbox() == []
        assert light_service.list_stored_files() == []
        # what is wrong with the words costs no file: the next try has it still
        kept = await alex.send(path, files=[good], message="x" * (MAX_TEXT_CHARACTERS + 1))
        assert (kept.status_code, "Attached: <bdi>lamps.png</bdi>" in kept.text) == (422, True)
        (attached,) = re.findall(r'name="attached" value="(\d+)"', kept.text)
        assert (await alex.send(path, attached=attached, message="Look.")).status_code == 303
        again = await alex.send(path, attached=attached, message="Again.")
        assert (again.status_code, "already sent with another answer" in again.text) == (422, True)
        assert (await alex.send(path, attached="7,x,," + "9" * 30, message="Look.")).status_code == 422
    [row] = await light_service.read_outbox()
    assert (row["message"]["caption"], row["message"]["file_id"]) == ("Look.", attached)


async def test_files_and_where_they_stand(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    now = light_service.clock.now
    reply_id = await add_customer_message(light_service, ticket_id)
    broken = await add_customer_file(
        light_service, ticket_id, FileState.FAILED, filename="a.pdf", reason="It broke off.", size=2_345_678
    )
    refused = await add_customer_file(
        light_service, ticket_id, FileState.REFUSED, reason="It is too large.", reply_id=reply_id
    )
    await add_customer_file(light_service, ticket_id, FileState.EXPIRED, filename="old.pdf")
    foreign = await add_customer_file(light_service, await open_ticket(light_service), FileState.FAILED)
    path = f"/desk/tickets/{ticket_id}"
    async with visitor(light_service, Role.AGENT) as alex, visitor(light_service, Role.VIEWER) as vic:
        page = (await alex.get(path)).text
        description, reply = re.findall(r"<article.*?</article>", page, re.DOTALL)
        assert ["2.3 MB" in description, "It broke off." in description, "old.pdf" in description] == [True] * 3
        assert "<bdi>Refused: It is too large.</bdi>" in reply
        assert re.findall(r'action="([^"]*/retry)"', page) == [f"{path}/files/{broken}/retry"]
        assert "/retry" not in (await vic.get(path)).text
        for file_id in (refused, foreign, 7, "x", "9" * 30):
            assert (await alex.send(f"{path}/files/{file_id}/retry")).status_code == 409
        light_service.clock.forward(minutes=1)
        assert (await alex.send(f"{path}/files/{broken}/retry")).status_code == 303
    waiting = await light_service.rows("SELECT id, due_at FROM file WHERE state = 'waiting'")
    assert [tuple(row) for row in waiting] == [(broken, to_millis(now) + 60_000)]
    audit = await light_service.rows("SELECT object_id FROM audit WHERE action = 'file.retry'")
    assert [row[0] for row in audit] == [str(broken)]


async def test_a_file_that_was_left_at_meta_is_fetched_for_an_agent(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    left = await add_customer_file(
        light_service, ticket_id, FileState.DEFERRED, filename="a.pdf", reason="The customer has sent too much."
    )
    path = f"/desk/tickets/{ticket_id}"
    async with visitor(light_service, Role.AGENT) as alex:
        page = (await alex.get(path)).text
        assert "Not fetched: The customer has sent too much. Meta keeps it" in page
        assert "Fetch it</button>" in page
        assert (await alex.send(f"{path}/files/{left}/retry")).status_code == 303
        assert "/retry" not in (await alex.get(path)).text
    assert [tuple(row) for row in await light_service.rows("SELECT id, state FROM file")] == [(left, "waiting")]
