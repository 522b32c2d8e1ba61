"""Every request that a test makes to something that stands in for Meta is held against Meta's own document.

A stand-in calls `seen` for each request; a test during which one was wrong fails. Invariant: where the document is
absent nothing is checked, and that is said at the end of the run.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from urllib.parse import parse_qsl, urlsplit

from tests.support.openapi.document import PLACE, Document, Operation, raw_document

_VERSION = re.compile(r"/v[0-9]+\.[0-9]+/")
NO_BODY, UNREAD = object(), object()

_seen: list[list[str]] = []  # what was wrong with each request


def present() -> bool:
    """Whether Meta's document is beside the checkout."""
    return PLACE.is_file()


@cache
def _document(without: str) -> Document:
    return Document(raw_document(), without)


def check(
    method: str, target: str, body: object = NO_BODY, headers: Mapping[str, str] | None = None, *, without: str = ""
) -> list[str]:
    """What is wrong with a request: nothing, when it is [].

    `target` is the path with its query, from the version on or with something before it; `body` the JSON value, or a
    form's fields by name. Of several paths that look the same (a bare id may be anything) the best that fits counts.
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
        tried.append(_violations_of(document, operation, match, parts.query, body, headers or {}))
        if not tried[-1]:
            break
    return min(tried, key=len)


def _violations_of(
    document: Document,
    operation: Operation,
    match: re.Match[str],
    query: str,
    body: object,
    headers: Mapping[str, str],
) -> list[str]:
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
            wrong += [f"{place} {name}: {error}" for error in document.errors(schema, typed)]
    wrong += _wrong_headers(document, operation, headers)
    if body is UNREAD:
        wrong += [] if "multipart/form-data" in operation.bodies else ["the document has no form here"]
    elif body is NO_BODY:
        wrong += ["there is no body"] if operation.bodies else []
    elif not operation.bodies:
        wrong.append("the document has no body here")
    else:
        form = isinstance(body, Mapping) and "file" in body and "multipart/form-data" in operation.bodies
        schema = operation.bodies["multipart/form-data" if form else "application/json"]
        wrong += [f"body {error}" for error in document.errors(schema, body)]
    return [f"{operation.method} {operation.path}: {error}" for error in wrong]


def _wrong_headers(document: Document, operation: Operation, headers: Mapping[str, str]) -> list[str]:
    given = {name.lower(): value for name, value in headers.items()}
    wrong = []
    for (place, name), schema in operation.parameters.items():
        if place == "header" and (value := given.get(name.lower(), "")):
            value = value.split(";")[0] if name == "Content-Type" else value
            wrong += [f"header {name}: {error}" for error in document.errors(schema, value)]
    return wrong


def seen(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> None:
    """A stand-in was asked this. What is wrong with it fails the test that is running.

    A body that is None was not read: it is a file, or there is none.
    """
    if not present():
        return
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    held: object = NO_BODY
    if kind.startswith("multipart/"):
        held = UNREAD if body is None else _form_of(body, kind)
    elif body:
        held = json.loads(body)
    _seen.append(check(method, target, held, headers))


def seen_raw(head: bytes, body: bytes) -> None:
    """The same, as it came over the socket."""
    first, *lines = head.decode().strip().split("\r\n")
    method, target, _ = first.split(" ")
    seen(method, target, dict(line.split(": ", 1) for line in lines), body)


def _form_of(body: bytes, content_type: str) -> dict[str, str]:
    """The fields of a form; a file is whatever it is."""
    fields = {}
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        is_file = b"filename=" in head
        fields[name[1].decode() if name else ""] = "..." if is_file else content.removesuffix(b"\r\n").decode()
    return fields


def taken() -> list[list[str]]:
    """What was wrong with each request since it was last asked: [] for one that was right."""
    found = list(_seen)
    _seen.clear()
    return found
