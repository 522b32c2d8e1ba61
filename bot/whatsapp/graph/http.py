"""Sends requests to the Graph API: the one way out to it.

Invariants
- `sent` of a response is False only when surely no byte of the request went out, because then it is safe to send it
  again. Every other accident may have had its effect at Meta.
- Neither the token, nor its proof, nor a text ever reaches a log or a sentence.
- No response is read further than one of Meta's can be long.

Source: the Graph API's page on secure requests (appsecret_proof).
"""

import asyncio
import hashlib
import hmac
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from bot.whatsapp.graph.response import GraphResponse, make_failed_response, parse_response

USER_AGENT = "tick/0.1.0"  # Meta's document wants a name and three numbers
_IDLE_SECONDS = 20.0  # shorter than servers keep a connection: one closed under a request leaves it unknown
_MAX_CONNECTIONS = 100
_MAX_RESPONSE_BYTES = 1_000_000
_MIN_UPLOAD_BYTES_PER_SECOND = 200_000  # an upload that is slower is given up
_PATH = re.compile(r"[A-Za-z0-9_~.:=-]+(/[A-Za-z0-9_~.:=-]+)*")
_VERSION = re.compile(r"/(v[0-9]+\.[0-9]+)$")

# httpx-aiohttp turns most of aiohttp's errors into httpx.ConnectTimeout, even a connection that broke after the request
# was written: only the cause tells them apart. These happen before there is a connection.
_BEFORE_SENDING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """Where the Graph API is, as whom we speak, and how long a connection and the response to a request may take.

    `api_url` has the version in it, such as "https://graph.facebook.com/v25.0".
    """

    api_url: str
    phone_number_id: str
    access_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    connect_seconds: float = 5.0
    answer_seconds: float = 15.0


_on_leaving: ContextVar[Callable[[], None] | None] = ContextVar("on_leaving", default=None)


class _Connector(aiohttp.TCPConnector):
    """Says when a request has got its connection: what comes next is that its first byte leaves."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        if (on_leaving := _on_leaving.get()) is not None:
            on_leaving()
        return connection


class UnreadableFile(Exception):
    """A file of ours could not be read while it was being sent."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The body of a request: bytes, or a stream of `length` bytes."""

    data: bytes | AsyncIterator[bytes] = field(repr=False)
    content_type: str = "application/json"
    length: int = 0


class _HttpAnswer(NamedTuple):
    """What came over the wire; the body is None when it is longer than any response of Meta's."""

    status: int
    headers: httpx.Headers
    body: bytes | None


