"""Reads Meta's own OpenAPI document of the Graph API, so that a request can be checked against it.

It lies beside the checkout and never in it, and may be absent. It is version 23, and in places contradicts itself or is
behind the API: `exceptions.py` names each place.

Invariants
- What is not described there, and not an exception, is a violation: an unknown path, parameter or key as well as a
  wrong value.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import jsonschema_rs
import yaml  # type: ignore[import-untyped]

from tests.support.openapi.exceptions import EXCEPTIONS
from tests.support.places import ROOT

DOCUMENT_PATH = ROOT.parent / "shared" / "meta" / "business-messaging-api_v23.0.yaml"
_COMPONENT = "#/components/"

Object = dict[str, Any]


class Operation(NamedTuple):
    """One method of one path. `shape` matches the path, `parameters` are by (place, name), `bodies` by content type."""

    method: str
    path: str
    shape: re.Pattern[str]
    parameters: Mapping[tuple[str, str], Object]
    bodies: Mapping[str, Object]


def load_document() -> Object:
    """Loads a copy of the document as it is on disk, for the caller to change."""
    document: Object = pickle.loads(_read())  # noqa: S301 - our own, a moment ago
    return document


@cache
def _read() -> bytes:
    """Parses the document once: it is a second of work, and unpickling is not."""
    return pickle.dumps(yaml.load(DOCUMENT_PATH.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506


class Document:
    """The document with all exceptions made, but for the one named `without`."""

    def __init__(self, document: Object, without: str = "") -> None:
        for exception in EXCEPTIONS:
            if exception.name != without:
                exception.amend(document)
        self._components = document["components"]
        self.operations = [self._operation(*found) for found in _operations(document)]
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def _operation(self, path: str, method: str, found: Object, shared: list[Object]) -> Operation:
        parameters = [self.resolve(one) for one in (*shared, *found.get("parameters", []))]
        shape = re.sub(r"\\\{[^}]*\\\}", "([^/]+)", re.escape(path))
        return Operation(
            method.upper(),
            path,
            re.compile(shape),
            {(one["in"], one["name"]): one.get("schema", {}) for one in parameters},
            {kind: held["schema"] for kind, held in found.get("requestBody", {}).get("content", {}).items()},
        )

    def resolve(self, held: Object) -> Object:
        """Returns what a $ref points at, and anything else as it is."""
        if "$ref" not in held:
            return held
        group, name = held["$ref"].removeprefix(_COMPONENT).split("/")
        found: Object = self._components[group][name]
        return found

    def find_errors(self, schema: Object, value: object) -> Iterator[str]:
        """Yields what is wrong with a value. Of schemas that a key tells apart, only the one that it names is tried."""
        target = self.resolve(schema)
        if mapping := target.get("discriminator", {}).get("mapping") if "oneOf" in target else None:
            key = target["discriminator"]["propertyName"]
            named = value.get(key, "") if isinstance(value, dict) else ""
            if named not in mapping:
                yield f"{key} is {named!r}, which the document does not know"
                return
            schema = {"$ref": mapping[named]}
        for error in self._validator(schema).iter_errors(value):
            where = ".".join(map(str, error.instance_path))
            yield f"{where}: {error.message[:300]}" if where else error.message[:300]

    def _validator(self, schema: Object) -> jsonschema_rs.Draft202012Validator:
        key = repr(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.Draft202012Validator({**schema, "components": self._components})
        return self._validators[key]


def _operations(document: Object) -> Iterator[tuple[str, str, Object, list[Object]]]:
    for path, item in document["paths"].items():
        for method, found in item.items():
            if method in ("get", "post", "put", "delete"):
                yield path, method, found, item.get("parameters", [])
