"""The bot of one process, put together from what it was given.

Invariant: nothing is opened here, and nothing begins to run before the worker does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bot.account.phone_number import PhoneNumberMonitor
from bot.clock import Clock
from bot.delivery.circuit_breaker import CircuitBreaker
from bot.delivery.delivery import Delivery
from bot.delivery.outbox_writer import OutboxWriter
from bot.delivery.rate_limits import RateLimits
from bot.delivery.read_receipts import ReadReceipts
from bot.delivery.sender import Sender
from bot.ids import IdMaker
from bot.media.transfer import MediaTransfer
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.templates.sync import TemplateSync
from bot.whatsapp.graph.client import GraphClient
from bot.whatsapp.graph.media_download import Downloads
from bot.worker.maintenance import Maintenance
from bot.worker.poison import Poison
from bot.worker.rounds import Rounds
from bot.worker.turns import Turns
from bot.worker.worker import Worker
from storage.blobs.store import FileStore
from storage.redis.lanes import Lanes
from storage.redis.limits import Limits
from storage.sql.database import Database
from storage.ticket_numbers import TicketNumbers


@dataclass(frozen=True, slots=True)
class Given:
    """What a process has opened."""

    database: Database
    lanes: Lanes
    limits: Limits
    graph: GraphClient
    ids: IdMaker
    numbers: TicketNumbers
    metrics: Metrics
    clock: Clock


@dataclass(frozen=True, slots=True)
class Names:
    """Whose they are: the process, our number and our business account."""

    owner: str
    phone_number_id: str
    waba_id: str


@dataclass(frozen=True, slots=True)
class Supplies:
    """What the worker shares with the agents' API."""

    media: MediaTransfer
    templates: TemplateSync
    phone_number: PhoneNumberMonitor


def make_supplies(
    names: Names, database: Database, graph: GraphClient, store: FileStore, downloads: Downloads, clock: Clock
) -> Supplies:
    """For the process that `names.owner` names."""
    return Supplies(
        media=MediaTransfer(
            database=database, store=store, graph=graph, downloads=downloads, clock=clock, owner=names.owner
        ),
        templates=TemplateSync(database=database, graph=graph, clock=clock, waba_id=names.waba_id),
        phone_number=PhoneNumberMonitor(
            database=database, graph=graph, clock=clock, phone_number_id=names.phone_number_id
        ),
    )


def make_worker(settings: BotSettings, given: Given, supplies: Supplies, read_token: Callable[[], str]) -> Worker:
    """`read_token`: the access token as the settings have it now, "" when they can't be read."""
    database, lanes, clock = given.database, given.lanes, given.clock
    breaker = CircuitBreaker(database=database, graph=given.graph, clock=clock, read_token=read_token)
    read_receipts = ReadReceipts(given.graph, may_send=lambda: not breaker.is_tripped)
    writer = OutboxWriter(database=database, lanes=lanes, clock=clock, phone_number_id=settings.phone_number_id)
    sender = Sender(
        writer=writer,
        graph=given.graph,
        breaker=breaker,
        rate_limits=RateLimits(given.limits),
        templates=supplies.templates,
        media=supplies.media,
        read_receipts=read_receipts,
        clock=clock,
        metrics=given.metrics,
        doubt_seconds=settings.doubt_seconds,
    )
    turns = Turns(settings, given.ids, given.numbers)
    return Worker(
        lanes=lanes,
        rounds=Rounds(
            database=database,
            turns=turns,
            numbers=given.numbers,
            templates=supplies.templates,
            clock=clock,
            metrics=given.metrics,
        ),
        poison=Poison(database=database, turns=turns, clock=clock, metrics=given.metrics),
        delivery=Delivery(writer=writer, sender=sender, lanes=lanes, clock=clock, doubt_seconds=settings.doubt_seconds),
        maintenance=Maintenance(
            database=database, lanes=lanes, clock=clock, breaker=breaker, sweep_seconds=settings.sweep_seconds
        ),
        read_receipts=read_receipts,
        media=supplies.media,
        background=(supplies.media.run, supplies.templates.run, supplies.phone_number.run),
        slow_seconds=settings.slow_seconds,
    )
