"""Puts the simulator together as one object: its parts, its clock, and its beginning and end.

It reaches the service only as Meta would, over HTTP at the webhook's address; it never calls into it. register.py adds
what it serves to an application.
"""

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from quart import current_app

from api.simulator.account_updates import AccountUpdates
from api.simulator.chats import Chats
from api.simulator.faults import Faults
from api.simulator.media_links import MediaLinks
from api.simulator.media_store import MediaStore
from api.simulator.meta import Meta
from api.simulator.people import People
from api.simulator.rate_limits import RateLimits
from api.simulator.records import Customer
from api.simulator.settings import SimulatorSettings
from api.simulator.setup import make_setup
from api.simulator.streams import Streams
from api.simulator.webhook_sender import Http, WebhookSender

EXTENSION: Final = "tick.simulator"
FIRST_CUSTOMERS: Final = (Customer("15550100001", "Ana"), Customer("15550100002", "Ben"))


class GraphCall(NamedTuple):
    """A call to the Graph API: its path from the version on, and its body where that was JSON."""

    method: str
    path: str
    body: Any


class Simulator:
    """The simulator of one process: start() and stop() belong to the serving of its application.

    `on_advance` hears of the seconds by which time is put forward, for the service's own clock. `requests` holds every
    call to the Graph API, where the settings ask for it.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        http: Http,
        clock: Callable[[], float] = time.time,
        on_advance: Callable[[float], None] | None = None,
    ) -> None:
        self.settings = settings
        self.setup = make_setup(settings)
        self.faults = Faults()
        self.chats = Chats(settings.folder)
        self.streams = Streams()
        self.media = MediaStore(self.chats, self.clock)
        self.media_links = MediaLinks(self.setup, self.clock, settings.graph_url)
        self.rate_limits = RateLimits(self.setup)
        self.qr_codes: dict[str, dict[str, Any]] = {}  # by their code
        self.requests: list[GraphCall] = []
        self._clock = clock
        self._on_advance = on_advance
        self._ahead_seconds = 0.0
        self._sender = WebhookSender(
            http, self.setup, self.faults, on_answered=lambda webhook: self.meta.mark_webhook_answered(webhook)
        )
        self.meta = Meta(
            settings,
            setup=self.setup,
            faults=self.faults,
            chats=self.chats,
            sender=self._sender,
            streams=self.streams,
            clock=self.clock,
        )
        self.people = People(self.meta, self.media_links)
        self.account_updates = AccountUpdates(self.meta)

    def clock(self) -> float:
        """Returns the time at Meta, in seconds since 1970."""
        return self._clock() + self._ahead_seconds

    def advance(self, seconds: float) -> None:
        """Puts the time at Meta forward, all at once."""
        self._ahead_seconds += seconds
        if self._on_advance is not None:
            self._on_advance(seconds)

    async def start(self) -> None:
        """Brings the chats back and posts what is not acknowledged yet; the service may come up later than this."""
        self.chats.open(self.clock())
        if not self.chats.customers:
            self._add_first_customers()
        self.meta.start()

    async def start_over(self) -> None:
        """Throws away all customers, chats, files, faults and what waits to be posted, and puts the set-up as it was at
        the first start. The time stays: it does not run backwards."""
        self.meta.stop()
        self.faults.clear()
        await self._sender.stop()
        self.chats.clear()
        self.setup.restore(make_setup(self.settings))
        self.rate_limits.clear()
        self.qr_codes.clear()
        self.meta.calls.clear()
        self._add_first_customers()
        self.streams.publish("started-over", {})

    def _add_first_customers(self) -> None:
        for customer in FIRST_CUSTOMERS:
            self.people.save(customer)

    def end_streams(self) -> None:
        """Ends the pages' event streams, and what faults hold back: for a server that waits before it stops."""
        self.streams.close()
        self.faults.end()

    async def stop(self) -> None:
        """Ends everything; what is not acknowledged is posted after the next start."""
        self.end_streams()
        self.meta.stop()
        await self._sender.stop()
        self.chats.close()


def current_simulator() -> Simulator:
    """Returns the simulator of the application that handles this request."""
    simulator: Simulator = current_app.extensions[EXTENSION]
    return simulator
