"""What goes wrong at Meta, and what it has to say about the account, as calls: faults, time, the set-up, news."""

from collections.abc import Callable

from quart import Blueprint, Response, jsonify
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from api.simulator import access, bodies, faults
from api.simulator.account_updates import NEWS, AccountNews
from api.simulator.meta import Meta
from api.simulator.page import body_of_request, created, string

LONGEST_SECONDS = 400 * 86_400


def add_play_routes(page: Blueprint, meta: Meta, news: AccountNews, advance: Callable[[float], None]) -> None:
    @page.get("/api/faults")
    async def list_faults() -> Response:
        return jsonify({"success": True, "data": [faults.document(fault) for fault in meta.faults.all()]})

    @page.post("/api/faults")
    async def add_fault() -> ResponseReturnValue:
        return created(faults.document(meta.faults.add(faults.read_fault(await body_of_request()))))

    @page.delete("/api/faults")
    async def remove_faults() -> Response:
        meta.faults.clear()
        return jsonify({"success": True})

    @page.delete("/api/faults/<int:fault_id>")
    async def remove_fault(fault_id: int) -> Response:
        if not meta.faults.remove(fault_id):
            return access.refusal(404, "There is no such fault.")
        return jsonify({"success": True})

    @page.get("/api/clock")
    async def read_clock() -> Response:
        return jsonify({"success": True, "data": {"now": meta.clock()}})

    @page.post("/api/clock")
    async def move_clock() -> Response:
        seconds = (await body_of_request()).get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_SECONDS:
            raise BadRequest(f"advance_seconds is a number from 0 to {LONGEST_SECONDS}.")
        advance(float(seconds))
        return jsonify({"success": True, "data": {"now": meta.clock()}})

    @page.get("/api/requests")
    async def list_requests() -> Response:
        """What the service lately asked of the Graph API, the oldest first."""
        return jsonify({"success": True, "data": list(meta.asked)})

    @page.get("/api/setup")
    async def read_setup() -> Response:
        return jsonify({"success": True, "data": meta.setup.document()})

    @page.post("/api/setup")
    async def change_setup() -> Response:
        meta.setup.change(await body_of_request())
        return jsonify({"success": True, "data": meta.setup.document()})

    @page.post("/api/webhooks")
    async def tell_anything() -> ResponseReturnValue:
        """Any document at all, signed and posted as it is: what the stand-in can't play, and what Meta never sent."""
        meta.tell_as_is(bodies.encode(await body_of_request()))
        return created({})

    @page.get("/api/news")
    async def list_news() -> Response:
        return jsonify({"success": True, "data": list(NEWS)})

    @page.post("/api/news")
    async def tell_news() -> Response:
        """`what` of the list; `phone` where it is about a customer, `text` where it says something."""
        body = await body_of_request()
        news.tell(string(body, "what"), phone=string(body, "phone"), text=string(body, "text"))
        return jsonify({"success": True})
