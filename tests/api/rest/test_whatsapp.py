"""Writing to a customer over the REST API, and the status of the connection."""

import json
from datetime import timedelta

import pytest

from api.web.credentials import Role
from storage import alerts, journal, meta_snapshots
from storage.alerts import Alert
from storage.journal import NewItem
from storage.sql.database import Tx
from storage.statuses import AlertSeverity, Fate
from tests.api.rest_service import PHONE, Service

GUIDE = {"phoneNumber": "+1234567890", "message": "Test message from Tick System"}


async def test_the_guides_own_example(service: Service) -> None:
    customer_id = await service.customer("+1234567890")
    sent = await service.data("POST", "/api/whatsapp/send", GUIDE)
    assert sent["delivery"] == "queued"
    [row] = await service.read_outbox()
    assert str(row["id"]) == sent["id"]
    assert (row["customer_id"], row["origin"], row["ticket_id"]) == (customer_id, "agent", None)
    assert row["text"] == "Test message from Tick System"
    [[action]] = await service.rows("SELECT action FROM audit WHERE action <> 'key.create'")
    assert action == "message.send"


@pytest.mark.parametrize("wrote_ago", ["never seen", None, timedelta(hours=24)])
async def test_outside_of_the_window_nothing_is_queued(service: Service, wrote_ago: timedelta | str | None) -> None:
    if not isinstance(wrote_ago, str):
        await service.customer("+1234567890", wrote_ago=wrote_ago)
    answer = await service.expect_refusal(409, "POST", "/api/whatsapp/send", GUIDE)
    assert answer["message"] == "window_closed"
    assert await service.read_outbox() == []
    assert await service.rows("SELECT id FROM audit WHERE action <> 'key.create'") in ([], ())


async def test_long_message_is_split(light_service: Service) -> None:
    await light_service.customer()
    await light_service.data("POST", "/api/whatsapp/send", {"phoneNumber": PHONE, "message": "x" * 4097})
    assert [len(row["text"]) for row in await light_service.read_outbox()] == [4096, 1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phoneNumber": "1234567890"}, "phoneNumber"),
        ({"phoneNumber": "+999123456789"}, "phoneNumber"),
        ({"phoneNumber": "US.13491208655302741918"}, "phoneNumber"),
        ({"phoneNumber": None}, "phoneNumber"),
        ({"message": "\u200b"}, "message"),
        ({"message": {"body": "x"}}, "message"),
        ({"message": "x" * 65_537}, "message"),
        ({"to": "+15550001234"}, "to"),
        ({"type": "template"}, "type"),
    ],
)
async def test_message_that_is_not_valid(light_service: Service, change: dict[str, object], field: str) -> None:
    await light_service.customer("+1234567890")
    answer = await light_service.expect_refusal(422, "POST", "/api/whatsapp/send", GUIDE | change)
    assert [problem["field"] for problem in answer["errors"]] == [field]
    assert await light_service.read_outbox() == []


async def test_status(service: Service) -> None:
    status = await service.data("GET", "/api/whatsapp/status", role=None, headers=make_headers(service))
    nothing = dict.fromkeys(("received", "done", "ignored", "dead", "pending", "duplicates"), 0)
    assert status == {
        "configured": True,
        "connected": False,
        "number": None,
        "phone_number_id": "106540352242922",
        "name": None,
        "quality": None,
        "number_status": None,
        "channel": {"state": "open", "reason": None, "since": None},
        "alerts": [],
        "last_webhook": None,
        "last_error": None,
        "journal": nothing,
        "outbox": dict.fromkeys(("queued", "sending", "held", "unknown", "failed"), 0),
    }
    now = service.clock.now
    items = [
        NewItem(service.resources.ids.next(), f"k{number}", "message", 1, "", now, now, "{}", reason)
        for number, reason in enumerate(("", "", "group"))
    ]

    async def store(tx: Tx) -> None:
        await journal.store(tx, items)
        await journal.store(tx, [NewItem(1, "k0", "message", 1, "", now, now, "{}", "")])
        await journal.close(tx, [items[0].item_id], Fate.DONE, now)

    await service.resources.database.run(store)
    await service.customer()
    for _ in range(2):
        await service.data("POST", "/api/whatsapp/send", {"phoneNumber": PHONE, "message": "Hello"})
    status = await service.data("GET", "/api/whatsapp/status")
    assert status["journal"] == {"received": 3, "done": 1, "ignored": 1, "dead": 0, "pending": 1, "duplicates": 1}
    assert status["outbox"] == {"queued": 2, "sending": 0, "held": 0, "unknown": 0, "failed": 0}
    assert (status["connected"], status["last_webhook"]) == (True, "2026-03-01T12:00:00.250000Z")
    first, second = await service.read_outbox()
    await service.execute(
        "UPDATE outbox SET status = 'failed', reason = 'refused', detail = '190 The access token expired.', "
        "status_at = status_at + 1 WHERE id = ?",
        [first["id"]],
    )
    status = await service.data("GET", "/api/whatsapp/status")
    assert status["connected"] is False
    assert status["last_error"] == {"message": "190 The access token expired.", "at": "2026-03-01T12:00:00.251000Z"}
    service.clock.forward(seconds=1)
    await service.accept(second["id"], "wamid.1")
    assert (await service.data("GET", "/api/whatsapp/status"))["connected"] is True


