"""Holds every answer that our own API gives in a test against our own OpenAPI document.

Invariants
- What a route answers is described: the status, the content type, and of JSON every key.
"""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
from quart import Quart, Response, request

from api.rest.document import OWN_DOORS

Object = dict[str, Any]
DOCUMENT_PATH = "/api/openapi.json"
# What comes of the way that a request takes, whatever the route: `default` has them.
OF_ANY_ROUTE = frozenset({"405", "408", "421", "500"})
_made: dict[frozenset[str], "Described"] = {}  # by the addresses of an application: it takes a tenth of a second


class Described:
    """A document, and a validator for each schema of an answer that was met so far."""

    def __init__(self, document: Object) -> None:
        self.document = document
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def find_errors(self, schema: Object, value: object) -> Iterator[str]:
        """Yields what is wrong with an answer; a key that is not described is."""
        key = json.dumps(schema)
        if key not in self._validators:
            components = json.loads(json.dumps(self.document["components"]))
            for each in components["schemas"].values():
                if "properties" in each:
                    each.setdefault("additionalProperties", False)
            self._validators[key] = jsonschema_rs.Draft202012Validator(schema | {"components": components})
        for error in self._validators[key].iter_errors(value):
            yield f"{'.'.join(map(str, error.instance_path))}: {error.message[:300]}"


def describe(app: Quart) -> Described:
    """Makes the document of an application that serves the API; it is made once for all that have the same routes."""
    addresses = frozenset(rule.rule for rule in app.url_map.iter_rules())
    if addresses not in _made:
        document = app.extensions["QUART_SCHEMA"].openapi_provider.schema()
        _made[addresses] = Described(json.loads(json.dumps(document)))
    return _made[addresses]


class AnswerWatch:
    """What was wrong with the answers of one application, which has the API unless another document is given."""

    def __init__(self, app: Quart, described: Described | None = None) -> None:
        self.violations: list[str] = []
        self._described = described or describe(app)

        @app.after_request
        async def check(response: Response) -> Response:
            rule = request.url_rule
            if rule is not None and rule.endpoint.partition(".")[0] not in OWN_DOORS and request.method != "OPTIONS":
                path = rule.rule.replace("<ticket:", "<").replace("<", "{").replace(">", "}")
                is_json = response.mimetype == "application/json"
                body = await response.get_data(as_text=False) if is_json else b""
                said = f"{request.method} {path} answered {response.status_code}"
                self.violations += [f"{said}: {wrong}" for wrong in self._find(path, response, body)]
            return response

    def _find(self, path: str, response: Response, body: bytes) -> Iterator[str]:
        if path == DOCUMENT_PATH:
            return  # it does not describe itself
        document = self._described.document
        operation = document["paths"][path][request.method.lower().replace("head", "get")]
        status = str(response.status_code)
        answer = operation["responses"].get("default" if status in OF_ANY_ROUTE else status)
        if answer is None:
            yield "this status is not described"
            return
        content = _resolve(document, answer)["content"]
        kinds = {kind.partition(";")[0]: media for kind, media in content.items()}
        if response.mimetype not in kinds:
            yield f"{response.mimetype} is not described"
        elif body:
            yield from self._described.find_errors(kinds[response.mimetype]["schema"], json.loads(body))


def _resolve(document: Object, held: Object) -> Object:
    if "$ref" not in held:
        return held
    for name in held["$ref"].removeprefix("#/").split("/"):
        document = document[name]
    return document
