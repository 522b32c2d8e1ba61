"""Serves what customers do, as calls under /simulator/api/customers."""

from typing import Any, Final, get_args

from quart import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from api.simulator import views
from api.simulator.json_api import make_data_response, make_done_response, read_object, read_string
from api.simulator.records import Choice, Customer, Message, Visibility
from api.simulator.simulator import Simulator, current_simulator

MAX_CUSTOMERS: Final = 24  # what a page of phones has room for
MAX_TEXT_CHARACTERS: Final = 65_536
MAX_NAME_CHARACTERS: Final = 60
FIRST_PHONE: Final = 15550100001
FILE_KINDS: Final = frozenset({"", "voice", "sticker"})

customer_routes = Blueprint("customers", __name__)


@customer_routes.post("/api/customers")
async def add_customer() -> Response:
    """Adds a customer, with the next free number unless one is given."""
    simulator, body = current_simulator(), await read_object()
    name, username = read_string(body, "name").strip(), read_string(body, "username").strip()
    shows = read_string(body, "shows") or "phone"
    if not name or len(name) > MAX_NAME_CHARACTERS or len(username) > MAX_NAME_CHARACTERS:
        raise BadRequest(f"A customer needs a name of at most {MAX_NAME_CHARACTERS} characters.")
    if shows not in get_args(Visibility):
        raise BadRequest("A customer shows phone or user_id.")
    if len(simulator.chats.customers) >= MAX_CUSTOMERS:
        raise BadRequest(f"There is room for {MAX_CUSTOMERS} customers.")
    phone = _choose_phone(simulator.chats.customers, read_string(body, "phone").strip())
    user_id = read_string(body, "user_id")
    customer = simulator.people.save(Customer(phone, name, user_id, username, shows))  # type: ignore[arg-type]
    return make_data_response(views.describe_customer(customer, simulator.chats), 201)


@customer_routes.delete("/api/customers/<phone>")
async def remove_customer(phone: str) -> Response:
    """Removes a customer with their chat."""
    simulator = current_simulator()
    simulator.people.remove(_find_customer(simulator, phone))
    return make_done_response()


@customer_routes.post("/api/customers/<phone>/messages")
async def write_message(phone: str) -> Response:
    """Sends words, a tap on an option, a place or a contact card."""
    simulator = current_simulator()
    customer, body = _find_customer(simulator, phone), await read_object()
    return make_data_response(views.describe_message(_write(simulator, customer, body), simulator.chats), 201)


@customer_routes.post("/api/customers/<phone>/files")
async def send_file(phone: str) -> Response:
    """Sends a file out of a form, with `caption`, `quote` and `kind` (voice, sticker) beside it."""
    simulator = current_simulator()
    customer, form, file = _find_customer(simulator, phone), await request.form, (await request.files).get("file")
    kind = form.get("kind", "")
    if file is None or kind not in FILE_KINDS:
        raise BadRequest("A file is missing, or its kind is none of voice and sticker.")
    mime_type = (file.content_type or "application/octet-stream").lower()
    media = await simulator.media.save(file.stream, mime_type, file.filename or "file", inbound=True)
    if not media.size:
        simulator.media.remove(media.media_id)
        raise BadRequest("A file is missing, or empty.")
    message = simulator.people.send_file(
        customer, media, caption=form.get("caption", ""), quote=form.get("quote", ""), kind=kind
    )
    return make_data_response(views.describe_message(message, simulator.chats), 201)


@customer_routes.post("/api/customers/<phone>/messages/<wamid>/<action>")
async def change_message(phone: str, wamid: str, action: str) -> Response:
    """Reacts to a message, edits or revokes it."""
    simulator = current_simulator()
    customer, body = _find_customer(simulator, phone), await read_object()
    if action == "reaction":
        simulator.people.react(customer, wamid, read_string(body, "emoji"))
    elif action == "edit":
        simulator.people.edit(customer, wamid, _read_text(body))
    elif action == "revoke":
        simulator.people.revoke(customer, wamid)
    else:
        raise BadRequest("A message can get a reaction, an edit or a revoke.")
    return make_data_response(views.describe_message(simulator.chats.messages[wamid], simulator.chats))