async def test_status_of_the_number_and_alerts(service: Service) -> None:
    now = service.clock.now
    body = json.dumps({"number": "+1 555-000-1234", "name": "Tick Desk", "quality": "YELLOW", "status": "CONNECTED"})

    async def store_news(tx: Tx) -> None:
        await meta_snapshots.claim(tx, "106540352242922", now, timedelta(0))
        await meta_snapshots.write(tx, "106540352242922", body)
        await journal.store(tx, [NewItem(1, "k", "message", 1, "", now, now, "{}", "")])
        await alerts.raise_alert(
            tx, Alert("number:quality", AlertSeverity.YELLOW, "It is falling.", now - timedelta(seconds=1))
        )

    await service.resources.database.run(store_news)
    status = await service.data("GET", "/api/whatsapp/status")
    shown = {key: status[key] for key in ("number", "name", "quality", "number_status", "connected")}
    assert list(shown.values()) == ["+1 555-000-1234", "Tick Desk", "YELLOW", "CONNECTED", True]
    falling = {
        "subject": "number:quality", "severity": "yellow", "message": "It is falling.",
        "since": "2026-03-01T11:59:59.250000Z",
    }  # fmt: skip
    assert status["alerts"] == [falling]
    stop = Alert("channel", AlertSeverity.RED, "The access token expired.", now)
    await service.resources.database.run(lambda tx: alerts.raise_alert(tx, stop))
    status = await service.data("GET", "/api/whatsapp/status")
    since = "2026-03-01T12:00:00.250000Z"
    assert status["connected"] is False
    assert status["channel"] == {"state": "stopped", "reason": "The access token expired.", "since": since}
    red = {"subject": "channel", "severity": "red", "message": "The access token expired.", "since": since}
    assert status["alerts"] == [red, falling]
    await service.resources.database.run(lambda tx: alerts.clear(tx, "channel", now))
    status = await service.data("GET", "/api/whatsapp/status")
    assert (status["connected"], status["channel"]["state"], status["alerts"]) == (True, "open", [falling])


def make_headers(service: Service) -> dict[str, str]:
    viewer = next(key for role, key in service.keys.items() if role == "viewer")
    return {"Authorization": f"Bearer {viewer}"}


async def test_an_admin_has_a_stopped_channel_tried_at_once(service: Service) -> None:
    async def try_now(role: Role) -> bool:
        return bool((await service.data("POST", "/api/whatsapp/channel/try-now", {}, role=role))["tried"])

    assert not await try_now(Role.ADMIN), "nothing stands still"
    stop = Alert("channel", AlertSeverity.RED, "The account is locked.", service.clock.now)
    await service.resources.database.run(lambda tx: alerts.raise_alert(tx, stop))
    service.clock.forward(seconds=1)
    await service.expect_refusal(403, "POST", "/api/whatsapp/channel/try-now", {}, role=Role.AGENT)
    assert [await try_now(Role.ADMIN), await try_now(Role.ADMIN)] == [True, False]
    assert (await service.data("GET", "/api/whatsapp/status"))["channel"]["state"] == "open"
    rows = await service.rows("SELECT actor, object_id FROM audit WHERE action = 'channel.try'")
    assert [tuple(row) for row in rows] == [(f"key the admin's ({service.keys[Role.ADMIN][:12]})", "channel")]
