"""`tick demo`: all of Tick with the simulator in Meta's place, somebody to sign in as, a key, and lines to paste.

Invariant: everything printed works as it stands, on this machine alone; the service meets the simulator only over HTTP,
as it would meet Meta.
"""

import asyncio
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import typer

from api.admin import add_agent, keep_key
from api.app import make_app, run_together
from api.bootstrap import build_worker, open_resources
from api.demo.secrets import DemoSecrets, load_demo_secrets
from api.settings import Settings
from api.simulator.register import add_simulator
from api.simulator.settings import SimulatorSettings
from api.simulator.simulator import Simulator
from api.web.credentials import Role
from bot.clock import utc_now
from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH
from bot.whatsapp.graph.client import open_http
from storage.desk_models import Agent
from storage.sql.database import Database

EMAIL = "demo@example.com"


class DemoClock:
    """The time, put forward with the simulator's: so a day can pass for both."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


async def demo(settings: Settings, listener: socket.socket, stop: asyncio.Event) -> None:
    """All of Tick with the simulator in Meta's place, on the same port."""
    clock = DemoClock()
    made = load_demo_secrets(settings.data_dir)
    async with (
        # the demo's own token, never that of a real service
        open_resources(settings, clock=clock, read_token=lambda: made.access_token) as resources,
        open_http() as http,
    ):
        await let_in(resources.database, made, resources.clock())
        app = make_app(settings, resources)
        simulator = Simulator(_simulator_settings(settings), http, on_advance=clock.advance)
        add_simulator(app, simulator)
        await simulator.start()
        ending = asyncio.create_task(_when(stop, simulator.end_streams))
        try:
            await run_together(
                app,
                listener,
                stop,
                worker=build_worker(settings, resources),
                on_ready=lambda: welcome(settings.port, made, settings.data_dir),
            )
        finally:
            ending.cancel()
            await simulator.stop()


async def let_in(database: Database, made: DemoSecrets, now: datetime) -> None:
    """The demo's key and agent, kept from one start to the next."""
    await keep_key(database, made.api_key, "demo", Role.ADMIN, now)
    if not await Agent.filter(email=EMAIL).exists():
        await add_agent(database, EMAIL, "Demo Agent", Role.ADMIN, made.password, now)


def welcome(port: int, made: DemoSecrets, folder: Path) -> None:
    """The first thing a stranger reads."""
    here = f"http://localhost:{port}"
    key = f'-H "Authorization: Bearer {made.api_key}"'
    json = '-H "Content-Type: application/json"'
    typer.echo(
        f"""
Tick is running, with a stand-in for WhatsApp. Everything stays on this machine, in {folder}.

  Chat as a customer   {here}/simulator
  Answer as an agent   {here}/desk
  Sign in with         {EMAIL}  {made.password}
  Agents' API          {here}/api/tickets
  API key              {made.api_key}

Try it: say "Hi" in the chat until you have a ticket number, then answer it at the desk, or here:

  curl -s {here}/api/tickets {key}
  curl -s -X PUT {here}/api/tickets/1/status {key} {json} -d '{{"status": "in_progress"}}'
  curl -s -X POST {here}/api/replies {key} {json} -d '{{"ticket_id": 1, "message": "We are on it."}}'
  curl -s {here}/api/replies/1 {key}
  curl -s {here}/api/whatsapp/status {key}

Ctrl+C stops it; the next start goes on where this one ended.
"""
    )


def _simulator_settings(settings: Settings) -> SimulatorSettings:
    return SimulatorSettings(
        folder=settings.data_dir / "simulator",
        webhook_url=f"http://127.0.0.1:{settings.port}{WEBHOOK_PATH}",
        app_secret=settings.whatsapp_app_secret.get_secret_value(),
        access_token=settings.whatsapp_access_token.get_secret_value(),
        phone_number_id=settings.whatsapp_phone_number_id,
        display_phone_number="15550100000",
        waba_id=settings.whatsapp_business_account_id,
    )


async def _when(event: asyncio.Event, act: Callable[[], None]) -> None:
    await event.wait()
    act()
