"""A set-up that is broken in one place: which call of the Graph API notices it, and with which error."""

import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

import pytest

from api.simulator.setup import MANAGEMENT, MESSAGING
from tests.api.simulator.echo_service import NUMBER_ID, SECRET, TOKEN, VERIFY_TOKEN, EchoService, run_echo_service

WABA, APP = "102290129340398", "3465092943791563"
ANA = "15550100001"
APP_TOKEN = f"{APP}|{SECRET}"
DISPLAY = "15550783881"
Parts = tuple[int, int | None, int | None]

BROKEN: list[tuple[str, dict[str, Any], str, str, Parts]] = [
    ("all is well", {}, "GET", NUMBER_ID, (200, None, None)),
    ("token of another app", {"access_token": "other"}, "GET", NUMBER_ID, (401, 190, None)),
    ("token taken back", {"token_state": "invalid"}, "GET", NUMBER_ID, (401, 190, None)),
    ("token expired", {"token_state": "expired"}, "GET", NUMBER_ID, (401, 190, 463)),
    ("token expired by time", {"token_expires_at": 1_700_000_000}, "GET", WABA, (401, 190, 463)),
    ("another app secret", {"app_secret": "other"}, "GET", NUMBER_ID, (400, 100, None)),
    ("a WABA as number", {}, "POST", f"{WABA}/messages", (400, 100, 33)),
    ("a phone as number", {}, "POST", f"{DISPLAY}/messages", (400, 100, 33)),
    ("a number as WABA", {}, "GET", f"{NUMBER_ID}/subscribed_apps", (400, 100, 33)),
    ("a number as WABA", {}, "GET", f"{NUMBER_ID}/message_templates", (400, 100, 33)),
    ("a number as WABA", {}, "GET", f"{NUMBER_ID}/phone_numbers", (400, 100, 33)),
    ("not registered", {"registered": False}, "POST", f"{NUMBER_ID}/messages", (400, 133010, None)),
    ("locked", {"health": "BLOCKED"}, "POST", f"{NUMBER_ID}/messages", (403, 131031, None)),
    ("no messaging", {"scopes": [MANAGEMENT]}, "POST", f"{NUMBER_ID}/messages", (403, 10, None)),
    ("no management", {"scopes": [MESSAGING]}, "GET", f"{WABA}/message_templates", (403, 200, None)),
    ("no management", {"scopes": [MESSAGING]}, "GET", f"{WABA}/subscribed_apps", (403, 200, None)),
    ("the number can still be read", {"scopes": [MESSAGING]}, "GET", NUMBER_ID, (200, None, None)),
    ("a test number", {"allowed_recipients": ["15550100002"]}, "POST", f"{NUMBER_ID}/messages", (400, 131030, None)),
    ("an address that nothing has", {}, "GET", "a/b/c", (400, 2500, None)),
    ("no address at all", {}, "GET", "", (400, 2500, None)),
    ("webhook fields with a user's token", {}, "GET", f"{APP}/subscriptions", (400, 15, None)),
]  # fmt: skip


def proof() -> str:
    return hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()


async def call(service: EchoService, method: str, path: str, token: str = TOKEN, **changes: Any) -> Any:
    message = {"messaging_product": "whatsapp", "to": f"+{ANA}", "text": {"body": "Hello"}}
    body = {"json": changes.pop("json", message)} if method == "POST" else {}
    proven = {"appsecret_proof": proof()} if token == TOKEN else {}
    params = proven | changes.pop("params", {})
    headers = {"Authorization": f"Bearer {token}"}
    return await service.http.request(method, f"{service.graph}/{path}", params=params, headers=headers, **body)


@pytest.mark.parametrize(("name", "broken", "method", "path", "expected"), BROKEN)
async def test_a_broken_set_up_is_noticed_by_the_right_call(
    tmp_path: Path, name: str, broken: dict[str, Any], method: str, path: str, expected: Parts
) -> None:
    async with run_echo_service(tmp_path) as service:
        service.simulator.setup.change(broken)
        answer = await call(service, method, path)
        error = answer.json().get("error", {})
        assert (answer.status_code, error.get("code"), error.get("error_subcode")) == expected, name
        assert not error or {"message", "type", "code", "fbtrace_id"} <= error.keys()


