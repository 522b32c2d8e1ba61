"""Meta's own description of the Graph API, read so that a request can be held against it.

It lies beside the checkout and never in it, and may be absent. It is version 23, and in places contradicts itself or is
behind the API: `exceptions.py` names each place. Invariant: what is not described there, and not an exception, is a
violation: an unknown path, parameter or key as well as a wrong value.
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

PLACE = ROOT.parent / "shared" / "meta" / "business-messaging-api_v23.0.yaml"
_COMPONENT = "#/components/"

Object = dict[str, Any]


class Operation(NamedTuple):
    """One method of one path. `parameters` by (place, name)."""

    method: str
    path: str
    shape: re.Pattern[str]
    parameters: Mapping[tuple[str, str], Object]
    bodies: Mapping[str, Object]


def raw_document() -> Object:
    """As it is on disk, to be changed by whoever asked."""
    document: Object = pickle.loads(_read())  # noqa: S301 - our own, a moment ago
    return document


@cache
def _read() -> bytes:
    """A second of work, and so done once."""
    return pickle.dumps(yaml.load(PLACE.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506


class Document:
    """The document with some of the exceptions made."""

    def __init__(self, document: Object, without: str = "") -> None:
        for exception in EXCEPTIONS:
            if exception.name != without:
                exception.amend(document)
        self._components = document["components"]
        self.operations = [self._operation(*found) for found in _operations(document)]
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def _operation(self, path: str, method: str, found: Object, shared: list[Object]) -> Operation:
        parameters = [self.resolved(one) for one in (*shared, *found.get("parameters", []))]
        shape = re.sub(r"\\\{[^}]*\\\}", "([^/]+)", re.escape(path))
        return Operation(
            method.upper(),
            path,
            re.compile(shape),
            {(one["in"], one["name"]): one.get("schema", {}) for one in parameters},
            {kind: held["schema"] for kind, held in found.get("requestBody", {}).get("content", {}).items()},
        )

    def resolved(self, held: Object) -> Object:
        """What a $ref points at."""
        if "$ref" not in held:
            return held
        group, name = held["$ref"].removeprefix(_COMPONENT).split("/")
        found: Object = self._components[group][name]
        return found

    def errors(self, schema: Object, value: object) -> Iterator[str]:
        """What is wrong with a value. Of schemas that are told apart by a key only the one it names is asked."""
        target = self.resolved(schema)
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
