"""Our OpenAPI document: a validator accepts it, it says what callers need, and a client that is made of it works.

That the API's answers are as it says is looked at in every test of the API, by `AnswerWatch`.
"""

import asyncio
import importlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from quart import Quart, Response, request

from api.web.credentials import Role
from tests.api.rest.test_send_again import put_in_doubt
from tests.api.rest_service import PHONE, Service
from tests.support.openapi.own_answers import DOCUMENT_PATH, AnswerWatch, Described

Object = dict[str, Any]
# A picture is bytes to the generator, once it is told so.
GENERATOR_SETTINGS = {
    "post_hooks": [],
    "content_type_overrides": dict.fromkeys(("image/png", "image/svg+xml"), "application/octet-stream"),
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


_read: list[Object] = []


@pytest.fixture
async def fetched_document(light_service: Service) -> Object:
    """The document as anybody gets it."""
    response = await light_service.call("GET", DOCUMENT_PATH, role=None, timeout=30)
    assert response.status_code == 200
    read: Object = response.json()
    return read


@pytest.fixture
def document(request: pytest.FixtureRequest) -> Object:
    """The same, fetched once for all tests here."""
    if not _read:
        _read.append(request.getfixturevalue("fetched_document"))
    return _read[0]


def list_operations(document: Object) -> Iterator[tuple[str, Object]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def walk(held: object) -> Iterator[Object]:
    """Every object in a document."""
    if isinstance(held, dict):
        yield held
    for each in held.values() if isinstance(held, dict) else held if isinstance(held, list) else ():
        yield from walk(each)


def test_it_is_valid_and_complete(document: Object) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    names = [operation["operationId"] for _, operation in list_operations(document)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch("[a-z]+(_[a-z]+)+", name)] == []
    tags = {tag["name"] for tag in document["tags"]}
    for call, operation in list_operations(document):
        assert set(operation["tags"]) <= tags, call
        assert operation["summary"].endswith((".", "?")), call
        assert operation.get("requestBody", {"required": True})["required"] is True, call
        for parameter in operation["parameters"]:
            assert parameter["description"], (call, parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        for key, value in schema.get("properties", {}).items():
            described = value.get("description") or "$ref" in value or "const" in value
            assert described or name == "NewStatus", f"{name}.{key}"


def test_bodies_and_answers_are_named(document: Object) -> None:
    for call, operation in list_operations(document):
        for held in walk([operation["responses"], operation.get("requestBody", {})]):
            schema = held.get("schema", {})
            plain = call == "POST /api/whatsapp/webhook" or schema.get("type") == "string"  # Meta's own; no JSON
            assert not schema or "$ref" in schema or plain, call


@pytest.mark.parametrize(
    ("call", "statuses"),
    [
        ("POST /api/tickets", "201 400 401 403 413 415 422 503"),
        ("GET /api/tickets", "200 401 403 422 503"),
        ("GET /api/tickets/{ticket_id}", "200 401 403 404 503"),
        ("POST /api/replies/{reply_id}/send-again", "200 401 403 404 409 415 503"),
        ("POST /api/files", "201 400 401 403 413 415 422 503"),
        ("GET /api/files/{file_id}", "200 206 401 403 404 409 410 416 503"),
        ("GET /api/whatsapp/qr", "200 401 403 422 503"),
        ("POST /api/whatsapp/send", "200 400 401 403 409 413 415 422 503"),
        ("GET /metrics", "200"),
        ("GET /healthz", "200"),
        ("POST /api/whatsapp/webhook", "200 401 408 413 503"),
    ],
)
def test_what_a_call_may_answer(document: Object, call: str, statuses: str) -> None:
    answers = dict(list_operations(document))[call]["responses"]
    assert set(answers) - {"default"} == set(statuses.split())


def test_answers_that_are_no_json_have_their_types(document: Object) -> None:
    paths = document["paths"]
    assert set(paths["/api/whatsapp/qr"]["get"]["responses"]["200"]["content"]) == {"image/png", "image/svg+xml"}
    [kind] = paths["/metrics"]["get"]["responses"]["200"]["content"]
    assert kind.startswith("text/plain")
    for status in ("200", "206"):
        content = paths["/api/files/{file_id}"]["get"]["responses"][status]["content"]
        assert {"application/octet-stream", "image/jpeg", "audio/ogg"} <= set(content)


@pytest.mark.parametrize(
    ("schema", "field", "good", "bad"),
    [
        ("NewMessage", "phoneNumber", [PHONE, "+1 (555) 000-1234"], ["5550001234", "+", "call me"]),
        ("NewReaction", "emoji", ["👍", "👍🏽", "❤️", "👩‍👩‍👧", "🇧🇷", "1️⃣", ""], ["a", "👍👍", ":)"]),
        ("NewReply", "file_ids", [["1", "2"]], [["one"], [str(each) for each in range(11)]]),
        ("QrCodeShown", "code", ["4O4YGZEG3RIVE1"], ["", "a b"]),
    ],
)
def test_patterns(document: Object, schema: str, field: str, good: list[object], bad: list[object]) -> None:
    described = document["components"]["schemas"][schema]["properties"][field]
    validator = jsonschema_rs.Draft202012Validator(described | {"components": document["components"]})
    assert [value for value in good if not validator.is_valid(value)] == []
    assert [value for value in bad if validator.is_valid(value)] == []


def test_examples_are_as_the_schemas_say(document: Object) -> None:
    found = [held for held in walk(document) if "examples" in held]
    assert len(found) > 20
    for held in found:
        validator = jsonschema_rs.Draft202012Validator(held | {"components": document["components"]})
        assert [each for each in held["examples"] if not validator.is_valid(each)] == []


def test_a_list_says_its_maximum(document: Object) -> None:
    parameters = {each["name"]: each["schema"] for each in document["paths"]["/api/tickets"]["get"]["parameters"]}
    assert (parameters["limit"]["minimum"], parameters["limit"]["maximum"]) == (1, 100)


async def test_an_answer_that_is_not_described_is_found(document: Object) -> None:
    app = Quart("odd")
    answers = AnswerWatch(app, Described(document))

    @app.get("/healthz")
    async def answer_oddly() -> Response:
        odd = {"pot": ("I am a teapot", 418, "text/plain"), "kind": ("alive", 200, "text/plain")}
        alive = json.dumps({"success": True, "data": {"status": "alive", "since": 5}})
        body, status, kind = odd.get(request.args.get("how", ""), (alive, 200, "application/json"))
        return Response(body, status, content_type=kind)

    for how in ("pot", "kind", "more"):
        await app.test_client().get(f"/healthz?how={how}")
    status, kind, key = answers.violations
    assert status == "GET /healthz answered 418: this status is not described"
    assert kind == "GET /healthz answered 200: text/plain is not described"
    assert "since" in key


@pytest.fixture
async def made_client(document: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A client's code, made of the document by a program that others wrote; a warning of its fails the test."""
    for name, content in (("openapi.json", document), ("settings.json", GENERATOR_SETTINGS)):
        (tmp_path / name).write_text(json.dumps(content))
    command = ["generate", "--path", "openapi.json", "--config", "settings.json", "--meta", "none", "--fail-on-warning"]
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "openapi_python_client", *command, "--output-path", "tick_client",
        cwd=tmp_path, env=os.environ | {"NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await generator.communicate()
    assert generator.returncode == 0, said.decode()
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("tick_client")


async def test_a_client_that_is_made_of_it_works(light_service: Service, made_client: ModuleType) -> None:
    def find(path: str) -> Any:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(f"tick_client.{module}"), name)

    async def call(path: str, *arguments: object, **body: object) -> Any:
        answer = await importlib.import_module(f"tick_client.api.{path}").asyncio(*arguments, client=client, **body)
        assert answer.success is True, answer
        return answer.data

    await light_service.customer()
    http_options = {"trust_env": False}
    client = made_client.AuthenticatedClient(
        base_url=f"http://127.0.0.1:{light_service.port}",
        token=light_service.keys[Role.AGENT],
        httpx_args=http_options,
        raise_on_unexpected_status=True,
    )
    async with client:
        file = find("types.File")(payload=PNG, file_name="printer.png", mime_type="image/png")
        uploaded = await call("files.upload_file", body=find("models.UploadForm")(file=file))
        assert (uploaded.filename, uploaded.size) == ("printer.png", len(PNG))

        new = find("models.NewTicket")(name="Ann", issue_type="hardware", description="Fire.", mobile=PHONE)
        ticket = await call("tickets.open_ticket", body=new)
        assert ticket.status == "new"

        answer = find("models.NewReply")(ticket_id=ticket.id, message="On our way.", file_ids=[uploaded.id])
        reply = await call("replies.add_reply", body=answer)
        await put_in_doubt(light_service, *(row["id"] for row in await light_service.read_outbox()))
        again = await call("replies.send_reply_again", reply.id)
        assert (again.id, again.delivery) == (reply.id, "queued")
        assert [each.message for each in await call("replies.list_replies", ticket.id)] == ["On our way."]

        sent = await importlib.import_module("tick_client.api.files.read_file").asyncio(uploaded.id, client=client)
        assert sent.payload.read() == PNG
        refused = await importlib.import_module("tick_client.api.whats_app.retry_channel").asyncio(client=client)
        assert (refused.success, refused.message) == (False, "Forbidden")
