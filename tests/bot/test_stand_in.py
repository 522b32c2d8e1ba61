"""Templates, the number and QR codes against the stand-in for Meta, which answers as Meta does."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.account.phone_number import PhoneNumberMonitor
from bot.account.qr_codes import MetaRefused, QrCodes
from bot.templates.health import TemplateKey
from bot.templates.parameters import ParameterMapping
from bot.templates.sync import TemplateSync
from bot.whatsapp.graph.client import Accepted, GraphClient, GraphSettings, Refused, open_http
from bot.whatsapp.messages.build import build_body
from storage import alerts
from storage import templates as rows
from storage.sql.database import Database
from storage.statuses import Why
from storage.templates import NoticeAssignment
from tests.api.simulator.echo_service import NUMBER_ID, SECRET, TOKEN, EchoService, run_echo_service

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VALUES = {"ticket_id": "12", "title": "Printer", "name": "Ann", "text": "Try\nit\tnow."}
WORDS = {"type": "text", "text": "", "notice": {"kind": "reply", "language": "en", "values": VALUES}}


class Place:
    """The stand-in, and what asks it."""

    def __init__(self, service: EchoService, database: Database, graph: GraphClient) -> None:
        self.setup = service.simulator.setup
        self.database = database
        self.graph = graph
        self.now = NOW
        self.templates = TemplateSync(database=database, graph=graph, clock=self.clock, waba_id=self.setup.waba_id)
        self.monitor = PhoneNumberMonitor(database=database, graph=graph, clock=self.clock, phone_number_id=NUMBER_ID)
        self.codes = QrCodes(graph)

    def clock(self) -> datetime:
        return self.now

    async def listed(self) -> int:
        self.now += timedelta(minutes=10)
        synced = await self.templates.sync()
        assert synced.problem == ""
        return synced.count

    async def alerts(self) -> list[str]:
        async with self.database.reading() as tx:
            return [alert.subject for alert in await alerts.list_open(tx)]


@pytest.fixture
async def place(sqlite_database: Database, tmp_path: Path) -> AsyncIterator[Place]:
    async with run_echo_service(tmp_path / "simulator") as service, open_http() as http:
        settings = GraphSettings(f"{service.url}/simulator/graph/v25.0", NUMBER_ID, TOKEN, SECRET)
        yield Place(service, sqlite_database, GraphClient(settings, http))


def template(number: int, **more: object) -> dict[str, Any]:
    return {
        "id": str(7000 + number), "name": f"update_{number}", "language": "en", "status": "APPROVED",
        "category": "UTILITY", "components": [{"type": "BODY", "text": "Ticket {{1}}: {{2}}"}],
    } | more  # fmt: skip


async def test_all_pages_of_a_long_list(place: Place) -> None:
    place.setup.templates[:] = [template(number) for number in range(230)]
    assert await place.listed() == 230
    del place.setup.templates[100:]
    assert await place.listed() == 100
    async with place.database.reading() as tx:
        gone = [row for row in await rows.list_templates(tx) if row.status == "REMOVED"]
    assert len(gone) == 130


NAMED = {"components": [{"type": "BODY", "text": "Ticket {{number}}: {{words}}"}], "parameter_format": "NAMED"}
HEADER = {"components": [{"type": "HEADER", "format": "TEXT", "text": "About {{1}}"}, *template(1)["components"]]}


@pytest.mark.parametrize(
    ("made", "mapping"),
    [
        (template(1), ParameterMapping.from_request(["ticket_id", "text"], [])),
        (template(1, **NAMED), ParameterMapping.from_request({"number": "ticket_id", "words": "text"}, [])),
        (template(1, **HEADER), ParameterMapping.from_request(["ticket_id", "text"], ["title"])),
    ],
)
async def test_what_is_made_of_a_notice_is_accepted_until_the_template_is_paused(
    place: Place, made: dict[str, Any], mapping: ParameterMapping
) -> None:
    place.setup.templates[:] = [made]
    await place.listed()
    notice = NoticeAssignment("reply", "en", "update_1", "en", mapping.to_json(), NOW)
    await place.database.run(lambda tx: rows.save_assignment(tx, notice))
    payload = await place.templates.convert_to_template(WORDS)
    assert isinstance(payload, dict)
    body = build_body(payload, to="15550001234", opaque="1")
    assert isinstance(await place.graph.send(body), Accepted)
    made["status"] = "PAUSED"
    answer = await place.graph.send(body)
    assert isinstance(answer, Refused)
    assert answer.code == 132015
    place.now += timedelta(seconds=1)
    await place.templates.record_refusal(TemplateKey("update_1", "en"), answer.code, answer.reason)
    why = await place.templates.convert_to_template(WORDS)
    assert isinstance(why, Why)
    assert "was paused by Meta" in why.detail
    assert await place.alerts() == ["template:update_1:en"]
    made["status"] = "APPROVED"
    await place.listed()
    assert await place.templates.convert_to_template(WORDS) == payload
    assert await place.alerts() == []


async def test_the_number_and_its_troubles(place: Place) -> None:
    await place.monitor.refresh()
    known = await place.monitor.read_snapshot()
    assert (known.digits, known.status, known.health) == ("15550783881", "CONNECTED", "AVAILABLE")
    assert await place.alerts() == []
    place.setup.quality, place.setup.number_status, place.setup.health = "RED", "FLAGGED", "BLOCKED"
    place.setup.served_version = "v19.0"
    place.now += timedelta(minutes=10)
    await place.monitor.refresh()
    assert set(await place.alerts()) == {"number:quality", "number:status", "number:health", "api_version"}
    place.setup.quality, place.setup.number_status, place.setup.health = "GREEN", "CONNECTED", "AVAILABLE"
    place.setup.served_version = ""
    place.setup.token_state = "expired"
    place.now += timedelta(minutes=10)
    await place.monitor.refresh()
    assert "number:access" in await place.alerts()
    place.setup.token_state = "valid"
    place.now += timedelta(minutes=10)
    await place.monitor.refresh()
    assert await place.alerts() == []


async def test_metas_own_codes(place: Place) -> None:
    made = [await place.codes.create(f"Branch {number}") for number in range(30)]
    listed = await place.codes.list_codes()
    assert {code.code for code in listed} == {code.code for code in made}
    await place.codes.delete(made[0].code)
    assert len(await place.codes.list_codes()) == 29
    with pytest.raises(MetaRefused, match="Meta knows no such code"):
        await place.codes.delete(made[0].code)
