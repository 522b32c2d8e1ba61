"""What is said on a ticket, and what became of it, as agents see it.

Invariants: nothing that a customer wrote is ever written over: what they changed or took back is marked, and says what
it said; a thing said stands where it was said, however late it came; how far an agent's words have come is read from
the rows of the outbox that carry them, and kept nowhere else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from storage.outbox import FOR_A_PERSON
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row, Tx
from storage.statuses import Origin, OutboxReason, OutboxStatus, Why

# What is told of a message that went out in several rows: the first of these that one of them has.
PROGRESS = (
    OutboxStatus.FAILED,
    OutboxStatus.HELD,
    OutboxStatus.UNKNOWN,
    OutboxStatus.QUEUED,
    OutboxStatus.SENDING,
    OutboxStatus.ACCEPTED,
    OutboxStatus.SENT,
    OutboxStatus.DELIVERED,
    OutboxStatus.READ,
)
COLUMNS = (
    "id", "ticket_id", "author", "author_name", "message", "outbox_id", "late", "written_at", "created_at", "kind",
    "changed",
)  # fmt: skip
CARRIED = "id, version, status, reason, detail, wamid, payload, due_at"
LOADED = "id, ticket_id, author, message, whatsapp_message_id, outbox_id, kind, changed, author_name, late, written_at"


@dataclass(frozen=True, slots=True)
class StoredReply:
    """Something said on a ticket. `outbox_id`: the first of the rows that carry it to the customer; `kind`: `message`,
    or `note` for what they are not sent; `changed`: `edited` or `revoked` by its writer; `late`: a straggler that was
    put in its place."""

    reply_id: int
    ticket_id: int
    author: str
    message: str
    wamid: str | None
    outbox_id: int | None
    written_at: datetime
    kind: str = "message"
    changed: str = ""
    author_name: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Carriers:
    """The rows of the outbox that carry one message: the `status` and the `why` of the least advanced, and of the first
    its `wamid` and what it quotes; `form`: what they are besides text (`media`, `location_request` ...); `in_doubt`:
    whether one of them waits for a person to send it again."""

    status: OutboxStatus
    why: Why
    wamid: str | None
    form: str
    quoted_wamid: str
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Sendings:
    """All that was sent about a ticket: messages by the first row of each, and by the customer's message how an agent
    reacted to it last."""

    messages: Mapping[int, Carriers] = field(default_factory=dict)
    reactions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loose:
    """A message that is on no ticket, and whose it is."""

    customer_id: int
    carriers: Carriers


@dataclass(frozen=True, slots=True)
class Correspondent:
    """The customer behind a ticket. `place`: where the bot is with them, as it keeps it."""

    name: str
    unreachable_at: datetime | None
    unreachable_reason: str
    place: str


async def insert(tx: Tx, reply: StoredReply) -> None:
    """Writes what an agent says, and notes on its ticket that it was touched."""
    at = to_millis(reply.written_at)
    row = (reply.reply_id, reply.ticket_id, reply.author, reply.author_name, reply.message, reply.outbox_id, reply.late,
           at, at, reply.kind, reply.changed)  # fmt: skip
    await tx.insert("reply", COLUMNS, [row])
    await tx.execute("UPDATE ticket SET updated_at = ? WHERE id = ?", [at, reply.ticket_id])


async def find(tx: Tx, reply_id: int) -> StoredReply | None:
    """The reply with this id."""
    rows = await tx.fetch(f"SELECT {LOADED} FROM reply WHERE id = ?", [reply_id])
    return _reply(rows[0]) if rows else None


async def replies(tx: Tx, ticket_id: int) -> Sequence[StoredReply]:
    """Everything said on a ticket, in the order in which it was written; within a second, which is as fine as Meta's
    clock, in the order in which it came."""
    rows = await tx.fetch(f"SELECT {LOADED} FROM reply WHERE ticket_id = ?", [ticket_id])
    return [_reply(row) for row in sorted(rows, key=_order)]


async def sendings(tx: Tx, customer_id: int, ticket_id: int) -> Sendings:
    """How far the messages about a ticket have come."""
    rows = await tx.fetch(
        f"SELECT {CARRIED} FROM outbox WHERE customer_id = ? AND ticket_id = ? ORDER BY version, id",
        [customer_id, ticket_id],
    )
    return _gathered(rows)


async def find_carriers(tx: Tx, outbox_id: int) -> Carriers | None:
    """How far one message has come, given by the first row that carries it."""
    columns = ", ".join(f"other.{column}" for column in CARRIED.split(", "))
    rows = await tx.fetch(
        f"SELECT {columns} FROM outbox AS head JOIN outbox AS other "
        "ON other.customer_id = head.customer_id AND other.version = head.version "
        "WHERE head.id = ? ORDER BY other.version, other.id",
        [outbox_id],
    )
    return _gathered(rows).messages.get(outbox_id)


async def find_quoted(tx: Tx, ticket_id: int, wamid: str) -> StoredReply | None:
    """The reply on this ticket that has this id of Meta's."""
    rows = await tx.fetch(
        f"SELECT {LOADED} FROM reply WHERE whatsapp_message_id = ? AND ticket_id = ?", [wamid, ticket_id]
    )
    return _reply(max(rows, key=_order)) if rows else None


