"""The door for Meta: a handshake, and signed webhooks.

Invariants: without a good signature over the raw bytes nothing is read, stored or revealed; whatever is signed and can
be read to the end is answered 200 once all of it is durable, and 503 when it can't be, so that Meta keeps it for us.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from quart import Blueprint, Response, request

from bot.whatsapp.items import Item
from bot.whatsapp.signature import challenge, signature_ok
from storage.database import DatabaseDown

ANSWER_SECONDS = 8.0
PATH = "/api/whatsapp/webhook"


class Receiver(Protocol):
    """What takes the bodies in: the intake."""

    async def receive(self, body: bytes) -> Sequence[Item]: ...


def make_webhook(
    intake: Receiver, verify_token: str, app_secrets: Sequence[str], on_answer: Callable[[int], None]
) -> Blueprint:
    """The two routes. `app_secrets`: each of them is good, so that a secret can be changed without a gap;
    `on_answer` hears the status of each POST.
    """
    blueprint = Blueprint("webhook", __name__)

    @blueprint.get(PATH)
    async def handshake() -> Response:
        answer = challenge(request.args.items(multi=True), verify_token)
        if answer is None:
            return _answer(403, '{"success": false, "message": "Webhook verification failed"}')
        return Response(answer, 200, content_type="text/plain; charset=utf-8")

    @blueprint.post(PATH)
    async def receive() -> Response:
        response = await _receive()
        on_answer(response.status_code)
        return response

    async def _receive() -> Response:
        body = await request.get_data(cache=False, as_text=False)
        assert isinstance(body, bytes)  # as_text decides, which the annotation does not know
        headers = request.headers.getlist("X-Hub-Signature-256")
        signature = headers[0].encode("utf-8", "replace") if len(headers) == 1 else None
        if not signature_ok(body, signature, app_secrets):
            return _answer(401, '{"success": false, "message": "Invalid signature"}')
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await intake.receive(body)
        except (DatabaseDown, TimeoutError):
            return _answer(503, '{"success": false, "message": "Try again later"}')
        return _answer(200, '{"success": true}')

    return blueprint


def _answer(status: int, body: str) -> Response:
    return Response(body, status, content_type="application/json")
