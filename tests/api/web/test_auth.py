"""Nobody in who does not belong: keys, roles, and every route of the API."""

import asyncio
import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from quart import Quart, Response

from api.admin import create_key
from api.rest.document import OWN_DOORS
from api.server.front_door import Admission
from api.server.serving import ADMISSION
from api.server.shares import Standing
from api.web.auth import ANSWERS, PERMISSIONS, GuardedBlueprint, Permission, Undeclared, open_to_all, read_declaration
from api.web.credentials import Role
from tests.api.rest_service import Service

# Every route there is, and what it needs: a route that is not here fails the test.
ROUTES = {
    ("POST", "/api/tickets"): Permission.CHANGE_TICKETS,
    ("GET", "/api/tickets"): Permission.READ,
    ("GET", "/api/tickets/<ticket:ticket_id>"): Permission.READ,
    ("PUT", "/api/tickets/<ticket:ticket_id>/status"): Permission.CHANGE_TICKETS,
    ("POST", "/api/tickets/<ticket:ticket_id>/ask"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/api/replies"): Permission.WRITE_TO_CUSTOMERS,
    ("GET", "/api/replies/<ticket:ticket_id>"): Permission.READ,
    ("POST", "/api/replies/<reply_id>/reaction"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/api/replies/<reply_id>/send-again"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/api/files"): Permission.WRITE_TO_CUSTOMERS,
    ("GET", "/api/files/<file_id>"): Permission.READ,
    ("GET", "/api/files/<file_id>/state"): Permission.READ,
    ("POST", "/api/files/<file_id>/retry"): Permission.CHANGE_TICKETS,
    ("POST", "/api/whatsapp/send"): Permission.WRITE_TO_CUSTOMERS,
    ("GET", "/api/whatsapp/messages/<message_id>"): Permission.READ,
    ("POST", "/api/whatsapp/messages/<message_id>/send-again"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/api/whatsapp/channel/try-now"): Permission.MANAGE,
    ("GET", "/api/whatsapp/status"): Permission.READ,
    ("GET", "/api/whatsapp/templates"): Permission.READ,
    ("POST", "/api/whatsapp/templates/sync"): Permission.MANAGE,
    ("GET", "/api/whatsapp/notices"): Permission.READ,
    ("PUT", "/api/whatsapp/notices/<kind>/<language>"): Permission.MANAGE,
    ("DELETE", "/api/whatsapp/notices/<kind>/<language>"): Permission.MANAGE,
    ("GET", "/api/whatsapp/qr"): Permission.READ,
    ("POST", "/api/whatsapp/qr"): Permission.MANAGE,
    ("GET", "/api/whatsapp/qr/codes"): Permission.READ,
    ("DELETE", "/api/whatsapp/qr/codes/<code>"): Permission.MANAGE,
    ("GET", "/api/openapi.json"): None,
    ("GET", "/api/whatsapp/doctor"): Permission.MANAGE,
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): None,
}
UNAUTHORIZED = {"success": False, "message": "Unauthorized"}


def list_routes(app: Quart) -> Iterator[tuple[str, str, Permission | None]]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] not in OWN_DOORS:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method, rule.rule, read_declaration(app.view_functions[rule.endpoint])


async def test_the_routes_are_these(light_service: Service) -> None:
    assert {(method, path): needed for method, path, needed in list_routes(light_service.app)} == ROUTES


