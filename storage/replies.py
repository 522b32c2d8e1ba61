"""Reads and writes what is said on a ticket (table `reply`), and reads how far it has come, for agents.

(What customers say is written by `turn_writes.py`.)

Invariants
- Nothing that a customer wrote is ever overwritten: what they edited or deleted is marked, and says what it said.
- A reply stands where it was written, however late it came.
- How far an agent's reply has come is read from the rows of the outbox that carry it, and kept nowhere else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from storage.outbox import FOR_A_PERSON
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row, Tx, placeholders
from storage.sql.row_mapper import RowMapper
from storage.statuses import Origin, OutboxReason, OutboxStatus, ReplyAuthor, ReplyKind, Why

# The status of a message that goes out in several rows is the first of these that one of them has.
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
DELIVERY_COLUMNS = "id, version, status, reason, detail, wamid, payload, due_at"


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A row of the table `reply`. `outbox_id`: the first of the rows that carry it to the customer; `changed`:
    `edited` or `revoked` by its writer; `late`: it came after what was written later, and was put in its place."""

    reply_id: int
    ticket_id: int
    author: ReplyAuthor
    message: str
    wamid: str | None
    outbox_id: int | None
    written_at: datetime
    kind: ReplyKind = ReplyKind.MESSAGE
    changed: str = ""
    author_name: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far the rows of the outbox that carry one message have come: `status` and `why` of the least advanced,
    and of the first its `wamid` and what it quotes; `form`: what they are besides text (`media`, `location_request`
    ...); `in_doubt`: whether one of them waits for a person to send it again."""

    status: OutboxStatus
    why: Why
    wamid: str | None
    form: str
    quoted_wamid: str
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Deliveries:
    """All that was sent about a ticket: each message by the first row that carries it, and the last reaction of an
    agent by the wamid of the customer's message."""

    messages: Mapping[int, Delivery] = field(default_factory=dict)
    reactions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnticketedMessage:
    """An agent's message that is on no ticket, and the customer whom it is for."""

    customer_id: int
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class TicketCustomer:
    """The customer whom a ticket is with. `body`: their lane state, as JSON."""

    name: str
    unreachable_at: datetime | None
    unreachable_reason: str
    body: str


_MAPPER = RowMapper(StoredReply, {"reply_id": "id", "wamid": "whatsapp_message_id"})


async def insert(tx: Tx, reply: StoredReply) -> None:
    """Inserts what an agent says, and notes on its ticket that it was touched."""
    at = to_millis(reply.written_at)
    await tx.insert("reply", (*_MAPPER.columns, "created_at"), [(*_MAPPER.to_row(reply), at)])
    await tx.execute("UPDATE ticket SET updated_at = ? WHERE id = ?", [at, reply.ticket_id])


async def insert_copies(tx: Tx, replies: Sequence[StoredReply]) -> None:
    """Inserts what was said before Tick was there. Their tickets are not touched by it."""
    rows = [(*_MAPPER.to_row(reply), to_millis(reply.written_at)) for reply in replies]
    await tx.insert("reply", (*_MAPPER.columns, "created_at"), rows)


async def find_many(tx: Tx, reply_ids: Sequence[int]) -> dict[int, StoredReply]:
    """Finds the replies and notes that have one of these ids, by their id."""
    if not reply_ids:
        return {}
    rows = await tx.fetch(
        f"SELECT {_MAPPER.column_list} FROM reply WHERE id IN ({placeholders(len(reply_ids))})", reply_ids
    )
    return {reply.reply_id: reply for reply in _MAPPER.from_rows(rows)}


async def list_between(tx: Tx, first_id: int, end_id: int) -> list[StoredReply]:
    """Lists replies and notes by their ids, from `first_id` up to but without `end_id`."""
    rows = await tx.fetch(
        f"SELECT {_MAPPER.column_list} FROM reply WHERE id >= ? AND id < ? ORDER BY id", [first_id, end_id]
    )
    return _MAPPER.from_rows(rows)


async def find(tx: Tx, reply_id: int) -> StoredReply | None:
    """Finds the reply with this id."""
    rows = await tx.fetch(f"SELECT {_MAPPER.column_list} FROM reply WHERE id = ?", [reply_id])
    return _MAPPER.from_row(rows[0]) if rows else None


