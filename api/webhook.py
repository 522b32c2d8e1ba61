"""Serves the webhook that Meta calls: the verification request (GET), and signed webhooks (POST).

Invariants
- Without a good signature over the raw bytes nothing is parsed, stored or revealed.
- Whatever is signed and can be read to the end is answered 200 once all of it is durable, and 503 when it can't be, so
  that Meta sends it again.
- A body is counted while it streams in, and a sender who trickles is cut off. What claims no signature has a much
  smaller cap, and is not kept.
- A signed probe of the doctor's is answered with how it was seen, and leaves no trace.

Webhooks are most of what comes in, some four for each message that goes out, so their POST is answered in front of the
web framework. In `tick bench` that took the processor's time for a step from 5.6 to 3.5 ms.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog
from quart import Blueprint, Response, request

from api.server.client_address import Network, find_client_network, is_trusted_proxy
from api.server.front_door import BROKEN_BODY, FORWARDED_HEADER, Visit, get_visit
from api.server.serving import READ_SECONDS
from api.server.shares import Standing
from bot.whatsapp.diagnostics import probe
from bot.whatsapp.webhook.items import Item
from bot.whatsapp.webhook.signature import answer_verification, find_signing_secret
from storage.sql.database import DatabaseDown

MAX_BODY_BYTES = 4 * 1024 * 1024  # Meta's batches have up to 3 MB
MAX_UNSIGNED_BYTES = 64 * 1024
ANSWER_SECONDS = 8.0
PATHS = frozenset({probe.WEBHOOK_PATH, f"{probe.WEBHOOK_PATH}/"})  # a callback is easily saved with a slash at its end
SIGNATURE_HEADER = b"x-hub-signature-256"
SIGNATURE = re.compile(rb"sha256=[0-9a-f]{64}")
ANSWER_BODIES = {
    200: b'{"success": true}',
    401: b'{"success": false, "message": "Invalid signature"}',
    408: b'{"success": false, "message": "The request took too long"}',
    413: b'{"success": false, "message": "The request is too large"}',
    503: b'{"success": false, "message": "Try again later"}',
}

log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class Receiver(Protocol):
    """The part of the intake that is needed here."""

    async def receive(self, body: bytes) -> Sequence[Item]:
        """Makes everything in a signed body durable. Raises DatabaseDown when that can't be done now."""


class _TooLarge(Exception):
    """The body is larger than a webhook may be."""


class _BrokenOff(Exception):
    """The body ended in the middle, or the front door takes no more of it. The front door answers."""


class _ProbeReceived(Exception):
    """The body is no webhook, but a signed probe of the doctor's with this nonce."""

    def __init__(self, nonce: str) -> None:
        self.nonce = nonce


def make_handshake(verify_token: str) -> Blueprint:
    """Makes the route by which Meta verifies that this address is ours: GET with the verify token."""
    blueprint = Blueprint("webhook", __name__)

    @blueprint.get(probe.WEBHOOK_PATH)
    @blueprint.get(f"{probe.WEBHOOK_PATH}/")
    async def answer_handshake() -> Response:
        answer = answer_verification(request.args.items(multi=True), verify_token)
        if answer is None:
            refused = '{"success": false, "message": "Webhook verification failed"}'
            return Response(refused, 403, content_type="application/json")
        return Response(answer, 200, content_type="text/plain; charset=utf-8")

    return blueprint


class WebhookMiddleware:
    """ASGI middleware that answers the webhook's POST and hands everything else to `application`.

    `app_secrets`: each of them is good, so that a secret can be changed without a gap; `on_old_secret` is called when
    another than the first was needed. `on_answer` is called with each status, and `on_signed` with the visit of each
    webhook that was Meta's. `trusted_proxies`: whose X-Forwarded-For is believed, for the answer to a probe.
    """

    def __init__(
        self,
        application: Application,
        intake: Receiver,
        app_secrets: Sequence[str],
        on_answer: Callable[[int], None],
        trusted_proxies: Sequence[Network] = (),
        on_signed: Callable[[Visit], None] = lambda _: None,
        on_old_secret: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._intake = intake
        self._app_secrets = app_secrets
        self._on_answer = on_answer
        self._trusted_proxies = trusted_proxies
        self._on_signed = on_signed
        self._on_old_secret = on_old_secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in PATHS:
            await self._application(scope, receive, send)
            return
        visit = get_visit(scope)
        try:
            status = await self._receive_webhook(scope["headers"], receive, visit)
        except _BrokenOff:
            self._on_answer(visit.refused if visit else BROKEN_BODY)
            return
        except _ProbeReceived as received:
            await _answer(200, send, probe.encode_report(self._describe_sighting(received.nonce, scope)))
            return
        self._on_answer(status)
        await _answer(status, send)

    def _describe_sighting(self, nonce: str, scope: Scope) -> probe.ProbeReport:
        peer = (scope.get("client") or ("",))[0]
        forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED_HEADER]
        return probe.ProbeReport(
            nonce,
            peer=peer,
            scheme=scope.get("scheme", ""),
            forwarded=forwarded,
            believed=find_client_network(peer, forwarded, self._trusted_proxies),
            peer_trusted=is_trusted_proxy(peer, self._trusted_proxies),
        )

    async def _receive_webhook(
        self, headers: Sequence[tuple[bytes, bytes]], receive: Receive, visit: Visit | None
    ) -> int:
        signatures = [value for name, value in headers if name == SIGNATURE_HEADER]
        signature = signatures[0] if len(signatures) == 1 and SIGNATURE.fullmatch(signatures[0]) else None
        if visit is not None:
            visit.keep_at_most(MAX_BODY_BYTES if signature else 0)
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = await _read_body(headers, receive, has_signature=signature is not None)
        except _TooLarge:
            return 413
        except TimeoutError:
            return 408
        signed_by = find_signing_secret(body, signature, self._app_secrets)
        if signed_by is None:
            return 401
        if nonce := probe.read_nonce(body):
            raise _ProbeReceived(nonce)
        if signed_by > 0:
            self._on_old_secret()
        if visit is not None:
            visit.vouch(Standing.WEBHOOKS)
            self._on_signed(visit)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._intake.receive(body)
        except (DatabaseDown, TimeoutError):
            return 503
        except Exception:
            log.exception("intake_failed")  # Meta keeps it for us until this is fixed
            return 503
        return 200


async def _read_body(headers: Sequence[tuple[bytes, bytes]], receive: Receive, *, has_signature: bool) -> bytes:
    """Reads the body to its end; keeps it only if it claims a signature. Raises _TooLarge and _BrokenOff."""
    max_bytes = MAX_BODY_BYTES if has_signature else MAX_UNSIGNED_BYTES
    for name, value in headers:
        if name == b"content-length" and (not value.isdigit() or int(value[:20]) > max_bytes):
            raise _TooLarge
    body, size = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _BrokenOff
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise _TooLarge
        if has_signature:
            body += part
        if not message.get("more_body", False):
            return bytes(body)


async def _answer(status: int, send: Send, body: bytes = b"") -> None:
    body = body or ANSWER_BODIES[status]
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # or the server would wait for the rest of the body
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
