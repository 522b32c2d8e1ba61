"""Customers without a phone number, and people who answer in the Business app."""

import hashlib
from datetime import timedelta

import pytest

from api.settings import Settings
from tests.system.end_to_end.conftest import Stage
from tests.system.end_to_end.tick_with_simulator import *  # noqa: F403 - fixtures
from tests.system.end_to_end.tick_with_simulator import Theatre

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = timedelta(seconds=float(Settings.model_fields["quiet_seconds"].default) + 1)
USER_ID = "US.13491208655302741918"


@pytest.fixture(scope="module", params=[("sqlite", "instant")], ids="-".join)
def stage(request: pytest.FixtureRequest) -> Stage:
    chosen: Stage = request.param
    return chosen


async def uploaded(theatre: Theatre, content: bytes, name: str, mime_type: str) -> str:
    file = await theatre.agent("POST", "/api/files", files={"file": (name, content, mime_type)}, status=201)
    return str(file["id"])


async def test_a_customer_without_a_number(theatre: Theatre) -> None:
    ann = theatre.customer(user_id=USER_ID, shows="user_id")
    theatre.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await theatre.ticket_of(ann)
    await theatre.hears(ann, f"*#{ticket_id}*")
    assert (await theatre.agent("GET", f"/api/tickets/{ticket_id}"))["mobile"] is None

    photo = b"\x89PNG\r\n\x1a\n" + b"the new printer " * 500
    body = {"ticket_id": ticket_id, "message": "Here is a new one."}
    file_ids = [await uploaded(theatre, photo, "printer.png", "image/png")]
    await theatre.agent("POST", "/api/replies", body, status=201)
    await theatre.agent("POST", "/api/replies", body | {"message": "Look.", "file_ids": file_ids}, status=201)
    await theatre.hears(ann, "Here is a new one.")
    shown = await theatre.hears(ann, "Look.")
    assert shown.kind == "image"
    assert theatre.meta.meta.chats.media[shown.media_id].sha256 == hashlib.sha256(photo).hexdigest()
    sent = theatre.sends()
    assert [(body.get("to"), body.get("recipient")) for body in sent] == [(None, USER_ID)] * 3

    async def delivered() -> bool:
        replies = await theatre.agent("GET", f"/api/replies/{ticket_id}")
        return [reply["delivery"] for reply in replies] == ["delivered"] * 2

    await theatre.until("the statuses find their messages", delivered)


async def test_a_person_answers_in_the_business_app(theatre: Theatre) -> None:
    ann = theatre.customer()
    theatre.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await theatre.ticket_of(ann)
    await theatre.hears(ann, f"*#{ticket_id}*")
    await theatre.at_rest()

    said = "[in the Business app] I am on my way."
    theatre.meta.account_updates.send("echo", phone=ann.phone, text="I am on my way.")

    async def on_the_ticket(*messages: str) -> bool:
        return [reply["message"] for reply in await theatre.agent("GET", f"/api/replies/{ticket_id}")] == [*messages]

    await theatre.until("it is on the ticket", lambda: on_the_ticket(said))
    [note] = await theatre.agent("GET", f"/api/replies/{ticket_id}")
    assert (note["kind"], note["author"]) == ("note", "agent")
    theatre.meta.people.write_text(ann, "Thank you.")
    await theatre.until("so is the answer", lambda: on_the_ticket(said, "Thank you."))
    await theatre.at_rest()
    assert len(theatre.said_to(ann)) == 1

    theatre.tick.clock.advance(QUIET)
    theatre.meta.people.write_text(ann, "It works.")
    await theatre.hears(ann, "that is added to your ticket")
    assert len(theatre.said_to(ann)) == 2
