"""Opens what a process of Tick works with, from one frozen settings object, and runs the worker by itself.

Invariants
- Nothing is opened at import. What was opened is closed in reverse order.
- What cannot work refuses to start, in a sentence.
- A worker alone loads nothing of the web, which it has no use for.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import structlog

from api.desk_file import list_issue_types
from api.server.line_writer import count_dropped_lines
from api.settings import Settings
from api.settings_loader import read_access_token
from bot.account.phone_number import PhoneNumberMonitor
from bot.bootstrap import Resources, make_database_monitor, make_resource_monitor, make_worker
from bot.clock import Clock, SteadyClock
from bot.delivery.departures import Departures
from bot.ids import IdMaker, read_instant
from bot.media.file_budget import FileBudget
from bot.media.transfer import MediaTransfer
from bot.metrics import Metrics
from bot.redis_watch import RedisWatch
from bot.restoration import check_history, settle_torn_copy
from bot.settings import BotSettings
from bot.task_end import end_tasks
from bot.templates.sync import TemplateSync
from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from bot.whatsapp.graph.media_download import open_downloads
from bot.worker.worker import Worker
from storage.blobs.open import open_store
from storage.errors import OperatorError, WrongDatabase
from storage.highest_id import find_highest_id
from storage.original_tables import is_takeover_due
from storage.redis.client import Redis, RedisDown, RedisSettings, describe_refusal, inspect_redis, open_redis
from storage.redis.embedded import EmbeddedRedis, RedisInUse
from storage.redis.embedded_watch import EmbeddedRedisWatch
from storage.redis.lanes import Lanes
from storage.redis.limits import PAIR_BURST, Limits
from storage.redis.presence import RedisPresence
from storage.sql.database import Database, DatabaseDown, DatabaseSettings
from storage.sql.migrate import apply, list_missing, make_folder, refuse_newer
from storage.sql.open_mark import is_torn_copy, mark_served, unmark
from storage.sql.server_checks import check_server
from storage.sql.sqlite_lock import lock_database
from storage.ticket_numbers import TicketNumbers

REVIVE_SECONDS = 0.5  # between two looks at the embedded Redis
UNLIMITED = 1_000_000  # messages to one customer at once: none of our limits bites
log = structlog.get_logger(__name__)


class WrongRedis(OperatorError):
    """The Redis that the settings name can't be used. The text is one sentence."""


@asynccontextmanager
async def open_resources(
    settings: Settings,
    *,
    clock: Clock | None = None,
    share_redis: bool = False,
    read_token: Callable[[], str] = read_access_token,
) -> AsyncIterator[Resources]:
    """Opens what one process works with. `clock`: the machine's, where none is given; `share_redis`: the Redis must be
    one that other processes reach; `read_token`: reads the access token as it is set by then, "" when it can't be
    read."""
    async with AsyncExitStack() as stack:
        is_torn = settings.sqlite_file is not None and is_torn_copy(settings.sqlite_file)
        database = await _open_database(settings, stack)
        clock, ids = await _make_clock_and_ids(database, clock)
        if is_torn:
            await settle_torn_copy(database, make_id=ids.next, at=clock())
        redis, embedded_line = await _open_redis(settings, stack, share_redis)
        presence, owner = RedisPresence(), secrets.token_hex(8)
        lanes = Lanes(redis, owner, presence=presence)
        if embedded_line:
            redis_watch = RedisWatch(line=embedded_line)
        else:
            redis_watch = await _begin_watch(redis, lanes, is_embedded=not settings.redis)
        await check_history(database, lanes, make_id=ids.next, at=clock())
        numbers = TicketNumbers(database)
        stack.push_async_callback(_give_back, numbers)
        graph = GraphClient(make_graph_settings(settings), await stack.enter_async_context(open_http()), read_token)
        per_second = settings.whatsapp_messages_per_second
        burst = PAIR_BURST if per_second else UNLIMITED  # 0 leaves every limit to Meta
        store = open_store(settings.files_url, settings.data_dir / "files", settings.s3)
        downloads = await stack.enter_async_context(open_downloads(settings.whatsapp_api_url))
        megabytes = settings.customer_files_mb_per_day
        budget = FileBudget(database=database, lanes=lanes, ids=ids, clock=clock, megabytes_per_day=megabytes)
        media = MediaTransfer(
            database=database,
            store=store,
            graph=graph,
            downloads=downloads,
            clock=clock,
            budget=budget,
            owner=lanes.owner,
        )
        waba_id, phone_number_id = settings.whatsapp_business_account_id, settings.whatsapp_phone_number_id
        departures = Departures(settings.data_dir / "departures", lanes.owner)
        departures.open()
        stack.callback(departures.close)
        resources = Resources(
            database=database,
            lanes=lanes,
            limits=Limits(redis, phone_number_id, per_second, pair_burst=burst, presence=presence),
            graph=graph,
            store=store,
            ids=ids,
            numbers=numbers,
            metrics=_make_metrics(),
            clock=clock,
            media=media,
            departures=departures,
            templates=TemplateSync(database=database, graph=graph, clock=clock, waba_id=waba_id),
            phone_number=PhoneNumberMonitor(
                database=database, graph=graph, clock=clock, phone_number_id=phone_number_id
            ),
            read_token=read_token,
            redis_presence=presence,
            redis_watch=redis_watch,
            is_redis_embedded=not settings.redis,
        )
        probing = redis_watch.run(presence, Lanes(redis, owner).check_writes, resources.metrics)
        monitors = make_resource_monitor(resources), make_database_monitor(resources, count_dropped_lines)
        watching = [asyncio.create_task(each) for each in (probing, *(monitor.run() for monitor in monitors))]
        stack.push_async_callback(end_tasks, watching)
        yield resources


