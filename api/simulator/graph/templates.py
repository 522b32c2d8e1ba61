"""Serves templates: listed in pages, made, removed. One that is made waits for its review."""

import re
from typing import Any, Final

from quart import Blueprint, Response, jsonify, request

from api.simulator.graph.responses import (
    make_error_response,
    make_no_such_object_response,
    make_page_response,
    make_success_response,
    read_json,
)
from api.simulator.graph_error import GraphError
from api.simulator.simulator import current_simulator

NAME: Final = re.compile(r"[a-z0-9_]{1,512}")
CATEGORIES: Final = frozenset({"UTILITY", "MARKETING", "AUTHENTICATION"})
FILTERS: Final = ("name", "status", "language", "category")
QUALITY_DATE: Final = 1_767_225_600  # when Meta last judged the templates
MAX_CHARACTERS: Final = {"BODY": 1024, "HEADER": 60, "FOOTER": 60}

templates = Blueprint("templates", __name__)


@templates.get("/<waba_id>/message_templates")
async def list_templates(waba_id: str) -> Response:
    """Lists the templates that pass the filters of the query."""
    setup = current_simulator().setup
    if waba_id != setup.waba_id:
        return make_no_such_object_response(waba_id)
    wanted = {key: request.args[key] for key in FILTERS if request.args.get(key)}
    found = [one for one in setup.templates if all(one.get(key) == value for key, value in wanted.items())]
    return make_page_response([describe_template(one) for one in found])


@templates.post("/<waba_id>/message_templates")
async def create_template(waba_id: str) -> Response:
    """Makes a template, which is PENDING from then on."""
    setup = current_simulator().setup
    if waba_id != setup.waba_id:
        return make_no_such_object_response(waba_id)
    body = await read_json()
    error = _find_body_error(body)
    if error is None and setup.find_template(body["name"], body["language"]) is not None:
        error = GraphError(100, "There is already content in this language for this template.", subcode=2388024)
    if error is not None:
        return make_error_response(error)
    made = {key: body[key] for key in ("name", "language", "category", "components")}
    template_id = str(1_200_000_000_000_000 + len(setup.templates))
    parameter_format = str(body.get("parameter_format", "positional")).upper()
    setup.templates.append(made | {"id": template_id, "status": "PENDING", "parameter_format": parameter_format})
    return jsonify({"id": template_id, "status": "PENDING", "category": body["category"]})


@templates.delete("/<waba_id>/message_templates")
async def remove_templates(waba_id: str) -> Response:
    """Removes a template in all languages, or the one with the id `hsm_id`."""
    setup = current_simulator().setup
    if waba_id != setup.waba_id:
        return make_no_such_object_response(waba_id)
    name, only = request.args.get("name", ""), request.args.get("hsm_id")
    kept = [one for one in setup.templates if one["name"] != name or (only and one["id"] != only)]
    if len(kept) == len(setup.templates):
        return make_error_response(GraphError(100, f"Message template {name} was not found.", subcode=2593002))
    setup.templates[:] = kept
    return make_success_response()


def describe_template(template: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that the query asks for; by default those that Meta gives without being asked."""
    score = "UNKNOWN" if template["status"] == "PENDING" else "GREEN"
    judged: dict[str, Any] = {"quality_score": {"score": score, "date": QUALITY_DATE}, "rejected_reason": "NONE"}
    whole = {"parameter_format": "POSITIONAL"} | judged | template
    default = "name,parameter_format,components,language,status,category,id"
    asked = {name.strip() for name in request.args.get("fields", default).split(",")} | {"id"}
    return {key: value for key, value in whole.items() if key in asked}


def _find_body_error(body: Any) -> GraphError | None:
    if not isinstance(body, dict):
        return GraphError(100, "The request body must be a JSON object.")
    name, components = body.get("name"), body.get("components")
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        return GraphError(100, "A name has lower-case letters, digits and underscores.", subcode=2388019)
    if not isinstance(body.get("language"), str) or body.get("category") not in CATEGORIES:
        return GraphError(100, "language and category are required.")
    if not isinstance(components, list):
        return GraphError(100, "components is required.")
    bodies = [one for one in components if isinstance(one, dict) and one.get("type") == "BODY"]
    if len(bodies) != 1 or not isinstance(bodies[0].get("text"), str):
        return GraphError(100, "A template has one component of the type BODY.", subcode=2388023)
    for one in components:
        if isinstance(one, dict) and len(str(one.get("text", ""))) > MAX_CHARACTERS.get(str(one.get("type")), 1024):
            return GraphError(100, f"The text of {one.get('type')} is too long.", subcode=2388040)
    return None