async def list_of_ticket(tx: Tx, ticket_id: int) -> list[StoredReply]:
    """Lists everything said on a ticket, in the order in which it was written; within a second, which is as fine as
    Meta's clock, in the order in which it came."""
    rows = await tx.fetch(f"SELECT {_MAPPER.column_list} FROM reply WHERE ticket_id = ?", [ticket_id])
    return sorted(_MAPPER.from_rows(rows), key=_order)


def _order(reply: StoredReply) -> tuple[datetime, int]:
    return reply.written_at.replace(microsecond=0), reply.reply_id


async def find_quoted(tx: Tx, ticket_id: int, wamid: str) -> StoredReply | None:
    """Finds the reply on this ticket that has this id of Meta's."""
    rows = await tx.fetch(
        f"SELECT {_MAPPER.column_list} FROM reply WHERE whatsapp_message_id = ? AND ticket_id = ?", [wamid, ticket_id]
    )
    return max(_MAPPER.from_rows(rows), key=_order, default=None)


async def load_deliveries(tx: Tx, customer_id: int, ticket_id: int) -> Deliveries:
    """Loads how far the messages about a ticket have come."""
    rows = await tx.fetch(
        f"SELECT {DELIVERY_COLUMNS} FROM outbox WHERE customer_id = ? AND ticket_id = ? ORDER BY version, id",
        [customer_id, ticket_id],
    )
    return _gather(rows)


async def find_delivery(tx: Tx, outbox_id: int) -> Delivery | None:
    """Finds how far one message has come, by the first row that carries it."""
    columns = ", ".join(f"other.{column}" for column in DELIVERY_COLUMNS.split(", "))
    rows = await tx.fetch(
        f"SELECT {columns} FROM outbox AS head JOIN outbox AS other "
        "ON other.customer_id = head.customer_id AND other.version = head.version "
        "WHERE head.id = ? ORDER BY other.version, other.id",
        [outbox_id],
    )
    return _gather(rows).messages.get(outbox_id)


async def find_unticketed(tx: Tx, outbox_id: int) -> UnticketedMessage | None:
    """Finds an agent's message that is on no ticket by the first row that carries it."""
    heads = await tx.fetch(
        "SELECT customer_id, version FROM outbox WHERE id = ? AND origin = ? AND ticket_id IS NULL",
        [outbox_id, Origin.AGENT],
    )
    if not heads:
        return None
    rows = await tx.fetch(
        f"SELECT {DELIVERY_COLUMNS} FROM outbox WHERE customer_id = ? AND version = ? ORDER BY version, id", heads[0]
    )
    delivery = _gather(rows).messages.get(outbox_id)
    return None if delivery is None else UnticketedMessage(heads[0][0], delivery)


def _gather(rows: Sequence[Row]) -> Deliveries:
    """Makes deliveries of DELIVERY_COLUMNS. The rows of one message are those that one transaction wrote, and so have
    one version."""
    messages: dict[int, Delivery] = {}
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
        content = json.loads(payload)
        if content["type"] == "reaction" and status is not OutboxStatus.FAILED:
            reactions[content["wamid"]] = content["emoji"]
        messages[head] = Delivery(
            status=status,
            why=why,
            wamid=wamid,
            form=content["type"],
            quoted_wamid=content.get("quoted", ""),
            in_doubt=in_doubt,
        )
    return Deliveries(messages, reactions)


async def find_customer(tx: Tx, customer_id: int) -> TicketCustomer | None:
    """Finds the customer whom a ticket is with."""
    rows = await tx.fetch(
        "SELECT name, unreachable_at, unreachable_reason, body FROM customer "
        "JOIN conversation ON conversation.customer_id = customer.id WHERE customer.id = ?",
        [customer_id],
    )
    if not rows:
        return None
    name, unreachable_at, reason, body = rows[0]
    return TicketCustomer(name, None if unreachable_at is None else from_millis(unreachable_at), reason, body)


def find_least_advanced(statuses: Sequence[OutboxStatus]) -> OutboxStatus | None:
    """Finds the status of a message whose rows have these statuses; None when there are none."""
    return min(statuses, key=PROGRESS.index, default=None)


def find_side(reply: StoredReply) -> Literal["customer", "agent", "bot"]:
    """Returns on whose side of the thread a reply stands. What Meta and the system note is on the bot's."""
    if reply.author is ReplyAuthor.CUSTOMER:
        return "customer"
    return "agent" if reply.author is ReplyAuthor.AGENT else "bot"
