"""What a customer does, as calls: /simulator/api/customers."""

from typing import Any, Final

from quart import Blueprint, Response, jsonify, request
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from api.simulator import views
from api.simulator.meta import Meta
from api.simulator.page import body_of_request, created, string
from api.simulator.people import People, make_user_id
from api.simulator.records import Choice, Customer, Message

MOST_CUSTOMERS: Final = 24
MOST_TEXT: Final = 65_536
FIRST_PHONE: Final = 15550100001
KINDS: Final = frozenset({"", "voice", "sticker"})


def add_customer_routes(page: Blueprint, meta: Meta, people: People) -> None:
    chats = meta.chats

    @page.post("/api/customers")
    async def add_customer() -> ResponseReturnValue:
        body = await body_of_request()
        name, username = string(body, "name").strip(), string(body, "username").strip()
        shows = string(body, "shows") or "phone"
        if not name or len(name) > 60 or len(username) > 60:
            raise BadRequest("A customer needs a name of at most 60 characters.")
        if shows not in {"phone", "user_id", "both"}:
            raise BadRequest("A customer shows phone, user_id or both.")
        if len(chats.customers) >= MOST_CUSTOMERS:
            raise BadRequest(f"There is room for {MOST_CUSTOMERS} customers.")
        phone = _free_phone(chats.customers, string(body, "phone").strip())
        user_id = string(body, "user_id") or ("" if shows == "phone" else make_user_id(phone))
        customer = people.add(Customer(phone, name, user_id, username, shows))  # type: ignore[arg-type]
        return created(views.customer(customer, chats))

    @page.post("/api/customers/<phone>/messages")
    async def write(phone: str) -> ResponseReturnValue:
        customer, body = _customer(meta, phone), await body_of_request()
        return created(views.message(_written(people, meta, customer, body), chats))

    @page.post("/api/customers/<phone>/files")
    async def send(phone: str) -> ResponseReturnValue:
        customer, form, file = _customer(meta, phone), await request.form, (await request.files).get("file")
        kind = form.get("kind", "")
        if file is None or kind not in KINDS:
            raise BadRequest("A file is missing, or its kind is none of voice and sticker.")
        mime_type = (file.content_type or "application/octet-stream").lower()
        media = await meta.keep_file(file.stream, mime_type, file.filename or "file", inbound=True)
        if not media.size:
            chats.remove_media(media.media_id)
            raise BadRequest("A file is missing, or empty.")
        message = people.send_file(customer, media, form.get("caption", ""), form.get("quote", ""), kind)
        return created(views.message(message, chats))

    @page.post("/api/customers/<phone>/messages/<wamid>/<act>")
    async def change(phone: str, wamid: str, act: str) -> Response:
        customer, body = _customer(meta, phone), await body_of_request()
        if act == "reaction":
            people.react(customer, wamid, string(body, "emoji"))
        elif act == "edit":
            people.edit(customer, wamid, _text(body))
        elif act == "revoke":
            people.revoke(customer, wamid)
        else:
            raise BadRequest("A message can get a reaction, an edit or a revoke.")
        return jsonify({"success": True, "data": views.message(chats.messages[wamid], chats)})

    @page.post("/api/customers/<phone>/open")
    async def open_chat(phone: str) -> Response:
        meta.open_chat(_customer(meta, phone).phone)
        return jsonify({"success": True})

    @page.post("/api/customers/<phone>/identity")
    async def change_identity(phone: str) -> Response:
        """One of: what they show (`shows`), another number (`phone`), another user id (`user_id`: "new")."""
        customer, body = _customer(meta, phone), await body_of_request()
        if "shows" in body:
            customer = people.show(customer, body["shows"])
        if "phone" in body:
            customer = people.change_number(customer, _free_phone(chats.customers, string(body, "phone").strip()))
        if "user_id" in body:
            customer = people.change_user_id(customer)
        return jsonify({"success": True, "data": views.customer(customer, chats)})


def _written(people: People, meta: Meta, customer: Customer, body: dict[str, Any]) -> Message:
    quote = string(body, "quote")
    if "option_id" in body:
        return _choose(people, meta, customer, body)
    if "location" in body:
        return people.send_place(customer, _place(body["location"]), quote)
    if "contact" in body:
        card = body["contact"] if isinstance(body["contact"], dict) else {}
        name, phone = string(card, "name") or customer.name, string(card, "phone") or customer.phone
        return people.send_card(customer, name[:60], _digits(phone), quote)
    return people.write_text(customer, _text(body), quote)


def _choose(people: People, meta: Meta, customer: Customer, body: dict[str, Any]) -> Message:
    """A tap; with a title of its own it may be of a button that was never shown, as a forger would send it."""
    wamid, option_id = string(body, "wamid"), string(body, "option_id")
    offered = meta.chats.messages.get(wamid)
    known = [] if offered is None else [one for one in offered.options if one.option_id == option_id]
    if not known and not string(body, "title"):
        raise BadRequest("There is no such option; a forged one needs a title.")
    return people.choose(customer, known[0] if known else Choice(option_id, string(body, "title")), wamid)


def _place(given: Any) -> dict[str, Any]:
    try:
        where: dict[str, Any] = {key: float(given[key]) for key in ("latitude", "longitude")}
    except (KeyError, TypeError, ValueError):
        raise BadRequest("A location has a latitude and a longitude.") from None
    return where | {key: string(given, key)[:200] for key in ("name", "address") if given.get(key)}


def _text(body: dict[str, Any]) -> str:
    text = string(body, "text")
    if not text.strip() or len(text) > MOST_TEXT:
        raise BadRequest(f"A message has 1 to {MOST_TEXT} characters.")
    return text


def _customer(meta: Meta, phone: str) -> Customer:
    customer = meta.chats.customers.get(phone)
    if customer is None:
        raise BadRequest("There is no such customer.")
    return customer


def _free_phone(customers: dict[str, Customer], given: str) -> str:
    """The number that was asked for, or the next free one."""
    if not given:
        phone = FIRST_PHONE
        while str(phone) in customers:
            phone += 1
        return str(phone)
    digits = _digits(given)
    if digits in customers:
        raise BadRequest("Another customer has this number.")
    return digits


def _digits(given: str) -> str:
    phone = "".join(filter(str.isdecimal, given))
    if not phone.isascii() or not 7 <= len(phone) <= 15:
        raise BadRequest("A phone number has 7 to 15 digits.")
    return phone
