"""The Graph API, mounted at /simulator/graph/<version>: the service differs by one address between here and Meta.

Each request goes the same way: written down, struck by a fault if one waits for it, its token looked at, then answered
by the module of its concern.
"""

from typing import Any, Final

from quart import Blueprint, Response, g, request
from quart.typing import ResponseReturnValue

from api.simulator import access
from api.simulator.graph.account import add_account
from api.simulator.graph.fault_effects import after, before
from api.simulator.graph.media import add_media
from api.simulator.graph.messages import add_messages, recipient_of
from api.simulator.graph.qr_codes import add_qr_codes
from api.simulator.graph.responses import json_body, refused
from api.simulator.graph.templates import add_templates
from api.simulator.graph.tokens import add_tokens, token_refusal
from api.simulator.graph_error import Refusal
from api.simulator.meta import Meta
from api.simulator.settings import SimulatorSettings

PREFIX: Final = "/simulator/graph"
METHODS: Final = ("GET", "POST", "DELETE")
Asked = tuple[str, str, Any]  # method, path from the version on, body of JSON


def make_graph(settings: SimulatorSettings, meta: Meta, requests: list[Asked]) -> Blueprint:
    graph = Blueprint("simulator_graph", __name__, url_prefix=f"{PREFIX}/<version>")
    graph.before_request(access.refuse_strangers)

    @graph.before_request
    async def write_down() -> None:
        body = await json_body() if request.mimetype == "application/json" else None
        g.what, g.phone = _what(meta, body), recipient_of(meta, body)
        if request.mimetype in ("", "application/json") and "/files/" not in request.path:
            target = request.full_path.removeprefix(PREFIX).rstrip("?")
            meta.asked.append({"method": request.method, "target": target, "body": body})
        if settings.keep_requests:
            requests.append((request.method, request.path.removeprefix(PREFIX), body))

    @graph.before_request
    async def strike() -> ResponseReturnValue | None:
        return await before(meta.faults, g.what, g.phone)

    @graph.before_request
    async def check_token() -> Response | None:
        refusal = token_refusal(meta.setup, meta.clock(), g.what)
        return None if refusal is None else refused(refusal)

    @graph.after_request
    async def name_version(response: Response) -> Response:
        asked = str((request.view_args or {}).get("version", ""))
        response.headers["facebook-api-version"] = meta.setup.served_version or asked
        return await after(meta.faults, response)

    @graph.route("/", methods=METHODS)
    @graph.route("/<path:elsewhere>", methods=METHODS)
    async def nothing_there(version: str, elsewhere: str = "") -> Response:
        return refused(Refusal(2500, message=f"Unknown path components: /{elsewhere}"))

    for add in (add_tokens, add_messages, add_media, add_templates, add_qr_codes, add_account):
        add(graph, meta)
    return graph


def _what(meta: Meta, body: Any) -> str:
    """What kind of call this is: faults and permissions go by it."""
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
        case [object_id] if object_id in meta.chats.media:
            return "remove" if request.method == "DELETE" else "locate"
    return "account"
