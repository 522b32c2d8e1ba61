"""What the checks look at: the settings, and everything that they name, each opened and asked once.

Invariant: the doctor changes nothing. It starts no Redis, applies no migration, leaves no file behind, and closes
what it opens; in a running service it looks at what that service has open.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from api.settings import Settings, StorageSettings
from bot.whatsapp.diagnostics import reachability
from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH, ProbeReport
from bot.whatsapp.diagnostics.setup import PhoneNumber, SetupClient, Token
from bot.whatsapp.diagnostics.webhook_check import Handshake, WebhookChecker
from storage.redis.lanes import Lanes
from storage.sql.database import Database

Found = TypeVar("Found")


class NotOpened(Exception):
    """A check looks at what an earlier one should have opened."""


@dataclass(slots=True)
class Exam:
    """`settings` and `storage`: None when they don't load. `problems`: why. The rest is filled in by the checks."""

    settings: Settings | None
    storage: StorageSettings | None
    problems: list[str]
    visitor: WebhookChecker
    meta: SetupClient | None
    now: Callable[[], datetime]
    stack: AsyncExitStack
    database: Database | None = None
    lanes: Lanes | None = None
    token: Token | None = None
    number: PhoneNumber | None = None
    account_id: str = ""
    _asked: dict[object, Any] = field(default_factory=dict)

    @property
    def known(self) -> Settings:
        """The settings, for the checks that need all of them."""
        return there(self.settings)

    @property
    def public_url(self) -> str:
        """Where Meta reaches Tick; empty when nobody has said so."""
        return self.known.public_url or (self.own_url if self.stand_in else "")

    @property
    def own_url(self) -> str:
        """Where Tick listens, as this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.known.host, self.known.host)  # noqa: S104 - not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.known.port}"

    @property
    def stand_in(self) -> bool:
        """Whether a program on this machine plays Meta: then it reaches what others don't."""
        return reachability.is_on_this_machine(self.known.whatsapp_api_url)

    async def way_to(self, url: str) -> reachability.Unreachable | None:
        """How far one gets to the server of this address."""
        return await self.once(("way", url), lambda: reachability.check_reachability(url))

    async def handshake(self, base_url: str) -> Handshake:
        """Does what Meta does to find out whether this address is ours."""
        token = self.known.whatsapp_verify_token.get_secret_value()
        return await self.once(
            ("handshake", base_url), lambda: self.visitor.check_handshake(base_url + WEBHOOK_PATH, token)
        )

    async def probe(self, base_url: str) -> ProbeReport | reachability.FetchResult:
        """How a signed webhook that comes in there is seen, or what came instead of an answer."""
        secret = self.known.whatsapp_app_secret.get_secret_value()
        return await self.once(("probe", base_url), lambda: self.visitor.send_probe(base_url + WEBHOOK_PATH, secret))

    async def runs_here(self) -> bool:
        """Whether a Tick answers where the settings make it listen."""
        return await self.way_to(self.own_url) is None and (await self.handshake(self.own_url)).is_tick

    async def once(self, key: object, ask: Callable[[], Awaitable[Found]]) -> Found:
        """What `ask` brought the first time."""
        if key not in self._asked:
            self._asked[key] = await ask()
        found: Found = self._asked[key]
        return found


def there(thing: Found | None) -> Found:
    """What an earlier check has put there."""
    if thing is None:
        raise NotOpened
    return thing
