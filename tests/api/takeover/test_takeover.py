"""Tests that what the original system kept is taken over, once, whatever happens meanwhile."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.takeover.choices import Choices, look_for_original, settle_choices
from api.takeover.report import describe_foreign, describe_outcome
from api.takeover.run import Outcome, take_over
from bot.lane_state import LaneState
from storage import files, original_tables, replies, tickets
from storage.blobs.folder import FolderStore
from storage.blobs.store import StoreDown, make_file_key
from storage.sql.columns import to_millis
from storage.sql.database import Database, DatabaseSettings, Tx
from storage.statuses import FileState, ReplyAuthor, ReplyKind, TicketStatus
from storage.ticket_numbers import TicketNumbers
from storage.tickets import StoredTicket
from tests.support.original_system import (
    HIGHEST_NUMBER,
    TICKETS,
    OriginalSystem,
    fill,
    make_ticket,
)
from tests.support.places import ROOT

CHOICES = Choices("US", "Europe/Berlin")
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def original(migrated_mariadb_url: str) -> Iterator[OriginalSystem]:
    """An original system without tables, in a database with Tick's."""
    system = OriginalSystem.open(migrated_mariadb_url)
    system.execute("DROP TABLE IF EXISTS tickets, replies")
    yield system
    system.execute("DELETE FROM takeover")  # or others would find it done in this database
    system.drop()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "files")


async def run_takeover(database: Database, store: FolderStore, choices: Choices = CHOICES) -> Outcome:
    found = await look_for_original(database)
    return await take_over(database, store, found.tables, choices, clock=lambda: NOW, say=lambda line: None)


async def fetch(database: Database, sql: str, *values: object) -> Sequence[tuple[Any, ...]]:
    async with database.reading() as tx:
        return await tx.fetch(sql, values)


async def read_bytes(store: FolderStore, file_id: int) -> bytes:
    return b"".join([piece async for piece in await store.open(make_file_key(file_id))])


