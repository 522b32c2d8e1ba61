"""An echo service: a client of the simulator that is small enough to see through, in Tick's place.

Its webhook notes every body that came with a good signature, and answers 503 where `status` says so. Words choose the
answer: "list" and "buttons" offer something, a tap is repeated, everything else is echoed with a quote.

Invariants
- Every webhook looks like Meta's (webhook_shapes.py), or the test fails when it ends.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
from hypercorn.asyncio import serve as serve_app
from hypercorn.config import Config
from quart import Quart, request

from api.server.serving import limit_requests
from api.simulator import bodies
from api.simulator.register import add_simulator
from api.simulator.settings import SimulatorSettings
from api.simulator.simulator import Simulator
from tests.api.simulator.webhook_shapes import find_oddities
from tests.support.openapi.watching import watch_requests
from tests.support.plain_http import plain_http

NUMBER_ID = "106540352242922"
SECRET = "test-app-secret"
TOKEN = "test-access-token"
VERIFY_TOKEN = "test-verify-token"


class EchoService:
    """The service, and what it has received. `odd`: what was not as Meta sends it."""

    def __init__(self, url: str, http: httpx.AsyncClient, simulator: Simulator) -> None:
        self.url = url
        self.graph = f"{url}/simulator/graph/v25.0"
        self.http = http
        self.simulator = simulator
        self.status = 200
        self.refused = 0
        self.bodies: list[dict[str, Any]] = []
        self.posts: list[tuple[bytes, str]] = []  # the same, as they came, with their signatures
        self.odd: list[str] = []
        self._arrival = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def webhook(self) -> tuple[str, int]:
        body = await request.body
        assert request.headers["X-Hub-Signature-256"] == bodies.sign(body, SECRET)
        if self.status != 200:
            self.refused += 1
            await self.notify()
            return "", self.status
        self.bodies.append(json.loads(body))
        self.posts.append((body, request.headers["X-Hub-Signature-256"]))
        self.odd += find_oddities(self.bodies[-1])
        await self.notify()
        for message in self.values("messages")[-1:] if b'"messages":[' in body else []:
            task = asyncio.create_task(self.answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return "", 200

    async def answer_handshake(self) -> tuple[str, int]:
        if request.args["hub.mode"] != "subscribe" or request.args["hub.verify_token"] != VERIFY_TOKEN:
            return "", 403
        return request.args["hub.challenge"], 200

    async def stop_answering(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def notify(self) -> None:
        async with self._arrival:
            self._arrival.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until what the webhook has received makes this true."""
        async with asyncio.timeout(20), self._arrival:
            await self._arrival.wait_for(condition)

    def values(self, kind: str) -> list[dict[str, Any]]:
        """Returns all messages, or all statuses, in the order of their arrival."""
        return [
            item
            for body in self.bodies
            for entry in body["entry"]
            for change in entry["changes"]
            for item in change["value"].get(kind, [])
        ]

    def texts(self) -> list[str]:
        return [message.get("text", {}).get("body", "") for message in self.values("messages")]

    def statuses(self, wamid: str) -> list[str]:
        return [status["status"] for status in self.values("statuses") if status["id"] == wamid]

    async def send(self, **body: Any) -> httpx.Response:
        return await self.http.post(
            f"{self.graph}/{NUMBER_ID}/messages",
            json={"messaging_product": "whatsapp", **body},
            headers={"Authorization": f"Bearer {TOKEN}"},
        )

    async def write(self, phone: str, **data: Any) -> dict[str, Any]:
        answer = await self.http.post(f"{self.url}/simulator/api/customers/{phone}/messages", json=data)
        assert answer.status_code == 201, answer.text
        written: dict[str, Any] = answer.json()["data"]
        return written

    async def chat(self, phone: str) -> list[dict[str, Any]]:
        answer = await self.http.get(f"{self.url}/simulator/api/chats")
        customers = answer.json()["data"]["customers"]
        messages: list[dict[str, Any]] = next(c["messages"] for c in customers if c["phone"] == phone)
        return messages

    async def answer(self, message: dict[str, Any]) -> None:
        address = {"to": f"+{message['from']}"} if "from" in message else {"recipient": message["from_user_id"]}
        wamid, kind = message["id"], message["type"]
        await self.send(status="read", message_id=wamid, typing_indicator={"type": "text"})
        text = message["text"]["body"] if kind == "text" else ""
        if text == "silence":
            return
        if text == "list":
            await self.send(**address, type="interactive", interactive=build_list())
        elif text == "buttons":
            await self.send(**address, type="interactive", interactive=build_buttons())
        elif kind == "interactive":
            reply = message["interactive"][message["interactive"]["type"]]
            await self.send(**address, type="text", text={"body": f"You chose {reply['title']} ({reply['id']})"})
        else:
            what = text or f"a {kind}"
            await self.send(**address, type="text", text={"body": f"Echo: {what}"}, context={"message_id": wamid})


def build_buttons(*titles: str) -> dict[str, Any]:
    named = titles or ("Send", "Change", "Cancel")
    replies = [{"type": "reply", "reply": {"id": f"b{place}", "title": title}} for place, title in enumerate(named)]
    return {
        "type": "button",
        "body": {"text": "Please check: *Hardware*. Send it now?"},
        "action": {"buttons": replies},
    }


def build_list(count: int = 3, title: str = "Topic {}") -> dict[str, Any]:
    rows = [{"id": f"r{n}", "title": title.format(n), "description": f"What topic {n} is about"} for n in range(count)]
    action = {"button": "Choose a topic", "sections": [{"title": "Topics", "rows": rows}]}
    return {"type": "list", "body": {"text": "Hello! What do you need help with?"}, "action": action}


@contextlib.asynccontextmanager
async def run_echo_service(folder: Path, port: int = 0, **changes: Any) -> AsyncIterator[EchoService]:
    """Runs the simulator and the echo service on one port, until the block ends."""
    clock = changes.pop("clock", None)
    status = changes.pop("status", 200)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = SimulatorSettings(
            folder=folder,
            webhook_url=f"{url}/webhook",
            graph_url=f"{url}/simulator/graph/v25.0",
            app_secret=SECRET,
            access_token=TOKEN,
            phone_number_id=NUMBER_ID,
            display_phone_number="15550783881",
            **changes,
        )
        async with plain_http() as http:
            simulator = Simulator(settings, http, clock) if clock else Simulator(settings, http)
            service = EchoService(url, http, simulator)
            service.status = status
            app = Quart(__name__)
            limit_requests(app)
            add_simulator(app, simulator)
            watch_requests(app)
            app.post("/webhook")(service.webhook)
            app.get("/webhook")(service.answer_handshake)
            app.get("/page")(lambda: "Welcome")
            config = Config()
            config.bind = [f"fd://{listener.detach()}"]
            config.accesslog = None
            config.errorlog = None
            stop = asyncio.Event()
            await simulator.start()
            serving = asyncio.create_task(serve_app(app, config, shutdown_trigger=stop.wait))
            try:
                yield service
            finally:
                simulator.end_streams()
                await service.stop_answering()
                stop.set()
                await serving
                await simulator.stop()
            assert service.odd == []
