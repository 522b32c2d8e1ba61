"""A ticket's talk as agents see it, read once for the API and for the desk's page.

Invariant: all of it is of one moment, and what a sending's state means is told by `delivery_text.py` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.views import delivery_text
from bot.lane_state import LaneState
from bot.service_window import WINDOW, is_window_open
from storage import alerts, files, replies
from storage.files import FileRow
from storage.replies import Sendings, StoredReply
from storage.sql.database import Tx
from storage.tickets import StoredTicket


@dataclass(frozen=True, slots=True)
class Said:
    """A reply with all that belongs to it. `delivery` and `reason`: where its sending stands and why; `form`: what it
    went out as; `reaction`: the agents' emoji on a message of the customer; `in_doubt`: it is not known whether the
    customer has it, and a person may send it again."""

    reply: StoredReply
    delivery: str | None
    reason: str
    wamid: str | None
    form: str
    files: Sequence[FileRow]
    quoted: StoredReply | None
    reaction: str
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom the ticket is with. `window_until`: when free text ends, None when it has."""

    name: str
    unreachable_at: datetime | None
    unreachable_reason: str
    window_until: datetime | None


async def read(tx: Tx, ticket: StoredTicket) -> tuple[list[Said], list[FileRow]]:
    """All that was said on a ticket, and the files that came with its description."""
    stored = await replies.replies(tx, ticket.ticket_id)
    rows = await files.of_ticket(tx, ticket.ticket_id)
    sendings = Sendings()
    if ticket.customer_id is not None:
        sendings = await replies.sendings(tx, ticket.customer_id, ticket.ticket_id)
    stopped = delivery_text.why_stopped(await alerts.open_alerts(tx))
    by_wamid = {reply.wamid: reply for reply in stored if reply.wamid}
    said = [_said(reply, sendings, rows, by_wamid, stopped) for reply in stored]
    return said, [row for row in rows if row.reply_id is None]


async def read_reply(tx: Tx, reply: StoredReply) -> Said:
    """Reads an agent's reply with all that belongs to it. It takes its own rows alone, however long the ticket is."""
    rows = await files.of_reply(tx, reply.ticket_id, reply.reply_id)
    sent = await replies.find_carriers(tx, reply.outbox_id) if reply.outbox_id else None
    quoted = await replies.find_quoted(tx, reply.ticket_id, sent.quoted_wamid) if sent and sent.quoted_wamid else None
    stopped = delivery_text.why_stopped(await alerts.open_alerts(tx))
    sendings = Sendings({reply.outbox_id: sent} if reply.outbox_id and sent else {})
    return _said(reply, sendings, rows, {quoted.wamid: quoted} if quoted and quoted.wamid else {}, stopped)


async def read_customer(tx: Tx, ticket: StoredTicket, now: datetime) -> Customer | None:
    """Whom a ticket is with, None when it is nobody on WhatsApp."""
    found = None if ticket.customer_id is None else await replies.correspondent(tx, ticket.customer_id)
    if found is None:
        return None
    heard_at = LaneState.from_json(found.place).last_inbound_at
    until = heard_at + WINDOW if heard_at is not None and is_window_open(heard_at, now) else None
    return Customer(found.name, found.unreachable_at, found.unreachable_reason, until)


def _said(
    reply: StoredReply,
    sendings: Sendings,
    rows: Sequence[FileRow],
    by_wamid: dict[str, StoredReply],
    stopped: str,
) -> Said:
    sent = sendings.messages.get(reply.outbox_id or 0)
    attached = [row for row in rows if row.reply_id == reply.reply_id]
    reaction = sendings.reactions.get(reply.wamid or "", "")
    if sent is None:
        return Said(reply, None, "", reply.wamid, "", attached, None, reaction)
    reason = delivery_text.explain_delivery(sent, stopped)
    quoted = by_wamid.get(sent.quoted_wamid)
    return Said(
        reply, sent.status, reason, reply.wamid or sent.wamid, sent.form, attached, quoted, reaction, sent.in_doubt
    )
