"""`tick serve` as an operator starts it: a process of its own, to which webhooks are posted as Meta posts them."""

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from api.simulator import bodies, message_bodies
from api.simulator.bodies import BusinessNumber, Person
from api.simulator.message_bodies import MessageHead
from tests.support.places import ROOT
from tests.support.plain_http import NO_AUTHORITIES
from tests.support.servers import Server

NUMBER = BusinessNumber("106540352242922", "15550783881", "102290129340398")
SECRET = "0123456789abcdef0123456789abcdef"
ANN = Person("Ann", "15550001111")
PATIENCE_SECONDS = 60.0


class ServeProcess(Server):
    """A `tick serve` on SQLite, without Meta.

    `settings`: its environment; `options`: of the command, and what a shell does with its descriptors, `2>/dev/full`
    say.
    """

    def __init__(self, options: str = "", **settings: str) -> None:
        super().__init__("serve")
        self._options = options
        self._settings = {
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(self.folder / "data"),
            "PORT": str(self.port),
            "WHATSAPP_API_URL": "http://127.0.0.1:9/v25.0",  # nobody listens there
            "WHATSAPP_PHONE_NUMBER_ID": NUMBER.phone_number_id,
            "WHATSAPP_ACCESS_TOKEN": "EAAB0access0of0tests",
            "WHATSAPP_VERIFY_TOKEN": "verify-of-these-tests",
            "WHATSAPP_APP_SECRET": SECRET,
        } | settings
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", trust_env=False, verify=NO_AUTHORITIES, timeout=20
        )
        self._wamids = count(1)

    def command(self) -> list[str]:
        given = [f"{name}={value}" for name, value in self._settings.items()]
        script = f'exec env "$@" "{sys.executable}" -m api serve {self._options}'
        return ["sh", "-c", script, "sh", *given]

    def answers(self) -> bool:
        try:
            return self._http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self._http.close()
        super().close()

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def get(self, path: str) -> httpx.Response:
        """Asks for a page."""
        return self._http.get(path)

    def make_webhook(self, text: str = "Hi", person: Person = ANN) -> bytes:
        """Makes the body of a webhook with one new message."""
        head = MessageHead(person, f"wamid.{next(self._wamids)}", int(time.time()))
        return bodies.build_messages_webhook(NUMBER, [person], [message_bodies.text(head, text)])

    def post(self, body: bytes) -> int:
        """Posts a signed webhook; returns the status of the answer."""
        headers = {"X-Hub-Signature-256": bodies.sign(body, SECRET), "Content-Type": "application/json"}
        return self._http.post("/api/whatsapp/webhook", content=body, headers=headers).status_code

    def read_readiness(self) -> tuple[int, Mapping[str, Any]]:
        """Returns the status of /readyz, and its data, or what it misses by part."""
        response = self._http.get("/readyz")
        answer = response.json()
        told = {problem["field"]: problem["message"] for problem in answer.get("errors", ())}
        return response.status_code, answer.get("data") or told

    def read_metric(self, name: str) -> float:
        """Returns the value of a metric; 0 when there is none of this name."""
        lines = self._http.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    @property
    def database(self) -> Path:
        """The file of its database."""
        url = self._settings.get("DATABASE_URL", "")
        return Path(url.removeprefix("sqlite://")) if url else self.folder / "data" / "tick.db"

    def read_rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Reads its database."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as connection:
            return list(connection.execute(sql))

    def count_items(self, fate: str) -> int:
        """Counts the items with this fate."""
        return int(self.read_rows(f"SELECT COUNT(*) FROM item WHERE fate = '{fate}'")[0][0])  # noqa: S608 - ours

    def list_wamids(self) -> set[str]:
        """Returns the ids of the messages in its journal."""
        return {json.loads(row[0])["message"]["id"] for row in self.read_rows("SELECT payload FROM item")}

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Waits until it is so, while the process lives."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert not self.has_ended, "it ended by itself"
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s"
            time.sleep(0.02)
