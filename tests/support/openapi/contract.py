"""Checks every request that a test makes to something that stands in for Meta against Meta's own OpenAPI document.

A stand-in calls `record_request` for each request, and a test during which one was wrong fails (tests/conftest.py).

Invariants
- Where the document is absent nothing is checked, and that is said at the end of the run.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from urllib.parse import parse_qsl, urlsplit

from tests.support.openapi.document import DOCUMENT_PATH, Document, Operation, load_document

_VERSION = re.compile(r"/v[0-9]+\.[0-9]+/")
NO_BODY, UNREAD_BODY = object(), object()

_recorded: list[list[str]] = []  # what was wrong with each request


def is_present() -> bool:
    """Whether Meta's document is beside the checkout."""
    return DOCUMENT_PATH.is_file()


def prepare() -> None:
    """Reads the document now: it is seconds of work, for which the loop would stand still at the first request."""
    if is_present():
        _document("")


@cache
def _document(without: str) -> Document:
    return Document(load_document(), without)


def find_violations(
    method: str, target: str, body: object = NO_BODY, headers: Mapping[str, str] | None = None, *, without: str = ""
) -> list[str]:
    """Returns what is wrong with a request, [] when nothing is.

    `target` is the path with its query, from the version on or with something before it; `body` the JSON value, or
    the fields of a multipart body by name; `without` the name of an exception that is not made. Of several paths that
    look the same (a bare id may be anything) the best that fits counts.
    """
    document = _document(without)
    found = _VERSION.search(target)
    parts = urlsplit(target[found.start() :] if found else target)
    method = method.upper()
    fitting = [(one, match) for one in document.operations if (match := one.shape.fullmatch(parts.path))]
    fitting = [(one, match) for one, match in fitting if one.method == method]
    if not fitting:
        return [f"{method} {parts.path}: the document has no such call"]
    tried = []
    for operation, match in fitting:
        wrong = _find_wrong_parameters(document, operation, match, parts.query)
        wrong += _find_wrong_headers(document, operation, headers or {})
        wrong += _find_wrong_body(document, operation, body)
        tried.append([f"{operation.method} {operation.path}: {error}" for error in wrong])
        if not wrong:
            break
    return min(tried, key=len)


def _find_wrong_parameters(document: Document, operation: Operation, match: re.Match[str], query: str) -> list[str]:
    names = re.findall(r"\{([^}]*)\}", operation.path)
    values = [("path", name, value) for name, value in zip(names, match.groups(), strict=True)]
    values += [("query", name, value) for name, value in parse_qsl(query, keep_blank_values=True)]
    wrong = []
    for place, name, value in values:
        schema = operation.parameters.get((place, name), {} if place == "path" else None)
        if schema is None:
            wrong.append(f"{place} {name}: the document has no such parameter")
        else:
            typed = int(value) if schema.get("type") == "integer" and value.isdecimal() else value
            wrong += [f"{place} {name}: {error}" for error in document.find_errors(schema, typed)]
    return wrong


def _find_wrong_body(document: Document, operation: Operation, body: object) -> list[str]:
    if body is UNREAD_BODY:
        return [] if "multipart/form-data" in operation.bodies else ["the document has no form here"]
    if body is NO_BODY:
        return ["there is no body"] if operation.bodies else []
    if not operation.bodies:
        return ["the document has no body here"]
    is_multipart = isinstance(body, Mapping) and "file" in body and "multipart/form-data" in operation.bodies
    schema = operation.bodies["multipart/form-data" if is_multipart else "application/json"]
    return [f"body {error}" for error in document.find_errors(schema, body)]


def _find_wrong_headers(document: Document, operation: Operation, headers: Mapping[str, str]) -> list[str]:
    given = {name.lower(): value for name, value in headers.items()}
    wrong = []
    for (place, name), schema in operation.parameters.items():
        if place == "header" and (value := given.get(name.lower(), "")):
            value = value.split(";")[0] if name == "Content-Type" else value
            wrong += [f"header {name}: {error}" for error in document.find_errors(schema, value)]
    return wrong


def record_request(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> None:
    """Records a request that a stand-in was asked. What is wrong with it fails the test that is running.

    A `body` that is None was not read: it is a file, or there is none.
    """
    if not is_present():
        return
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    value: object = NO_BODY
    if kind.startswith("multipart/"):
        value = UNREAD_BODY if body is None else _read_multipart(body, kind)
    elif body:
        value = json.loads(body)
    _recorded.append(find_violations(method, target, value, headers))


def record_raw_request(head: bytes, body: bytes) -> None:
    """Records a request as it came over the socket: its head up to the empty line, and its body."""
    first, *lines = head.decode().strip().split("\r\n")
    method, target, _ = first.split(" ")
    record_request(method, target, dict(line.split(": ", 1) for line in lines), body)


def _read_multipart(body: bytes, content_type: str) -> dict[str, str]:
    """Returns the fields of a multipart body; a file, whatever is in it, is "..."."""
    fields = {}
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        is_file = b"filename=" in head
        fields[name[1].decode() if name else ""] = "..." if is_file else content.removesuffix(b"\r\n").decode()
    return fields


def take_violations() -> list[list[str]]:
    """Takes what was wrong with each request since the last call: [] for one that was right."""
    found = list(_recorded)
    _recorded.clear()
    return found
