"""Leads from / to the desk, serves what its pages load, and answers every other address under /desk."""

from quart import Response

from api.desk.pages import AnyResponse, go_to, show_refusal
from api.desk.services import desk_services
from api.web.auth import GuardedBlueprint, open_to_all

blueprint = GuardedBlueprint("home", __name__)


@blueprint.get("/")
@open_to_all
async def lead_to_desk() -> AnyResponse:
    """Leads an address without a path to the desk."""
    return go_to("/desk")


@blueprint.get("/desk/static/<name>")
@open_to_all
async def send_static_file(name: str) -> Response:
    """Sends the style sheet or the icon."""
    found = desk_services().static_files.get(name)
    return Response(found.content, content_type=found.content_type) if found else show_refusal(404)


@blueprint.get("/desk/<path:rest>")
@open_to_all
async def answer_unknown_address(rest: str) -> Response:
    """Answers every other address of the desk."""
    return show_refusal(404)
