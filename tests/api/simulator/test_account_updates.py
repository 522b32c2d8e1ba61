"""Updates of the account, as the simulator sends them and as Tick's own parser reads them."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.simulator.account_updates import UPDATES
from bot.whatsapp.webhook.account_updates import read_account_updates
from tests.api.simulator.echo_service import run_echo_service
from tests.support.places import PAYLOADS

ANA = "15550100001"
# by the name of an update: its field, and the subject and severity that an operator reads
ACCOUNT = {
    "template_paused": ("message_template_status_update", "template:ticket_news:en", "red"),
    "template_disabled": ("message_template_status_update", "template:ticket_news:en", "red"),
    "template_rejected": ("message_template_status_update", "template:ticket_news:en", "red"),
    "template_approved": ("message_template_status_update", "template:ticket_news:en", "clear"),
    "quality_red": ("phone_number_quality_update", "number:quality", "red"),
    "quality_green": ("phone_number_quality_update", "number:quality", "clear"),
    "account_restricted": ("account_update", "account:restriction", "red"),
    "account_unrestricted": ("account_update", "account:restriction", "clear"),
    "account_banned": ("account_update", "account:ban", "red"),
    "account_reinstated": ("account_update", "account:ban", "clear"),
    "name_approved": ("phone_number_name_update", "number:name", "clear"),
}
NEWS_OF_TEMPLATES = {
    "event", "message_template_id", "message_template_name", "message_template_language",
    "message_template_category", "reason",
}  # fmt: skip
MESSAGING = {
    "rate_limited": ("messages", {"errors"}),
    "echo": ("smb_message_echoes", {"message_echoes"}),
    "standby": ("standby", {"contacts", "standby"}),
}


async def send_update(folder: Path, what: str, **about: str) -> Any:
    """Has the simulator send an update; returns its entry, its one change, and the set-up after it."""
    async with run_echo_service(folder) as service:
        body = {"what": what, **about}
        answer = await service.http.post(f"{service.url}/simulator/api/news", json=body)
        assert answer.status_code == 200, answer.text
        await service.until(lambda: len(service.bodies) == 1)
        (entry,) = service.bodies[0]["entry"]
        (change,) = entry["changes"]
        return entry, change, service.simulator.setup


@pytest.mark.parametrize("what", ACCOUNT)
async def test_news_of_the_account(tmp_path: Path, what: str) -> None:
    entry, change, _ = await send_update(tmp_path, what)
    field, subject, severity = ACCOUNT[what]
    assert (change["field"], "metadata" in change["value"], "time" in entry) == (field, False, True)
    (news,) = read_account_updates(json.dumps(change))
    assert (news.subject, news.severity) == (subject, severity)


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("template_paused", {"other_info": {"title", "description"}}),
        ("template_disabled", {"disable_info": {"disable_date"}}),
        ("template_rejected", {"rejection_info": {"reason", "recommendation"}}),
        ("template_approved", {}),
    ],
)
async def test_news_of_a_template_says_more_where_meta_does(
    tmp_path: Path, what: str, more: dict[str, set[str]]
) -> None:
    _, change, _ = await send_update(tmp_path, what)
    value = change["value"]
    assert {key: set(value[key]) for key in value.keys() - NEWS_OF_TEMPLATES} == more


@pytest.mark.parametrize("what", MESSAGING)
async def test_news_of_a_number_names_it(tmp_path: Path, what: str) -> None:
    entry, change, _ = await send_update(tmp_path, what, phone=ANA)
    field, keys = MESSAGING[what]
    assert (change["field"], "time" in entry) == (field, False)
    assert change["value"].keys() == {"messaging_product", "metadata"} | keys


async def test_an_echo_is_what_somebody_wrote_in_the_business_app(tmp_path: Path) -> None:
    _, change, setup = await send_update(tmp_path, "echo", phone=ANA, text="I have called you")
    (echo,) = change["value"]["message_echoes"]
    assert (echo["from"], echo["to"], echo["text"]["body"]) == (setup.display_phone_number, ANA, "I have called you")


async def test_a_handover_comes_with_a_summary(tmp_path: Path) -> None:
    _, change, _ = await send_update(tmp_path, "handover", phone=ANA, text="They want to cancel")
    value = change["value"]
    assert change["field"] == "messaging_handovers"
    assert (value["type"], value["sender"]) == ("control_passed", {"phone_number": ANA})
    assert value["control_passed"]["conversation_context"]["summary"]["text"] == "They want to cancel"


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("quality_red", ("RED", "AVAILABLE", "APPROVED")),
        ("account_restricted", ("GREEN", "LIMITED", "APPROVED")),
        ("account_banned", ("GREEN", "BLOCKED", "APPROVED")),
        ("template_paused", ("GREEN", "AVAILABLE", "PAUSED")),
    ],
)
async def test_the_set_up_changes_with_the_news(tmp_path: Path, what: str, seen: tuple[str, str, str]) -> None:
    _, _, setup = await send_update(tmp_path, what)
    assert (setup.quality, setup.health, setup.templates[-1]["status"]) == seen


async def test_anything_can_be_told(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        document = json.loads((PAYLOADS / "webhooks" / "unknown_type_poll.json").read_bytes())
        answer = await service.http.post(f"{service.url}/simulator/api/webhooks", json=document)
        assert answer.status_code == 201
        await service.until(lambda: len(service.bodies) == 1)
        assert service.bodies == [document]
        assert service.odd != []  # it is nothing that the stand-in would send by itself
        service.odd.clear()


async def test_every_piece_of_news_is_known_here_and_others_are_refused(tmp_path: Path) -> None:
    assert set(UPDATES) == ACCOUNT.keys() | MESSAGING.keys() | {"handover"}
    async with run_echo_service(tmp_path) as service:
        url = f"{service.url}/simulator/api/news"
        assert (await service.http.get(url)).json()["data"] == list(UPDATES)
        gone = {"what": "user_id_update", "phone": ANA}  # another user id is told of in a system message
        for wrong in ({"what": "nothing"}, {"what": "echo"}, {"what": "template_paused", "text": "unheard_of"}, gone):
            assert (await service.http.post(url, json=wrong)).status_code == 400
