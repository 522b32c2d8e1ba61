"""The one way out to the Graph API.

Invariant: `sent` is False only when surely no byte of a request went out, because then it is safe to send it again;
every other accident may have had its effect at Meta. Neither the token, nor its proof, nor a text ever reaches a log
or a sentence, and no answer is read further than an answer of Meta's can be long.
"""

import asyncio
import hashlib
import hmac
import logging
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from bot.whatsapp.graph.response import GraphResponse, failed_response, parse_response

USER_AGENT = "tick/0.1.0"  # Meta's document wants a name and three numbers
_IDLE_SECONDS = 20.0  # shorter than servers keep a connection: one closed under a request leaves it unknown
_CONNECTIONS = 100
_MOST_BYTES = 1_000_000
_SLOWEST_BYTES_PER_SECOND = 200_000  # an upload that is slower is given up
_PATH = re.compile(r"[A-Za-z0-9_~.:=-]+(/[A-Za-z0-9_~.:=-]+)*")
_VERSION = re.compile(r"/(v[0-9]+\.[0-9]+)$")

# httpx-aiohttp turns most of aiohttp's errors into httpx.ConnectTimeout, even a connection that broke after the request
# was written: only the cause tells them apart. These happen before there is a connection.
_BEFORE_SENDING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


@dataclass(frozen=True, slots=True)
class GraphSettings:
    api_url: str
    phone_number_id: str
    access_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    connect_seconds: float = 5.0
    answer_seconds: float = 15.0


class UnreadableFile(Exception):
    """A file of ours that could not be read while it was being sent."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The body of a request: bytes, or a stream of so many."""

    data: bytes | AsyncIterator[bytes] = field(repr=False)
    content_type: str = "application/json"
    length: int = 0


@cache
def load_trusted_certificates() -> ssl.SSLContext:
    """Whom we believe. Read once a process: reading all of the certificates takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


def open_http() -> httpx.AsyncClient:
    """The client that all requests share; whoever opens it closes it. Needs a running loop at its first request."""
    # At INFO httpx writes down every address, and ours has the proof of the token in it.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=_CONNECTIONS, keepalive_timeout=_IDLE_SECONDS, ssl=load_trusted_certificates()
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    transport = AiohttpTransport(verify=load_trusted_certificates(), trust_env=False, client=session)
    return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)


class GraphTransport:
    """Asks with one token."""

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
        self._all_seconds = settings.connect_seconds + settings.answer_seconds
        self._take(settings)

    def replace_token(self, access_token: str) -> None:
        """Asks with this token from now on."""
        self._take(replace(self.settings, access_token=access_token))

    def _take(self, settings: GraphSettings) -> None:
        proof = hmac.new(settings.app_secret.encode(), settings.access_token.encode(), hashlib.sha256).hexdigest()
        self.settings = settings
        self._proof = proof
        # The earlier ones too: what was secret stays it.
        self._secrets = tuple(dict.fromkeys((*self._secrets, settings.access_token, settings.app_secret, proof)))
        self._base = settings.api_url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {settings.access_token}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # a short answer is not worth unpacking, and can't be a bomb
            "User-Agent": USER_AGENT,
        }

    async def request(
        self, method: str, path: str, params: Mapping[str, str] | None = None, content: RequestBody | None = None
    ) -> GraphResponse:
        """One attempt; raises nothing but CancelledError, after which the request may have gone out too."""
        if not _PATH.fullmatch(path) or ".." in path:
            return failed_response("An id that can't be part of an address of the Graph API.", sent=False)
        try:
            request = self._request(method, path, params or {}, content)
        except Exception:  # noqa: BLE001 - its message may hold what is secret
            return failed_response("No request can be made of WHATSAPP_API_URL and WHATSAPP_ACCESS_TOKEN.", sent=False)
        seconds = self._all_seconds + (content.length / _SLOWEST_BYTES_PER_SECOND if content else 0)
        secrets = self._secrets
        try:
            async with asyncio.timeout(seconds):
                status, headers, body = await self._exchange(request)
        except TimeoutError:
            return failed_response("Meta's answer did not come in time.", sent=True)
        except Exception as error:  # noqa: BLE001 - whatever broke, the question is only whether something went out
            return _broken(error)
        answer = parse_response(status, headers, body, secrets)
        self._note_version(answer.api_version)
        return answer

    def _request(self, method: str, path: str, params: Mapping[str, str], content: RequestBody | None) -> httpx.Request:
        if not self.settings.access_token.isprintable():
            raise ValueError  # it would be found out only after there is a connection
        headers = dict(self._headers)
        if content is not None:
            headers["Content-Type"] = content.content_type
            if content.length:
                headers["Content-Length"] = str(content.length)
        return httpx.Request(
            method,
            httpx.URL(f"{self._base}/{path}", params={**params, "appsecret_proof": self._proof}),
            headers=headers,
            content=content.data if content else None,
            extensions=self._extensions,
        )

    async def _exchange(self, request: httpx.Request) -> tuple[int, httpx.Headers, bytes | None]:
        """(HTTP status, headers, body), the body None when it is longer than any answer of Meta's."""
        response = await self._http.send(request, stream=True)
        try:
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > _MOST_BYTES:
                    return response.status_code, response.headers, None
            return response.status_code, response.headers, bytes(answer)
        finally:
            await response.aclose()

    def _note_version(self, answered: str) -> None:
        """Meta answers a version it has retired with the oldest that lives, and says so only in a header."""
        ours = _VERSION.search(self._base)
        if answered and ours:
            self.api_version_seen = "" if answered == ours[1] else answered


def _broken(error: Exception) -> GraphResponse:
    """Names of classes only: the messages of these errors hold the address, and with it the proof."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, httpx.UnsupportedProtocol | aiohttp.InvalidURL):
            return failed_response("WHATSAPP_API_URL is not an address.", sent=False)
        if isinstance(cause, _BEFORE_SENDING):
            return failed_response(f"No connection to the Graph API ({_name_of(cause)}).", sent=False)
        if isinstance(cause, UnreadableFile):
            return failed_response(f"Our own file could not be read ({cause}).", sent=True)
    return failed_response(
        f"The connection broke before Meta's answer was complete ({_name_of(chain[-1])}).", sent=True
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _name_of(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name was not found"
    return type(error).__name__
