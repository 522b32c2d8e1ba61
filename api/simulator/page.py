"""The page of phones at /simulator, and the small API behind it.

The page is a file, its data is JSON, and its policy lets nothing in from elsewhere. What can be done in the page can be
done by a program with the same calls.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from quart import Blueprint, Response, jsonify, redirect, request, send_file
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from api.simulator import access, views
from api.simulator.file_transfer import hand_over
from api.simulator.meta import Meta
from api.simulator.streams import Streams

HERE: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self';"
    " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def make_page(meta: Meta, streams: Streams) -> Blueprint:
    """What more the page can do is added to it: see customer_routes.py and play_routes.py."""
    page = Blueprint(
        "simulator_page",
        __name__,
        url_prefix="/simulator",
        static_folder=str(HERE / "static"),
        static_url_path="/static",
    )
    page.before_request(access.refuse_strangers)
    page.before_request(access.refuse_other_pages)

    @page.after_request
    async def protect(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-cache")
        return response

    @page.errorhandler(BadRequest)
    async def explain(error: BadRequest) -> Response:
        return access.refusal(400, error.description or "Bad request")

    @page.errorhandler(ValueError)
    async def explain_value(error: ValueError) -> Response:
        return access.refusal(400, str(error))

    @page.get("")
    async def show() -> ResponseReturnValue:
        return await send_file(HERE / "templates" / "simulator.html", mimetype="text/html")

    @page.get("/")
    async def show_elsewhere() -> ResponseReturnValue:
        return redirect("/simulator")

    @page.get("/events")
    async def events() -> Response:
        response = Response(_stream(streams), mimetype="text/event-stream")
        response.timeout = None
        return response

    @page.get("/api/chats")
    async def list_chats() -> Response:
        business = {"name": meta.setup.verified_name, "phone": meta.setup.display_phone_number}
        return jsonify({"success": True, "data": {"business": business, "customers": views.all_chats(meta.chats)}})

    @page.get("/api/files/<media_id>")
    async def show_file(media_id: str) -> ResponseReturnValue:
        media = meta.chats.media.get(media_id)
        if media is None:
            return access.refusal(404, "There is no such file.")
        inline = media.mime_type in views.SHOWN
        # Anything but a picture could be a page of its own: it is handed over as a download, never opened here.
        path = meta.chats.file_path(media_id)
        known = (media.mime_type,) if inline else ("application/octet-stream", media.filename or "file")
        response = await hand_over(path, *known)
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return response

    return page


async def body_of_request() -> dict[str, Any]:
    body = await request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BadRequest("Send a JSON object.")
    return body


def string(body: dict[str, Any], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str):
        raise BadRequest(f"{key} must be a string.")
    return value


def created(data: dict[str, Any]) -> ResponseReturnValue:
    return jsonify({"success": True, "data": data}), 201


async def _stream(streams: Streams) -> AsyncIterator[bytes]:
    async for event in streams.listen():
        yield event
