"""A working set-up: the simulator as Meta, and the real program beside it.

test_doctor.py runs the program twice: `tick` as an operator has it who did everything right; `other` trusts a proxy on
loopback, and has no worker.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from quart import Quart

from api.server.serving import get_port, listen_nearby, serve_http
from api.simulator.register import add_simulator
from api.simulator.settings import SimulatorSettings
from api.simulator.simulator import Simulator
from bot.whatsapp.graph.client import open_http
from tests.support.openapi.watching import watch_requests
from tests.support.places import ROOT
from tests.support.servers import RedisServer, Server

NUMBER_ID = "106540352242922"
ACCOUNT_ID = "102290129340398"
PHONE = "15550783881"
TOKEN = "EAAcanarycanarycanarytoken0123456789"
APP_SECRET = "0123456789abcdef0a5eca11ab1ec0de"
VERIFY_TOKEN = "canary-verify-token"
CANARIES = ("canary", "kitchen-cupboard", APP_SECRET)  # the second is a password of the tests' databases


class TickServer(Server):
    """`tick serve`, as an operator starts it."""

    def __init__(self, settings: dict[str, str], *options: str) -> None:
        super().__init__("serve")
        self.data = self.folder / "data"
        self.settings = settings | {"PORT": str(self.port), "DATA_DIR": str(self.data)}
        self._options = options

    def command(self) -> Sequence[str]:
        given = (f"{name}={value}" for name, value in self.settings.items())
        return ["env", f"PYTHONPATH={ROOT}", *given, sys.executable, "-m", "api", "serve", *self._options]

    def answers(self) -> bool:
        path = self.folder / "log"
        return path.exists() and b"Tick serves" in path.read_bytes()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class LockedRedis(RedisServer):
    """A Redis that asks for a password."""

    def __init__(self) -> None:
        super().__init__("--requirepass", "canary-of-redis")

    def answers(self) -> bool:
        return self.ask("PING").startswith(b"-NOAUTH")


class Meta:
    """The simulator, on a port of its own. `simulator.setup` is what an operator sets at Meta."""

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self.port = port

    @property
    def graph(self) -> str:
        """The Graph API, without its version."""
        return f"http://127.0.0.1:{self.port}/simulator/graph"


@asynccontextmanager
async def run_meta(folder: Path) -> AsyncIterator[Meta]:
    """Runs the simulator until the block ends."""
    settings = SimulatorSettings(
        folder=folder,
        webhook_url="http://127.0.0.1:1/not-set-yet",
        app_secret=APP_SECRET,
        access_token=TOKEN,
        phone_number_id=NUMBER_ID,
        display_phone_number=PHONE,
        waba_id=ACCOUNT_ID,
    )
    app, stop, ready = Quart("meta"), asyncio.Event(), asyncio.Event()
    listener = listen_nearby("127.0.0.1", 17900)
    async with open_http() as http:
        simulator = Simulator(settings, http, time.time)
        add_simulator(app, simulator)
        watch_requests(app)
        serving = asyncio.create_task(serve_http(app, listener, stop, on_ready=ready.set))
        await ready.wait()
        try:
            yield Meta(simulator, get_port(listener))
        finally:
            stop.set()
            await serving


def make_right_settings(meta: Meta) -> dict[str, str]:
    """Returns the settings that an operator writes who does everything right."""
    return {
        "WHATSAPP_API_URL": f"{meta.graph}/v25.0",
        "WHATSAPP_PHONE_NUMBER_ID": NUMBER_ID,
        "WHATSAPP_BUSINESS_ACCOUNT_ID": ACCOUNT_ID,
        "WHATSAPP_ACCESS_TOKEN": TOKEN,
        "WHATSAPP_VERIFY_TOKEN": VERIFY_TOKEN,
        "WHATSAPP_APP_SECRET": APP_SECRET,
    }
