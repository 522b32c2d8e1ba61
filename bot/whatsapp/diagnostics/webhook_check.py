"""What Meta does at a webhook's address, done by ourselves: the handshake, and a webhook with a good signature.

Invariant: whatever answers, there is a word for it; what a stranger's page says is cut short and made harmless.
"""

import hmac
import html
import json
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

import httpx

from bot.whatsapp.diagnostics.probe import ProbeReport, decode_report, probe_body
from bot.whatsapp.diagnostics.reachability import ANSWER_SECONDS, FetchResult, fetch
from bot.whatsapp.sanitize import clean_line

FORGED_ADDRESS = "192.0.2.77"  # of a network that is kept for examples: nobody has this address
_AGENT = {"User-Agent": "tick doctor"}
_TITLE = re.compile(rb"<title[^>]*>(.{0,300}?)</title>", re.IGNORECASE | re.DOTALL)
_GATEWAY = {502, 503, 504, 521, 522, 523, 530}
_REFUSED = b"Webhook verification failed"


class Responder(StrEnum):
    """What answered."""

    TICK = "tick"
    OTHER_TOKEN = "other_token"  # noqa: S105 - a word, not a secret
    NOT_FOUND = "not_found"
    PAGE = "page"
    REDIRECT = "redirect"
    GATEWAY = "gateway"
    STRANGE = "strange"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Handshake:
    """`detail`: the title of a page, where a redirect leads, why nothing came."""

    responder: Responder
    status: int = 0
    detail: str = ""

    @property
    def is_tick(self) -> bool:
        """Whether a Tick answered, whatever it thought of the verify token."""
        return self.responder in (Responder.TICK, Responder.OTHER_TOKEN)


class WebhookChecker:
    """Calls at webhooks' addresses. `seconds`: how long an answer may take."""

    def __init__(self, http: httpx.AsyncClient, seconds: float = ANSWER_SECONDS) -> None:
        self._http = http
        self._seconds = seconds

    async def check_handshake(self, url: str, verify_token: str) -> Handshake:
        """Asks whether this address is ours."""
        challenge = str(secrets.randbelow(10**10))
        query = {"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": challenge}
        asked = str(httpx.URL(url, params=query))
        return read_handshake(await fetch(self._http, "GET", asked, _AGENT, seconds=self._seconds), challenge)

    async def send_probe(self, url: str, app_secret: str) -> ProbeReport | FetchResult:
        """Posts a probe that claims to be forwarded for FORGED: how it was seen, or what came instead."""
        nonce = secrets.token_hex(16)
        body = probe_body(nonce)
        signature = hmac.digest(app_secret.encode(), body, "sha256").hex()
        headers = _AGENT | {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={signature}",
            "X-Forwarded-For": FORGED_ADDRESS,
        }
        fetched = await fetch(self._http, "POST", url, headers, body, seconds=self._seconds)
        return decode_report(fetched.body, nonce) or fetched

    async def has_worker(self, base_url: str) -> bool | None:
        """Whether this Tick says that it has a worker; None when it doesn't say."""
        fetched = await fetch(self._http, "GET", f"{base_url}/readyz", _AGENT, seconds=self._seconds)
        if fetched.status == 200 and b'"worker":"alive"' in fetched.body.replace(b" ", b""):
            return True
        return False if fetched.status == 503 and b'"worker"' in fetched.body else None


def read_handshake(fetched: FetchResult, challenge: str) -> Handshake:
    """What the answer to a handshake shows. Pure."""
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
    if status in _GATEWAY:
        return Handshake(Responder.GATEWAY, status, read_page_title(body))
    if status == 404:
        return Handshake(Responder.NOT_FOUND, status, read_page_title(body))
    if "html" in fetched.headers.get("content-type", "") or body.lstrip()[:1] == b"<":
        return Handshake(Responder.PAGE, status, read_page_title(body))
    return Handshake(Responder.STRANGE, status)


def read_page_title(body: bytes) -> str:
    """The title of a web page; empty for what is none."""
    found = _TITLE.search(body)
    return clean_line(html.unescape(found[1].decode("utf-8", "replace")), 100) if found else ""


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
