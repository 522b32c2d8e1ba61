"""Puts the worker of one process together from what the process has open.

Invariants
- Nothing is opened here, and nothing begins to run before the worker does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.account.phone_number import PhoneNumberMonitor
from bot.answering_record import AnsweringRecord
from bot.clock import Clock
from bot.database_monitor import DatabaseMonitor
from bot.delivery.circuit_breaker import CircuitBreaker
from bot.delivery.delivery import Delivery
from bot.delivery.departures import Departures
from bot.delivery.doubt_clock import DoubtClock
from bot.delivery.outbox_writer import OutboxWriter
from bot.delivery.rate_limits import RateLimits
from bot.delivery.read_receipts import ReadReceipts
from bot.delivery.sender import Sender
from bot.heartbeat import Heartbeat
from bot.ids import IdMaker
from bot.media.leftovers import Leftovers
from bot.media.transfer import MediaTransfer
from bot.metrics import Metrics
from bot.redis_watch import RedisWatch
from bot.resource_monitor import ResourceMonitor
from bot.settings import BotSettings
from bot.templates.sync import TemplateSync
from bot.whatsapp.graph.client import GraphClient
from bot.worker.lane_claims import LaneClaims
from bot.worker.maintenance import Maintenance
from bot.worker.poison import Poison
from bot.worker.rounds import Rounds
from bot.worker.turns import Turns
from bot.worker.worker import Worker
from storage.blobs.store import FileStore
from storage.redis.lanes import Lanes
from storage.redis.limits import Limits
from storage.redis.presence import RedisPresence
from storage.sql.database import Database
from storage.ticket_numbers import TicketNumbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a process has open, and what its worker and its web share: each made once a process.

    `read_token`: reads the access token as the settings have it by now, "" when they can't be read;
    `is_redis_embedded`: Redis is Tick's own; `troubles`: what makes work wait at the database now, a sentence by
    subject.
    """

    database: Database
    lanes: Lanes
    limits: Limits
    graph: GraphClient
    store: FileStore
    ids: IdMaker
    numbers: TicketNumbers
    metrics: Metrics
    clock: Clock
    media: MediaTransfer
    departures: Departures
    templates: TemplateSync
    phone_number: PhoneNumberMonitor
    read_token: Callable[[], str]
    redis_presence: RedisPresence = field(default_factory=RedisPresence)
    redis_watch: RedisWatch = field(default_factory=RedisWatch)
    is_redis_embedded: bool = False
    troubles: dict[str, str] = field(default_factory=dict)


def make_resource_monitor(resources: Resources) -> ResourceMonitor:
    """Makes what watches the resources of a process."""
    return ResourceMonitor(
        database=resources.database,
        lanes=resources.lanes,
        store=resources.store,
        clock=resources.clock,
        metrics=resources.metrics,
        redis_watch=resources.redis_watch,
        is_redis_embedded=resources.is_redis_embedded,
    )


def make_answering_record(resources: Resources) -> AnsweringRecord:
    """Makes the record of when this process answers webhooks."""
    return AnsweringRecord(database=resources.database, owner=resources.lanes.owner, clock=resources.clock)


def make_database_monitor(resources: Resources, count_dropped_lines: Callable[[], int]) -> DatabaseMonitor:
    """Makes what watches the database, and the log's losses."""
    return DatabaseMonitor(
        database=resources.database,
        clock=resources.clock,
        metrics=resources.metrics,
        troubles=resources.troubles,
        count_dropped_lines=count_dropped_lines,
    )


def make_worker(settings: BotSettings, resources: Resources) -> Worker:
    """Makes the worker of a process; it begins to work when it is run."""
    database, lanes, graph, clock = resources.database, resources.lanes, resources.graph, resources.clock
    heartbeat = Heartbeat(database=database, lanes=lanes, clock=clock)
    breaker = CircuitBreaker(database=database, graph=graph, clock=clock, read_token=resources.read_token)
    read_receipts = ReadReceipts(graph, may_send=lambda: not breaker.is_tripped)
    writer = OutboxWriter(
        database=database,
        lanes=lanes,
        ids=resources.ids,
        clock=clock,
        phone_number_id=settings.phone_number_id,
    )
    sender = Sender(
        writer=writer,
        graph=graph,
        breaker=breaker,
        rate_limits=RateLimits(resources.limits),
        templates=resources.templates,
        media=resources.media,
        read_receipts=read_receipts,
        departures=resources.departures,
        clock=clock,
        metrics=resources.metrics,
        doubt_seconds=settings.doubt_seconds,
    )
    turns = Turns(settings, resources.ids, resources.numbers)
    leftovers = Leftovers(database=database, store=resources.store, clock=clock)
    return Worker(
        lanes=LaneClaims(
            lanes=lanes,
            presence=resources.redis_presence,
            database=database,
            heartbeat=heartbeat,
            clock=clock,
            may_send=lambda: not breaker.is_tripped,
        ),
        database=database,
        rounds=Rounds(
            database=database,
            turns=turns,
            ids=resources.ids,
            numbers=resources.numbers,
            templates=resources.templates,
            clock=clock,
            metrics=resources.metrics,
        ),
        poison=Poison(database=database, turns=turns, clock=clock, metrics=resources.metrics),
        delivery=Delivery(
            writer=writer,
            sender=sender,
            heartbeat=heartbeat,
            departures=resources.departures,
            doubt_clock=DoubtClock(database, settings.doubt_seconds),
            clock=clock,
            metrics=resources.metrics,
        ),
        maintenance=Maintenance(
            database=database,
            lanes=lanes,
            heartbeat=heartbeat,
            clock=clock,
            breaker=breaker,
            sweep_seconds=settings.sweep_seconds,
            heartbeat_file=settings.heartbeat_file,
        ),
        read_receipts=read_receipts,
        media=resources.media,
        background=(resources.media.run, leftovers.run, resources.templates.run, resources.phone_number.run),
        slow_seconds=settings.slow_seconds,
    )