async def run_worker(
    settings: Settings, stop: asyncio.Event, *, clock: Clock | None = None, heartbeat_file: Path | None = None
) -> None:
    """Runs a worker alone. `heartbeat_file`: touched at each heartbeat that Redis took."""
    async with open_resources(settings, clock=clock, share_redis=True) as resources:
        log.info("working", process=resources.lanes.owner)
        await build_worker(settings, resources, heartbeat_file=heartbeat_file).run(stop)


def build_worker(settings: Settings, resources: Resources, *, heartbeat_file: Path | None = None) -> Worker:
    """Makes the worker of this process; it begins to work when it is run."""
    bot = BotSettings(
        phone_number_id=settings.whatsapp_phone_number_id,
        flow=settings.tick_flow,
        doubt_seconds=settings.doubt_seconds,
        quiet_seconds=settings.quiet_seconds,
        heartbeat_file=heartbeat_file,
        issue_types=list_issue_types(settings.desk_file),
    )
    return make_worker(bot, resources)


def make_graph_settings(settings: Settings) -> GraphSettings:
    """Takes the client's part out of the settings."""
    return GraphSettings(
        api_url=settings.whatsapp_api_url,
        phone_number_id=settings.whatsapp_phone_number_id,
        access_token=settings.whatsapp_access_token.get_secret_value(),
        app_secret=settings.whatsapp_app_secret.get_secret_value(),
    )


async def _make_clock_and_ids(database: Database, clock: Clock | None) -> tuple[Clock, IdMaker]:
    """Makes the clock, unless there is one, and the ids. Both go on from what is stored: where the machine's clock was
    put back since, what comes now would else be listed before what was there, and wait for what lies behind."""
    async with database.reading() as tx:
        highest_id = await find_highest_id(tx)
    if clock is None:
        clock = SteadyClock()
        clock.start_after(read_instant(highest_id))
    ids = IdMaker(clock)
    ids.start_above(highest_id)
    return clock, ids


def _make_metrics() -> Metrics:
    metrics = Metrics()
    metrics.show_total("tick_log_lines_dropped", "Log lines that could not be written", count_dropped_lines)
    return metrics


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    """Opens the database; raises DatabaseInUse where another process has SQLite's file, WrongDatabase where it can't be
    used."""
    wanted = DatabaseSettings(settings.database)
    make_folder(wanted)
    if settings.sqlite_file is not None:
        stack.callback(lock_database(settings.sqlite_file).close)
    database = await Database.open(wanted)
    stack.push_async_callback(database.close)
    for warning in await check_server(database):
        log.warning("weaker_durability", warning=warning)
    await refuse_newer(database)
    if settings.on_sqlite:
        await apply(database)
        await mark_served(database)
        stack.push_async_callback(unmark, database)
    elif lacking := await list_missing(database):
        raise WrongDatabase(f"The database lacks {len(lacking)} migrations: run `tick migrate` first.")
    else:
        await _refuse_half_taken_over(database)
    return database


async def _refuse_half_taken_over(database: Database) -> None:
    """Raises WrongDatabase where customers would miss tickets that they have, or get numbers that others have."""
    async with database.reading() as tx:
        if await is_takeover_due(tx):
            raise WrongDatabase("The original system's tickets are not all taken over yet: run `tick migrate` first.")


async def _open_redis(settings: Settings, stack: AsyncExitStack, share: bool) -> tuple[Redis, str]:
    """Opens Redis; returns also the line about it where it is inside this process, else ""."""
    if settings.redis:
        redis = open_redis(RedisSettings(settings.redis))
        stack.push_async_callback(redis.aclose)
        return redis, ""
    embedded = EmbeddedRedis.start(settings.data_dir)
    stack.callback(embedded.stop)
    if share and embedded.url is None:
        raise WrongRedis("No redis-server was found here, and `tick worker` needs one: install it, or set REDIS_URL.")
    log.info("embedded_redis", line=embedded.line)
    redis = embedded.open()
    stack.push_async_callback(end_tasks, [asyncio.create_task(_keep_alive(embedded))])
    if embedded.url is None:
        return redis, embedded.line
    stack.push_async_callback(redis.aclose)
    return redis, ""


async def _begin_watch(redis: Redis, lanes: Lanes, *, is_embedded: bool) -> RedisWatch:
    """Returns what watches the server's settings; raises WrongRedis for one that Tick can't work with."""
    try:
        await lanes.check_writes()
        server = await inspect_redis(redis)
    except RedisDown as error:
        if error.refusal is not None:
            raise WrongRedis(describe_refusal(error.refusal, is_embedded=is_embedded)) from None
        log.warning("redis_down", error=str(error), consequence="webhooks are taken in, and worked on when it is back")
        return RedisWatch(lambda: inspect_redis(redis), line="Redis was away when this process started")
    if server.refusal:
        raise WrongRedis(server.refusal)
    log.info("redis", version=server.version, persistence=server.persistence)
    return RedisWatch(lambda: inspect_redis(redis), server=server)


async def _keep_alive(embedded: EmbeddedRedis) -> None:
    watch = EmbeddedRedisWatch(embedded)
    while True:
        await asyncio.sleep(REVIVE_SECONDS)
        try:
            if event := await watch.look():
                log.warning("embedded_redis_restart", reason=event)
        except (OSError, RedisInUse) as error:  # a full disk, say: it may have room the next time
            log.warning("embedded_redis_not_revived", error=str(error))


async def _give_back(numbers: TicketNumbers) -> None:
    with suppress(DatabaseDown):  # a gap in the tickets' numbers harms nobody
        await numbers.give_back()