async def test_every_role_on_every_route(light_service: Service) -> None:
    for method, path, needed in list_routes(light_service.app):
        address = re.sub("<[^>]*>", "5", path)
        body: object = {} if method != "GET" else None
        asks_meta = path.startswith(("/api/whatsapp/qr", "/api/whatsapp/templates/sync"))  # which is not there
        for role in (None, *Role):
            response = await light_service.call(method, address, body, role=role)
            if needed is None:
                assert response.status_code == 200 or address == "/readyz"
            elif role is None:
                assert (response.status_code, response.json()) == (401, UNAUTHORIZED)
                assert response.headers["WWW-Authenticate"] == "Bearer"
            elif needed in PERMISSIONS[role]:
                good = (200, 404, 422, 503) if asks_meta else (200, 404, 422)
                assert response.status_code in good, (method, path, role)
            else:
                assert (response.status_code, response.json()) == (403, {"success": False, "message": "Forbidden"})
    assert PERMISSIONS[Role.VIEWER] < PERMISSIONS[Role.AGENT] == ANSWERS <= PERMISSIONS[Role.ADMIN]


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer tick_", "Bearer tick_wrong", "Bearer {key}x", "Bearer  {key}", "Basic {key}",
        "{key}", "Bearer tick_" + "x" * 9000, "Bearer tick_\u00e9", "Bearer {digest}", "Bearer {prefix}",
        "Bearer tick_' OR '1'='1",
    ],
)  # fmt: skip
async def test_key_that_is_no_good(light_service: Service, header: str) -> None:
    key = light_service.keys[Role.ADMIN]
    header = header.format(key=key, digest=hashlib.sha256(key.encode()).hexdigest(), prefix=key[:12])
    headers = {"Authorization": header.encode("latin-1")}
    response = await light_service.http.get("/api/tickets", headers=headers)  # type: ignore[arg-type]
    assert (response.status_code, response.json()) == (401, UNAUTHORIZED)


async def test_key_in_another_place(light_service: Service) -> None:
    key = light_service.keys[Role.ADMIN]
    for query in (f"key={key}", f"access_token={key}", f"Authorization=Bearer%20{key}"):
        for role in (None, Role.ADMIN):  # with a good header as well: this key is in somebody's log now
            response = await light_service.call("GET", f"/api/tickets?{query}", role=role)
            assert (response.status_code, response.json()) == (401, UNAUTHORIZED)
    twice = [("Authorization", f"Bearer {key}"), ("Authorization", "Bearer tick_other")]
    assert (await light_service.http.get("/api/tickets", headers=twice)).status_code == 401
    assert (await light_service.http.get("/api/tickets", headers={"Cookie": f"key={key}"})).status_code == 401


@pytest.mark.parametrize("value", ["stick_it", "tick_", "lipstick_abcdefghijklmnopqrstuvwxyz", "tick_off the list"])
async def test_a_word_that_looks_a_little_like_a_key_is_none(light_service: Service, value: str) -> None:
    response = await light_service.call("GET", "/api/whatsapp/templates", role=Role.VIEWER, params={"text": value})
    assert response.status_code == 200


async def test_a_part_of_a_key_in_a_query_is_one(light_service: Service) -> None:
    part = light_service.keys[Role.ADMIN][:30]
    response = await light_service.call("GET", "/api/whatsapp/templates", params={"text": f"x {part}"})
    assert (response.status_code, response.json()) == (401, UNAUTHORIZED)


async def test_curls_empty_body_is_none(light_service: Service) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "0"}
    path = "/api/whatsapp/channel/try-now"
    response = await light_service.call("POST", path, role=Role.ADMIN, headers=headers)
    assert response.status_code == 200, response.text
    form = await light_service.call(
        "POST", path, role=Role.ADMIN, content=b"a=1", headers=headers | {"Content-Length": "3"}
    )
    assert form.status_code == 415


async def test_the_scheme_is_read_in_any_case(light_service: Service) -> None:
    headers = {"Authorization": f"bearer {light_service.keys[Role.VIEWER]}"}
    assert (await light_service.http.get("/api/tickets", headers=headers)).status_code == 200


async def test_revoked_and_expired(service: Service) -> None:
    assert (await service.call("GET", "/api/tickets", role=Role.VIEWER)).status_code == 200
    await service.execute("UPDATE api_key SET revoked_at = 1 WHERE role = 'viewer'")
    response = await service.call("GET", "/api/tickets", role=Role.VIEWER)
    assert (response.status_code, response.json()) == (401, UNAUTHORIZED)
    soon = int((service.clock.now + timedelta(seconds=2)).timestamp() * 1000)
    await service.execute("UPDATE api_key SET expires_at = ? WHERE role = 'agent'", [soon])
    assert (await service.call("GET", "/api/tickets")).status_code == 200
    service.clock.forward(seconds=2)
    assert (await service.call("GET", "/api/tickets")).status_code == 401


