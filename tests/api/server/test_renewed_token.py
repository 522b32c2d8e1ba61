"""An access token that is renewed while Tick runs: the new one is used, and none that it ever held is shown."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from api.server.serving import get_port, listen_nearby
from api.simulator import bodies, message_bodies
from api.simulator.message_bodies import MessageHead
from tests.support.places import ROOT

APP_SECRET = "canary-app-secret"
TOKENS = ("canary-token-of-monday", "canary-token-of-tuesday", "canary-token-of-wednesday")
NUMBER = bodies.BusinessNumber("106540352242922", "15550100000", "102290129340398")
PATIENCE_SECONDS = 30


class Meta(ThreadingHTTPServer):
    """Refuses every token but the last, and repeats in each refusal all that it has ever been shown."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.shown: list[str] = []

    def has_seen(self, token: str) -> bool:
        return token in self.shown


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Meta)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.server.shown:
            self.server.shown.append(token)
        good = token == TOKENS[-1]
        words = f"Malformed access token {' or '.join(self.server.shown)} at {self.path}"
        error = {"error": {"message": words, "code": 190, "type": "OAuthException", "fbtrace_id": token}}
        taken = {"messages": [{"id": f"wamid.{time.monotonic_ns()}"}], "success": True, "id": NUMBER.phone_number_id}
        body = json.dumps(taken if good else error).encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_args: Any) -> None:
        """Nothing."""


@pytest.fixture
def meta() -> Iterator[Meta]:
    with Meta() as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


class Program:
    """Tick with a config.env, as an operator runs it."""

    def __init__(self, folder: Path, meta: Meta, port: int) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._meta, self._port = meta, port
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environment = kept | {"PYTHONPATH": str(ROOT)}
        self.set_token(TOKENS[0])

    def set_token(self, token: str) -> None:
        lines = {
            "WHATSAPP_API_URL": f"http://127.0.0.1:{self._meta.server_port}/v25.0",
            "WHATSAPP_PHONE_NUMBER_ID": NUMBER.phone_number_id, "WHATSAPP_ACCESS_TOKEN": token,
            "WHATSAPP_VERIFY_TOKEN": "canary-verify-token", "WHATSAPP_APP_SECRET": APP_SECRET,
            "PORT": str(self._port), "LOG_LEVEL": "debug",
        }  # fmt: skip
        new = self.folder / "config.new"
        new.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        new.chmod(0o600)
        new.replace(self.folder / "config.env")

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "api", *arguments],
            cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.stdout + done.stderr

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        key = self.run("key", "create", "tests", "--role", "admin").split()[0]
        headers = {"Authorization": f"Bearer {key}"}
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "api", "serve"], cwd=self.folder, env=self._environment, stderr=log
            )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", headers=headers, trust_env=False) as http:
                until(lambda: b"Tick serves" in self.log.read_bytes())
                yield http
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def write(http: httpx.Client) -> None:
    sender = bodies.Person("Ana", "15550100001")
    message = message_bodies.text(MessageHead(sender, "wamid.of-ana", int(time.time())), "Hi")
    body = bodies.build_messages_webhook(NUMBER, [sender], [message])
    signed = {"X-Hub-Signature-256": bodies.sign(body, APP_SECRET), "Content-Type": "application/json"}
    http.post("/api/whatsapp/webhook", content=body, headers=signed).raise_for_status()


def test_no_token_that_was_ever_held_is_shown(tmp_path: Path, meta: Meta) -> None:
    with listen_nearby("127.0.0.1", 17600) as free:
        port = get_port(free)
    program = Program(tmp_path, meta, port)
    told: list[str] = []
    with program.serving() as http:

        def state() -> str:
            status = http.get("/api/whatsapp/status").text
            told.append(status)
            return str(json.loads(status)["data"]["channel"]["state"])

        def try_now() -> bool:
            return bool(http.post("/api/whatsapp/channel/try-now", json={}).json()["data"]["tried"])

        write(http)
        until(lambda: state() == "stopped")
        told += [http.get("/api/whatsapp/doctor").text, http.post("/api/whatsapp/templates/sync", json={}).text]
        program.set_token(TOKENS[1])
        try_now()
        until(lambda: meta.has_seen(TOKENS[1]))
        until(lambda: state() == "stopped")
        told += [http.get("/api/whatsapp/doctor").text, program.run("doctor")]
        program.set_token(TOKENS[2])
        try_now()
        until(lambda: meta.has_seen(TOKENS[2]))
        until(lambda: state() == "open")
        told.append(http.get("/api/whatsapp/doctor").text)
    told.append(program.log.read_text())
    everything = "\n".join(told)
    assert "channel_stopped" in everything
    assert "channel_open_again" in everything
    assert "canary" not in everything
    assert b"canary" not in b"".join(path.read_bytes() for path in (tmp_path / "data").glob("tick.db*"))
