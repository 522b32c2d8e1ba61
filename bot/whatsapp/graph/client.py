"""Calls the Graph API, and says of each message honestly what became of it.

Invariants
- A message is `NotSent` only when surely no byte of it went out. Meta has no idempotency key, so every other accident
  is `Unknown`: the message may be on the customer's phone.
- So may be one that was answered with HTTP 5xx, whatever code is in the answer: a server that failed says nothing about
  how far it had come. Only an answer below 500 is `Refused`.
- No call raises anything but CancelledError.

This module is the door to the package: GraphSettings, GraphResponse, GraphError and open_http are imported from here.

Source: Meta, messages/send-messages.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from bot.whatsapp.errors import Action, Scope, classify_error
from bot.whatsapp.graph.http import GraphSettings, GraphTransport, RequestBody, open_http
from bot.whatsapp.graph.multipart import build_multipart
from bot.whatsapp.graph.response import GraphError, GraphResponse
from bot.whatsapp.sanitize import to_storable_id

__all__ = ["Accepted", "GraphClient", "GraphError", "GraphResponse", "GraphSettings", "NotSent", "Outcome", "Refused"]
__all__ += ["ServerFailed", "Unknown", "open_http"]

_SERVER_FAILED = 500  # and every HTTP status above


@dataclass(frozen=True, slots=True)
class Accepted:
    """Meta has the message, and will say by this id what becomes of it."""

    wamid: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Meta said no. `reason` is ours and for agents, `detail` is Meta's; the trace id is what Meta's support asks for.

    What to do is in `action`, after `wait_seconds`, and `scope` says how much has to wait with it.
    """

    code: int | None
    action: Action
    wait_seconds: float
    reason: str
    detail: str = ""
    trace_id: str = ""
    scope: Scope = Scope.ROW


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing went out: there was no connection."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The message may have gone out: Meta's answer was lost."""

    reason: str


@dataclass(frozen=True, slots=True)
class ServerFailed:
    """The message may have gone out: the answer was HTTP 5xx. `said`: what the same words would refuse below 500."""

    said: Refused


Outcome = Accepted | Refused | NotSent | Unknown | ServerFailed


class GraphClient:
    """Speaks as one phone number.

    `read_token` gives the access token as it is set by then, "" when it can't be read. What Meta refused to ours is
    asked again at once where another is set, so that a new one is taken also by a process that sends no messages.
    Messages are not asked again here: whether they go out at all is decided in bot/delivery/circuit_breaker.py.
    """

    def __init__(
        self, settings: GraphSettings, http: httpx.AsyncClient, read_token: Callable[[], str] = lambda: ""
    ) -> None:
        self._transport = GraphTransport(settings, http)
        self._read_token = read_token

    @property
    def settings(self) -> GraphSettings:
        """The settings, with the token that is used now."""
        return self._transport.settings

    @property
    def api_version_seen(self) -> str:
        """The version that Meta answers with when it is not the one we ask for; "" as long as it is."""
        return self._transport.api_version_seen

    def replace_token(self, access_token: str) -> None:
        """Has every call that begins from now on carry this token."""
        self._transport.replace_token(access_token)

    async def send(self, body: dict[str, object], *, on_leaving: Callable[[], None] | None = None) -> Outcome:
        """Makes one attempt to send one message. `body` is as messages/build.py makes it; `on_leaving` is called just
        before the first byte leaves, and not where none does."""
        path = self._path_of_number("messages")
        return _to_outcome(await self._transport.request("POST", path, body=_encode(body), on_leaving=on_leaving))

    async def mark_read(self, wamid: str, *, typing: bool) -> GraphResponse:
        """Shows the customer that their message was read; `typing` also that an answer is being written, for 25 s."""
        body: dict[str, object] = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
        if typing:
            body["typing_indicator"] = {"type": "text"}
        response = await self.post(self._path_of_number("messages"), body)
        if response.ok and response.value.get("success") is not True:
            failure = "Meta answered something else than success."
            return GraphResponse(failure=failure, api_version=response.api_version)
        return response

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> GraphResponse:
        """Reads what the path names. `path` is below the version: an id, or "{id}/message_templates"."""
        return await self._request("GET", path, params=params)

    async def post(self, path: str, body: dict[str, object], params: Mapping[str, str] | None = None) -> GraphResponse:
        """Posts a JSON object."""
        return await self._request("POST", path, params=params, body=_encode(body))

    async def delete(self, path: str, params: Mapping[str, str] | None = None) -> GraphResponse:
        """Deletes what the path names."""
        return await self._request("DELETE", path, params=params)

    async def upload(
        self, file: Path | AsyncIterator[bytes], *, mime_type: str, filename: str, size: int
    ) -> GraphResponse:
        """Gives Meta a file of exactly `size` bytes, never all of it in memory; its id is in `value["id"]`."""
        body = build_multipart(file, mime_type=mime_type, filename=filename, size=size)
        return await self._transport.request("POST", self._path_of_number("media"), body=body)

    async def _request(
        self, method: str, path: str, *, params: Mapping[str, str] | None, body: RequestBody | None = None
    ) -> GraphResponse:
        token = self.settings.access_token
        response = await self._transport.request(method, path, params=params, body=body)
        if response.error is None or response.error.action is not Action.STOP:
            return response
        if (other := self._read_token()) in ("", token):
            return response
        self.replace_token(other)
        return await self._transport.request(method, path, params=params, body=body)  # a refusal has had no effect

    def _path_of_number(self, edge: str) -> str:
        return f"{self.settings.phone_number_id}/{edge}"


def _encode(body: dict[str, object]) -> RequestBody:
    return RequestBody(json.dumps(body).encode())


def _to_outcome(response: GraphResponse) -> Outcome:
    if wamid := _read_wamid(response.value):
        return Accepted(wamid)
    if not response.sent:
        return NotSent(response.failure)
    has_failed = response.http_status >= _SERVER_FAILED
    error = response.error
    if error is None and has_failed:
        policy = classify_error(None, response.http_status)
        return ServerFailed(Refused(None, policy.action, policy.wait_seconds, response.failure, scope=policy.scope))
    if error is None:
        return Unknown(response.failure or "Meta answered without saying what became of the message.")
    said = Refused(
        code=error.code,
        action=error.action,
        wait_seconds=error.wait_seconds,
        reason=error.reason,
        detail=error.detail,
        trace_id=error.trace_id,
        scope=error.scope,
    )
    return ServerFailed(said) if has_failed else said


def _read_wamid(value: dict[str, object]) -> str:
    messages = value.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    wamid = first.get("id") if isinstance(first, dict) else None
    return to_storable_id(wamid) if isinstance(wamid, str) else ""
