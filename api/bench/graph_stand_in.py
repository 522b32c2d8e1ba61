"""Plays the Graph API for a benchmark, faster than whatever is measured against it.

It accepts every message that it is not told to refuse, writes it to its log before it answers (the log is evidence:
what stands in it was accepted), and reports each by three signed webhooks: sent, delivered, read.

Invariants
- The log has one line for each POST that was answered with a wamid, so a message that was sent twice stands there
  twice.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from api.bench.webhooks import Webhooks
from api.bench.wire import HttpReply, Server
from api.simulator.bodies import BusinessNumber, Person, build_delivery_status, build_statuses_webhook

STATUSES = ("sent", "delivered", "read")


@dataclass(frozen=True, slots=True)
class AcceptedSend:
    """A message of the service that was accepted. `at`: Unix time. `options`: the ids behind its buttons or rows."""

    at: float
    outbox_id: str
    customer: str
    wamid: str
    kind: str
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusPlan:
    """When the statuses of a message come: each after a delay of its own, in their order unless `shuffled`. `count`:
    how many of the three are sent."""

    min_seconds: float = 0.0
    max_seconds: float = 0.02
    shuffled: bool = False
    count: int = 3

    def draw_delays(self, chance: random.Random) -> list[float]:
        """Draws a delay in seconds for each status."""
        delays = [chance.uniform(self.min_seconds, self.max_seconds) for _ in STATUSES[: self.count]]
        return delays if self.shuffled else sorted(delays)


class GraphStandIn:
    """The server that plays the Graph API.

    `on_send` is called with each accepted message, `on_request` with method, path and body of each request. `statuses`
    has the task that reports a message, by its wamid. `refuse` may be set: it gets the phone that a message is for, and
    returns how it is refused, or None.
    """

    def __init__(
        self,
        number: BusinessNumber,
        webhooks: Webhooks,
        *,
        plan: StatusPlan,
        on_send: Callable[[AcceptedSend], None],
        log: Path | None = None,
        seed: int = 0,
        on_request: Callable[[str, str, bytes], None] = lambda method, path, body: None,
    ) -> None:
        self._number = number
        self._webhooks = webhooks
        self.plan = plan
        self._on_send = on_send
        self._on_request = on_request
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if log else None
        self._random = random.Random(seed)  # noqa: S311 - delays must be repeatable, not secret
        self._run = f"{os.getpid():x}{time.time_ns():x}"
        self._server = Server(self._answer)
        self.accepted = 0
        self.refuse: Callable[[str], HttpReply | None] = lambda customer: None
        self.statuses: dict[str, asyncio.Task[None]] = {}

    async def listen(self, port: int = 0) -> int:
        """Listens on this port of loopback, or a free one; returns which."""
        return await self._server.listen(port)

    async def close(self) -> None:
        """Stops listening, and closes the log."""
        await self._server.close()
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _answer(self, method: str, path: str, body: bytes) -> HttpReply:
        self._on_request(method, path, body)
        if method != "POST" or not path.partition("?")[0].endswith("/messages"):
            number = {"id": self._number.phone_number_id, "display_phone_number": self._number.display_phone_number}
            return HttpReply(200, json.dumps(number).encode())
        sent = json.loads(body)
        if sent.get("status") == "read":
            return HttpReply(200, b'{"success":true}')
        if refusal := self.refuse(get_recipient(sent)):
            return refusal
        self.accepted += 1
        send = parse_send(sent, wamid=f"wamid.{self._run}{self.accepted:08x}", at=time.time())
        if self._log is not None:
            os.write(self._log, json.dumps(asdict(send)).encode() + b"\n")
        if self.plan.count:
            self.statuses[send.wamid] = self._webhooks.spawn(self._report(send))
        self._on_send(send)
        answer = {
            "messaging_product": "whatsapp",
            "contacts": [{"input": sent.get("to"), "wa_id": send.customer}],
            "messages": [{"id": send.wamid}],
        }
        return HttpReply(200, json.dumps(answer).encode())

    async def _report(self, send: AcceptedSend) -> None:
        """Posts each status by itself, as if each had its own way through the network."""
        try:
            delays = self.plan.draw_delays(self._random)
            await asyncio.gather(*(self._report_status(send, *step) for step in zip(STATUSES, delays, strict=False)))
        finally:
            self.statuses.pop(send.wamid, None)

    async def _report_status(self, send: AcceptedSend, name: str, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        await self._webhooks.deliver(build_statuses_webhook(self._number, [build_status(send, name)]))


def build_status(send: AcceptedSend, name: str) -> dict[str, Any]:
    """Builds the status `name` of a message."""
    # One second for all three: a time that has not come yet would be corrected by the service.
    timestamp = int(send.at)
    return build_delivery_status(Person(wa_id=send.customer), send.wamid, timestamp, name, opaque=send.outbox_id)


def parse_send(sent: dict[str, Any], *, wamid: str, at: float) -> AcceptedSend:
    """Returns what a customer sees of the body of POST /messages."""
    kind, text, options = str(sent.get("type")), "", []
    if kind == "text":
        text = sent["text"]["body"]
    elif kind == "interactive":
        interactive = sent["interactive"]
        kind, text, action = interactive["type"], interactive["body"]["text"], interactive["action"]
        options = [button["reply"]["id"] for button in action.get("buttons", ())]
        options += [row["id"] for section in action.get("sections", ()) for row in section["rows"]]
    outbox_id = str(sent.get("biz_opaque_callback_data") or "")
    return AcceptedSend(
        at=at,
        outbox_id=outbox_id,
        customer=get_recipient(sent),
        wamid=wamid,
        kind=kind,
        text=text,
        options=tuple(options),
    )


def get_recipient(sent: dict[str, Any]) -> str:
    """Returns whom a message is for, without the plus of a phone number."""
    return str(sent.get("to") or sent.get("recipient") or "").removeprefix("+")
