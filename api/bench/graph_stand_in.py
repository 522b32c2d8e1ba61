"""A stand-in for the Graph API that is faster than whatever it measures.

It accepts every message that it is not told to refuse, writes it to its log before it answers (the log is evidence:
what stands in it was accepted), and reports each by three signed webhooks: sent, delivered, read. Invariant: one line
in the log for one POST that was answered with a wamid, so a message that was sent twice stands there twice.
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
from api.bench.wire import Reply, Server
from api.simulator.bodies import BusinessNumber, Person, status, statuses_webhook

STATUSES = ("sent", "delivered", "read")


@dataclass(frozen=True, slots=True)
class Send:
    """One message of the service that was accepted. `options` are the ids behind its buttons or rows."""

    at: float
    outbox_id: str
    customer: str
    wamid: str
    kind: str
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusPlan:
    """When the three statuses of a message come: each after its own delay, in their order unless `shuffled`."""

    least_seconds: float = 0.0
    most_seconds: float = 0.02
    shuffled: bool = False
    count: int = 3

    def delays(self, chance: random.Random) -> list[float]:
        delays = [chance.uniform(self.least_seconds, self.most_seconds) for _ in STATUSES[: self.count]]
        return delays if self.shuffled else sorted(delays)


class StandIn:
    """`on_send` hears of each accepted message; `statuses` has the task that reports it; `refuse` may be set: whom a
    message is for -> how it is refused, or None."""

    def __init__(
        self,
        number: BusinessNumber,
        webhooks: Webhooks,
        *,
        plan: StatusPlan,
        on_send: Callable[[Send], None],
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
        self.refuse: Callable[[str], Reply | None] = lambda customer: None
        self.statuses: dict[str, asyncio.Task[None]] = {}

    async def listen(self, port: int = 0) -> int:
        return await self._server.listen(port)

    async def close(self) -> None:
        await self._server.close()
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _answer(self, method: str, path: str, body: bytes) -> Reply:
        self._on_request(method, path, body)
        if method != "POST" or not path.partition("?")[0].endswith("/messages"):
            number = {"id": self._number.phone_number_id, "display_phone_number": self._number.display_phone_number}
            return Reply(200, json.dumps(number).encode())
        asked = json.loads(body)
        if asked.get("status") == "read":
            return Reply(200, b'{"success":true}')
        if refusal := self.refuse(customer_of(asked)):
            return refusal
        self.accepted += 1
        send = read_send(asked, wamid=f"wamid.{self._run}{self.accepted:08x}", at=time.time())
        if self._log is not None:
            os.write(self._log, json.dumps(asdict(send)).encode() + b"\n")
        if self.plan.count:
            self.statuses[send.wamid] = self._webhooks.spawn(self._report(send))
        self._on_send(send)
        answer = {
            "messaging_product": "whatsapp",
            "contacts": [{"input": asked.get("to"), "wa_id": send.customer}],
            "messages": [{"id": send.wamid}],
        }
        return Reply(200, json.dumps(answer).encode())

    async def _report(self, send: Send) -> None:
        """The statuses come on their own, as if each had its own way through the network."""
        try:
            delays = self.plan.delays(self._random)
            await asyncio.gather(*(self._one(send, *step) for step in zip(STATUSES, delays, strict=False)))
        finally:
            self.statuses.pop(send.wamid, None)

    async def _one(self, send: Send, name: str, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        await self._webhooks.deliver(status_body(self._number, send, name))


def status_body(number: BusinessNumber, send: Send, name: str) -> bytes:
    return statuses_webhook(number, [status_of(send, name)])


def status_of(send: Send, name: str) -> dict[str, Any]:
    # One second for all three: a time that has not come yet would be corrected by the service.
    timestamp = int(send.at)
    return status(Person(wa_id=send.customer), send.wamid, timestamp, name, opaque=send.outbox_id)


def read_send(asked: dict[str, Any], *, wamid: str, at: float) -> Send:
    """What a customer sees of a body that was posted to us."""
    kind, text, options = str(asked.get("type")), "", []
    if kind == "text":
        text = asked["text"]["body"]
    elif kind == "interactive":
        shown = asked["interactive"]
        kind, text, action = shown["type"], shown["body"]["text"], shown["action"]
        options = [button["reply"]["id"] for button in action.get("buttons", ())]
        options += [row["id"] for section in action.get("sections", ()) for row in section["rows"]]
    outbox_id = str(asked.get("biz_opaque_callback_data") or "")
    return Send(at, outbox_id, customer_of(asked), wamid, kind, text, tuple(options))


def customer_of(asked: dict[str, Any]) -> str:
    """Whom a body that was posted to us is for."""
    return str(asked.get("to") or asked.get("recipient") or "").removeprefix("+")
