"""What `tick demo` does besides running Tick: somebody to sign in as, a key that works, and lines to paste.

Invariant: everything printed works as it stands, on this machine alone.
"""

from datetime import datetime
from pathlib import Path

import typer

from api.admin import add_agent, keep_key
from api.credentials import Role
from api.settings import DemoSecrets
from storage.database import Database
from storage.models import Agent

EMAIL = "demo@example.com"


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
