"""Runs `tick demo`: all of Tick with the simulator in Meta's place, an agent to sign in as, an API key, lines to paste.

Invariants
- Everything that is printed works as it stands, on this machine alone.
- The service meets the simulator only over HTTP, as it would meet Meta.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import typer

from api.admin import add_agent, store_key
from api.app import make_app, run_together
from api.bootstrap import build_worker, open_resources
from api.demo.secrets import DemoSecrets, load_demo_secrets
from api.demo.state import DemoState, load_demo_state, save_demo_state
from api.settings import Settings
from api.simulator.register import add_simulator
from api.simulator.settings import SimulatorSettings
from api.simulator.simulator import Simulator
from api.web.credentials import Role
from bot.bootstrap import make_answering_record
from bot.clock import Clock, SteadyClock
from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH
from bot.whatsapp.graph.client import open_http
from storage.desk_models import Agent
from storage.sql.database import Database

EMAIL = "demo@example.com"


class DemoClock:
    """The service's clock, which is put forward together with the simulator's, so that a day can pass for both. A
    restart goes on from there."""

    def __init__(self, folder: Path, state: DemoState, machine: Clock) -> None:
        self._folder = folder
        self._state = state
        self._machine = machine

    def __call__(self) -> datetime:
        return self._state.now(self._machine)

    def advance(self, seconds: float) -> None:
        """Puts the clock forward."""
        self._state = replace(self._state, ahead_seconds=self._state.ahead_seconds + seconds)
        save_demo_state(self._folder, self._state)


async def run_demo(settings: Settings, listener: socket.socket, stop: asyncio.Event) -> None:
    """Runs web, worker and simulator in this process, on one port, until `stop`."""
    state = load_demo_state(settings.data_dir)
    machine = SteadyClock()
    clock = DemoClock(settings.data_dir, state, machine)
    secrets = load_demo_secrets(settings.data_dir)
    async with (
        # the demo's own token, never that of a real service
        open_resources(settings, clock=clock, read_token=lambda: secrets.access_token) as resources,
        open_http() as http,
    ):
        await add_demo_accounts(resources.database, secrets, resources.clock())
        app = make_app(settings, resources)
        simulator = Simulator(
            _make_simulator_settings(settings), http, lambda: state.now(machine).timestamp(), on_advance=clock.advance
        )
        add_simulator(app, simulator)
        await simulator.start()
        ending = asyncio.create_task(_call_when_set(stop, simulator.end_streams))
        try:
            await run_together(
                app,
                listener,
                stop,
                worker=build_worker(settings, resources),
                record=make_answering_record(resources),
                on_ready=lambda: print_welcome(settings.port, secrets, settings.data_dir),
            )
        finally:
            ending.cancel()
            await simulator.stop()


async def add_demo_accounts(database: Database, secrets: DemoSecrets, now: datetime) -> None:
    """Adds the demo's API key and agent, unless an earlier start has."""
    await store_key(database, secrets.api_key, name="demo", role=Role.ADMIN, now=now)
    if not await Agent.filter(email=EMAIL).exists():
        await add_agent(database, email=EMAIL, name="Demo Agent", role=Role.ADMIN, password=secrets.password, now=now)


def print_welcome(port: int, secrets: DemoSecrets, folder: Path) -> None:
    """Prints the addresses, the sign-in, the key and the lines to paste: the first thing that a stranger reads."""
    here = f"http://localhost:{port}"
    key = f'-H "Authorization: Bearer {secrets.api_key}"'
    json = '-H "Content-Type: application/json"'
    typer.echo(
        f"""
Tick is running, with a stand-in for WhatsApp. Everything stays on this machine, in {folder}.

  Chat as a customer   {here}/simulator
  Answer as an agent   {here}/desk
  Sign in with         {EMAIL}  {secrets.password}
  Agents' API          {here}/api/tickets
  API key              {secrets.api_key}

Try it: say "Hi" in the chat until you have a ticket number, then answer it at the desk, or here:

  curl -s {here}/api/tickets {key}
  curl -s -X PUT {here}/api/tickets/1/status {key} {json} -d '{{"status": "in_progress"}}'
  curl -s -X POST {here}/api/replies {key} {json} -d '{{"ticket_id": 1, "message": "We are on it."}}'
  curl -s {here}/api/replies/1 {key}
  curl -s {here}/api/whatsapp/status {key}

Ctrl+C stops it; the next start goes on where this one ended.
"""
    )


def _make_simulator_settings(settings: Settings) -> SimulatorSettings:
    return SimulatorSettings(
        folder=settings.data_dir / "simulator",
        webhook_url=f"http://127.0.0.1:{settings.port}{WEBHOOK_PATH}",
        graph_url=settings.whatsapp_api_url,
        app_secret=settings.whatsapp_app_secret.get_secret_value(),
        access_token=settings.whatsapp_access_token.get_secret_value(),
        phone_number_id=settings.whatsapp_phone_number_id,
        display_phone_number="15550100000",
        waba_id=settings.whatsapp_business_account_id,
    )


async def _call_when_set(event: asyncio.Event, act: Callable[[], None]) -> None:
    await event.wait()
    act()