async def test_a_proof_can_be_demanded(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        service.simulator.setup.require_proof = True
        url, headers = f"{service.graph}/{NUMBER_ID}", {"Authorization": f"Bearer {TOKEN}"}
        without = await service.http.get(url, headers=headers)
        assert (without.status_code, without.json()["error"]["code"]) == (400, 104)
        assert (await call(service, "GET", NUMBER_ID)).status_code == 200


@pytest.mark.parametrize("token", [TOKEN, APP_TOKEN])
async def test_a_token_is_described(tmp_path: Path, token: str) -> None:
    async with run_echo_service(tmp_path) as service:
        soon = int(time.time()) + 3_600
        service.simulator.setup.token_expires_at = float(soon)
        described = (await call(service, "GET", "debug_token", token, params={"input_token": TOKEN})).json()["data"]
        assert (described["is_valid"], described["expires_at"], described["app_id"]) == (True, soon, APP)
        assert described["scopes"] == [MANAGEMENT, MESSAGING]
        assert {one["scope"] for one in described["granular_scopes"]} == {MANAGEMENT, MESSAGING}
        foreign = (await call(service, "GET", "debug_token", token, params={"input_token": "foreign"})).json()["data"]
        assert (foreign["is_valid"], foreign["error"]["code"]) == (False, 190)


async def test_another_apps_secret_is_noticed_in_the_apps_token(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        refused = await call(service, "GET", "debug_token", f"{APP}|other", params={"input_token": TOKEN})
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["message"]) == (
            401,
            190,
            "Invalid OAuth access token signature.",
        )


async def test_an_expired_token_is_described_to_whoever_has_another(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        service.simulator.setup.change({"token_state": "expired"})
        described = (await call(service, "GET", "debug_token", APP_TOKEN, params={"input_token": TOKEN})).json()["data"]
        assert (described["is_valid"], described["error"]["subcode"]) == (False, 463)
        assert (await call(service, "GET", "debug_token", params={"input_token": TOKEN})).status_code == 401


async def test_the_webhook_fields_are_read_and_written_with_the_apps_token(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        (before,) = (await call(service, "GET", f"{APP}/subscriptions", APP_TOKEN)).json()["data"]
        assert (before["object"], before["callback_url"]) == ("whatsapp_business_account", f"{service.url}/webhook")
        assert {"name": "messages", "version": "v25.0"} in before["fields"]
        hook = f"{service.url}/webhook?new"
        wanted = {"object": "whatsapp_business_account", "callback_url": hook, "fields": "messages,security"}
        wanted["verify_token"] = VERIFY_TOKEN
        assert (await call(service, "POST", f"{APP}/subscriptions", APP_TOKEN, json=wanted)).json() == {"success": True}
        (after,) = (await call(service, "GET", f"{APP}/subscriptions", APP_TOKEN)).json()["data"]
        assert [one["name"] for one in after["fields"]] == ["messages", "security"]
        assert after["callback_url"] == hook


async def test_an_address_for_webhooks_has_to_shake_hands(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        wrong = [("/webhook", "other", "403"), ("/page", VERIFY_TOKEN, "challenge"), (":1", VERIFY_TOKEN, "reach")]
        for path, token, said in wrong:
            address = {"override_callback_uri": service.url + path, "verify_token": token}
            for where, body in ((NUMBER_ID, {"webhook_configuration": address}), (f"{WABA}/subscribed_apps", address)):
                error = (await call(service, "POST", where, json=body)).json()["error"]
                assert error["code"] == 2200
                assert said in error["message"]
        assert service.simulator.setup.webhook_url == f"{service.url}/webhook"
        right = {"override_callback_uri": f"{service.url}/webhook?waba", "verify_token": VERIFY_TOKEN}
        assert (await call(service, "POST", f"{WABA}/subscribed_apps", json=right)).json() == {"success": True}
        assert service.simulator.setup.webhook_url == f"{service.url}/webhook?waba"
        await service.write(ANA, text="silence")
        await service.until(lambda: service.texts() == ["silence"])


async def test_what_is_not_subscribed_silently_never_arrives(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        setup = service.simulator.setup
        await call(service, "DELETE", f"{WABA}/subscribed_apps")
        assert (await call(service, "GET", f"{WABA}/subscribed_apps")).json() == {"data": []}
        lost = await service.write(ANA, text="silence 1")
        await call(service, "POST", f"{WABA}/subscribed_apps")
        (app,) = (await call(service, "GET", f"{WABA}/subscribed_apps")).json()["data"]
        assert app["whatsapp_business_api_data"]["id"] == APP
        setup.webhook_fields.discard("messages")
        await service.write(ANA, text="silence 2")
        setup.webhook_fields.add("messages")
        await service.write(ANA, text="silence 3")
        await service.until(lambda: service.texts() == ["silence 3"])
        assert (await service.chat(ANA))[0]["wamid"] == lost["wamid"]


NUMBER: dict[str, Any] = {
    "verified_name": "Tick Support",
    "quality_rating": "RED",
    "status": "RESTRICTED",
    "name_status": "DECLINED",
    "code_verification_status": "VERIFIED",
    "throughput": {"level": "HIGH"},
    "whatsapp_business_manager_messaging_limit": "TIER_250",
    "id": NUMBER_ID,
}


async def test_a_number_tells_how_it_is(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        described = {"quality": "RED", "number_status": "RESTRICTED", "name_status": "DECLINED", "throughput": "HIGH"}
        service.simulator.setup.change(described | {"messaging_limit": "TIER_250", "health": "LIMITED"})
        answer = await call(service, "GET", NUMBER_ID, params={"fields": ",".join(NUMBER)})
        assert answer.json() == NUMBER
        listed = (await call(service, "GET", f"{WABA}/phone_numbers")).json()["data"]
        assert [one["id"] for one in listed] == [NUMBER_ID]
        health = (await call(service, "GET", NUMBER_ID, params={"fields": "health_status"})).json()["health_status"]
        assert health["can_send_message"] == "LIMITED"
        assert {one["entity_type"] for one in health["entities"]} == {"PHONE_NUMBER", "WABA", "BUSINESS", "APP"}
        assert (await call(service, "GET", "app")).json()["id"] == APP
        assert (await call(service, "GET", WABA)).json()["id"] == WABA


async def test_a_number_is_registered_and_its_webhooks_go_elsewhere(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        setup = service.simulator.setup
        await call(service, "POST", f"{NUMBER_ID}/deregister", json={})
        assert (setup.registered, setup.number_status) == (False, "DISCONNECTED")
        wrong = await call(service, "POST", f"{NUMBER_ID}/register", json={"pin": "12"})
        assert wrong.json()["error"]["code"] == 133005
        right = await call(
            service, "POST", f"{NUMBER_ID}/register", json={"messaging_product": "whatsapp", "pin": "123456"}
        )
        assert (right.json(), setup.registered) == ({"success": True}, True)
        elsewhere = {
            "webhook_configuration": {"override_callback_uri": f"{service.url}/webhook?2", "verify_token": VERIFY_TOKEN}
        }
        assert (await call(service, "POST", NUMBER_ID, json=elsewhere)).json() == {"success": True}
        read = await call(service, "GET", NUMBER_ID, params={"fields": "webhook_configuration"})
        assert read.json()["webhook_configuration"] == {
            "application": f"{service.url}/webhook",
            "phone_number": f"{service.url}/webhook?2",
        }


@pytest.mark.parametrize("version", ["v99.0", "v27.0", "v1.0", "v3.4", "v25", "25.0", "latest", "v25.0.1", "v025.0"])
async def test_a_version_that_never_was_is_an_unknown_path(tmp_path: Path, version: str) -> None:
    async with run_echo_service(tmp_path) as service:
        path = f"/{version}/{NUMBER_ID}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        refused = await service.http.get(f"{service.url}/simulator/graph{path}", headers=headers)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (400, 2500)
        assert error["message"] == f"Unknown path components: {path}"


@pytest.mark.parametrize(("asked", "answers"), [("v26.0", "v26.0"), ("v20.0", "v21.0"), ("v2.12", "v21.0")])
async def test_an_expired_version_is_answered_by_the_oldest_that_lives(
    tmp_path: Path, asked: str, answers: str
) -> None:
    async with run_echo_service(tmp_path) as service:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = await service.http.get(f"{service.url}/simulator/graph/{asked}/{NUMBER_ID}", headers=headers)
        assert (answer.status_code, answer.headers["facebook-api-version"]) == (200, answers)


async def test_parameters_may_stand_in_the_address(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        headers, params = {"Authorization": f"Bearer {TOKEN}"}, {"messaging_product": "whatsapp", "type": "image/png"}
        files = {"file": ("a.png", b"\x89PNG", "application/octet-stream")}
        address = f"{service.graph}/{NUMBER_ID}/media"
        uploaded = await service.http.post(address, params=params, files=files, headers=headers)
        assert uploaded.status_code == 200
        located = await call(service, "GET", uploaded.json()["id"])
        assert located.json()["mime_type"] == "image/png"

        codes, text = f"{NUMBER_ID}/message_qrdls", {"prefilled_message": "Hi", "generate_qr_image": "SVG"}
        made = await service.http.post(f"{service.graph}/{codes}", params=text, headers=headers)
        assert made.json().keys() == {"code", "prefilled_message", "deep_link_url", "qr_image_url"}
        change = {"code": made.json()["code"], "prefilled_message": "Hello"}
        await service.http.post(f"{service.graph}/{codes}", params=change, headers=headers)
        [listed] = (await call(service, "GET", codes)).json()["data"]
        assert (listed["code"], listed["prefilled_message"]) == (change["code"], "Hello")


async def test_another_version_may_answer(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        service.simulator.setup.served_version = "v26.0"
        assert (await call(service, "GET", NUMBER_ID)).headers["facebook-api-version"] == "v26.0"


async def test_the_set_up_is_changed_over_http_and_a_mistake_changes_nothing(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        url = f"{service.url}/simulator/api/setup"
        changed = await service.http.post(url, json={"quality": "YELLOW", "scopes": [MESSAGING], "token_expires_at": 5})
        described = changed.json()["data"]
        assert (described["quality"], described["scopes"], described["token_expires_at"]) == (
            "YELLOW",
            [MESSAGING],
            5.0,
        )
        assert "app_secret" not in described
        assert "access_token" not in described
        for wrong in ({"quality": 7}, {"colour": "red"}, {"registered": 1}, {"scopes": "all"}, {"scopes": [1]}):
            assert (await service.http.post(url, json={"quality": "RED"} | wrong)).status_code == 400
        assert (await service.http.get(url)).json()["data"] == described


async def test_the_calls_are_written_down_when_asked_for(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path, keep_requests=True) as service:
        await call(service, "GET", f"{WABA}/message_templates", params={"limit": "1"})
        await call(service, "POST", f"{NUMBER_ID}/messages", json={"to": "x"})
        assert service.simulator.requests == [
            ("GET", f"/v25.0/{WABA}/message_templates", None),
            ("POST", f"/v25.0/{NUMBER_ID}/messages", {"to": "x"}),
        ]


async def test_qr_codes_are_made_listed_changed_and_removed(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        codes = f"{NUMBER_ID}/message_qrdls"
        wanted = {"prefilled_message": "Hi, branch 7", "generate_qr_image": "SVG"}
        made = (await call(service, "POST", codes, json=wanted)).json()
        code = made["code"]
        assert made["deep_link_url"] == f"https://wa.me/message/{code}"
        assert made["qr_image_url"].endswith(".svg")
        kept = {key: made[key] for key in ("code", "prefilled_message", "deep_link_url")}
        assert (await call(service, "GET", codes)).json()["data"] == [kept]
        again = await call(service, "POST", codes, json={"code": code, "prefilled_message": "Hi"})
        assert again.json() == kept | {"prefilled_message": "Hi"}
        assert (await call(service, "GET", f"{codes}/{code}")).json()["data"][0]["prefilled_message"] == "Hi"
        assert (await call(service, "DELETE", f"{codes}/{code}")).json() == {"success": True}
        assert (await call(service, "GET", codes)).json() == {"data": []}
        for wrong in ({}, {"prefilled_message": "x" * 141}, {"prefilled_message": "x", "generate_qr_image": "GIF"}):
            assert (await call(service, "POST", codes, json=wrong)).json()["error"]["code"] == 100