@customer_routes.post("/api/customers/<phone>/open")
async def open_chat(phone: str) -> Response:
    """Lets the customer look at the chat: what has arrived is read."""
    simulator = current_simulator()
    simulator.meta.open_chat(_find_customer(simulator, phone).phone)
    return make_done_response()


@customer_routes.post("/api/customers/<phone>/identity")
async def change_identity(phone: str) -> Response:
    """Changes one of: what they show (`shows`), their number (`phone`; "": the next free one), their user id
    (`user_id`: "new")."""
    simulator = current_simulator()
    customer, body = _find_customer(simulator, phone), await read_object()
    if "shows" in body:
        customer = simulator.people.change_visibility(customer, body["shows"])
    if "phone" in body:
        wanted = _choose_phone(simulator.chats.customers, read_string(body, "phone").strip())
        customer = simulator.people.change_number(customer, wanted)
    if "user_id" in body:
        customer = simulator.people.change_user_id(customer)
    return make_data_response(views.describe_customer(customer, simulator.chats))


def _write(simulator: Simulator, customer: Customer, body: dict[str, Any]) -> Message:
    people, quote = simulator.people, read_string(body, "quote")
    if "option_id" in body:
        return _choose_option(simulator, customer, body)
    if "location" in body:
        return people.send_location(customer, _read_location(body["location"]), quote)
    if "contact" in body:
        card = body["contact"] if isinstance(body["contact"], dict) else {}
        name, phone = read_string(card, "name") or customer.name, read_string(card, "phone") or customer.phone
        return people.send_contact_card(customer, name[:MAX_NAME_CHARACTERS], _read_phone(phone), quote)
    return people.write_text(customer, _read_text(body), quote)


def _choose_option(simulator: Simulator, customer: Customer, body: dict[str, Any]) -> Message:
    """Taps; with a title of its own it may be a tap on a button that was never shown, as a forger would send it."""
    wamid, option_id = read_string(body, "wamid"), read_string(body, "option_id")
    offered = simulator.chats.messages.get(wamid)
    known = [] if offered is None else [one for one in offered.options if one.option_id == option_id]
    if not known and not read_string(body, "title"):
        raise BadRequest("There is no such option; a forged one needs a title.")
    choice = known[0] if known else Choice(option_id, read_string(body, "title"))
    return simulator.people.choose_option(customer, choice, wamid)


def _read_location(given: Any) -> dict[str, Any]:
    try:
        where: dict[str, Any] = {key: float(given[key]) for key in ("latitude", "longitude")}
    except (KeyError, TypeError, ValueError):
        raise BadRequest("A location has a latitude and a longitude.") from None
    return where | {key: read_string(given, key)[:200] for key in ("name", "address") if given.get(key)}


def _read_text(body: dict[str, Any]) -> str:
    text = read_string(body, "text")
    if not text.strip() or len(text) > MAX_TEXT_CHARACTERS:
        raise BadRequest(f"A message has 1 to {MAX_TEXT_CHARACTERS} characters.")
    return text


def _find_customer(simulator: Simulator, phone: str) -> Customer:
    customer = simulator.chats.customers.get(phone)
    if customer is None:
        raise BadRequest("There is no such customer.")
    return customer


def _choose_phone(customers: dict[str, Customer], given: str) -> str:
    """Returns the number that was asked for, or the next free one."""
    if not given:
        phone = FIRST_PHONE
        while str(phone) in customers:
            phone += 1
        return str(phone)
    digits = _read_phone(given)
    if digits in customers:
        raise BadRequest("Another customer has this number.")
    return digits


def _read_phone(given: str) -> str:
    phone = "".join(filter(str.isdecimal, given))
    if not phone.isascii() or not 7 <= len(phone) <= 15:
        raise BadRequest("A phone number has 7 to 15 digits.")
    return phone
