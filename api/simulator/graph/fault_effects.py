"""Carries out what a fault does to a call of the Graph API: before the call is looked at, or to its answer."""

from collections.abc import AsyncIterator
from typing import Final

from quart import Response, g

from api.simulator.error_codes import get_title
from api.simulator.faults import ACCEPTED, AFTER, BEFORE, PATIENCE_SECONDS, Fault, Faults
from api.simulator.graph.responses import make_error_response
from api.simulator.graph_error import GraphError

HTML: Final = "<html><head><title>502 Bad Gateway</title></head><body>502</body></html>"
HUGE_BYTES: Final = 10 * 1024 * 1024
PIECE_BYTES: Final = 64 * 1024


async def strike_call(faults: Faults, call: str, phone: str) -> Response | None:
    """Lets the first fault that fits strike this call; returns the answer when the fault gives one.

    A fault that strikes later, after the call was accepted, waits in `g`.
    """
    g.fault = None
    fault = faults.strike(call, phone, only=BEFORE | AFTER | (ACCEPTED if call == "send" else frozenset()))
    if fault is None:
        return None
    if fault.then in AFTER or fault.then in ACCEPTED:
        g.fault = fault
        return None
    if fault.then == "timeout_before":
        await faults.wait(fault.delay_seconds or PATIENCE_SECONDS)
        return Response("", 504)
    await faults.wait(fault.delay_seconds)
    return None if fault.then == "slow" else _build_answer(fault)


async def spoil_answer(faults: Faults, response: Response) -> Response:
    """Returns what becomes of the answer to a call that was accepted, when a fault of `g` spoils it."""
    fault: Fault | None = g.get("fault")
    if fault is None or fault.then not in AFTER:
        return response
    if fault.then == "timeout_after":
        await faults.wait(fault.delay_seconds or PATIENCE_SECONDS)
        return Response("", 504)
    await faults.wait(fault.delay_seconds)
    if fault.then == "cut_after":
        return _build_cut_answer()
    if fault.then == "code_after":
        return make_error_response(GraphError(fault.code, http_status=fault.status))
    if fault.then == "status_after":
        return Response("", fault.status)
    if fault.then == "no_id":
        return Response("{}", 200, content_type="application/json")
    if fault.then == "huge":
        return Response(_yield_huge_body(), 200, content_type="application/json")
    whole = await response.get_data(as_text=False)
    if fault.then == "garbled":
        return Response(bytes(255 - byte for byte in whole), response.status_code, response.headers)
    return Response(whole[: len(whole) // 2], response.status_code, content_type=response.content_type)


def get_later_error() -> int:
    """Returns the code with which the message that is accepted now is to fail later; 0 for none."""
    fault: Fault | None = g.get("fault")
    return fault.code if fault is not None and fault.then in ACCEPTED else 0


def _build_answer(fault: Fault) -> Response:
    if fault.then == "cut":
        return _build_cut_answer()
    if fault.then == "code":
        response = make_error_response(GraphError(fault.code, http_status=fault.status))
    elif fault.then == "status":
        code = 4 if fault.status == 429 else 2 if fault.status >= 500 else 100
        words = f"{get_title(code)}. Please retry later."
        response = make_error_response(GraphError(code, message=words, http_status=fault.status))
    elif fault.then == "redirect":
        response = Response("", 302, {"Location": "http://127.0.0.1:9/elsewhere"})
    else:
        html = fault.then == "html"
        response = Response(HTML if html else "", fault.status or (502 if html else 200), content_type="text/html")
    if fault.retry_after_seconds:
        response.headers["Retry-After"] = str(fault.retry_after_seconds)
    return response


def _build_cut_answer() -> Response:
    """Promises more than comes: whatever server this runs in then closes the connection in mid-answer."""
    return Response(_cut_body(), 200, {"Content-Length": "100", "Content-Type": "application/json"})


async def _cut_body() -> AsyncIterator[bytes]:
    yield b"{"


async def _yield_huge_body() -> AsyncIterator[bytes]:
    yield b'{"messages":[{"id":"'
    for _ in range(HUGE_BYTES // PIECE_BYTES):
        yield b"A" * PIECE_BYTES
    yield b'"}]}'
