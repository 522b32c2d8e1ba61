"""Serves the baseline of `tick bench`: a bare loop, as a good programmer writes it in an afternoon.

It keeps what we keep: the message is committed before its 200; what was sent is recorded; each status is committed
before its 200; a message that comes twice has one effect. It has the same web framework, server, event loop, HTTP
client, drivers, pool size and durability as Tick, and talks to the same customers, whom it answers with messages of the
same size. It has one Redis read and one write, and one transaction each for the message and for its send, each of them
the cheapest there is (see storage/bench_baseline.py). It has nothing else: no order, no retry, no lanes, no tickets,
nothing that survives a crash between the 200 and the answer. What is faster than this does more than write less code.
"""

import argparse
import asyncio
import hmac
import itertools
import json
import os
import time
from collections.abc import Coroutine
from typing import Any

from quart import Quart, request

from api.bench.webhooks import WEBHOOK_PATH
from api.server.process import run, stop_on_signals
from api.server.serving import listen, serve_http
from bot.whatsapp.graph.client import open_http
from storage.bench_baseline import BaselineStore

RANKS = {"sent": 1, "delivered": 2, "read": 3}
TOPICS = [{"id": f"topic_{n}", "title": f"Topic {n}", "description": "What this is about"} for n in range(8)]


def build_greeting(_: dict[str, Any]) -> dict[str, Any]:
    """Builds a list of topics."""
    text = "Hello! What do you need help with? Pick a topic, or just write what is wrong."
    action = {"button": "Choose a topic", "sections": [{"title": "Topics", "rows": TOPICS}]}
    return {"type": "interactive", "interactive": {"type": "list", "body": {"text": text}, "action": action}}


def build_text(text: str) -> dict[str, Any]:
    """Builds a message of words."""
    return {"type": "text", "text": {"body": text}}


def build_summary(_: dict[str, Any]) -> dict[str, Any]:
    """Builds a summary with buttons."""
    buttons = [
        {"type": "reply", "reply": {"id": name, "title": name.title()}} for name in ("submit", "change", "cancel")
    ]
    text = "Please check: *Hardware* The printer does not print. Send it now, or keep writing to add more."
    interactive = {"type": "button", "body": {"text": text}, "action": {"buttons": buttons}}
    return {"type": "interactive", "interactive": interactive}


SCRIPT = (
    build_greeting,
    lambda _: build_text("Tell us what is happening. Several messages, photos, voice notes and files are fine."),
    build_summary,
    lambda conversation: build_text(f"Done: your ticket is *#{conversation['id']}*. Write here any time to add to it."),
    lambda conversation: build_text(f"Thank you, I have added that to ticket #{conversation['id']}."),
)


def make_app(store: BaselineStore, graph_url: str, token: str, secret: bytes) -> Quart:
    """Makes the application: a webhook, and an answer to each message by the Graph API at `graph_url`."""
    app = Quart(__name__)
    http = open_http()
    messages_url = http.build_request("POST", graph_url).url  # parsed once
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    ids = itertools.count(time.time_ns())
    under_way: set[asyncio.Task[None]] = set()

    def begin(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    async def answer(customer: str) -> None:
        found = await store.read_conversation(customer)
        conversation = json.loads(found) if found else {"id": next(ids), "step": 0}
        message = SCRIPT[min(conversation["step"], len(SCRIPT) - 1)](conversation)
        conversation["step"] += 1
        await store.write_conversation(customer, json.dumps(conversation))
        send_id = next(ids)
        body = json.dumps(
            {"messaging_product": "whatsapp", "to": f"+{customer}", "biz_opaque_callback_data": str(send_id)} | message
        )
        accepted = await http.post(messages_url, content=body, headers=headers)
        await store.store_send(send_id, customer, body, accepted.json()["messages"][0]["id"])

    @app.post(WEBHOOK_PATH)
    async def webhook() -> tuple[str, int]:
        body = await request.get_data()
        assert isinstance(body, bytes)
        signature = "sha256=" + hmac.digest(secret, body, "sha256").hex()
        if not hmac.compare_digest(signature.encode(), request.headers.get("X-Hub-Signature-256", "").encode()):
            return "", 401
        for entry in json.loads(body)["entry"]:
            for change in entry["changes"]:
                value = change["value"]
                for message in value.get("messages", ()):
                    if await store.store_message(message["id"], message["from"], json.dumps(message)):
                        begin(answer(message["from"]))
                for status in value.get("statuses", ()):
                    await store.store_status(int(status["biz_opaque_callback_data"]), RANKS[status["status"]])
        return "", 200

    @app.after_serving
    async def close() -> None:
        await asyncio.gather(*under_way, return_exceptions=True)
        await http.aclose()

    return app


async def serve(port: int, database_url: str, redis_url: str, pool_size: int) -> None:
    """Serves the baseline until a signal; its settings are those of Tick, from the environment."""
    graph_url = f"{os.environ['WHATSAPP_API_URL']}/{os.environ['WHATSAPP_PHONE_NUMBER_ID']}/messages"
    store = await BaselineStore.open(database_url, redis_url, pool_size=pool_size)
    try:
        secret = os.environ["WHATSAPP_APP_SECRET"].encode()
        app = make_app(store, graph_url, os.environ["WHATSAPP_ACCESS_TOKEN"], secret)
        async with stop_on_signals() as stop:
            await serve_http(app, listen("127.0.0.1", port), stop)
    finally:
        await store.close()


def main() -> None:
    """Runs the baseline until a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--pool-size", type=int, required=True)
    chosen = parser.parse_args()
    run(serve(chosen.port, chosen.database, chosen.redis, chosen.pool_size))


if __name__ == "__main__":
    main()
