"""Tests that country and time zone of the original system are said by somebody, and never guessed."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.bootstrap import open_resources
from api.settings import Settings
from api.settings_checks import read_time_zone
from api.takeover.choices import Choices, Findings, TakeoverRefused, look_for_original, settle_choices
from storage.errors import WrongDatabase
from storage.original_tables import OriginalTables
from storage.sql.database import Database
from tests.support.original_system import REPLIES, TICKETS, OriginalSystem, make_ticket
from tests.support.places import ROOT

NONE = Choices()
UNKNOWN = Findings(OriginalTables(), is_due=True, needs_country=True, needs_time_zone=True, server_zone="CET")


@pytest.fixture
def original(migrated_mariadb_url: str) -> Iterator[OriginalSystem]:
    """An original system with empty tables, in a database with Tick's."""
    system = OriginalSystem.open(migrated_mariadb_url)
    system.execute("DROP TABLE IF EXISTS tickets, replies")
    system.create()
    yield system
    system.execute("DELETE FROM takeover")  # or others would find it done in this database
    system.drop()


def never(question: str) -> str:
    raise AssertionError(question)


def test_an_option_goes_before_a_setting() -> None:
    given, set_before = Choices("DE", "Europe/Berlin"), Choices("US", "America/New_York")
    assert settle_choices(UNKNOWN, given, set_before, never) == given
    assert settle_choices(UNKNOWN, NONE, set_before, never) == set_before
    assert settle_choices(UNKNOWN, Choices("DE"), set_before, never) == Choices("DE", "America/New_York")


def test_without_a_terminal_nothing_is_guessed() -> None:
    with pytest.raises(TakeoverRefused, match="--country DE, say, or TAKEOVER_COUNTRY"):
        settle_choices(UNKNOWN, NONE, NONE, None)
    with pytest.raises(TakeoverRefused, match="--time-zone Europe/Berlin, say, or TAKEOVER_TIME_ZONE"):
        settle_choices(UNKNOWN, Choices("DE"), NONE, None)


def test_a_terminal_is_asked() -> None:
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return ("GB ", "Europe/London")[len(questions) - 1]

    assert settle_choices(UNKNOWN, NONE, NONE, answer) == Choices("GB", "Europe/London")
    assert ("two letters" in questions[0], "own is CET" in questions[1]) == (True, True)


@pytest.mark.parametrize("wrong", [Choices("Germany"), Choices("de"), Choices("", "Berlin"), Choices("", "Europe")])
def test_what_is_none_is_refused(wrong: Choices) -> None:
    with pytest.raises(TakeoverRefused, match="such as"):
        settle_choices(UNKNOWN, wrong, NONE, None)
    with pytest.raises(TakeoverRefused, match="such as"):
        settle_choices(UNKNOWN, NONE, NONE, lambda _: wrong.country or wrong.time_zone)


def test_what_was_said_at_the_beginning_holds() -> None:
    begun = Findings(OriginalTables(), is_due=True, needs_country=True, begun=Choices("DE", "Europe/Berlin"))
    assert settle_choices(begun, NONE, Choices("US", "UTC"), never) == Choices("DE", "Europe/Berlin")
    assert settle_choices(begun, Choices("DE"), NONE, never) == Choices("DE", "Europe/Berlin")
    with pytest.raises(TakeoverRefused, match="began with --country DE and --time-zone Europe/Berlin"):
        settle_choices(begun, Choices("", "UTC"), NONE, never)


@pytest.mark.parametrize(("text", "hours"), [("+02:00", 2), ("-0330", -3.5), ("+5:45", 5.75), ("UTC", 0)])
def test_a_time_zone_may_be_an_offset(text: str, hours: float) -> None:
    assert datetime(2026, 1, 1, tzinfo=read_time_zone(text)).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("mobiles", "is_needed"),
    [(("+15550100001", "0049 30 5550001", None, "", "  "), False), (("+15550100001", "030 5550001"), True)],
)
async def test_a_country_is_only_asked_for_where_a_number_lacks_it(
    original: OriginalSystem, mariadb_database: Database, mobiles: tuple[str | None, ...], is_needed: bool
) -> None:
    original.add("tickets", *(make_ticket(at, mobile=mobile) for at, mobile in enumerate(mobiles, 1)))
    found = await look_for_original(mariadb_database)
    assert (found.needs_country, found.needs_time_zone) == (is_needed, True)


async def test_a_time_zone_is_only_asked_for_where_dates_lack_it(
    original: OriginalSystem, mariadb_database: Database
) -> None:
    original.execute("DROP TABLE tickets, replies")
    original.create(TICKETS.replace("DATETIME", "TIMESTAMP NULL"), REPLIES)
    original.add("tickets", make_ticket(1, mobile=None))
    assert not (await look_for_original(mariadb_database)).needs_time_zone, "there are no replies"
    original.add("replies", {"ticket_id": 1, "message": "Hello"})
    assert (await look_for_original(mariadb_database)).needs_time_zone


async def test_our_own_numbers_country_is_taken_where_meta_has_told_it(
    original: OriginalSystem, mariadb_database: Database
) -> None:
    original.add("tickets", make_ticket(1, mobile="030 5550001"))
    body = json.dumps({"number": "+49 30 5550000", "name": "Desk"})
    await mariadb_database.run(
        lambda tx: tx.insert("account", ("phone_number_id", "body", "asked_at"), [("1", body, 0), ("2", "{}", 0)])
    )
    found = await look_for_original(mariadb_database)
    assert found.own_country == "DE"
    assert settle_choices(found, NONE, Choices("", "UTC"), never) == Choices("DE", "UTC")


async def test_nothing_serves_before_all_is_taken_over(
    original: OriginalSystem, migrated_mariadb_url: str, tmp_path: Path
) -> None:
    settings = Settings(
        database_url=SecretStr(migrated_mariadb_url),
        data_dir=tmp_path,
        whatsapp_phone_number_id="1",
        whatsapp_access_token=SecretStr("EAAcanary"),
        whatsapp_verify_token=SecretStr("canary-verify"),
        whatsapp_app_secret=SecretStr("canary-app-secret"),
    )
    with pytest.raises(WrongDatabase, match="not all taken over yet: run `tick migrate`"):
        async with open_resources(settings):
            pass


def test_the_program_asks_on_a_terminal_and_refuses_without_one(
    original: OriginalSystem, migrated_mariadb_url: str, tmp_path: Path
) -> None:
    original.add("tickets", make_ticket(1, mobile="5550100001", created_at="2024-07-01 12:00:00"))
    command = [sys.executable, "-m", "api", "migrate", "--country", "US"]
    place = {"PYTHONPATH": str(ROOT), "DATABASE_URL": migrated_mariadb_url, "DATA_DIR": str(tmp_path)}
    silent = subprocess.run(
        command, cwd=tmp_path, env=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert (silent.returncode, silent.stdout) == (2, "")
    assert silent.stderr.startswith("The original system's dates don't say their time zone: say in which")
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(command, cwd=tmp_path, env=place, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        seen = b""
        while b"is" not in seen or b".)" not in seen:
            seen += os.read(ours, 1024)
        os.write(ours, b"+02:00\n")
        while b"Took over 1 tickets" not in seen:
            seen += os.read(ours, 1024)
        assert asked.wait(60) == 0
    finally:
        asked.kill()
        asked.wait()
        os.close(ours)
    ((created_at, mobile),) = original.execute("SELECT created_at, mobile FROM ticket")
    assert datetime.fromtimestamp(created_at / 1000, UTC) == datetime(2024, 7, 1, 10, tzinfo=UTC)
    assert mobile == "+15550100001"
