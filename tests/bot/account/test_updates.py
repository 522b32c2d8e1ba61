"""Updates of the account on both databases: in any order, the newest wins."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from bot.account.updates import record_updates
from bot.templates.choice import find_usable_name
from bot.templates.parameters import ParameterMapping
from bot.whatsapp.webhook.updates import AccountUpdate, Severity, TemplateChange
from storage import alerts, templates
from storage.alerts import Alert
from storage.sql.database import Database
from storage.statuses import AlertSeverity
from storage.templates import NoticeAssignment, StoredTemplate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = '[{"type":"BODY","text":"Your ticket {{1}} has news."}]'
PARAMETERS = ParameterMapping.from_request(["ticket_id"], []).to_json()
SUBJECT = "template:ticket_update:en"
WAITS = (
    "Outside of the 24 hours these notices wait until that is fixed, or another template carries them: "
    "closed (en), in_progress (en)."
)


def at(second: int) -> datetime:
    return NOW + timedelta(seconds=second)


def update_of(
    status: str, severity: Severity = "red", change: Mapping[str, str] | None = None, reason: str = ""
) -> AccountUpdate:
    fields = {"template_id": "55501", "name": "ticket_update", "language": "en", "status": status, "reason": reason}
    fields.update(change or {})
    return AccountUpdate(
        f"template:{fields['name']}:{fields['language']}", severity, f"Meta says {status}.", TemplateChange(**fields)
    )


async def record(database: Database, *updates: tuple[int, AccountUpdate]) -> None:
    await database.run(lambda tx: record_updates(tx, [(at(second), each) for second, each in updates]))


async def store_template(database: Database, *, used: bool = True, status: str = "APPROVED") -> None:
    row = StoredTemplate("55501", "ticket_update", "en", "UTILITY", status, "", BODY, at(0), at(0))
    await database.run(lambda tx: templates.store_listing(tx, [row], at(0), complete=True))
    for kind in ("in_progress", "closed") if used else ():
        notice = NoticeAssignment(kind, "en", "ticket_update", "en", PARAMETERS, at(0))
        await database.run(lambda tx, notice=notice: templates.save_assignment(tx, notice))  # type: ignore[misc]


async def read_alerts(database: Database) -> Sequence[Alert]:
    async with database.reading() as tx:
        return await alerts.list_open(tx)


async def read_status(database: Database, name: str = "ticket_update") -> str:
    async with database.reading() as tx:
        found = await templates.find(tx, name, "en")
    return found.status if found else "not there"


@pytest.mark.parametrize(
    ("event", "reason", "left", "message"),
    [
        ("PAUSED", "", "PAUSED", "was paused by Meta, because customers complained about it."),
        ("PENDING_DELETION", "By hand.", "PENDING_DELETION", "is about to be deleted (By hand)."),
        ("DISABLED", "ABUSIVE", "DISABLED", "was disabled by Meta for good (ABUSIVE)."),
        ("REJECTED", "INVALID_FORMAT", "REJECTED", "was rejected by Meta (INVALID_FORMAT)."),
        ("REJECTED", "NONE", "REJECTED", "was rejected by Meta."),
        ("PENDING_DELETION", "", "PENDING_DELETION", "is about to be deleted."),
        ("DELETED", "", "REMOVED", "is not there any more."),
    ],
)
async def test_template_in_use_is_switched_off_with_an_alert(
    database: Database, event: str, reason: str, left: str, message: str
) -> None:
    await store_template(database)
    async with database.reading() as tx:
        assert await find_usable_name(tx, "closed", "en_GB") == "ticket_update"
    await record(database, (1, update_of(event, reason=reason)))
    assert await read_status(database) == left
    assert await read_alerts(database) == [
        Alert(SUBJECT, AlertSeverity.RED, f"The template ticket_update (en) {message} {WAITS}", at(1))
    ]
    async with database.reading() as tx:
        assert await find_usable_name(tx, "closed", "en_GB") == ""
    await record(database, (2, update_of("APPROVED", "clear")))
    assert (await read_status(database), await read_alerts(database)) == ("APPROVED", [])


async def test_template_that_nothing_uses_gets_an_alert_for_information(database: Database) -> None:
    await store_template(database, used=False)
    await record(database, (1, update_of("PAUSED")))
    [alert] = await read_alerts(database)
    assert (alert.severity, alert.message.endswith("No notice uses it.")) == ("info", True)
    await record(database, (2, update_of("APPROVED", "clear")))
    assert (await read_status(database), await read_alerts(database)) == ("APPROVED", [])


async def test_template_that_was_never_listed(database: Database) -> None:
    await record(database, (1, update_of("REJECTED", change={"template_id": "55502", "name": "new_one"})))
    assert await read_status(database, "new_one") == "REJECTED"


@pytest.mark.parametrize("order", list(permutations([(1, "PAUSED"), (2, "APPROVED"), (3, "DISABLED")])))
async def test_late_updates_of_a_template_undo_nothing(
    sqlite_database: Database, order: Sequence[tuple[int, str]]
) -> None:
    await store_template(sqlite_database)
    for second, event in order:
        for _ in range(2):  # Meta delivers again
            await record(sqlite_database, (second, update_of(event, "clear" if event == "APPROVED" else "red")))
    assert await read_status(sqlite_database) == "DISABLED"
    assert [alert.raised_at for alert in await read_alerts(sqlite_database)] == [at(3)]


async def test_updates_of_one_webhook_are_taken_in_the_order_of_their_times(database: Database) -> None:
    await store_template(database)
    await record(database, (3, update_of("APPROVED", "clear")), (2, update_of("PAUSED")))
    assert (await read_status(database), await read_alerts(database)) == ("APPROVED", [])


@pytest.mark.parametrize(
    "change",
    [
        {"template_id": ""},
        {"template_id": "5" * 33},
        {"name": "n" * 513},
        {"language": "\u00e9"},
        {"status": "HELD_BACK"},
    ],
)
async def test_updates_that_fit_no_row_are_alerts_all_the_same(database: Database, change: dict[str, str]) -> None:
    await store_template(database)
    await record(database, (1, update_of("PAUSED", change=change)))
    assert await read_status(database) == "APPROVED"
    assert [alert.message for alert in await read_alerts(database)] == ["Meta says PAUSED."]


async def test_updates_of_the_account(database: Database) -> None:
    bad = AccountUpdate("number:quality", "yellow", "The quality of the number is low.")
    good = AccountUpdate("number:quality", "clear", "")
    await record(database, (2, bad), (1, AccountUpdate("account:ban", "red", "The account is banned.")))
    assert [alert.subject for alert in await read_alerts(database)] == ["account:ban", "number:quality"]
    await record(database, (1, good))
    assert len(await read_alerts(database)) == 2
    await record(database, (3, good))
    assert [alert.subject for alert in await read_alerts(database)] == ["account:ban"]
