"""Makes the OpenAPI document out of what the routes declare, and completes what quart-schema leaves open.

Invariants
- Every schema of a body or an answer is a component under its own name.
- What follows from the kind of a route (it wants a key, it takes a body, something stands in its address) is described
  from that, so that no route can forget it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from quart_schema.openapi import OpenAPIProvider
from quart_schema.validation import (
    QUART_SCHEMA_QUERYSTRING_ATTRIBUTE,
    QUART_SCHEMA_REQUEST_ATTRIBUTE,
    QUART_SCHEMA_RESPONSE_ATTRIBUTE,
    DataSource,
)
from werkzeug.routing import BaseConverter, Rule

from api.web.auth import PERMISSIONS, Permission, read_declaration
from api.web.openapi import OTHER_ANSWER, SHARED_ANSWERS, Json, SharedAnswer, read_parameters, read_payloads
from api.web.responses import Query, Refusal

REFUSAL: Final[Json] = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
BINARY: Final[Json] = {"type": "string", "format": "binary"}
TEXT: Final[Json] = {"type": "string"}
CHANGING: Final = frozenset({"POST", "PUT", "PATCH"})
WITH_KEY: Final = (401, 403, 503)
WITH_BODY: Final = (400, 413, 415, 422)


class RouteDescriber(OpenAPIProvider):
    """Makes the OpenAPI document of an application."""

    def schema(self) -> Json:
        document: Json = super().schema()
        _, schemas = self.build_response_object(Refusal, None)
        document["components"]["schemas"] |= schemas
        shared = (*SHARED_ANSWERS.values(), OTHER_ANSWER)
        document["components"]["responses"] = {answer.name: _describe_shared_answer(answer) for answer in shared}
        return document | {part: _strip_titles(document[part]) for part in ("paths", "components")}

    def operation_id(self, method: str, path: str, func: Callable[..., Any]) -> str | None:
        return func.__name__

    def build_path_parameter(self, name: str, converter: BaseConverter) -> Json:
        parameter: Json = super().build_path_parameter(name, converter)
        schema = getattr(converter, "schema", None)
        return parameter | _split_description({"schema": schema}) if schema else parameter

    def build_querystring_parameters(self, model: Any) -> tuple[list[Json], Json]:
        parameters, schemas = super().build_querystring_parameters(model)
        return [parameter | {"schema": _drop_null(parameter["schema"])} for parameter in parameters], schemas

    def build_headers_parameters(self, model: Any) -> tuple[list[Json], Json]:
        parameters, schemas = super().build_headers_parameters(model)
        return [parameter | {"schema": _drop_null(parameter["schema"])} for parameter in parameters], schemas

    def build_request_body(self, model: Any, source: DataSource) -> tuple[Json, Json]:
        body, schemas = super().build_request_body(model, source)
        return _name_schema(body, schemas) | {"required": True}, schemas

    def build_response_object(self, model: Any, headers_model: Any) -> tuple[Json, Json]:
        answer, schemas = super().build_response_object(model, headers_model)
        return _name_schema(answer, schemas) | {"description": "It was carried out."}, schemas

    def build_paths(self, rule: Rule) -> tuple[Json, Json]:
        paths, schemas = super().build_paths(rule)
        view = self._app.view_functions[rule.endpoint]
        blueprint = self._app.blueprints.get(rule.endpoint.rpartition(".")[0])
        for operation in (operation for methods in paths.values() for operation in methods.values()):
            self._complete(operation, rule, view, read_parameters(blueprint))
        return paths, schemas

    def _complete(self, operation: Json, rule: Rule, view: Callable[..., Any], described: Mapping[str, Json]) -> None:
        permission = read_declaration(view)
        operation["description"] = _describe_permission(operation["description"].strip(), permission)
        operation["parameters"] = [
            parameter | _split_description({"schema": described[parameter["name"]]})
            if parameter["in"] == "path" and parameter["name"] in described
            else parameter
            for parameter in operation["parameters"]
        ]
        operation["responses"] = _complete_answers(operation["responses"], rule, view, permission)
        if permission is None:
            operation["security"] = []


def _complete_answers(
    declared: dict[int, Json], rule: Rule, view: Callable[..., Any], permission: Permission | None
) -> dict[str, Json]:
    models = getattr(view, QUART_SCHEMA_RESPONSE_ATTRIBUTE, {})
    answers = {status: answer for status, answer in declared.items() if models[status][0] is not Refusal}
    answers |= {
        status: {
            "description": payload.description,
            "content": {
                kind: {"schema": TEXT if kind.startswith("text/") else BINARY} for kind in payload.content_types
            },
        }
        for status, payload in read_payloads(view).items()
    }
    refusals = {*declared, *_list_statuses_of_kind(rule, view, permission)} - {*answers}
    found: dict[int, Json] = answers | {status: _refer(SHARED_ANSWERS[status]) for status in refusals}
    other = {} if permission is None else {"default": _refer(OTHER_ANSWER)}
    return {str(status): found[status] for status in sorted(found)} | other


def _list_statuses_of_kind(rule: Rule, view: Callable[..., Any], permission: Permission | None) -> Iterator[int]:
    """Lists the refusals that every route of this kind answers with."""
    if permission is not None:
        yield from WITH_KEY
        if CHANGING & (rule.methods or set()):
            yield 415  # a body of another type is refused by every route, also by one that takes none
    if rule.arguments:
        yield 404
    if hasattr(view, QUART_SCHEMA_REQUEST_ATTRIBUTE):
        yield from WITH_BODY
    if issubclass(getattr(view, QUART_SCHEMA_QUERYSTRING_ATTRIBUTE, object), Query):
        yield 422


def _describe_permission(description: str, permission: Permission | None) -> str:
    if permission is None:
        return f"{description}\n\nIt needs no key.".strip()
    *others, last = (role for role, permissions in PERMISSIONS.items() if permission in permissions)
    roles = f"{', '.join(others)} or {last}" if others else last
    return f"{description}\n\nIt needs a key with the role {roles}.".strip()


def _describe_shared_answer(answer: SharedAnswer) -> Json:
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()}
    return {"description": answer.description, "content": REFUSAL} | ({"headers": headers} if headers else {})


def _refer(answer: SharedAnswer) -> Json:
    return {"$ref": f"#/components/responses/{answer.name}"}


def _name_schema(held: Json, schemas: Json) -> Json:
    """Moves the schema of a body or an answer to `schemas`, under its title."""
    content = {}
    for kind, media in held["content"].items():
        schemas[media["schema"]["title"]] = media["schema"]
        content[kind] = {"schema": {"$ref": f"#/components/schemas/{media['schema']['title']}"}}
    return held | {"content": content}


def _split_description(parameter: Json) -> Json:
    """Moves the description of a schema to the parameter that has it."""
    schema = dict(parameter["schema"])
    return {"description": schema.pop("description"), "schema": schema}


def _drop_null(schema: Json) -> Json:
    """Takes the null away that stands for an absent parameter: a query string has none."""
    kinds: list[Json] = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {name: value for name, value in schema.items() if name not in ("anyOf", "default")} | kinds[0]


def _strip_titles(held: Any) -> Any:
    """Takes away pydantic's titles, which say each name again."""
    if isinstance(held, dict):
        return {key: _strip_titles(each) for key, each in held.items() if key != "title" or not isinstance(each, str)}
    return [_strip_titles(each) for each in held] if isinstance(held, list) else held
