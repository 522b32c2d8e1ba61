"""The page of phones at /simulator, and the small API behind it.

The page is a file, its data is JSON, and its policy lets nothing in from elsewhere. What a customer does in the page
can be done by a program with the same calls.
"""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from quart import Blueprint, Response, jsonify, redirect, request, send_file
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from api.simulator import gate, views
from api.simulator.chats import Choice, Customer
from api.simulator.meta import Meta
from api.simulator.settings import SimulatorSettings
from api.simulator.streams import Streams

HERE: Final = Path(__file__).parent
MOST_CUSTOMERS: Final = 24
MOST_TEXT: Final = 65_536
FIRST_PHONE: Final = 15550100001
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self';"
    " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def make_page(settings: SimulatorSettings, meta: Meta, streams: Streams) -> Blueprint:
    page = Blueprint(
        "simulator_page",
        __name__,
        url_prefix="/simulator",
        static_folder=str(HERE / "static"),
        static_url_path="/static",
    )
    page.before_request(gate.refuse_strangers)
    page.before_request(gate.refuse_other_pages)

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
        return gate.refusal(400, error.description or "Bad request")

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
        business = {"name": settings.business_name, "phone": settings.display_phone_number}
        return jsonify({"success": True, "data": {"business": business, "customers": views.all_chats(meta.chats)}})

    @page.post("/api/customers")
    async def add_customer() -> ResponseReturnValue:
        body = await _body()
        customers = meta.chats.customers
        name = _string(body, "name").strip()
        given = _string(body, "phone").strip()
        phone = "".join(filter(str.isdecimal, given)) if given else _next_phone(customers)
        if not name or len(name) > 60:
            raise BadRequest("A customer needs a name of at most 60 characters.")
        if not phone.isascii() or not 7 <= len(phone) <= 15:
            raise BadRequest("A phone number has 7 to 15 digits.")
        if phone in customers:
            raise BadRequest("Another customer has this number.")
        if len(customers) >= MOST_CUSTOMERS:
            raise BadRequest(f"There is room for {MOST_CUSTOMERS} customers.")
        return _created(views.customer(meta.add_customer(phone, name), []))

    @page.post("/api/customers/<phone>/messages")
    async def write(phone: str) -> ResponseReturnValue:
        customer, body = _customer(meta, phone), await _body()
        if "option_id" in body:
            message = _choose(meta, customer, body)
        else:
            text = _string(body, "text")
            if not text.strip() or len(text) > MOST_TEXT:
                raise BadRequest(f"A message has 1 to {MOST_TEXT} characters.")
            message = meta.write_text(customer, text, _string(body, "quote"))
        return _created(views.message(message, meta.chats))

    @page.post("/api/customers/<phone>/files")
    async def send(phone: str) -> ResponseReturnValue:
        customer, form, file = _customer(meta, phone), await request.form, (await request.files).get("file")
        content = file.read() if file is not None else b""
        if file is None or not content:
            raise BadRequest("A file is missing, or empty.")
        mime_type = (file.content_type or "application/octet-stream").lower()
        digest = hashlib.sha256(content).hexdigest()
        media = meta.keep_file(content, digest, mime_type, file.filename or "file")
        message = meta.send_file(customer, media, form.get("caption", ""), form.get("quote", ""))
        return _created(views.message(message, meta.chats))

    @page.post("/api/customers/<phone>/open")
    async def open_chat(phone: str) -> Response:
        meta.open_chat(_customer(meta, phone).phone)
        return jsonify({"success": True})

    @page.get("/api/files/<media_id>")
    async def show_file(media_id: str) -> ResponseReturnValue:
        media = meta.chats.media.get(media_id)
        if media is None:
            return gate.refusal(404, "There is no such file.")
        inline = views.media_kind(media.mime_type) == "image"
        # Anything but a picture could be a page of its own: it is handed over as a download, never opened here.
        response = await send_file(
            meta.chats.file_path(media_id),
            mimetype=media.mime_type if inline else "application/octet-stream",
            as_attachment=not inline,
            attachment_filename=None if inline else media.filename or "file",
        )
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return response

    return page


async def _stream(streams: Streams) -> AsyncIterator[bytes]:
    async for event in streams.listen():
        yield event


def _choose(meta: Meta, customer: Customer, body: dict[str, Any]) -> Any:
    """A tap; with a title of its own it may be of a button that was never shown, as a forger would send it."""
    wamid, option_id = _string(body, "wamid"), _string(body, "option_id")
    offered = meta.chats.messages.get(wamid)
    known = [] if offered is None else [choice for choice in offered.options if choice.option_id == option_id]
    if not known and not _string(body, "title"):
        raise BadRequest("There is no such option; a forged one needs a title.")
    choice = known[0] if known else Choice(option_id, _string(body, "title"))
    return meta.choose(customer, choice, wamid, from_list=offered is not None and offered.kind == "list")


def _customer(meta: Meta, phone: str) -> Customer:
    customer = meta.chats.customers.get(phone)
    if customer is None:
        raise BadRequest("There is no such customer.")
    return customer


def _next_phone(customers: dict[str, Customer]) -> str:
    phone = FIRST_PHONE
    while str(phone) in customers:
        phone += 1
    return str(phone)


async def _body() -> dict[str, Any]:
    body = await request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BadRequest("Send a JSON object.")
    return body


def _string(body: dict[str, Any], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str):
        raise BadRequest(f"{key} must be a string.")
    return value


def _created(data: dict[str, Any]) -> ResponseReturnValue:
    return jsonify({"success": True, "data": data}), 201
