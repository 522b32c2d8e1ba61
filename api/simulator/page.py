"""Serves the page of phones at /simulator, its event stream, and the files in its chats.

The page is a file, its data is JSON, and its policy lets nothing in from elsewhere. What can be done in the page can be
done by a program with the same calls: see customer_routes.py and control_routes.py.
"""

from pathlib import Path
from typing import Final

from quart import Blueprint, Response, redirect, send_file
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from api.simulator import access, views
from api.simulator.control_routes import control_routes
from api.simulator.customer_routes import customer_routes
from api.simulator.file_transfer import serve_file
from api.simulator.json_api import make_data_response, make_error_response
from api.simulator.simulator import current_simulator

HERE: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self';"
    " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

page = Blueprint(
    "page", __name__, url_prefix="/simulator", static_folder=str(HERE / "static"), static_url_path="/static"
)
page.before_request(access.refuse_other_hosts)
page.before_request(access.refuse_other_pages)
page.register_blueprint(customer_routes)
page.register_blueprint(control_routes)


@page.after_request
async def add_security_headers(response: Response) -> Response:
    """Lets the page load nothing from elsewhere, and nothing elsewhere load or embed it."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


@page.errorhandler(BadRequest)
async def answer_bad_request(error: BadRequest) -> Response:
    """Answers with the sentence of a request that makes no sense."""
    return make_error_response(400, error.description or "Bad request")


@page.errorhandler(ValueError)
async def answer_impossible(error: ValueError) -> Response:
    """Answers with the sentence of an action that can't be done."""
    return make_error_response(400, str(error))


@page.get("")
async def show_page() -> ResponseReturnValue:
    """Serves the page."""
    return await send_file(HERE / "templates" / "simulator.html", mimetype="text/html")


@page.get("/")
async def redirect_to_page() -> ResponseReturnValue:
    """Leads to the page's one address."""
    return redirect("/simulator")


@page.get("/events")
async def stream_events() -> Response:
    """Streams what happens, as server-sent events."""
    response = Response(current_simulator().streams.listen(), mimetype="text/event-stream")
    response.timeout = None
    return response


@page.get("/api/chats")
async def list_chats() -> Response:
    """Answers with the business and every customer's chat."""
    simulator = current_simulator()
    business = {"name": simulator.setup.verified_name, "phone": simulator.setup.display_phone_number}
    return make_data_response({"business": business, "customers": views.describe_chats(simulator.chats)})


@page.get("/api/files/<media_id>")
async def show_file(media_id: str) -> ResponseReturnValue:
    """Serves a file of a chat: pictures to be shown, anything else as a download, since it could be a page itself."""
    chats = current_simulator().chats
    media = chats.media.get(media_id)
    if media is None:
        return make_error_response(404, "There is no such file.")
    path = chats.get_file_path(media_id)
    if media.mime_type in views.SHOWN_IN_PAGE:
        response = await serve_file(path, media.mime_type)
    else:
        response = await serve_file(path, "application/octet-stream", media.filename or "file")
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
