"""Who comes in at the desk, and whose form is believed."""

import asyncio
import json
from collections.abc import Iterator

import httpx
from quart import Quart

from api.server.front_door import Admission
from api.server.serving import ADMISSION
from api.server.shares import Standing
from api.web.auth import PERMISSIONS, Permission, read_declaration
from api.web.credentials import Role
from tests.api.desk.rows import PNG, open_ticket, read_state
from tests.api.desk.visitor import Visitor, hire, visitor
from tests.api.rest_service import Service

# Every page and form there is, and what it needs: one that is not here fails the test.
ROUTES = {
    ("GET", "/"): None,
    ("GET", "/desk"): Permission.READ,
    ("GET", "/desk/sign-in"): None,
    ("POST", "/desk/sign-in"): None,
    ("POST", "/desk/sign-out"): Permission.READ,
    ("POST", "/desk/sign-out-everywhere"): Permission.READ,
    ("GET", "/desk/tickets/<ticket:ticket_id>"): Permission.READ,
    ("POST", "/desk/tickets/<ticket:ticket_id>"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/ask"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/files/<file_id>/retry"): Permission.CHANGE_TICKETS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/replies"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/replies/<reply_id>/reaction"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/replies/<reply_id>/send-again"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/status"): Permission.CHANGE_TICKETS,
    ("GET", "/desk/whatsapp"): Permission.READ,
    ("GET", "/desk/whatsapp/doctor"): Permission.MANAGE,
    ("POST", "/desk/whatsapp/try-now"): Permission.MANAGE,
    ("GET", "/desk/static/<name>"): None,
    ("GET", "/desk/<path:rest>"): None,
}


def list_routes(app: Quart) -> Iterator[tuple[str, str, Permission | None]]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] == "desk":
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method, rule.rule, read_declaration(app.view_functions[rule.endpoint])


async def test_the_routes_are_these(light_service: Service) -> None:
    assert {(method, path): needed for method, path, needed in list_routes(light_service.app)} == ROUTES


