"""What we ask of the Graph API, call by call, and an honest word on what became of each message.

Invariant: a message is `NotSent` only when surely no byte of it went out. Meta has no idempotency key, so every other
accident is `Unknown`: the message may be on the customer's phone.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from bot.whatsapp.errors import Action, Scope
from bot.whatsapp.graph.http import GraphSettings, GraphTransport, RequestBody, open_http
from bot.whatsapp.graph.multipart import build_multipart
from bot.whatsapp.graph.response import GraphError, GraphResponse
from bot.whatsapp.sanitize import to_storable_id

__all__ = ["Accepted", "GraphClient", "GraphError", "GraphResponse", "GraphSettings", "NotSent", "Outcome", "Refused"]
__all__ += ["Unknown", "open_http"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Meta has it, and will tell by this id what becomes of it."""

    wamid: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Meta said no. `reason` is ours and for agents, `detail` is Meta's; the trace id is what its support asks for.
    `scope`: how much of what waits has to wait with it."""

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
    """It may have gone out."""

    reason: str


Outcome = Accepted | Refused | NotSent | Unknown


class GraphClient:
    """Speaks as one phone number. No call raises anything but CancelledError.

    `read_token`: the access token as it is set by then, "" when it can't be read. What Meta refused to ours is asked
    again at once where another is set, but for messages, which the channel looks after: so a new one is taken also by
    a process that sends none.
    """

    def __init__(
        self, settings: GraphSettings, http: httpx.AsyncClient, read_token: Callable[[], str] = lambda: ""
    ) -> None:
        self._transport = GraphTransport(settings, http)
        self._read_token = read_token

    @property
    def settings(self) -> GraphSettings:
        """With the token that is used now."""
        return self._transport.settings

    @property
    def api_version_seen(self) -> str:
        """The version that Meta answers with when it is not the one we ask for; "" as long as it is."""
        return self._transport.api_version_seen

    def replace_token(self, access_token: str) -> None:
        """Every call that begins from now on carries this token."""
        self._transport.replace_token(access_token)

    async def send(self, body: dict[str, object]) -> Outcome:
        """One attempt to send one message."""
        return _outcome(await self._transport.request("POST", self._own("messages"), None, _json(body)))

    async def mark_read(self, wamid: str, *, typing: bool) -> GraphResponse:
        """Shows the customer that their message was read; `typing` also that an answer is being written, for 25 s."""
        body: dict[str, object] = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
        if typing:
            body["typing_indicator"] = {"type": "text"}
        answer = await self.post(self._own("messages"), body)
        if answer.ok and answer.value.get("success") is not True:
            return GraphResponse(failure="Meta answered something else than success.", api_version=answer.api_version)
        return answer

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> GraphResponse:
        """`path` is below the version: an id, or "{id}/message_templates"."""
        return await self._ask("GET", path, params)

    async def post(self, path: str, body: dict[str, object], params: Mapping[str, str] | None = None) -> GraphResponse:
        """Sends a JSON object."""
        return await self._ask("POST", path, params, _json(body))

    async def delete(self, path: str, params: Mapping[str, str] | None = None) -> GraphResponse:
        """Removes what the path names."""
        return await self._ask("DELETE", path, params)

    async def upload(
        self, file: Path | AsyncIterator[bytes], *, mime_type: str, filename: str, size: int
    ) -> GraphResponse:
        """Gives Meta a file of exactly `size` bytes, never all of it in memory; its id is in `value["id"]`."""
        return await self._transport.request(
            "POST", self._own("media"), None, build_multipart(file, mime_type, filename, size)
        )

    async def _ask(
        self, method: str, path: str, params: Mapping[str, str] | None, content: RequestBody | None = None
    ) -> GraphResponse:
        token = self.settings.access_token
        answer = await self._transport.request(method, path, params, content)
        if answer.error is None or answer.error.action is not Action.STOP:
            return answer
        if (other := self._read_token()) in ("", token):
            return answer
        self.replace_token(other)
        return await self._transport.request(method, path, params, content)  # a refusal has had no effect

    def _own(self, part: str) -> str:
        return f"{self.settings.phone_number_id}/{part}"


def _json(body: dict[str, object]) -> RequestBody:
    return RequestBody(json.dumps(body).encode())


def _outcome(answer: GraphResponse) -> Outcome:
    if wamid := _wamid_of(answer.value):
        return Accepted(wamid)
    if not answer.sent:
        return NotSent(answer.failure)
    error = answer.error
    if error is None:
        return Unknown(answer.failure or "Meta answered without saying what became of the message.")
    return Refused(
        error.code, error.action, error.wait_seconds, error.reason, error.detail, error.trace_id, error.scope
    )


def _wamid_of(value: dict[str, object]) -> str:
    messages = value.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    wamid = first.get("id") if isinstance(first, dict) else None
    return to_storable_id(wamid) if isinstance(wamid, str) else ""
