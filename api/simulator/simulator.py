"""The simulator as one part: what it serves, and its beginning and end.

It reaches the service only as Meta would, over HTTP at the webhook's address; it never calls into it.
"""

import time
from collections.abc import Callable
from typing import Final

from quart import Blueprint

from api.simulator.account_updates import AccountNews
from api.simulator.chats import Chats
from api.simulator.control_routes import add_play_routes
from api.simulator.customer_routes import add_customer_routes
from api.simulator.faults import Faults
from api.simulator.graph.blueprint import Asked, make_graph
from api.simulator.meta import Meta
from api.simulator.page import make_page
from api.simulator.people import People
from api.simulator.records import Customer, Webhook
from api.simulator.settings import SimulatorSettings
from api.simulator.setup import setup_of
from api.simulator.streams import Streams
from api.simulator.upload_limits import make_room
from api.simulator.webhook_sender import Courier, Http

FIRST_CUSTOMERS: Final = (Customer("15550100001", "Ana"), Customer("15550100002", "Ben"))


class Simulator:
    """`blueprint` goes into the application; start() and stop() belong to its serving."""

    def __init__(
        self,
        settings: SimulatorSettings,
        http: Http,
        clock: Callable[[], float],
        on_advance: Callable[[float], None] | None = None,
    ) -> None:
        self.setup = setup_of(settings)
        self.faults = Faults()
        self.requests: list[Asked] = []
        self._clock = clock
        self._on_advance = on_advance
        self._ahead_seconds = 0.0
        self._chats = Chats(settings.folder)
        self._streams = Streams()
        self._courier = Courier(http, self.setup, self.faults, self._answered)
        self.meta = Meta(settings, self.setup, self.faults, self._chats, self._courier, self._streams, self.clock)
        self.people = People(self.meta)
        self.news = AccountNews(self.meta)
        self.blueprint = Blueprint("simulator", __name__)
        self.blueprint.record_once(lambda state: make_room(state.app))  # type: ignore[arg-type]  # Quart's, typed as Flask's
        self.blueprint.register_blueprint(make_graph(settings, self.meta, self.requests))
        page = make_page(self.meta, self._streams)
        add_customer_routes(page, self.meta, self.people)
        add_play_routes(page, self.meta, self.news, self.advance)
        self.blueprint.register_blueprint(page)

    def clock(self) -> float:
        return self._clock() + self._ahead_seconds

    def advance(self, seconds: float) -> None:
        """Let time pass at Meta, all at once; and where `on_advance` reaches: the service's own clock."""
        self._ahead_seconds += seconds
        if self._on_advance is not None:
            self._on_advance(seconds)

    async def start(self) -> None:
        """Bring the chats back and post what is still unanswered; the service may come up later than this."""
        self._chats.open(self.clock())
        if not self._chats.customers:
            for customer in FIRST_CUSTOMERS:
                self.people.add(customer)
        self.meta.start()

    def end_streams(self) -> None:
        """End the pages' event streams, and what faults hold back: for a server that waits before it stops."""
        self._streams.close()
        self.faults.end()

    async def stop(self) -> None:
        self.end_streams()
        self.meta.stop()
        await self._courier.stop()
        self._chats.close()

    def _answered(self, webhook: Webhook) -> None:
        self.meta.answered(webhook)


def make_simulator(
    settings: SimulatorSettings,
    http: Http,
    clock: Callable[[], float] = time.time,
    on_advance: Callable[[float], None] | None = None,
) -> Simulator:
    return Simulator(settings, http, clock, on_advance)
