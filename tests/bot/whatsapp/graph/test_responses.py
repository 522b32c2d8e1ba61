"""Every recorded answer and every recorded failure has one exact outcome, written down in expected/."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bot.whatsapp.errors import classify_error
from bot.whatsapp.webhook.events import read_status
from bot.whatsapp.webhook.items import ItemKind
from tests.bot.whatsapp.graph.wire import BODY, answer, graph
from tests.bot.whatsapp.webhook.reading import parse_items
from tests.support.places import PAYLOADS

EXPECTED = Path(__file__).parents[1] / "expected"


def written_down(folder: str) -> dict[str, Any]:
    outcomes: dict[str, Any] = json.loads((EXPECTED / f"{folder}.json").read_text("utf-8"))
    assert set(outcomes) == {path.name for path in (PAYLOADS / folder).iterdir()}
    return outcomes


RESPONSES = written_down("responses")
ODD = written_down("responses-odd")
FAILED = written_down("statuses-failed")


async def sent_and_got(body: bytes, *http_statuses: int) -> list[dict[str, Any]]:
    """What becomes of a message, and of a question, that are answered like this."""
    script = [answer(body, http_status) for http_status in http_statuses for _ in ("send", "get")]
    outcomes = []
    async with graph(*script) as (client, server):
        for _ in http_statuses:
            outcome = await client.send(BODY)
            got = await client.get("1003383421387256")
            outcomes.append({"send": {"is": type(outcome).__name__} | asdict(outcome), "get": asdict(got)})
    assert server.lines == ["POST /v25.0/106540352242922/messages", "GET /v25.0/1003383421387256"] * len(http_statuses)
    return outcomes


@pytest.mark.parametrize("name", RESPONSES)
async def test_a_recorded_error(name: str) -> None:
    """The code alone decides, whatever HTTP says; but after 5xx nobody knows whether Meta took the message."""
    http_statuses = (200, 400, 403, 404, 429, 500, 503)
    outcomes = await sent_and_got((PAYLOADS / "responses" / name).read_bytes(), *http_statuses)
    for http_status, outcome in zip(http_statuses, outcomes, strict=True):
        said = RESPONSES[name]
        is_failed = http_status >= 500
        assert outcome["send"] == ({"is": "ServerFailed", "said": said} if is_failed else {"is": "Refused"} | said)
        assert outcome["get"]["error"] == RESPONSES[name] | {"subcode": None, "http_status": http_status}
        assert (outcome["get"]["failure"], outcome["get"]["sent"]) == ("", True)


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_answer(name: str) -> None:
    assert await sent_and_got((PAYLOADS / "responses-odd" / name).read_bytes(), int(name[:3])) == [ODD[name]]


@pytest.mark.parametrize("name", FAILED)
def test_a_failed_status(name: str) -> None:
    (item,) = parse_items((PAYLOADS / "statuses-failed" / name).read_bytes())
    assert (item.kind, item.ignored) == (ItemKind.STATUS, None)
    status = read_status(item.payload)
    policy = classify_error(status.error_code)
    read = {"wamid": status.wamid, "status": status.status, "code": status.error_code, "text": status.error_text}
    assert read | policy._asdict() == FAILED[name]
