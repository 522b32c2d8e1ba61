"""Mounts the Graph API at /simulator/graph/<version>, so that the service differs by one address between here and Meta.

Each request goes the same way: written down, struck by a fault if one waits for it, its token checked, then answered by
the module of its resource.
"""

from typing import Any, Final

from quart import Blueprint, Response, g, request
from quart.typing import ResponseReturnValue
from werkzeug.http import http_date

from api.simulator import access
from api.simulator.graph.account import account
from api.simulator.graph.fault_effects import spoil_answer, strike_call
from api.simulator.graph.media import media
from api.simulator.graph.messages import find_recipient, messages
from api.simulator.graph.qr_codes import qr_codes
from api.simulator.graph.responses import make_error_response, read_json
from api.simulator.graph.templates import templates
from api.simulator.graph.tokens import find_token_error, tokens
from api.simulator.graph.versions import find_serving_version, is_known_version
from api.simulator.graph_error import GraphError
from api.simulator.simulator import GraphCall, Simulator, current_simulator

PREFIX: Final = "/simulator/graph"
METHODS: Final = ("GET", "POST", "DELETE")

graph = Blueprint("graph", __name__, url_prefix=f"{PREFIX}/<version>")
graph.before_request(access.refuse_other_hosts)
for routes in (tokens, messages, media, templates, qr_codes, account):
    graph.register_blueprint(routes)


@graph.url_value_preprocessor
def take_version(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Takes the version out of the address, so that no route has to name it."""
    g.version = (values or {}).pop("version", "")


@graph.before_request
async def write_down() -> None:
    """Keeps the call for the page and the tests, and decides in `g` what kind it is and for whom."""
    simulator = current_simulator()
    body = await read_json() if request.mimetype == "application/json" else None
    g.call, g.phone = _get_kind(simulator, body), find_recipient(simulator.chats, body)
    if request.mimetype in ("", "application/json") and "/files/" not in request.path:
        target = request.full_path.removeprefix(PREFIX).rstrip("?")
        simulator.meta.calls.append({"method": request.method, "target": target, "body": body})
    if simulator.settings.keep_requests:
        simulator.requests.append(GraphCall(request.method, request.path.removeprefix(PREFIX), body))


@graph.before_request
async def check_version() -> Response | None:
    """Refuses a version that there never was."""
    if is_known_version(g.version):
        return None
    return make_error_response(
        GraphError(2500, message=f"Unknown path components: {request.path.removeprefix(PREFIX)}")
    )


@graph.before_request
async def strike() -> ResponseReturnValue | None:
    """Lets a fault answer instead."""
    return await strike_call(current_simulator().faults, g.call, g.phone)


@graph.before_request
async def check_token() -> Response | None:
    """Refuses a call whose access token is not good for it."""
    simulator = current_simulator()
    error = find_token_error(simulator.setup, simulator.clock(), g.call)
    return None if error is None else make_error_response(error)


@graph.after_request
async def finish_answer(response: Response) -> Response:
    """Names the version that answers and the time at Meta, and lets a fault spoil the answer."""
    simulator = current_simulator()
    response.headers["Date"] = http_date(simulator.clock())
    response.headers["facebook-api-version"] = simulator.setup.served_version or find_serving_version(g.version)
    return await spoil_answer(simulator.faults, response)


@graph.route("/", methods=METHODS)
@graph.route("/<path:elsewhere>", methods=METHODS)
async def answer_unknown_path(elsewhere: str = "") -> Response:
    """Answers for every path that the simulator does not have."""
    return make_error_response(GraphError(2500, message=f"Unknown path components: /{elsewhere}"))


def _get_kind(simulator: Simulator, body: Any) -> str:
    """Returns what kind of call this is: faults and permissions go by it."""
    parts = request.path.removeprefix(PREFIX).strip("/").split("/")[1:]
    match parts:
        case ["debug_token"] | ["app"] | [_, "subscriptions"]:
            return "app"
        case [_, "messages"]:
            return "read" if isinstance(body, dict) and body.get("status") == "read" else "send"
        case [_, "media"]:
            return "upload"
        case ["files", _]:
            return "download"
        case [_, "message_templates"]:
            return "templates"
        case [_, "message_qrdls", *_]:
            return "codes"
        case [object_id] if object_id in simulator.chats.media:
            return "remove" if request.method == "DELETE" else "locate"
    return "account"
