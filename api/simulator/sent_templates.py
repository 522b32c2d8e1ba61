"""A template as it is sent: whether it may be, whether its parameters fit, and what the customer reads.

Pure.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.simulator.graph_error import Refusal
from api.simulator.records import Choice
from api.simulator.setup import Setup

PLACE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
BODY_LENGTH: Final = 1024
STOPPED: Final = {"PAUSED": 132015, "DISABLED": 132016}
MEDIA_FORMATS: Final = frozenset({"IMAGE", "VIDEO", "DOCUMENT"})
BUTTON_KINDS: Final = {"QUICK_REPLY": "reply", "URL": "url", "REQUEST_CONTACT_INFO": "number", "FLOW": "form"}


def template_refusal(body: Mapping[str, Any], setup: Setup) -> Refusal | None:
    """Why this template can't be sent; None when it can, or when this is no template."""
    if body.get("type") != "template":
        return None
    return next(_refusals(body["template"], setup), None)


def _refusals(sent: Mapping[str, Any], setup: Setup) -> Iterator[Refusal]:
    name, language = sent["name"], sent["language"]["code"]
    template = setup.template(name, language)
    if template is None or template["status"] not in {"APPROVED", *STOPPED}:
        yield Refusal(132001, f"template name ({name}) does not exist in {language}")
        return
    if template["status"] in STOPPED:
        yield Refusal(STOPPED[template["status"]])
    components = sent.get("components", [])
    if not isinstance(components, list) or not all(isinstance(one, dict) for one in components):
        yield Refusal(100, "template['components'] must be a list of objects.")
        return
    for kind in ("header", "body"):
        yield from _misfits(kind, _component(template, kind), _parameters(components, kind), _named(template))
    if len(_filled(_component(template, "body"), _parameters(components, "body"))) > BODY_LENGTH:
        yield Refusal(132005)


def _misfits(kind: str, component: Mapping[str, Any], given: list[Any], named: bool) -> Iterator[Refusal]:
    if component.get("format") in MEDIA_FORMATS:
        if len(given) != 1 or given[0].get("type") != component["format"].lower():
            yield Refusal(132012, f"{kind}: Format mismatch, expected {component['format']}.")
        return
    expected = list(dict.fromkeys(PLACE.findall(str(component.get("text", "")))))
    if len(given) != len(expected):
        words = f"number of localizable_params ({len(given)}) does not match the expected number of params"
        yield Refusal(132000, f"{kind}: {words} ({len(expected)})")
        return
    for place, one in enumerate(given):
        text = one.get("text")
        if one.get("type") != "text" or not isinstance(text, str):
            yield Refusal(132012, f"{kind}: Format mismatch, expected TEXT.")
        elif named and one.get("parameter_name") not in expected:
            yield Refusal(132012, f"{kind}: parameter_name must be one of {', '.join(expected)}.")
        elif not text:
            yield Refusal(100, f"{kind}: parameter {place + 1} has an empty text.")
        elif re.search(r"[\n\r\t]| {5,}", text):
            yield Refusal(132018, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")


def rendered(sent: Mapping[str, Any], template: Mapping[str, Any]) -> tuple[str, str, str, list[Choice]]:
    """(header, body, footer, buttons) as the customer sees them."""
    components = sent.get("components") or []
    header = _filled(_component(template, "header"), _parameters(components, "header"))
    body = _filled(_component(template, "body"), _parameters(components, "body"))
    footer = str(_component(template, "footer").get("text", ""))
    payloads = {
        str(one.get("index")): one["parameters"][0].get("payload", "")
        for one in components
        if one.get("type") == "button" and one.get("sub_type") == "quick_reply" and one.get("parameters")
    }
    buttons = [
        Choice(
            str(payloads.get(str(place)) or button.get("text", "")),
            str(button.get("text", "")),
            str(button.get("url", "")),
            kind=BUTTON_KINDS.get(str(button.get("type")), "form"),
        )
        for place, button in enumerate(_component(template, "buttons").get("buttons", []))
    ]
    return header, body, footer, buttons


def _component(template: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found = (one for one in template.get("components", []) if str(one.get("type", "")).lower() == kind)
    return next(found, {})


def _parameters(components: list[Any], kind: str) -> list[dict[str, Any]]:
    given = next((one.get("parameters") for one in components if str(one.get("type")).lower() == kind), None)
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _named(template: Mapping[str, Any]) -> bool:
    return str(template.get("parameter_format", "")).upper() == "NAMED"


def _filled(component: Mapping[str, Any], given: list[dict[str, Any]]) -> str:
    values = {str(place): one for place, one in enumerate((str(item.get("text", "")) for item in given), 1)}
    values |= {str(item["parameter_name"]): str(item.get("text", "")) for item in given if "parameter_name" in item}
    return PLACE.sub(lambda found: values.get(found[1], found[0]), str(component.get("text", "")))