@cache
def load_trusted_certificates() -> ssl.SSLContext:
    """Loads the certificate authorities that we trust, once a process: it takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


def open_http() -> httpx.AsyncClient:
    """Opens the client that all requests share. Whoever opens it closes it; its first request needs a running loop."""
    # At INFO httpx writes down every address, and ours has the proof of the token in it.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    def session() -> aiohttp.ClientSession:
        connector = _Connector(limit=_MAX_CONNECTIONS, keepalive_timeout=_IDLE_SECONDS, ssl=load_trusted_certificates())
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    transport = AiohttpTransport(verify=load_trusted_certificates(), trust_env=False, client=session)
    return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)


class GraphTransport:
    """Sends requests that carry one access token and its proof."""

    def __init__(self, settings: GraphSettings, http: httpx.AsyncClient) -> None:
        self._http = http
        self.settings = settings
        self.api_version_seen = ""
        timeouts = httpx.Timeout(
            settings.answer_seconds, connect=settings.connect_seconds, pool=settings.connect_seconds
        )
        self._extensions = {"timeout": timeouts.as_dict()}
        self._secrets: tuple[str, ...] = ()
        # A server that sends a byte now and then comes to an end too.
        self._total_seconds = settings.connect_seconds + settings.answer_seconds
        self._use(settings)

    def replace_token(self, access_token: str) -> None:
        """Has every request from now on carry this token."""
        self._use(replace(self.settings, access_token=access_token))

    def _use(self, settings: GraphSettings) -> None:
        proof = hmac.new(settings.app_secret.encode(), settings.access_token.encode(), hashlib.sha256).hexdigest()
        self.settings = settings
        self._proof = proof
        # The earlier ones too: what was secret stays secret.
        self._secrets = tuple(dict.fromkeys((*self._secrets, settings.access_token, settings.app_secret, proof)))
        self._base = settings.api_url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {settings.access_token}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # a short response is not worth unpacking, and can't be a bomb
            "User-Agent": USER_AGENT,
        }

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: RequestBody | None = None,
        on_leaving: Callable[[], None] | None = None,
    ) -> GraphResponse:
        """Makes one attempt; raises nothing but CancelledError, after which the request may have gone out too.

        `on_leaving` is called just before the first byte leaves.
        """
        if not _PATH.fullmatch(path) or ".." in path:
            return make_failed_response("An id that can't be part of an address of the Graph API.", sent=False)
        try:
            request = self._build(method, path, params=params or {}, body=body)
        except Exception:  # noqa: BLE001 - its message may hold what is secret
            return make_failed_response(
                "No request can be made of WHATSAPP_API_URL and WHATSAPP_ACCESS_TOKEN.", sent=False
            )
        seconds = self._total_seconds + (body.length / _MIN_UPLOAD_BYTES_PER_SECOND if body else 0)
        secrets = self._secrets
        token = _on_leaving.set(on_leaving)
        try:
            async with asyncio.timeout(seconds):
                answer = await self._exchange(request)
        except TimeoutError:
            return make_failed_response("Meta's answer did not come in time.", sent=True)
        except Exception as error:  # noqa: BLE001 - whatever broke, the question is only whether something went out
            return _describe_failure(error)
        finally:
            _on_leaving.reset(token)
        response = parse_response(answer.status, answer.headers, answer.body, secrets=secrets)
        self._note_version(response.api_version)
        return response

    def _build(self, method: str, path: str, *, params: Mapping[str, str], body: RequestBody | None) -> httpx.Request:
        if not self.settings.access_token.isprintable():
            raise ValueError  # it would be found out only after there is a connection
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = body.content_type
            if body.length:
                headers["Content-Length"] = str(body.length)
        return httpx.Request(
            method,
            httpx.URL(f"{self._base}/{path}", params={**params, "appsecret_proof": self._proof}),
            headers=headers,
            content=body.data if body else None,
            extensions=self._extensions,
        )

    async def _exchange(self, request: httpx.Request) -> _HttpAnswer:
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_RESPONSE_BYTES:
                    return _HttpAnswer(response.status_code, response.headers, None)
            return _HttpAnswer(response.status_code, response.headers, bytes(body))
        finally:
            await response.aclose()

    def _note_version(self, answered: str) -> None:
        """Meta answers a version it has retired with the oldest that lives, and says so only in a header."""
        ours = _VERSION.search(self._base)
        if answered and ours:
            self.api_version_seen = "" if answered == ours[1] else answered


def _describe_failure(error: Exception) -> GraphResponse:
    """Says what broke by the names of classes: the messages of these errors hold the address, and with it the proof."""
    chain = list(_list_causes(error))
    for cause in chain:
        if isinstance(cause, httpx.UnsupportedProtocol | aiohttp.InvalidURL):
            return make_failed_response("WHATSAPP_API_URL is not an address.", sent=False)
        if isinstance(cause, _BEFORE_SENDING):
            return make_failed_response(f"No connection to the Graph API ({_describe_error(cause)}).", sent=False)
        if isinstance(cause, UnreadableFile):
            return make_failed_response(f"Our own file could not be read ({cause}).", sent=True)
    broken = f"The connection broke before Meta's answer was complete ({_describe_error(chain[-1])})."
    return make_failed_response(broken, sent=True)


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _describe_error(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name was not found"
    return type(error).__name__