def in_berlin(text: str) -> int:
    return to_millis(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")))


async def assert_all_is_there(database: Database, store: FolderStore, original: OriginalSystem) -> None:
    """Compares every ticket, reply and file with the original's own tables."""
    old = original.execute(
        "SELECT id, COALESCE(name, ''), email, COALESCE(description, ''), COALESCE(NULLIF(issue_type, ''), 'other'), "
        "CAST(created_at AS CHAR), CAST(updated_at AS CHAR), issue_type_other, issue_title, attachment_type, status, "
        "whatsapp_enabled, whatsapp_notifications FROM tickets ORDER BY id"
    )
    new = await fetch(
        database,
        "SELECT id, name, email, description, issue_type, created_at, updated_at, issue_type_other, issue_title, "
        "attachment_type, status, whatsapp_enabled, whatsapp_notifications FROM ticket ORDER BY id",
    )
    assert list(new) == [(*row[:5], in_berlin(row[5]), in_berlin(row[6]), *row[7:]) for row in old]
    said = original.execute("SELECT id, ticket_id, COALESCE(message, '') FROM replies ORDER BY id")
    kept = await fetch(database, "SELECT id, ticket_id, message FROM reply WHERE kind = 'message' ORDER BY id")
    assert list(kept) == list(said)
    held = original.execute(
        "SELECT id, SHA2(attachment, 256), OCTET_LENGTH(attachment) FROM tickets WHERE attachment IS NOT NULL"
    )
    rows = await fetch(database, "SELECT ticket_id, sha256, size, state, id FROM file ORDER BY id")
    assert [(ticket, digest, size) for ticket, digest, size, _, _ in rows] == list(held)
    assert {state for *_, state, _ in rows} <= {"stored"}
    for _, digest, size, _, file_id in rows:
        found = await read_bytes(store, file_id)
        assert (hashlib.sha256(found).hexdigest(), len(found)) == (digest, size)
    opened = await fetch(
        database,
        "SELECT event.ticket_id, event.at, event.became, event.customer_id FROM ticket_event AS event "
        "WHERE event.kind = 'opened' ORDER BY event.ticket_id",
    )
    assert opened == await fetch(database, "SELECT id, created_at, status, customer_id FROM ticket ORDER BY id")
    told = await fetch(database, "SELECT reply_id FROM ticket_event WHERE kind <> 'opened' ORDER BY reply_id")
    assert told == await fetch(database, "SELECT id FROM reply ORDER BY id")
    ((customers,),) = await fetch(database, "SELECT COUNT(*) FROM customer")
    ((phones,),) = await fetch(database, "SELECT COUNT(DISTINCT customer_id) FROM alias")
    assert customers == phones
    ((conversations,),) = await fetch(database, "SELECT COUNT(*) FROM conversation")
    assert conversations == customers


class Migration:
    """`tick migrate` as a process."""

    def __init__(self, url: str, folder: Path, *options: str, **settings: str) -> None:
        environment = {
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": url,
            "DATA_DIR": str(folder),
            "PATH": os.environ["PATH"],
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api", "migrate", *options],
            cwd=folder, env=environment | settings, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def kill_at(self, begin: str) -> None:
        """Kills it as soon as it says a line that begins so."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith(begin):
                self.process.send_signal(signal.SIGKILL)
                break
        assert self.process.wait(60) == -signal.SIGKILL
        self.process.communicate()

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


async def test_two_thousand_tickets_by_the_program_that_is_killed_twice(
    mariadb_url: str, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """With files of 0 bytes, 300 kB and 40 MB, emoji, NULLs, and a number above 100,000."""
    sizes = {7: 0, 8: 300_000, 9: 40_000_000, 10: 1, 1500: 300_000, 2000: 4 * 1024 * 1024}
    original = fill(mariadb_url, tickets=2000, replies=3000, files=sizes)
    before = original.checksums()
    options = ("--country", "US", "--time-zone", "Europe/Berlin")
    Migration(mariadb_url, tmp_path, *options).kill_at("Tickets: 1000")
    ((after_one,),) = original.execute("SELECT COUNT(*) FROM ticket")
    assert 1000 <= after_one < 2000
    Migration(mariadb_url, tmp_path).kill_at("Replies: 2000")
    code, out, err = Migration(mariadb_url, tmp_path).finish()
    assert (code, "Traceback" in err) == (0, False), err
    assert out.startswith(
        "Took over 2000 tickets, 3000 replies and 6 files (44.8 MB) of the original system. Its tables are as they "
        f"were. New tickets have numbers above {HIGHEST_NUMBER}.\n"
    )
    assert Migration(mariadb_url, tmp_path).finish()[1] == "Nothing to do: the database is up to date.\n"
    database = await Database.open(DatabaseSettings(mariadb_url))
    await assert_all_is_there(database, FolderStore(tmp_path / "files"), original)
    numbers = TicketNumbers(database)
    await numbers.top_up(1)
    assert numbers.take() == HIGHEST_NUMBER + 1
    await database.close()
    assert original.checksums() == before
    original.drop()


async def test_ended_at_any_point_it_goes_on_and_doubles_nothing(
    original: OriginalSystem, mariadb_database: Database, migrated_mariadb_url: str, store: FolderStore
) -> None:
    fill(
        migrated_mariadb_url, tickets=230, replies=250, files={3: 0, 4: 9_000_000, 120: 5, 121: 70_000}
    ).connection.close()
    steps, done, tries = 1, False, 0
    while not done:
        task = asyncio.create_task(run_takeover(mariadb_database, store))
        for _ in range(steps):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        steps, tries = steps + 1 + steps // 6, tries + 1
    assert tries > 20
    await run_takeover(mariadb_database, store)
    await assert_all_is_there(mariadb_database, store, original)


async def test_customers_are_found_by_their_phone_and_one_person_is_one_customer(
    original: OriginalSystem, mariadb_database: Database, store: FolderStore
) -> None:
    original.create()
    mobiles = ("+15550100001", "555-010-0001", "+5541988887777", "+554188887777", "ask Bo", "", None)
    original.add("tickets", *(make_ticket(at, mobile=mobile) for at, mobile in enumerate(mobiles, 1)))
    await mariadb_database.run(make_customer)
    outcome = await run_takeover(mariadb_database, store)
    rows = await fetch(mariadb_database, "SELECT mobile, customer_id FROM ticket ORDER BY id")
    ana, brazilian = rows[0][1], rows[2][1]
    assert list(rows) == [
        ("+15550100001", 77), ("+15550100001", 77), ("+5541988887777", brazilian), ("+554188887777", brazilian),
        (None, None), (None, None), (None, None),
    ]  # fmt: skip
    assert ana != brazilian
    assert list(await fetch(mariadb_database, "SELECT alias, customer_id FROM alias ORDER BY alias")) == [
        ("p:15550100001", 77), ("p:5541988887777", brazilian),
    ]  # fmt: skip
    states = dict(await fetch(mariadb_database, "SELECT customer_id, version FROM conversation"))
    assert states == {77: 6, brazilian: 0}, "the fence of whoever was there is raised"
    ((body,),) = await fetch(mariadb_database, "SELECT body FROM conversation WHERE customer_id = ?", brazilian)
    assert LaneState.from_json(body) == LaneState(address="5541988887777")
    (note,) = outcome.notes
    assert (note.ticket_id, note.kind, note.author) == (5, ReplyKind.NOTE, ReplyAuthor.SYSTEM)
    assert "  ticket 5: This phone number can't be read, so nobody on WhatsApp is connected with it: ask Bo" in list(
        describe_outcome(outcome, (await look_for_original(mariadb_database)).tables)
    )


async def make_customer(tx: Tx) -> None:
    await tx.insert("customer", ("id", "name", "created_at"), [(77, "Ana", 0)])
    await tx.insert("conversation", ("customer_id", "version", "body"), [(77, 5, "")])
    await tx.insert("alias", ("alias", "customer_id"), [("p:15550100001", 77)])


async def test_a_ticket_whose_number_is_given_out_gets_a_new_one_with_its_replies(
    original: OriginalSystem, mariadb_database: Database, store: FolderStore
) -> None:
    numbers = TicketNumbers(mariadb_database)
    await numbers.top_up(1)
    await mariadb_database.run(lambda tx: tickets.insert(tx, [make_own_ticket(2)]))
    original.create()
    original.add("tickets", *(make_ticket(number, mobile=None, attachment=b"%d" % number) for number in (1, 2, 60)))
    original.add(
        "replies", *({"ticket_id": number, "author": "Bo", "message": f"to {number}"} for number in (1, 2, 60))
    )
    outcome = await run_takeover(mariadb_database, store)
    assert outcome.highest_number == 61
    found = dict(await fetch(mariadb_database, "SELECT id, email FROM ticket"))
    assert found == {1: "ana1@example.com", 2: None, 60: "ana60@example.com", 61: "ana2@example.com"}
    said = await fetch(mariadb_database, "SELECT ticket_id, message FROM reply WHERE kind = 'message' ORDER BY id")
    assert list(said) == [(1, "to 1"), (61, "to 2"), (60, "to 60")]
    for ticket_id, file_id in await fetch(mariadb_database, "SELECT ticket_id, id FROM file"):
        assert await read_bytes(store, file_id) == {1: b"1", 61: b"2", 60: b"60"}[ticket_id]
    (note,) = outcome.notes
    assert (note.ticket_id, "It was ticket 2 there" in note.message) == (61, True)


def make_own_ticket(number: int) -> StoredTicket:
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(StoredTicket))
    given = {"ticket_id": number, "name": "", "description": "", "issue_type": "other", "status": TicketStatus.NEW}
    flags = {"whatsapp_enabled": True, "whatsapp_notifications": True, "created_at": NOW, "updated_at": NOW}
    return StoredTicket(**values | given | flags)


async def test_replies_are_read_under_whichever_names_they_have(
    original: OriginalSystem, mariadb_database: Database, store: FolderStore
) -> None:
    original.create(
        replies="CREATE TABLE replies (reply_id BIGINT PRIMARY KEY, ticket_id INT, user_name VARCHAR(80), "
        "body LONGTEXT, created_at TIMESTAMP NULL, attachment LONGBLOB, attachment_name VARCHAR(80), score INT)"
    )
    original.add("tickets", make_ticket(1, name="Ana", created_at="2024-07-01 12:00:00"))
    original.execute("SET time_zone = '+00:00'")
    nobody = {"ticket_id": 2, "user_name": "Bo", "body": None, "created_at": None, "attachment": None}
    photo = {
        "ticket_id": 1,
        "user_name": "ana",
        "body": "👍",
        "created_at": "2024-07-01 12:00:00",
        "attachment": b"photo",
    }
    original.add("replies", {"reply_id": 5, **photo}, {"reply_id": 9, **nobody, "ticket_id": 1})
    original.add("replies", {"reply_id": 10, **nobody}, {"reply_id": 11, **nobody, "ticket_id": None})
    outcome = await run_takeover(mariadb_database, store)
    async with mariadb_database.reading() as tx:
        found = await replies.list_of_ticket(tx, 1)
        attached = await files.list_of_reply(tx, 1, 5)
    assert [(reply.reply_id, reply.author, reply.author_name, reply.message, reply.written_at) for reply in found] == [
        (9, ReplyAuthor.AGENT, "Bo", "", datetime(2024, 7, 1, 10, tzinfo=UTC)),
        (5, ReplyAuthor.CUSTOMER, "", "👍", datetime(2024, 7, 1, 12, tzinfo=UTC)),
    ]
    assert [(row.state, await read_bytes(store, row.file_id)) for row in attached] == [(FileState.STORED, b"photo")]
    lines = list(describe_outcome(outcome, (await look_for_original(mariadb_database)).tables))
    assert "Took over 1 tickets, 2 replies and 1 files" in lines[0]
    assert "Not taken over: 2 replies to tickets that are not there." in lines
    assert "Not taken over, the columns of replies that are not known: score." in lines


async def test_what_can_not_be_read_of_replies_is_said(
    original: OriginalSystem, mariadb_database: Database, store: FolderStore
) -> None:
    original.create(replies="CREATE TABLE replies (id INT PRIMARY KEY, ticket_id INT, words TEXT)")
    original.add("tickets", make_ticket(1))
    original.add("replies", {"id": 1, "ticket_id": 1, "words": "Hello"})
    outcome = await run_takeover(mariadb_database, store)
    lines = list(describe_outcome(outcome, (await look_for_original(mariadb_database)).tables))
    assert "Not taken over, the columns of replies that are not known: words." in lines
    assert "No column of replies has their text (message, reply, content or body): they are empty." in lines
    assert [line for line in lines if line.startswith("No column of replies says who wrote them")]


@pytest.mark.parametrize(
    ("tickets_table", "replies_table", "lines"),
    [
        ("CREATE TABLE tickets (id INT PRIMARY KEY, subject TEXT)", "",
         ["The table `tickets` is not read as the original system's, since it has no created_at and no description and "
          "no issue_type and no status: nothing of it is taken over."]),
        (TICKETS.replace("PRIMARY KEY", ", UNIQUE (id)").replace("AUTO_INCREMENT", ""), "",
         ["The table `tickets` is not read as the original system's, since its primary key is not one whole number: "
          "nothing of it is taken over."]),
        (TICKETS, "CREATE TABLE replies (id INT PRIMARY KEY, ticket_id VARCHAR(9))",
         ["The table `replies` is not read as the original system's, since it has no ticket_id that is a whole number: "
          "nothing of it is taken over."]),
    ],
    ids=["another system's", "without a key", "replies to nothing"],
)  # fmt: skip
async def test_a_table_that_is_only_called_so_is_left_alone_and_named(
    original: OriginalSystem, mariadb_database: Database, tickets_table: str, replies_table: str, lines: list[str]
) -> None:
    original.create(tickets_table, replies_table)
    found = await look_for_original(mariadb_database)
    assert list(describe_foreign(found.tables)) == lines
    assert found.is_due is (replies_table != "")


async def test_a_store_that_is_full_stops_it_and_the_next_run_goes_on(
    original: OriginalSystem, mariadb_database: Database, tmp_path: Path
) -> None:
    original.create()
    original.add("tickets", make_ticket(1, attachment=b"bytes"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreDown):
        await run_takeover(mariadb_database, FolderStore(tmp_path / "file"))
    async with mariadb_database.reading() as tx:
        assert await original_tables.is_takeover_due(tx)
    store = FolderStore(tmp_path / "files")
    assert (await run_takeover(mariadb_database, store)).files == 1
    assert await read_bytes(store, 2) == b"bytes"


async def test_two_at_the_same_time_double_nothing(
    original: OriginalSystem, mariadb_database: Database, migrated_mariadb_url: str, store: FolderStore
) -> None:
    fill(migrated_mariadb_url, tickets=330, replies=150, files={}).connection.close()
    await asyncio.gather(*(run_takeover(mariadb_database, store) for _ in range(3)))
    await assert_all_is_there(mariadb_database, store, original)
    assert len(await fetch(mariadb_database, "SELECT id FROM audit WHERE action = 'takeover'")) == 1


async def test_an_empty_table_is_taken_over_without_a_question(
    original: OriginalSystem, mariadb_database: Database, store: FolderStore
) -> None:
    original.create()
    found = await look_for_original(mariadb_database)
    assert settle_choices(found, Choices(), Choices(), None) == Choices()
    outcome = await take_over(mariadb_database, store, found.tables, Choices(), clock=lambda: NOW, say=print)
    assert outcome.tickets.copied == 0
    assert not (await look_for_original(mariadb_database)).is_due
