"""The simulator as one part: what it serves, and its beginning and end.

It reaches the service only as Meta would, over HTTP at the webhook's address; it never calls into it.
"""

import time
from collections.abc import Callable
from typing import Final

from quart import Blueprint

from api.simulator.chats import Chats, Webhook
from api.simulator.courier import Courier, Http
from api.simulator.graph import make_graph
from api.simulator.meta import Meta
from api.simulator.page import make_page
from api.simulator.settings import SimulatorSettings
from api.simulator.streams import Streams

FIRST_CUSTOMERS: Final = (("15550100001", "Ana"), ("15550100002", "Ben"))


class Simulator:
    """`blueprint` goes into the application; start() and stop() belong to its serving."""

    def __init__(self, settings: SimulatorSettings, http: Http, clock: Callable[[], float]) -> None:
        self._chats = Chats(settings.folder)
        self._streams = Streams()
        self._courier = Courier(http, settings.webhook_url, settings.app_secret, self._answered)
        self._meta = Meta(settings, self._chats, self._courier, self._streams, clock)
        self._clock = clock
        self.blueprint = Blueprint("simulator", __name__)
        self.blueprint.register_blueprint(make_graph(settings, self._meta))
        self.blueprint.register_blueprint(make_page(settings, self._meta, self._streams))

    async def start(self) -> None:
        """Bring the chats back and post what is still unanswered; the service may come up later than this."""
        self._chats.open(self._clock())
        if not self._chats.customers:
            for phone, name in FIRST_CUSTOMERS:
                self._meta.add_customer(phone, name)
        self._meta.start()

    def end_streams(self) -> None:
        """End the pages' event streams: for a server that waits for its connections before it stops."""
        self._streams.close()

    async def stop(self) -> None:
        self.end_streams()
        self._meta.stop()
        await self._courier.stop()
        self._chats.close()

    def _answered(self, webhook: Webhook) -> None:
        self._meta.answered(webhook)


def make_simulator(settings: SimulatorSettings, http: Http, clock: Callable[[], float] = time.time) -> Simulator:
    return Simulator(settings, http, clock)
