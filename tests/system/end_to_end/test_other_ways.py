"""Customers without a phone number, and people who answer in the Business app."""

import hashlib
from datetime import timedelta

import pytest

from api.settings import Settings
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.tick_with_simulator import *  # noqa: F403 - fixtures
from tests.system.end_to_end.tick_with_simulator import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = timedelta(seconds=float(Settings.model_fields["quiet_seconds"].default) + 1)
USER_ID = "US.13491208655302741918"


@pytest.fixture(scope="module", params=[Variant("sqlite", "instant")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


async def upload(system: System, content: bytes, name: str, mime_type: str) -> str:
    file = await system.call_as_agent("POST", "/api/files", files={"file": (name, content, mime_type)}, status=201)
    return str(file["id"])


async def test_a_customer_without_a_number(system: System) -> None:
    ann = system.add_customer(user_id=USER_ID, shows="user_id")
    system.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await system.wait_for_ticket(ann)
    await system.wait_for_message(ann, f"*#{ticket_id}*")
    assert (await system.call_as_agent("GET", f"/api/tickets/{ticket_id}"))["mobile"] is None

    photo = b"\x89PNG\r\n\x1a\n" + b"the new printer " * 500
    body = {"ticket_id": ticket_id, "message": "Here is a new one."}
    file_ids = [await upload(system, photo, "printer.png", "image/png")]
    await system.call_as_agent("POST", "/api/replies", body, status=201)
    await system.call_as_agent("POST", "/api/replies", body | {"message": "Look.", "file_ids": file_ids}, status=201)
    await system.wait_for_message(ann, "Here is a new one.")
    shown = await system.wait_for_message(ann, "Look.")
    assert shown.kind == "image"
    assert system.meta.meta.chats.media[shown.media_id].sha256 == hashlib.sha256(photo).hexdigest()
    sent = system.list_sends()
    assert [(body.get("to"), body.get("recipient")) for body in sent] == [(None, USER_ID)] * 3

    async def delivered() -> bool:
        replies = await system.call_as_agent("GET", f"/api/replies/{ticket_id}")
        return [reply["delivery"] for reply in replies] == ["delivered"] * 2

    await system.wait_until("the statuses find their messages", delivered)


async def test_a_person_answers_in_the_business_app(system: System) -> None:
    ann = system.add_customer()
    system.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await system.wait_for_ticket(ann)
    await system.wait_for_message(ann, f"*#{ticket_id}*")
    await system.wait_until_at_rest()

    note_text = "[in the Business app] I am on my way."
    system.meta.account_updates.send("echo", phone=ann.phone, text="I am on my way.")

    async def is_on_ticket(*messages: str) -> bool:
        return [reply["message"] for reply in await system.call_as_agent("GET", f"/api/replies/{ticket_id}")] == [
            *messages
        ]

    await system.wait_until("it is on the ticket", lambda: is_on_ticket(note_text))
    [note] = await system.call_as_agent("GET", f"/api/replies/{ticket_id}")
    assert (note["kind"], note["author"]) == ("note", "agent")
    system.meta.people.write_text(ann, "Thank you.")
    await system.wait_until("so is the answer", lambda: is_on_ticket(note_text, "Thank you."))
    await system.wait_until_at_rest()
    assert len(system.list_messages_to(ann)) == 1

    system.tick.clock.advance(QUIET)
    system.meta.people.write_text(ann, "It works.")
    await system.wait_for_message(ann, "that is added to your ticket")
    assert len(system.list_messages_to(ann)) == 2
