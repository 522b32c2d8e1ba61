"""The one way out to the Graph API, and an honest word on what became of each request.

Invariant: a request is `NotSent` only when surely no byte of it went out, because then it is safe to send it again.
Meta has no idempotency key, so every other accident is `Unknown`: the message may be on the customer's phone. Neither
the token, nor its proof, nor a text ever reaches a log or a reason.
"""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from bot.whatsapp.cleaning import one_line, plain_id
from bot.whatsapp.errors import Action, action_of

_IDLE_SECONDS = 20.0  # shorter than servers keep a connection: one closed under a request leaves it unknown
_CONNECTIONS = 100
_MOST_BYTES = 1_000_000
_LONGEST_WAIT_SECONDS = 3600.0

# httpx-aiohttp turns most of aiohttp's errors into httpx.ConnectTimeout, even a connection that broke after the request
# was written: only the cause tells them apart. These happen before there is a connection.
_BEFORE_SENDING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Meta has it, and will tell by this id what becomes of it."""

    wamid: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Meta said no. `reason` is ours and for agents, `detail` is Meta's; the trace id is what its support asks for."""

    code: int | None
    action: Action
    wait_seconds: float
    reason: str
    detail: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing went out: there was no connection."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have gone out."""

    reason: str


Outcome = Accepted | Refused | NotSent | Unknown


@dataclass(frozen=True, slots=True)
class GraphSettings:
    api_url: str
    phone_number_id: str
    access_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    connect_seconds: float = 5.0
    answer_seconds: float = 15.0


def open_http() -> httpx.AsyncClient:
    """The client that all requests share; whoever opens it closes it. Needs a running loop at its first request."""
    # At INFO httpx writes down every address, and ours has the proof of the token in it.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    context = httpx.create_ssl_context(trust_env=False)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_IDLE_SECONDS, ssl=context)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    transport = AiohttpTransport(verify=context, trust_env=False, client=session)
    return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)


class GraphClient:
    """Sends as one phone number."""

    def __init__(self, settings: GraphSettings, http: httpx.AsyncClient) -> None:
        self._http = http
        proof = hmac.new(settings.app_secret.encode(), settings.access_token.encode(), hashlib.sha256).hexdigest()
        address = f"{settings.api_url.rstrip('/')}/{settings.phone_number_id}/messages"
        self._url = httpx.URL(address, params={"appsecret_proof": proof})
        self._headers = httpx.Headers(
            {
                "Authorization": f"Bearer {settings.access_token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # a short answer is not worth unpacking, and can't be a bomb
                "User-Agent": "tick",
            }
        )
        timeouts = httpx.Timeout(
            settings.answer_seconds, connect=settings.connect_seconds, pool=settings.connect_seconds
        )
        self._extensions = {"timeout": timeouts.as_dict()}
        # A server that sends a byte now and then comes to an end too.
        self._all_seconds = settings.connect_seconds + settings.answer_seconds

    async def send(self, body: dict[str, object]) -> Outcome:
        """One attempt; raises nothing but CancelledError, after which the message may have gone out too."""
        try:
            async with asyncio.timeout(self._all_seconds):
                status, headers, answer = await self._post(json.dumps(body).encode())
        except TimeoutError:
            return Unknown("Meta's answer did not come in time.")
        except Exception as error:  # noqa: BLE001 - whatever broke, the question is only whether something went out
            return _broken(error)
        return _outcome(status, headers, answer)

    async def _post(self, content: bytes) -> tuple[int, httpx.Headers, bytes | None]:
        """(HTTP status, headers, body), the body None when it is longer than any answer of Meta's."""
        request = httpx.Request("POST", self._url, headers=self._headers, content=content, extensions=self._extensions)
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


def _broken(error: Exception) -> Outcome:
    """Names of classes only: the messages of these errors hold the address, and with it the proof."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, _BEFORE_SENDING):
            return NotSent(f"No connection to the Graph API ({_name_of(cause)}).")
    if isinstance(error, httpx.UnsupportedProtocol):
        return NotSent("WHATSAPP_API_URL is not an address.")
    return Unknown(f"The connection broke before Meta's answer was complete ({_name_of(chain[-1])}).")


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


def _outcome(status: int, headers: httpx.Headers, answer: bytes | None) -> Outcome:
    value = _json_of(answer)
    if 200 <= status < 300 and (wamid := _wamid_of(value)):
        return Accepted(wamid)
    error = value.get("error")
    if not isinstance(error, dict):
        error = {}
    code = _code_of(error)
    if code is None and (status < 300 or status >= 500):
        return Unknown(f"Meta answered HTTP {status} without saying what became of the message.")
    verdict = action_of(code, status, error.get("is_transient") is True)
    return Refused(
        code,
        verdict.action,
        max(verdict.wait_seconds, _retry_after(headers)),
        verdict.reason,
        _detail_of(error),
        _short(error.get("fbtrace_id")),
    )


def _json_of(answer: bytes | None) -> dict[str, object]:
    try:
        value = json.loads(answer or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _wamid_of(value: dict[str, object]) -> str:
    messages = value.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    wamid = first.get("id") if isinstance(first, dict) else None
    return plain_id(wamid) if isinstance(wamid, str) else ""


def _code_of(error: dict[str, object]) -> int | None:
    code = error.get("code")
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) < 10:
        code = int(code)
    if type(code) is not int:
        return None
    # 100 is any wrong parameter; with this subcode it is the number's own id that is wrong, and no message will pass.
    return 33 if code == 100 and error.get("error_subcode") == 33 else code


def _detail_of(error: dict[str, object]) -> str:
    data = error.get("error_data")
    return _short(data.get("details") if isinstance(data, dict) else data) or _short(error.get("message"))


def _short(value: object) -> str:
    return one_line(value, 300) if isinstance(value, str) else ""


def _retry_after(headers: httpx.Headers) -> float:
    """The wait that was asked for in seconds; a date, or nonsense, is none."""
    value = headers.get("retry-after", "")
    seconds = float(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0.0
    return min(seconds, _LONGEST_WAIT_SECONDS)
