"""Lists where what we send is right and Meta's document of version 23 is not, each place with its reason.

Invariants
- The list is as short as it can be: a test takes each exception away, and finds a request of ours that then fails.
- Whatever is new in the API since the document was written is described here as strictly as there.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Object = dict[str, Any]
_TEXT = {"type": "string"}


class DocumentException(NamedTuple):
    """One place. `amend` changes the document; `needed_by` is a request (method, path, body) that fails without it."""

    name: str
    reason: str
    amend: Callable[[Object], None]
    needed_by: tuple[str, str, Object | None]


def _schemas(document: Object) -> Object:
    found: Object = document["components"]["schemas"]
    return found


def _everything(held: object) -> Iterator[Object]:
    if isinstance(held, dict):
        yield held
        for one in held.values():
            yield from _everything(one)
    elif isinstance(held, list):
        for one in held:
            yield from _everything(one)


def _close_the_whole(document: Object) -> None:
    for schema in _everything(_schemas(document)):
        parts = schema.get("allOf")
        if isinstance(parts, list) and [part.pop("additionalProperties", True) for part in parts].count(False):
            schema["unevaluatedProperties"] = False


def _any_qr_code(document: Object) -> None:
    for schema in _everything(document):
        if schema.get("pattern") == "^[A-Z2-7]{14}$":
            schema["pattern"] = "^[A-Z0-9]{14}$"


def _mark_of_ours(document: Object) -> None:
    _schemas(document)["BaseMessageProperties"]["properties"]["biz_opaque_callback_data"] = _TEXT | {"maxLength": 512}


def _recipient(document: Object) -> None:
    base = _schemas(document)["BaseMessageProperties"]
    base["properties"]["recipient"] = _TEXT | {"pattern": r"^[!-~]{1,160}$"}
    base["required"].remove("to")
    base["oneOf"] = [{"required": ["to"]}, {"required": ["recipient"]}]


def _read_mark(document: Object) -> None:
    _schemas(document)["ReadMark"] = {
        "type": "object",
        "required": ["messaging_product", "status", "message_id"],
        "properties": {
            "messaging_product": {"const": "whatsapp"},
            "status": {"const": "read"},
            "message_id": _TEXT | {"minLength": 1},
            "typing_indicator": {"const": {"type": "text"}},
        },
        "additionalProperties": False,
    }
    _schemas(document)["Message"]["discriminator"]["mapping"][""] = "#/components/schemas/ReadMark"


def _named_action(name: str, **parameters: Object) -> Object:
    held = {"type": "object", "required": [*parameters], "properties": parameters, "additionalProperties": False}
    return {
        "required": ["name", *(["parameters"] if parameters else [])],
        "properties": {"name": {"const": name}} | ({"parameters": held} if parameters else {}),
        "additionalProperties": False,
    }


def _interactive(kind: str, action: Object) -> Callable[[Object], None]:
    def amend(document: Object) -> None:
        _schemas(document)["InteractiveObject"]["properties"]["type"]["enum"].append(kind)
        _schemas(document)["ActionObject"]["oneOf"].append(action)

    return amend


def _language_alone(document: Object) -> None:
    _schemas(document)["LanguageObject"]["required"].remove("policy")


def _proof(document: Object) -> None:
    proof = {"name": "appsecret_proof", "in": "query", "schema": _TEXT | {"pattern": "^[0-9a-f]{64}$"}}
    for path in document["paths"].values():
        path.setdefault("parameters", []).append(proof)


def _query(path: str, method: str, **parameters: Object) -> Callable[[Object], None]:
    def amend(document: Object) -> None:
        operation = document["paths"].setdefault("/{Version}/" + path, {}).setdefault(method, {"parameters": []})
        for name, schema in parameters.items():
            operation["parameters"].append({"name": name, "in": "query", "schema": schema})

    return amend


def _send(body: Object) -> tuple[str, str, Object]:
    return "POST", "/v25.0/106540352242922/messages", body


def _message(**content: object) -> tuple[str, str, Object]:
    body = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    return _send(body | ({} if "recipient" in content else {"to": "+15550001111"}) | content)


_TEXT_MESSAGE: Object = {"type": "text", "text": {"body": "Hello", "preview_url": False}}


def _asking(kind: str, action: Object) -> tuple[str, str, Object]:
    return _message(type="interactive", interactive={"type": kind, "body": {"text": "?"}, "action": action})


EXCEPTIONS: tuple[DocumentException, ...] = (
    DocumentException(
        "closed parts",
        "each message is a sum of two parts of which the second forbids the keys of the first: nothing would be valid,"
        " so the sum is read as closed, and its parts are not",
        _close_the_whole,
        _message(**_TEXT_MESSAGE),
    ),
    DocumentException(
        "biz_opaque_callback_data",
        "described on the page of statuses, and only for calls in this document",
        _mark_of_ours,
        _message(**_TEXT_MESSAGE, biz_opaque_callback_data="42"),
    ),
    DocumentException(
        "recipient",
        "customers without a phone number are of 2026: exactly one of `to` and `recipient`",
        _recipient,
        _message(**_TEXT_MESSAGE, recipient="US.13491208655302741918"),
    ),
    DocumentException(
        "read marks",
        "the document has no status `read` and no typing indicator",
        _read_mark,
        _send({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A"}),
    ),
    DocumentException(
        "location_request_message",
        "the document does not have this type of question",
        _interactive("location_request_message", _named_action("send_location")),
        _asking("location_request_message", {"name": "send_location"}),
    ),
    DocumentException(
        "request_contact_info",
        "this type of question is of 2026",
        _interactive("request_contact_info", _named_action("request_contact_info")),
        _asking("request_contact_info", {"name": "request_contact_info"}),
    ),
    DocumentException(
        "cta_url",
        "the document does not have this type of question",
        _interactive("cta_url", _named_action("cta_url", display_text=_TEXT | {"maxLength": 20}, url=_TEXT)),
        _asking("cta_url", {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://example.com"}}),
    ),
    DocumentException(
        "language without a policy",
        "there is only one policy, and the document's own examples leave it out",
        _language_alone,
        _message(type="template", template={"name": "hello", "language": {"code": "en"}}),
    ),
    DocumentException(
        "ids of QR codes",
        "the code in Meta's own example of the call has other figures in it than the document lets it have",
        _any_qr_code,
        ("DELETE", "/v25.0/106540352242922/message_qrdls/4O4YGZEG3RIVE1", None),
    ),
    DocumentException(
        "listing templates",
        "of the query only the name is described, not the fields and not the pages",
        _query(
            "{WABA-ID}/message_templates",
            "get",
            fields=_TEXT,
            limit={"type": "string", "pattern": "^[0-9]{1,3}$"},
            after=_TEXT,
            status=_TEXT,
        ),
        ("GET", "/v25.0/102290129340398/message_templates?fields=name&limit=100&after=A", None),
    ),
    DocumentException(
        "debug_token",
        "belongs to the Graph API as a whole and not to this part of it",
        _query("debug_token", "get", input_token=_TEXT),
        ("GET", "/v25.0/debug_token?input_token=EAAtoken", None),
    ),
    DocumentException(
        "subscriptions",
        "an app's own webhook belongs to the Graph API as a whole and not to this part of it",
        _query("{Application-ID}/subscriptions", "get"),
        ("GET", "/v25.0/3465092943791563/subscriptions", None),
    ),
    DocumentException(
        "appsecret_proof",
        "belongs to every call of the Graph API (those above too), and no description of one of its parts names it",
        _proof,
        ("GET", "/v25.0/106540352242922?fields=id&appsecret_proof=" + "0" * 64, None),
    ),
)
