"""Serves the calls that steer Meta: faults, time, the set-up, updates of the account, webhooks."""

from typing import Final

from quart import Blueprint, Response
from werkzeug.exceptions import BadRequest

from api.simulator import bodies, faults
from api.simulator.account_updates import UPDATES
from api.simulator.json_api import make_data_response, make_done_response, make_error_response, read_object, read_string
from api.simulator.simulator import current_simulator

MAX_ADVANCE_SECONDS: Final = 400 * 86_400

control_routes = Blueprint("control", __name__)


@control_routes.get("/api/faults")
async def list_faults() -> Response:
    """Answers with the faults that are set, oldest first."""
    return make_data_response([faults.describe_fault(fault) for fault in current_simulator().faults.list_all()])


@control_routes.post("/api/faults")
async def add_fault() -> Response:
    """Sets a fault; `then` says what goes wrong."""
    fault = current_simulator().faults.add(faults.parse_fault(await read_object()))
    return make_data_response(faults.describe_fault(fault), 201)


@control_routes.delete("/api/faults")
async def remove_faults() -> Response:
    """Removes every fault."""
    current_simulator().faults.clear()
    return make_done_response()


@control_routes.delete("/api/faults/<int:fault_id>")
async def remove_fault(fault_id: int) -> Response:
    """Removes one fault."""
    if not current_simulator().faults.remove(fault_id):
        return make_error_response(404, "There is no such fault.")
    return make_done_response()


@control_routes.get("/api/clock")
async def read_clock() -> Response:
    """Answers with the time at Meta, in seconds since 1970."""
    return make_data_response({"now": current_simulator().clock()})


@control_routes.post("/api/clock")
async def move_clock() -> Response:
    """Puts the time forward by `advance_seconds`."""
    seconds = (await read_object()).get("advance_seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_ADVANCE_SECONDS:
        raise BadRequest(f"advance_seconds is a number from 0 to {MAX_ADVANCE_SECONDS}.")
    current_simulator().advance(float(seconds))
    return make_data_response({"now": current_simulator().clock()})


@control_routes.get("/api/requests")
async def list_requests() -> Response:
    """Answers with what the service lately asked of the Graph API, the oldest first."""
    return make_data_response(list(current_simulator().meta.calls))


@control_routes.get("/api/setup")
async def read_setup() -> Response:
    """Answers with what is set up at Meta, but for the secrets."""
    return make_data_response(current_simulator().setup.describe())


@control_routes.post("/api/setup")
async def change_setup() -> Response:
    """Changes values of the set-up, by name: all of them, or none when one is wrong."""
    setup = current_simulator().setup
    setup.change(await read_object())
    return make_data_response(setup.describe())


@control_routes.post("/api/webhooks")
async def send_webhook() -> Response:
    """Signs and posts any document at all: what the simulator can't play, and what Meta never sent."""
    current_simulator().meta.send_raw_webhook(bodies.encode_json(await read_object()))
    return make_data_response({}, 201)


@control_routes.post("/api/start-over")
async def start_over() -> Response:
    """Starts over: the first customers, no chats, no faults, the set-up of the first start."""
    await current_simulator().start_over()
    return make_done_response()


@control_routes.get("/api/news")
async def list_updates() -> Response:
    """Answers with the names of the account updates that can be sent."""
    return make_data_response(list(UPDATES))


@control_routes.post("/api/news")
async def send_update() -> Response:
    """Sends the update `what` of the list; `phone` where it is about a customer, `text` where it has words."""
    body = await read_object()
    updates = current_simulator().account_updates
    updates.send(read_string(body, "what"), phone=read_string(body, "phone"), text=read_string(body, "text"))
    return make_done_response()
