"""Calls a webhook's address as Meta would: with the verification request, and with a well-signed webhook.

Invariants
- Whatever answers, there is a word for it; what a stranger's page says is cut short and made harmless.

Source: Meta, webhooks/create-webhook-endpoint.
"""

import hmac
import html
import json
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

import httpx

from bot.whatsapp.diagnostics.probe import ProbeReport, decode_report, encode_probe
from bot.whatsapp.diagnostics.reachability import ANSWER_SECONDS, FetchResult, fetch
from bot.whatsapp.sanitize import clean_line

FORGED_ADDRESS = "192.0.2.77"  # of TEST-NET-1 (RFC 5737): nobody has this address
_AGENT = {"User-Agent": "tick doctor"}
_TITLE_TAG = re.compile(rb"<title\b", re.IGNORECASE)
_TITLE_END = re.compile(rb"</title>", re.IGNORECASE)
_MAX_TITLE_BYTES = 300
_GATEWAY_STATUSES = {502, 503, 504, 521, 522, 523, 530}
_REFUSED = b"Webhook verification failed"


class Responder(StrEnum):
    """Who or what answered a verification request."""

    TICK = "tick"  # a Tick with our verify token
    OTHER_TOKEN = "other_token"  # noqa: S105 - a Tick with another verify token
    NOT_FOUND = "not_found"  # a server that has nothing at this path
    PAGE = "page"  # a web page of somebody's
    REDIRECT = "redirect"  # a redirect, which Meta does not follow
    GATEWAY = "gateway"  # a proxy or a tunnel with nothing behind it
    STRANGE = "strange"  # something else that speaks HTTP
    NOTHING = "nothing"  # nothing


@dataclass(frozen=True, slots=True)
class Handshake:
    """What came of a verification request. `detail`: the title of a page, where a redirect leads, why nothing came."""

    responder: Responder
    status: int = 0
    detail: str = ""

    @property
    def is_tick(self) -> bool:
        """Whether a Tick answered, whatever it thought of the verify token."""
        return self.responder in (Responder.TICK, Responder.OTHER_TOKEN)


class WebhookChecker:
    """Calls the addresses of webhooks. `seconds`: how long an answer may take."""

    def __init__(self, http: httpx.AsyncClient, seconds: float = ANSWER_SECONDS) -> None:
        self._http = http
        self._seconds = seconds

    async def check_handshake(self, url: str, verify_token: str) -> Handshake:
        """Sends a verification request, to see whether a Tick with this verify token is there."""
        challenge = str(secrets.randbelow(10**10))
        query = {"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": challenge}
        asked = str(httpx.URL(url, params=query))
        return read_handshake(await fetch(self._http, "GET", asked, headers=_AGENT, seconds=self._seconds), challenge)

    async def send_probe(self, url: str, app_secret: str) -> ProbeReport | FetchResult:
        """Posts a probe that claims to be forwarded for FORGED_ADDRESS. Returns its report, or what came instead."""
        nonce = secrets.token_hex(16)
        body = encode_probe(nonce)
        signature = hmac.digest(app_secret.encode(), body, "sha256").hex()
        headers = _AGENT | {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={signature}",
            "X-Forwarded-For": FORGED_ADDRESS,
        }
        fetched = await fetch(self._http, "POST", url, headers=headers, content=body, seconds=self._seconds)
        return decode_report(fetched.body, nonce) or fetched

    async def has_worker(self, base_url: str) -> bool | None:
        """Whether the Tick at `base_url` says that it has a worker; None when it doesn't say."""
        fetched = await fetch(self._http, "GET", f"{base_url}/readyz", headers=_AGENT, seconds=self._seconds)
        if fetched.status == 200 and b'"worker":"alive"' in fetched.body.replace(b" ", b""):
            return True
        return False if fetched.status == 503 and b'"worker"' in fetched.body else None

    async def read_counter(self, base_url: str, name: str) -> int | None:
        """Reads a counter off the metrics of the Tick at `base_url`; None when it doesn't tell."""
        fetched = await fetch(self._http, "GET", f"{base_url}/metrics", headers=_AGENT, seconds=self._seconds)
        found = re.search(
            rf"^{re.escape(name)}_total ([0-9]{{1,15}})", fetched.body.decode("utf-8", "replace"), re.MULTILINE
        )
        return int(found[1]) if found else None


def read_handshake(fetched: FetchResult, challenge: str) -> Handshake:
    """Decides who answered a verification request with this `challenge`. Pure."""
    status, body = fetched.status, fetched.body
    if fetched.failure:
        return Handshake(Responder.NOTHING, 0, fetched.failure)
    if status == 200 and body == challenge.encode():
        return Handshake(Responder.TICK, status)
    if status == 403 and _REFUSED in body and _is_json(body):
        return Handshake(Responder.OTHER_TOKEN, status)
    if 300 <= status < 400:
        return Handshake(
            Responder.REDIRECT, status, clean_line(fetched.headers.get("location", "").partition("?")[0], 150)
        )
    if status in _GATEWAY_STATUSES:
        return Handshake(Responder.GATEWAY, status, read_page_title(body))
    if status == 404:
        return Handshake(Responder.NOT_FOUND, status, read_page_title(body))
    if "html" in fetched.headers.get("content-type", "") or body.lstrip()[:1] == b"<":
        return Handshake(Responder.PAGE, status, read_page_title(body))
    return Handshake(Responder.STRANGE, status)


def read_page_title(body: bytes) -> str:
    """Returns the title of a web page; "" for what is none. Each byte is looked at once, whatever the page is."""
    tag = _TITLE_TAG.search(body)
    begin = body.find(b">", tag.end()) + 1 if tag else 0
    end = _TITLE_END.search(body, begin, begin + _MAX_TITLE_BYTES + len(b"</title>")) if begin else None
    return clean_line(html.unescape(body[begin : end.start()].decode("utf-8", "replace")), 100) if end else ""


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