async def test_what_is_stored_lets_nobody_in(service: Service) -> None:
    made = await create_key(service.resources.database, "another", Role.ADMIN, service.clock.now)
    for key in (made, *service.keys.values()):
        assert key.startswith("tick_")
        assert len(key) == len("tick_") + 43
        for (table,) in await service.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            if service.resources.database.dialect == "sqlite"
            else "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        ):
            assert not any(key in str(row) for row in await service.rows(f"SELECT * FROM `{table}`"))  # noqa: S608 - names of our own tables
    [[prefix]] = await service.rows("SELECT prefix FROM api_key WHERE name = 'another'")
    assert made.startswith(prefix)
    assert len(prefix) == 12


async def test_route_without_a_declaration() -> None:
    blueprint = GuardedBlueprint("forgotten", __name__)

    async def view() -> Response:
        raise AssertionError("never reached")

    with pytest.raises(Undeclared):
        blueprint.get("/open")(view)
    blueprint.get("/open")(open_to_all(view))


async def test_route_that_slipped_in_keeps_the_application_from_starting(light_service: Service) -> None:
    light_service.app.view_functions["slipped"] = lambda: "in"
    with pytest.raises(Undeclared):
        await light_service.app.startup()
    del light_service.app.view_functions["slipped"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/api/tickets/", 404, "Not found"),
        ("GET", "/api/agents", 404, "Not found"),
        ("GET", "/api//tickets", 404, "Not found"),
        ("GET", "/api/tickets/5/status/", 404, "Not found"),
        ("GET", "/docs", 404, "Not found"),
        ("GET", "/openapi.json", 404, "Not found"),
        ("GET", "/..%2f..%2fetc/passwd", 404, "Not found"),
        ("DELETE", "/api/tickets", 405, "Method not allowed"),
        ("PATCH", "/api/tickets/5", 405, "Method not allowed"),
        ("POST", "/healthz", 405, "Method not allowed"),
    ],
)
async def test_no_such_route(light_service: Service, method: str, path: str, status: int, message: str) -> None:
    for role in (None, Role.ADMIN):
        response = await light_service.call(method, path, role=role)
        assert (response.status_code, response.json()) == (status, {"success": False, "message": message})
        assert_protected(dict(response.headers))
        assert (status == 405) == ("Allow" in response.headers)


async def test_every_answer_is_protected(light_service: Service) -> None:
    for response in await asyncio.gather(
        light_service.call("GET", "/api/tickets"),
        light_service.call("GET", "/api/tickets", role=None),
        light_service.call("GET", "/healthz", role=None),
        light_service.call("GET", "/metrics", role=None),
        light_service.call("POST", "/api/tickets", b"{"),
        light_service.call("POST", "/api/tickets", {"name": "<script>"}),
        light_service.call("GET", "/api/openapi.json"),
    ):
        assert_protected(dict(response.headers))
        assert "<script>" not in response.text


def assert_protected(headers: dict[str, str]) -> None:
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "no-store"


async def test_what_is_no_json(light_service: Service) -> None:
    headers = {"Authorization": f"Bearer {light_service.keys[Role.AGENT]}"}
    form = await light_service.http.post("/api/tickets", data={"name": "Ann"}, headers=headers)
    assert (form.status_code, form.json()["success"]) == (415, False)


async def test_the_description_is_of_these_routes(light_service: Service) -> None:
    described = (await light_service.call("GET", "/api/openapi.json", role=None)).json()
    calls = {
        (method.upper(), re.sub("{(ticket:)?", "{", path))
        for path, methods in described["paths"].items()
        for method in methods
        if path != "/api/whatsapp/webhook"  # Meta's own door
    }
    routes = {(method, re.sub("<(ticket:)?([^>]*)>", r"{\2}", path)) for method, path in ROUTES}
    assert calls == routes - {("GET", "/api/openapi.json")}
    for method, path, needed in list_routes(light_service.app):
        if path != "/api/openapi.json":
            call = described["paths"][re.sub("<(ticket:)?([^>]*)>", r"{\2}", path)][method.lower()]
            assert (call.get("security") == []) == (needed is None)
            assert ({"401", "403"} <= set(call["responses"])) == (needed is not None)


async def test_a_good_key_vouches_for_where_it_comes_from(light_service: Service) -> None:
    admission: Admission = light_service.app.extensions[ADMISSION]
    for role, standing in ((None, Standing.STRANGER), (Role.VIEWER, Standing.AGENTS)):
        await light_service.call("GET", "/api/tickets", role=role)
        assert admission.known.find("127.0.0.1") is standing
