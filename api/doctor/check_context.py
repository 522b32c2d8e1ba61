"""Opens what the doctor's checks share: the settings, and everything that they name, each opened and asked once.

Invariants
- The doctor changes nothing. It starts no Redis, applies no migration, leaves nothing behind, and closes what it opens;
  in a running service it looks at what that service has open.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from api.settings import Settings, StorageSettings
from api.settings_loader import CONFIG_FILE
from bot.whatsapp.diagnostics import reachability
from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH, ProbeReport
from bot.whatsapp.diagnostics.setup import PhoneNumber, SetupClient, Token
from bot.whatsapp.diagnostics.webhook_check import Handshake, WebhookChecker
from storage.redis.lanes import Lanes
from storage.sql.database import Database

Found = TypeVar("Found")


class NotOpened(Exception):
    """A check needs what an earlier one should have opened."""


@dataclass(slots=True, kw_only=True)
class CheckContext:
    """What the checks of one examination look at, and what they leave for later ones.

    `settings` and `storage` are None when they don't load, for the reasons in `problems`. `visitor` calls Tick from
    outside and `meta` asks the Graph API. What stands after `config`, the file of settings, is filled in by the checks.
    """

    settings: Settings | None
    storage: StorageSettings | None
    problems: list[str]
    visitor: WebhookChecker
    meta: SetupClient | None
    now: Callable[[], datetime]
    stack: AsyncExitStack
    config: Path = CONFIG_FILE
    database: Database | None = None
    lanes: Lanes | None = None
    token: Token | None = None
    number: PhoneNumber | None = None
    account_id: str = ""
    _answers: dict[object, Any] = field(default_factory=dict)

    @property
    def loaded_settings(self) -> Settings:
        """The settings, for the checks that need all of them. Raises NotOpened when they don't load."""
        return require(self.settings)

    @property
    def public_url(self) -> str:
        """Where Meta reaches Tick; empty when it is set nowhere."""
        return self.loaded_settings.public_url or (self.own_url if self.has_local_meta else "")

    @property
    def own_url(self) -> str:
        """Where Tick listens, as this machine reaches it."""
        host, port = self.loaded_settings.host, self.loaded_settings.port
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound
        return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"

    @property
    def is_demo(self) -> bool:
        """Whether Tick plays Meta itself, as it does in the demo alone."""
        return self.settings is not None and self.settings.whatsapp_api_url.startswith(f"{self.own_url}/")

    @property
    def command(self) -> str:
        """The command that starts what is examined."""
        return "tick demo" if self.is_demo else "tick serve"

    @property
    def restart(self) -> str:
        """How a running Tick gets the settings as they are by now."""
        return f"Restart `{self.command}`: it reads its settings when it starts."

    @property
    def write_to_number(self) -> str:
        """How somebody becomes a customer, to see it all work."""
        return f"write to it at {self.own_url}/simulator" if self.is_demo else "write to the number from a phone"

    @property
    def has_local_meta(self) -> bool:
        """Whether a program on this machine plays Meta: then it reaches what others don't."""
        return reachability.is_on_this_machine(self.loaded_settings.whatsapp_api_url)

    async def find_obstacle(self, url: str) -> reachability.Unreachable | None:
        """Returns what keeps a connection to the server of this address from coming about; None when nothing does."""
        return await self.ask_once(("way", url), lambda: reachability.check_reachability(url))

    async def check_handshake(self, base_url: str) -> Handshake:
        """Does what Meta does to find out whether this address is ours."""
        token = self.loaded_settings.whatsapp_verify_token.get_secret_value()
        url = base_url + WEBHOOK_PATH
        return await self.ask_once(("handshake", base_url), lambda: self.visitor.check_handshake(url, token))

    async def probe(self, base_url: str) -> ProbeReport | reachability.FetchResult:
        """Sends a signed probe; returns how it was seen by Tick, or what came instead of Tick's answer."""
        secret = self.loaded_settings.whatsapp_app_secret.get_secret_value()
        return await self.ask_once(
            ("probe", base_url), lambda: self.visitor.send_probe(base_url + WEBHOOK_PATH, secret)
        )

    async def is_running_here(self) -> bool:
        """Whether a Tick answers where the settings make it listen."""
        return await self.find_obstacle(self.own_url) is None and (await self.check_handshake(self.own_url)).is_tick

    async def ask_once(self, key: object, ask: Callable[[], Awaitable[Found]]) -> Found:
        """Returns what `ask` brought the first time that this key was asked for."""
        if key not in self._answers:
            self._answers[key] = await ask()
        found: Found = self._answers[key]
        return found


def require(thing: Found | None) -> Found:
    """Returns what an earlier check has filled in. Raises NotOpened when it has not."""
    if thing is None:
        raise NotOpened
    return thing