async def test_every_role_on_every_route(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    for role in Role:
        async with visitor(light_service, role) as alex:
            for method, path, needed in list_routes(light_service.app):
                if needed is None or path.startswith("/desk/sign-out"):
                    continue
                address = (
                    path.replace("<ticket:ticket_id>", str(ticket_id))
                    .replace("<reply_id>", "5")
                    .replace("<file_id>", "5")
                )
                before = await read_state(light_service)
                answer = await (alex.get(address) if method == "GET" else alex.send(address, message="x", status="new"))
                if needed in PERMISSIONS[role]:
                    assert answer.status_code in (200, 303, 404, 409, 422), (role, address)
                else:
                    assert answer.status_code == 403
                    assert await read_state(light_service) == before
            page = (await alex.get(f"/desk/tickets/{ticket_id}")).text
            assert ("/replies" in page) == (Permission.WRITE_TO_CUSTOMERS in PERMISSIONS[role])
            assert ("/status" in page) == (Permission.CHANGE_TICKETS in PERMISSIONS[role])


async def test_a_stranger(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    before = await read_state(light_service)
    key = {"Authorization": f"Bearer {light_service.keys[Role.ADMIN]}"}  # opens the API, and no page
    async with visitor(light_service) as stranger:
        assert (await stranger.get("/")).headers["location"] == "/desk"
        for headers in ({}, key):
            for path in ("/desk", f"/desk/tickets/{ticket_id}", "/desk/tickets/77"):
                refused = await stranger.get(path, headers=headers)
                assert refused.status_code == 303
                assert refused.headers["location"].startswith("/desk/sign-in?next=%2Fdesk")
            for path in ("/desk/sign-out", f"/desk/tickets/{ticket_id}/replies", f"/desk/tickets/{ticket_id}/status"):
                refused = await stranger.post(path, {"message": "x", "status": "closed"}, headers=headers)
                assert refused.status_code == 401
    assert await read_state(light_service) == before


async def test_forms_that_are_not_ours(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    before = await read_state(light_service)
    replies, status = f"/desk/tickets/{ticket_id}/replies", f"/desk/tickets/{ticket_id}/status"
    async with visitor(light_service, Role.AGENT) as alex, visitor(light_service, Role.ADMIN) as eve:
        token = await alex.token()
        form = {"message": "x", "status": "closed"}
        good = form | {"csrf_token": token}
        for path in (replies, status, "/desk/sign-out"):
            for wrong in ("", "x", token[:-1], token.upper(), "\u00e9" * 64, await eve.token()):
                assert (await alex.post(path, form | {"csrf_token": wrong})).status_code == 403
            assert (await alex.post(path, form)).status_code == 403
            for origin in (None, "null", "https://evil.example", f"http://127.0.0.1:{light_service.port + 1}"):
                assert (await alex.post(path, good, origin=origin)).status_code == 403
            for kind in ("text/plain", "application/json", "multipart/form-data; boundary=x", ""):
                headers = {"Origin": str(alex.http.base_url), "Content-Type": kind}
                for body in (json.dumps(good), str(httpx.QueryParams(good))):
                    assert (await alex.http.post(path, content=body, headers=headers)).status_code == 403
        for strange in (b"\xff\xfe&&&=%ED%A0%80", b"&".join([b"a=1"] * 5000)):
            headers = {"Origin": str(alex.http.base_url), "Content-Type": "application/x-www-form-urlencoded"}
            assert (await alex.http.post(replies, content=strange, headers=headers)).status_code == 403
        for path in (replies, status):
            assert (await alex.get(f"{path}?{httpx.QueryParams(good)}")).status_code == 404
        assert await read_state(light_service) == before
        assert (await alex.post(replies, good)).status_code == 303


async def test_a_form_with_files_that_is_not_ours(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    path = f"/desk/tickets/{ticket_id}/replies"
    sent = [("file", ("lamps.png", PNG, "image/png"))]
    before = await read_state(light_service)
    async with visitor(light_service, Role.AGENT) as alex, visitor(light_service, Role.VIEWER) as vic:
        good = {"csrf_token": await alex.token(), "message": "A <long> answer."}
        refused = [
            await alex.post(path, good | {"csrf_token": "x"}, files=sent),
            await alex.post(path, good, files=sent, origin="https://evil.example"),
            await alex.post(path, good, files=sent, origin=None),
            await vic.send(path, files=sent, message="x"),
            await alex.post(f"/desk/tickets/{ticket_id}/status", good | {"status": "closed"}, files=sent),
        ]
        assert [answer.status_code for answer in refused] == [403] * 5
        assert "A &lt;long&gt; answer." in refused[0].text
        late = {"message": "x", "file": ""}  # the token after the file is no token
        body = [*sent, *((name, (None, value)) for name, value in (late | good).items())]
        assert (await alex.post(path, {}, files=body)).status_code == 403
        await light_service.execute("DELETE FROM desk_session")
        signed_out = await alex.post(path, good, files=sent)
        assert (signed_out.status_code, "A &lt;long&gt; answer." in signed_out.text) == (401, True)
    assert await read_state(light_service) == before
    assert await light_service.rows("SELECT id FROM file") == []
    assert light_service.list_stored_files() == []


async def test_the_session_opens_the_api(service: Service) -> None:
    async def ask(alex: Visitor, method: str, path: str, body: object, **headers: str) -> int:
        return (await alex.http.request(method, path, json=body, headers=headers)).status_code

    ticket_id = await open_ticket(service)
    status, body = f"/api/tickets/{ticket_id}/status", {"status": "waiting"}
    async with visitor(service, Role.AGENT) as alex, visitor(service, Role.VIEWER) as vic:
        origin, token = {"Origin": str(alex.http.base_url)}, {"X-CSRF-Token": await alex.token()}
        assert (await alex.get("/api/tickets")).status_code == 200
        assert (await vic.get("/api/tickets")).status_code == 200
        before = await read_state(service)
        others = {"X-CSRF-Token": await vic.token()}
        for headers in ({}, origin, token, origin | others, token | {"Origin": "https://evil.example"}):
            assert await ask(alex, "PUT", status, body, **headers) == 403
        assert await ask(vic, "PUT", status, body, **origin, **others) == 403
        assert await ask(alex, "PUT", status, body, **origin, **token, Authorization="Bearer tick_x") == 401
        form = await alex.http.post("/api/replies", data={"ticket_id": "1", "message": "x"}, headers=origin | token)
        assert form.status_code == 415
        assert (await alex.get(f"/api/tickets?key={service.keys[Role.ADMIN]}")).status_code == 401
        assert await read_state(service) == before
        assert await ask(alex, "PUT", status, body, **origin, **token) == 200
        reply = {"ticket_id": ticket_id, "message": "On it."}
        assert await ask(alex, "POST", "/api/replies", reply, **origin, **token) == 201
    rows = await service.rows("SELECT actor FROM audit WHERE action IN ('ticket.status', 'ticket.reply')")
    assert {row[0] for row in rows} == {"Alex agent (agent@example.com)"}


async def test_who_is_signed_in_vouches_for_where_they_are(light_service: Service) -> None:
    admission: Admission = light_service.app.extensions[ADMISSION]
    async with visitor(light_service) as alex:
        await alex.get("/desk")
        assert admission.known.find("127.0.0.1") is Standing.STRANGER
        await alex.sign_in(await hire(light_service, Role.AGENT))
        await alex.get("/desk")
        assert admission.known.find("127.0.0.1") is Standing.AGENTS


async def test_a_stranger_has_no_more_time_for_a_form_with_files_than_for_any_other(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    light_service.app.config["BODY_TIMEOUT"] = 0.3

    async def trickle(writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            await asyncio.sleep(0.05)
            writer.write(b"x")
        writer.write_eof()

    async with visitor(light_service, Role.VIEWER) as viewer:
        for cookie in ("", f"Cookie: tick={viewer.http.cookies['tick']}\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", light_service.port)
            host = f"127.0.0.1:{light_service.port}"
            writer.write(
                f"POST /desk/tickets/{ticket_id}/replies HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n{cookie}"
                "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 9999\r\n\r\n"
                '--B\r\nContent-Disposition: form-data; name="message"\r\n\r\n'.encode()
            )
            trickling = asyncio.create_task(trickle(writer))
            assert b" 408 " in await asyncio.wait_for(reader.readline(), 30)
            trickling.cancel()
            writer.close()