async def loose(tx: Tx, outbox_id: int) -> Loose | None:
    """The message of an agent's that is on no ticket, given by the first row that carries it."""
    heads = await tx.fetch(
        "SELECT customer_id, version FROM outbox WHERE id = ? AND origin = ? AND ticket_id IS NULL",
        [outbox_id, Origin.AGENT],
    )
    if not heads:
        return None
    rows = await tx.fetch(
        f"SELECT {CARRIED} FROM outbox WHERE customer_id = ? AND version = ? ORDER BY version, id", heads[0]
    )
    carriers = _gathered(rows).messages.get(outbox_id)
    return None if carriers is None else Loose(heads[0][0], carriers)


def _gathered(rows: Sequence[Row]) -> Sendings:
    """The rows of one message are those that one transaction wrote."""
    messages: dict[int, Carriers] = {}
    reactions: dict[str, str] = {}
    first: dict[int, int] = {}
    for outbox_id, version, stored_status, reason, detail, wamid, payload, due_at in rows:
        status, why = OutboxStatus(stored_status), Why(OutboxReason(reason), detail)
        in_doubt = status is OutboxStatus.UNKNOWN and due_at == to_millis(FOR_A_PERSON)
        head = first.setdefault(version, outbox_id)
        if known := messages.get(head):
            if PROGRESS.index(status) < PROGRESS.index(known.status):
                known = replace(known, status=status, why=why)
            known = replace(known, in_doubt=known.in_doubt or in_doubt)
            messages[head] = replace(known, form=json.loads(payload)["type"]) if known.form == "text" else known
            continue
        held = json.loads(payload)
        if held["type"] == "reaction" and status is not OutboxStatus.FAILED:
            reactions[held["wamid"]] = held["emoji"]
        messages[head] = Carriers(status, why, wamid, held["type"], held.get("quoted", ""), in_doubt)
    return Sendings(messages, reactions)


async def correspondent(tx: Tx, customer_id: int) -> Correspondent | None:
    """Who the ticket is with."""
    rows = await tx.fetch(
        "SELECT name, unreachable_at, unreachable_reason, body FROM customer "
        "JOIN conversation ON conversation.customer_id = customer.id WHERE customer.id = ?",
        [customer_id],
    )
    if not rows:
        return None
    name, unreachable_at, reason, place = rows[0]
    return Correspondent(name, None if unreachable_at is None else from_millis(unreachable_at), reason, place)


def least(statuses: Sequence[OutboxStatus]) -> OutboxStatus | None:
    """What is told of rows with these statuses; None when there are none."""
    return min(statuses, key=PROGRESS.index, default=None)


def side(reply: StoredReply) -> Literal["customer", "agent", "bot"]:
    """On whose side it was said. What Meta and the system note is on the bot's."""
    if reply.author == "customer":
        return "customer"
    return "agent" if reply.author == "agent" else "bot"


def _order(row: Row) -> tuple[int, int]:
    return row[-1] // 1000, row[0]


def _reply(row: Row) -> StoredReply:
    *same, late, written_at = row
    reply_id, ticket_id, by, message, wamid, outbox_id, kind, changed, author_name = same
    return StoredReply(
        reply_id, ticket_id, by, message, wamid, outbox_id, from_millis(written_at), kind, changed, author_name,
        bool(late),
    )  # fmt: skip
