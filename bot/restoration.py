"""Notices that the database went back to an earlier state, and has that settled (`storage/restored.py`).

Redis keeps copies of lane states, and a copy is only ever made of what was committed. So a copy that is further on than
its row shows that commits were lost: the database was restored from a backup, or a server took over that lacked them.

Invariants
- It is settled before this process sends anything, once, and only while no worker is at work: what they have written
  since then is none of the earlier state.
- Whatever was found, the copies are dropped, so that SQL alone counts.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.delivery.ticket_events import is_event, make_delivery_event
from storage import alerts, audit, event_log, fence, restored
from storage.alerts import Alert
from storage.audit import AuditLine
from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.sql.database import Database, Tx
from storage.statuses import AlertSeverity, AuditAction, OutboxReason, OutboxStatus, Why

MAX_COPIES = 100_000  # that are looked at: they come in no order, so they stand for all others
SETTLE_SECONDS = 600.0  # one transaction: a few hundred thousand rows take less
DEATH_SECONDS = 1.5  # by then a process that has died counts as dead
ACTOR = "Tick"
GUIDE = "docs/BACKUP.md says what to look at."
MakeId = Callable[[], int]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the earlier state. `for_a_person`: messages of agents' that may have gone out; `not_sent`: the
    bot's own; `unanswered`: messages of customers that get no answer."""

    for_a_person: int
    not_sent: int
    unanswered: int

    def __str__(self) -> str:
        """Says it in sentences."""
        return (
            f"Messages that may have gone out since are not sent by themselves: {self.for_a_person} of agents wait for "
            f"a person, {self.not_sent} of the bot are given up. {self.unanswered} messages of customers are taken in "
            "without an answer."
        )


async def settle_earlier_state(tx: Tx, what: str, *, actor: str, make_id: MakeId, at: datetime) -> Settled:
    """Settles the database in this transaction, with the alert that says `what` happened, a sentence."""
    await restored.skip_ahead(tx)  # the fence of every customer, so it comes first
    rows = await restored.lock_open_rows(tx)
    await restored.doubt_rows(tx, rows, at)
    for_a_person = sum(row.target is OutboxStatus.UNKNOWN for row in rows)
    settled = Settled(for_a_person, len(rows) - for_a_person, await restored.silence_pending(tx))
    why = Why(OutboxReason.WENT_BACK)
    events = [
        make_delivery_event(make_id(), row, row.status, row.target, at, why)
        for row in rows
        if is_event(row, row.target, why)
    ]
    await event_log.write(tx, events)
    await alerts.raise_alert(tx, Alert(restored.SUBJECT, AlertSeverity.YELLOW, f"{what} {settled} {GUIDE}", at))
    await audit.write(tx, AuditLine(make_id(), at, actor, AuditAction.WENT_BACK, "", f"{what} {settled}"))
    return settled


async def check_history(
    database: Database, lanes: Lanes, *, make_id: MakeId, at: datetime, patience_seconds: float = DEATH_SECONDS
) -> None:
    """Looks whether Redis is ahead of SQL, and settles that. A Redis that does not answer tells nothing. Raises
    DatabaseDown."""
    try:
        ahead = await _find_ahead(database, lanes)
        if not ahead:
            return
        is_somebody_working = await _is_anybody_alive(lanes, patience_seconds)
        await _tell(database, ahead, is_somebody_working=is_somebody_working, make_id=make_id, at=at)
        await lanes.forget_copies()
    except RedisDown as error:
        log.warning("redis_down", error=str(error))


async def settle_torn_copy(database: Database, *, make_id: MakeId, at: datetime) -> None:
    """Settles a copy of a SQLite file that lacks what was written last (`storage/sql/open_mark.py`), and says so."""
    what = (
        "The file of the database was copied here without its -wal file while Tick ran: what was written last is "
        "missing."
    )
    settled = await database.run(
        lambda tx: settle_earlier_state(tx, what, actor=ACTOR, make_id=make_id, at=at), deadline_seconds=SETTLE_SECONDS
    )
    log.error("database_torn_copy", message=what, consequence=str(settled))


async def _is_anybody_alive(lanes: Lanes, patience_seconds: float) -> bool:
    """Whether a worker is at work; one that has just died is given time to be known as dead."""
    if not await lanes.is_anybody_alive():
        return False
    await asyncio.sleep(patience_seconds)
    return bool(await lanes.is_anybody_alive())


async def _find_ahead(database: Database, lanes: Lanes) -> dict[int, int]:
    """Finds copies that are further on than their rows: the customers, and the versions of the copies. A customer
    without a row has been joined with another, and tells nothing."""
    ahead: dict[int, int] = {}
    async for copies in lanes.list_copies(MAX_COPIES):
        async with database.reading() as tx:
            ahead |= await _compare(tx, copies)
    return ahead


async def _compare(tx: Tx, copies: Mapping[int, int]) -> dict[int, int]:
    stored = await fence.load_versions(tx, copies)
    return {one: copies[one] for one, version in stored.items() if version < copies[one]}


async def _tell(
    database: Database, ahead: Mapping[int, int], *, is_somebody_working: bool, make_id: MakeId, at: datetime
) -> None:
    """Settles it, and says so in the log, an alert and the audit; where workers are at work, it only says so."""
    what = (
        f"The database went back to an earlier state: Redis knows newer ones of {len(ahead)} conversations. It was "
        "restored from a backup, or its server lost commits, and what came after is gone."
    )
    some = dict(list(ahead.items())[: restored.MAX_IDS_PER_STATEMENT])

    async def settle(tx: Tx) -> Settled | None:
        await alerts.raise_alert(tx, Alert(restored.SUBJECT, AlertSeverity.YELLOW, what, at))  # one at a time
        if not await _compare(tx, some):
            return None  # another process has settled it meanwhile
        return await settle_earlier_state(tx, what, actor=ACTOR, make_id=make_id, at=at)

    async def only_say(tx: Tx) -> None:
        fix = "Stop all of Tick, run `tick restore --loaded`, and start it again."
        await alerts.raise_alert(tx, Alert(restored.SUBJECT, AlertSeverity.YELLOW, f"{what} {fix}", at))

    if is_somebody_working:
        await database.run(only_say)
        log.error("database_went_back", message=what, remedy="stop all of Tick, run `tick restore --loaded`")
    elif settled := await database.run(settle, deadline_seconds=SETTLE_SECONDS):
        log.error("database_went_back", message=what, consequence=str(settled))
