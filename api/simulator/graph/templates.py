"""Templates: listed in pages, made, removed. One that is made waits for its review."""

import re
from typing import Any, Final

from quart import Blueprint, Response, jsonify, request

from api.simulator.graph.responses import done, json_body, no_such_object, paged, refused
from api.simulator.graph_error import Refusal
from api.simulator.meta import Meta

NAME: Final = re.compile(r"[a-z0-9_]{1,512}")
CATEGORIES: Final = frozenset({"UTILITY", "MARKETING", "AUTHENTICATION"})
FILTERS: Final = ("name", "status", "language", "category")
ALWAYS: Final = frozenset({"id"})


def add_templates(graph: Blueprint, meta: Meta) -> None:
    setup = meta.setup

    @graph.get("/<waba_id>/message_templates")
    async def list_templates(version: str, waba_id: str) -> Response:
        if waba_id != setup.waba_id:
            return no_such_object(waba_id)
        wanted = {key: request.args[key] for key in FILTERS if request.args.get(key)}
        found = [one for one in setup.templates if all(one.get(key) == value for key, value in wanted.items())]
        return paged([described(one) for one in found])

    @graph.post("/<waba_id>/message_templates")
    async def create_template(version: str, waba_id: str) -> Response:
        if waba_id != setup.waba_id:
            return no_such_object(waba_id)
        body = await json_body()
        refusal = _refusal(body)
        if refusal is None and setup.template(body["name"], body["language"]) is not None:
            refusal = Refusal(100, "There is already content in this language for this template.", subcode=2388024)
        if refusal is not None:
            return refused(refusal)
        made = {key: body[key] for key in ("name", "language", "category", "components")}
        template_id = str(1_200_000_000_000_000 + len(setup.templates))
        parameter_format = str(body.get("parameter_format", "positional")).upper()
        setup.templates.append(made | {"id": template_id, "status": "PENDING", "parameter_format": parameter_format})
        return jsonify({"id": template_id, "status": "PENDING", "category": body["category"]})

    @graph.delete("/<waba_id>/message_templates")
    async def remove_template(version: str, waba_id: str) -> Response:
        if waba_id != setup.waba_id:
            return no_such_object(waba_id)
        name, only = request.args.get("name", ""), request.args.get("hsm_id")
        kept = [one for one in setup.templates if one["name"] != name or (only and one["id"] != only)]
        if len(kept) == len(setup.templates):
            return refused(Refusal(100, f"Message template {name} was not found.", subcode=2593002))
        setup.templates[:] = kept
        return done()


def described(template: dict[str, Any]) -> dict[str, Any]:
    """The fields that were asked for; by default what Meta gives without being asked."""
    whole = {"parameter_format": "POSITIONAL", "quality_score": {"score": "GREEN"}} | template
    default = "name,parameter_format,components,language,status,category,id"
    asked = {name.strip() for name in request.args.get("fields", default).split(",")} | ALWAYS
    return {key: value for key, value in whole.items() if key in asked}


def _refusal(body: Any) -> Refusal | None:
    if not isinstance(body, dict):
        return Refusal(100, "The request body must be a JSON object.")
    name, components = body.get("name"), body.get("components")
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        return Refusal(100, "A name has lower-case letters, digits and underscores.", subcode=2388019)
    if not isinstance(body.get("language"), str) or body.get("category") not in CATEGORIES:
        return Refusal(100, "language and category are required.")
    if not isinstance(components, list):
        return Refusal(100, "components is required.")
    bodies = [one for one in components if isinstance(one, dict) and one.get("type") == "BODY"]
    if len(bodies) != 1 or not isinstance(bodies[0].get("text"), str):
        return Refusal(100, "A template has one component of the type BODY.", subcode=2388023)
    limits = {"BODY": 1024, "HEADER": 60, "FOOTER": 60}
    for one in components:
        if isinstance(one, dict) and len(str(one.get("text", ""))) > limits.get(str(one.get("type")), 1024):
            return Refusal(100, f"The text of {one.get('type')} is too long.", subcode=2388040)
    return None
