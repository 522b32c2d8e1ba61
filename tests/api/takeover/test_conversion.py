"""Tests what becomes of one row of the original system, whatever is in it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.takeover.conversion import Rules, choose_kind, choose_type, convert_reply, convert_ticket
from api.takeover.events import make_note, make_opened_event, make_reply_event
from bot.ids import IdMaker
from storage.original_tables import REPLY_COLUMNS, TICKET_COLUMNS, OriginalRow, OriginalTable
from storage.statuses import EventAuthor, FileState, ReplyAuthor, ReplyKind, TicketEventKind, TicketStatus
from storage.tickets import StoredTicket

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RULES = Rules("US", ZoneInfo("Europe/Berlin"), NOW)
TICKETS = OriginalTable("tickets", "id", dict.fromkeys((*TICKET_COLUMNS, "attachment"), "datetime"), [])
REPLIES = OriginalTable("replies", "id", dict.fromkeys((*REPLY_COLUMNS, "attachment"), "datetime"), [])
ROW: Mapping[str, Any] = {
    "name": "Ana 👋", "email": "ana@example.com", "mobile": "555-010-0001", "description": "It\r\nburns 🔥",
    "issue_type": "Billing", "issue_type_other": None, "issue_title": "Fire", "status": "in_progress",
    "whatsapp_enabled": 0, "whatsapp_notifications": 1, "created_at": "2024-07-01 12:00:00",
    "updated_at": "2024-12-01 12:00:00.500000", "attachment_name": None, "attachment_type": None,
}  # fmt: skip


def ticket_of(**changed: Any) -> tuple[StoredTicket, list[str]]:
    converted = convert_ticket(TICKETS, OriginalRow(7, {**ROW, **changed}), RULES)
    return converted.ticket, converted.remarks


def test_a_whole_row() -> None:
    converted = convert_ticket(TICKETS, OriginalRow(7, ROW), RULES)
    assert (converted.phone, converted.file, converted.remarks) == ("15550100001", None, [])
    assert converted.ticket == StoredTicket(
        ticket_id=7,
        customer_id=None,
        name="Ana 👋",
        email="ana@example.com",
        mobile="+15550100001",
        description="It\nburns 🔥",
        issue_type="Billing",
        issue_type_other=None,
        issue_title="Fire",
        attachment_name=None,
        attachment_type=None,
        status=TicketStatus.IN_PROGRESS,
        whatsapp_enabled=False,
        whatsapp_notifications=True,
        created_at=datetime(2024, 7, 1, 10, tzinfo=UTC),
        updated_at=datetime(2024, 12, 1, 11, 0, 0, 500_000, tzinfo=UTC),
    )


def test_a_row_of_nulls() -> None:
    ticket, remarks = ticket_of(**dict.fromkeys(ROW))
    assert remarks == ["This status is not known here, where the ticket is new now: none"]
    assert (ticket.name, ticket.email, ticket.mobile, ticket.description, ticket.issue_type) == (
        "",
        None,
        None,
        "",
        "other",
    )
    assert (ticket.status, ticket.whatsapp_enabled, ticket.whatsapp_notifications) == (TicketStatus.NEW, False, True)
    assert (ticket.created_at, ticket.updated_at) == (NOW, NOW)


def test_a_row_without_columns() -> None:
    bare = OriginalTable("tickets", "id", {}, [])
    assert convert_ticket(bare, OriginalRow(7, {}), RULES).ticket.description == ""


@pytest.mark.parametrize(
    "text", ["0000-00-00 00:00:00", "2024-02-30 00:00:00", "yesterday", "0001-01-01 00:00:00", "9999-12-31 23:59:59"]
)
def test_a_date_that_is_none_is_kept_in_words(text: str) -> None:
    ticket, remarks = ticket_of(created_at=text)
    assert ticket.created_at == NOW
    assert remarks == [f"This date can't be read (created_at): {text}"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2024-10-27 02:30:00", datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),  # comes twice: the first is taken
        ("2024-03-31 02:30:00", datetime(2024, 3, 31, 1, 30, tzinfo=UTC)),  # never comes
        ("2024-01-01", datetime(2023, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_a_date_of_a_strange_hour(text: str, at: datetime) -> None:
    assert ticket_of(created_at=text)[0].created_at == at


def test_a_timestamp_is_an_instant_already() -> None:
    table = OriginalTable("tickets", "id", {**TICKETS.columns, "created_at": "timestamp"}, [])
    converted = convert_ticket(table, OriginalRow(7, ROW), RULES).ticket
    assert converted.created_at == datetime(2024, 7, 1, 12, tzinfo=UTC)
    assert converted.updated_at.hour == 11


def test_a_phone_that_is_none_is_kept_in_words() -> None:
    ticket, remarks = ticket_of(mobile="ask Bo")
    assert ticket.mobile is None
    assert remarks == ["This phone number can't be read, so nobody on WhatsApp is connected with it: ask Bo"]
    note = make_note(TICKETS, OriginalRow(7, ROW), ticket, remarks)
    assert (note.kind, note.author, note.ticket_id) == (ReplyKind.NOTE, ReplyAuthor.SYSTEM, 7)
    assert note.message.splitlines() == ["From the former system.", *remarks]


def test_the_events_of_a_ticket_are_in_their_order() -> None:
    ticket = ticket_of()[0]
    reply = convert_reply(REPLIES, OriginalRow(3, {"author": "Bo"}), RULES, ticket).reply
    message = convert_reply(REPLIES, OriginalRow(4, {"author": "user"}), RULES, ticket).reply
    note = make_note(TICKETS, OriginalRow(7, ROW), ticket, ["A remark."])
    events = [
        make_opened_event(OriginalRow(7, ROW), ticket),
        *(make_reply_event(one, ticket) for one in (reply, message)),
    ]
    assert [(event.kind, event.author, event.became) for event in events] == [
        (TicketEventKind.OPENED, EventAuthor.CUSTOMER, "in_progress"),
        (TicketEventKind.ANSWER, EventAuthor.AGENT, ""),
        (TicketEventKind.MESSAGE, EventAuthor.CUSTOMER, ""),
    ]
    ids = [event.event_id for event in (*events, make_reply_event(note, ticket))]
    assert ids == sorted(set(ids))
    assert ids[-1] < IdMaker(lambda: datetime(2025, 2, 1, tzinfo=UTC)).next()


def test_a_text_that_is_too_long_is_kept_in_words() -> None:
    ticket, remarks = ticket_of(issue_title="y" * 300)
    assert len(ticket.issue_title or "") == 200
    assert remarks == [f"This was too long for its place (issue_title): {'y' * 300}"]


def test_a_long_description_is_whole() -> None:
    assert ticket_of(description="é" * 200_000)[0].description == "é" * 200_000


@pytest.mark.parametrize(("value", "flag"), [(1, True), (0, False), (b"\x01", True), (b"\x00", False), (None, False)])
def test_a_flag(value: object, flag: bool) -> None:
    assert ticket_of(whatsapp_enabled=value)[0].whatsapp_enabled is flag


def test_the_row_of_a_file() -> None:
    row = OriginalRow(7, {**ROW, "attachment_name": "../../photo.png", "attachment_type": "image/png"}, 300)
    file = convert_ticket(TICKETS, row, RULES).file
    assert file is not None
    assert (file.file_id, file.kind, file.mime_type, file.filename) == (14, "image", "image/png", "photo.png")
    assert (file.state, file.size, file.direction) == (FileState.LOOSE, 300, "in")


@pytest.mark.parametrize(
    ("given_type", "kind_and_type"),
    [
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document"[:50],
         ("document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")),
        ("application/x-anything", ("document", "application/x-anything")),
        ("audio/ogg", ("audio", "audio/ogg")),
        ("", ("document", "application/octet-stream")),
        ("png", ("document", "application/octet-stream")),
    ],
)  # fmt: skip
def test_the_type_of_a_file(given_type: str, kind_and_type: tuple[str, str]) -> None:
    found = choose_type(given_type)
    assert (choose_kind(found), found) == kind_and_type


@pytest.mark.parametrize(
    ("values", "author", "name"),
    [
        ({"author": "user"}, ReplyAuthor.CUSTOMER, ""),
        ({"author": "Customer", "user_name": "Ana"}, ReplyAuthor.CUSTOMER, ""),
        ({"sender": "agent", "user_name": "Bo"}, ReplyAuthor.AGENT, "Bo"),
        ({"author": "bot"}, ReplyAuthor.SYSTEM, ""),
        ({"user_name": "ana 👋"}, ReplyAuthor.CUSTOMER, ""),
        ({"author": "ANA@example.com"}, ReplyAuthor.CUSTOMER, ""),
        ({"author": "+15550100001"}, ReplyAuthor.CUSTOMER, ""),
        ({"author": "Bo"}, ReplyAuthor.AGENT, "Bo"),
        ({"author": 12}, ReplyAuthor.AGENT, "12"),
        ({}, ReplyAuthor.AGENT, ""),
    ],
)
def test_who_wrote_a_reply(values: dict[str, Any], author: ReplyAuthor, name: str) -> None:
    reply = convert_reply(REPLIES, OriginalRow(3, values), RULES, ticket_of()[0]).reply
    assert (reply.author, reply.author_name) == (author, name)


@pytest.mark.parametrize("column", ["message", "reply", "content", "body"])
def test_the_text_of_a_reply_under_any_name(column: str) -> None:
    row = OriginalRow(3, {"message": None, column: "Thanks 🙏", "created_at": "2024-07-01 12:00:01"})
    reply = convert_reply(REPLIES, row, RULES, ticket_of()[0]).reply
    assert (reply.reply_id, reply.message, reply.kind) == (3, "Thanks 🙏", ReplyKind.MESSAGE)
    assert reply.written_at == datetime(2024, 7, 1, 10, 0, 1, tzinfo=UTC)


def test_a_reply_without_a_date_stands_where_its_ticket_began() -> None:
    ticket = ticket_of()[0]
    assert convert_reply(REPLIES, OriginalRow(3, {}), RULES, ticket).reply.written_at == ticket.created_at


CHARACTERS = "aé0129+-:. ()\x00\x1b\n\ud800\u202e👋"


def make_value(dice: Random) -> object:
    text = "".join(dice.choices(CHARACTERS, k=dice.choice((0, 1, 10, 300))))
    return dice.choice((None, dice.randint(-(2**70), 2**70), text, text.encode("utf-8", "replace"), b"\xff\x00"))


@pytest.mark.parametrize("seed", range(60))
def test_no_value_raises(seed: int) -> None:
    dice = Random(seed)
    values = {column: make_value(dice) for column in (*TICKET_COLUMNS, *REPLY_COLUMNS) if dice.random() < 0.8}
    rules = Rules(dice.choice(("US", "")), ZoneInfo("America/New_York"), NOW)
    ticket = convert_ticket(TICKETS, OriginalRow(1, values, 5), rules).ticket
    reply = convert_reply(REPLIES, OriginalRow(1, values, 5), rules, ticket).reply
    assert "\x00" not in ticket.description + ticket.name + ticket.issue_type + reply.message
