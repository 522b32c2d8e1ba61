"""Judges a template as it is sent: whether it may be, whether its parameters fit, and what the customer reads. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from api.simulator.graph_error import GraphError
from api.simulator.records import Choice
from api.simulator.setup import Setup

PARAMETER: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
MAX_BODY_CHARACTERS: Final = 1024
STOPPED_STATUSES: Final = {"PAUSED": 132015, "DISABLED": 132016}
MEDIA_FORMATS: Final = frozenset({"IMAGE", "VIDEO", "DOCUMENT"})
BUTTON_KINDS: Final = {"QUICK_REPLY": "reply", "URL": "url", "REQUEST_CONTACT_INFO": "number", "FLOW": "form"}


def find_template_error(body: Mapping[str, Any], setup: Setup) -> GraphError | None:
    """Returns why this template can't be sent; None when it can, or when the message is no template."""
    if body.get("type") != "template":
        return None
    return next(_list_errors(body["template"], setup), None)


def _list_errors(sent: Mapping[str, Any], setup: Setup) -> Iterator[GraphError]:
    name, language = sent["name"], sent["language"]["code"]
    template = setup.find_template(name, language)
    if template is None or template["status"] not in {"APPROVED", *STOPPED_STATUSES}:
        yield GraphError(132001, f"template name ({name}) does not exist in {language}")
        return
    if template["status"] in STOPPED_STATUSES:
        yield GraphError(STOPPED_STATUSES[template["status"]])
    components = sent.get("components", [])
    if not isinstance(components, list) or not all(isinstance(one, dict) for one in components):
        yield GraphError(100, "template['components'] must be a list of objects.")
        return
    for kind in ("header", "body"):
        component, given = _find_component(template, kind), _find_parameters(components, kind)
        yield from _list_misfits(kind, component, given, named=_has_named_parameters(template))
    if len(_fill(_find_component(template, "body"), _find_parameters(components, "body"))) > MAX_BODY_CHARACTERS:
        yield GraphError(132005)


def _list_misfits(kind: str, component: Mapping[str, Any], given: list[Any], *, named: bool) -> Iterator[GraphError]:
    if component.get("format") in MEDIA_FORMATS:
        if len(given) != 1 or given[0].get("type") != component["format"].lower():
            yield GraphError(132012, f"{kind}: Format mismatch, expected {component['format']}.")
        return
    expected = list(dict.fromkeys(PARAMETER.findall(str(component.get("text", "")))))
    if len(given) != len(expected):
        words = f"number of localizable_params ({len(given)}) does not match the expected number of params"
        yield GraphError(132000, f"{kind}: {words} ({len(expected)})")
        return
    for place, one in enumerate(given):
        text = one.get("text")
        if one.get("type") != "text" or not isinstance(text, str):
            yield GraphError(132012, f"{kind}: Format mismatch, expected TEXT.")
        elif named and one.get("parameter_name") not in expected:
            yield GraphError(132012, f"{kind}: parameter_name must be one of {', '.join(expected)}.")
        elif not text:
            yield GraphError(100, f"{kind}: parameter {place + 1} has an empty text.")
        elif re.search(r"[\n\r\t]| {5,}", text):
            yield GraphError(132018, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")


class RenderedTemplate(NamedTuple):
    """A template as the customer sees it."""

    header: str
    body: str
    footer: str
    buttons: list[Choice]


def render_template(sent: Mapping[str, Any], template: Mapping[str, Any]) -> RenderedTemplate:
    """Puts the parameters that were `sent` into a template of the set-up."""
    components = sent.get("components") or []
    header = _fill(_find_component(template, "header"), _find_parameters(components, "header"))
    body = _fill(_find_component(template, "body"), _find_parameters(components, "body"))
    footer = str(_find_component(template, "footer").get("text", ""))
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
        for place, button in enumerate(_find_component(template, "buttons").get("buttons", []))
    ]
    return RenderedTemplate(header, body, footer, buttons)


def _find_component(template: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found = (one for one in template.get("components", []) if str(one.get("type", "")).lower() == kind)
    return next(found, {})


def _find_parameters(components: list[Any], kind: str) -> list[dict[str, Any]]:
    given = next((one.get("parameters") for one in components if str(one.get("type")).lower() == kind), None)
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _has_named_parameters(template: Mapping[str, Any]) -> bool:
    return str(template.get("parameter_format", "")).upper() == "NAMED"


def _fill(component: Mapping[str, Any], given: list[dict[str, Any]]) -> str:
    values = {str(place): one for place, one in enumerate((str(item.get("text", "")) for item in given), 1)}
    values |= {str(item["parameter_name"]): str(item.get("text", "")) for item in given if "parameter_name" in item}
    return PARAMETER.sub(lambda found: values.get(found[1], found[0]), str(component.get("text", "")))
