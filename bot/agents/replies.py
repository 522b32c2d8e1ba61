"""Writes to customers on their tickets: answers with files and quotes, requests, reactions.

Invariants
- What is said, and what carries it to the customer, is written in one transaction.
- An answer that can't go out now is held; what is only worth something at once is refused.
- Whose message is quoted, and whose file is sent, is looked at here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.agents import notices
from bot.agents.actor import Actor
from bot.agents.enqueue import Content, OutboundMessage, compose, enqueue, find_delivery, requeue
from bot.agents.errors import MessageNotFound, NotOnWhatsApp, UnusableValue, WindowClosed
from bot.agents.messages import SentMessage
from bot.agents.transaction import AgentTransaction, LockedCustomer
from bot.templates.notice_kinds import NoticeKind
from bot.whatsapp.messages.build import fit_to_limits
from storage import audit, event_log, files, replies
from storage.audit import AuditLine
from storage.event_log import TicketEvent
from storage.files import FileRow
from storage.replies import StoredReply
from storage.sql.database import Tx
from storage.statuses import AuditAction, FileState, Origin, OutboxStatus, ReplyAuthor, TicketEventKind
from storage.tickets import StoredTicket

Request = Literal["location", "contact"]
ASK_ACTIONS: Mapping[Request, AuditAction] = {
    "location": AuditAction.TICKET_ASK_LOCATION,
    "contact": AuditAction.TICKET_ASK_CONTACT,
}


@dataclass(frozen=True, slots=True)
class SentReply:
    """A reply, and where its delivery stands."""

    reply: StoredReply
    delivery: OutboxStatus | None


class ReplyCommands:
    """What agents say on tickets, for one process."""

    def __init__(self, transaction: AgentTransaction) -> None:
        self._transaction = transaction

    async def write(
        self,
        actor: Actor,
        ticket_id: int,
        text: str,
        *,
        author_name: str = "",
        file_ids: Sequence[int] = (),
        quoted_id: int | None = None,
        idempotency_id: int | None = None,
    ) -> SentReply:
        """Answers the customer on a ticket, or one message of theirs; raises TicketNotFound, UnusableValue.

        What is too long for one message goes out in several.
        """
        ticket = await self._transaction.read_ticket(ticket_id)
        is_sent = ticket.customer_id is not None and ticket.whatsapp_enabled
        quoted_wamid = await self._read_quoted_wamid(ticket, quoted_id)
        rows = await self._read_files(file_ids)
        message = self._compose(_compose_contents(ticket, text, rows, quoted_wamid), ticket)
        line = self._transaction.make_audit_line(
            actor, AuditAction.TICKET_REPLY, ticket_id, idempotency_id=idempotency_id
        )
        reply = self._make_reply(ticket, text, author_name, message if is_sent else None)
        answer = self._make_answer(actor, ticket, reply, line)

        async def write(tx: Tx, customer: LockedCustomer | None) -> SentReply:
            if await audit.is_committed(tx, line.audit_id):
                return SentReply(reply, await find_delivery(tx, message))
            customer_id = customer.customer_id if customer else None
            attached = await files.attach_uploads(tx, file_ids, customer_id, ticket_id, reply.reply_id)
            if len(attached) != len(file_ids):
                raise UnusableValue("file_ids", "one of the files was already sent with another answer")
            await replies.insert(tx, reply)
            await event_log.write(tx, [answer])
            await audit.write(tx, line)
            return SentReply(reply, await enqueue(tx, customer, message, line.at) if is_sent else None)

        return await self._transaction.run_for_ticket(ticket, write)

    async def ask(
        self,
        actor: Actor,
        ticket_id: int,
        wanted: Request,
        *,
        text: str,
        author_name: str = "",
        idempotency_id: int | None = None,
    ) -> SentReply:
        """Asks the customer for their location or a contact; raises TicketNotFound, NotOnWhatsApp, WindowClosed."""
        ticket = await self._transaction.read_ticket(ticket_id)
        message = self._compose([{"type": f"{wanted}_request", "text": text}], ticket)
        line = self._transaction.make_audit_line(actor, ASK_ACTIONS[wanted], ticket_id, idempotency_id=idempotency_id)
        reply = self._make_reply(ticket, text, author_name, message)
        answer = self._make_answer(actor, ticket, reply, line)

        async def write(tx: Tx, customer: LockedCustomer | None) -> SentReply:
            if await audit.is_committed(tx, line.audit_id):
                return SentReply(reply, await find_delivery(tx, message))
            _require_open_window(ticket, customer)
            await replies.insert(tx, reply)
            await event_log.write(tx, [answer])
            await audit.write(tx, line)
            return SentReply(reply, await enqueue(tx, customer, message, line.at))

        return await self._transaction.run_for_ticket(ticket, write)

    async def react(self, actor: Actor, reply_id: int, emoji: str, *, idempotency_id: int | None = None) -> SentMessage:
        """Reacts to what a customer said, "" takes it back; raises MessageNotFound, UnusableValue, NotOnWhatsApp,
        WindowClosed."""
        found = await self._read_reply(reply_id)
        ticket = await self._transaction.read_ticket(found.ticket_id)
        wamid = _require_customer_wamid(found, ticket, "id")
        message = self._compose([{"type": "reaction", "wamid": wamid, "emoji": emoji}], ticket)
        line = self._transaction.make_audit_line(
            actor, AuditAction.TICKET_REACTION, ticket.ticket_id, idempotency_id=idempotency_id
        )
        reaction = self._transaction.make_event(
            actor, ticket, TicketEventKind.REACTION, line.at, reply_id=reply_id, outbox_id=message.outbox_ids[0]
        )

        async def write(tx: Tx, customer: LockedCustomer | None) -> SentMessage:
            if await audit.is_committed(tx, line.audit_id):
                return SentMessage(message.outbox_ids[0], await find_delivery(tx, message))
            _require_open_window(ticket, customer)
            await event_log.write(tx, [reaction])
            await audit.write(tx, line)
            return SentMessage(message.outbox_ids[0], await enqueue(tx, customer, message, line.at))

        return await self._transaction.run_for_ticket(ticket, write)

    async def send_again(self, actor: Actor, reply_id: int, *, idempotency_id: int | None = None) -> StoredReply:
        """Sends a reply again of which it is not known whether the customer has it, at the risk that they get it twice;
        raises MessageNotFound, NotInDoubt."""
        reply = await self._read_reply(reply_id)
        ticket = await self._transaction.read_ticket(reply.ticket_id)
        line = self._transaction.make_audit_line(
            actor, AuditAction.TICKET_SEND_AGAIN, ticket.ticket_id, idempotency_id=idempotency_id
        )
        resent = self._transaction.make_event(
            actor,
            ticket,
            TicketEventKind.DELIVERY,
            line.at,
            was=OutboxStatus.UNKNOWN,
            became=OutboxStatus.QUEUED,
            reply_id=reply_id,
            outbox_id=reply.outbox_id,
        )

        async def write(tx: Tx, _customer: LockedCustomer | None) -> StoredReply:
            if await requeue(tx, reply.outbox_id or 0, line):
                await event_log.write(tx, [resent])
            return reply

        return await self._transaction.run_for_ticket(ticket, write)

    def _compose(self, contents: Sequence[Content], ticket: StoredTicket) -> OutboundMessage:
        return compose(Origin.AGENT, contents, ticket_id=ticket.ticket_id, make_id=self._transaction.make_id)

    def _make_reply(
        self, ticket: StoredTicket, text: str, author_name: str, message: OutboundMessage | None
    ) -> StoredReply:
        return StoredReply(
            reply_id=self._transaction.make_id(),
            ticket_id=ticket.ticket_id,
            author=ReplyAuthor.AGENT,
            author_name=author_name,
            message=text,
            wamid=None,
            outbox_id=message.outbox_ids[0] if message else None,
            written_at=self._transaction.read_clock(),
        )

    def _make_answer(self, actor: Actor, ticket: StoredTicket, reply: StoredReply, line: AuditLine) -> TicketEvent:
        """Makes the event of a reply by an agent."""
        return self._transaction.make_event(
            actor, ticket, TicketEventKind.ANSWER, line.at, reply_id=reply.reply_id, outbox_id=reply.outbox_id
        )

    async def _read_reply(self, reply_id: int) -> StoredReply:
        async with self._transaction.database.reading() as tx:
            found = await replies.find(tx, reply_id)
        if found is None:
            raise MessageNotFound
        return found

    async def _read_quoted_wamid(self, ticket: StoredTicket, quoted_id: int | None) -> str:
        if quoted_id is None:
            return ""
        async with self._transaction.database.reading() as tx:
            return _require_customer_wamid(await replies.find(tx, quoted_id), ticket, "quote")

    async def _read_files(self, file_ids: Sequence[int]) -> list[FileRow]:
        async with self._transaction.database.reading() as tx:
            found = [await files.find(tx, file_id) for file_id in file_ids]
        rows = [row for row in found if row is not None and row.direction == "out" and row.state is FileState.STORED]
        if len(rows) != len(set(file_ids)):
            raise UnusableValue("file_ids", "one of the files is not there: upload it first")
        return rows


def _require_open_window(ticket: StoredTicket, customer: LockedCustomer | None) -> None:
    """Raises NotOnWhatsApp or WindowClosed where a message would not go out at once."""
    if customer is None or not ticket.whatsapp_enabled:
        raise NotOnWhatsApp
    if not customer.window_open:
        raise WindowClosed


def _compose_contents(ticket: StoredTicket, text: str, rows: Sequence[FileRow], quoted_wamid: str) -> list[Content]:
    """Composes a reply: the text is the caption of the first file, as far as that can have one. Outside of the window a
    template may carry a text, and never a file."""
    contents: list[dict[str, object]] = [
        {"type": "media", "kind": row.kind, "file_id": str(row.file_id), "filename": row.filename} for row in rows
    ] or [{"type": "text", "text": text}]
    if rows and text:
        contents[0]["caption"] = text
    if quoted_wamid:
        contents[0]["quoted"] = quoted_wamid
    fitting = [piece for content in contents for piece in fit_to_limits(content)]
    for piece in fitting:
        if piece["type"] == "text":
            piece["notice"] = notices.collect_values(NoticeKind.REPLY, ticket, str(piece["text"]))
    return list(fitting)


def _require_customer_wamid(reply: StoredReply | None, ticket: StoredTicket, field: str) -> str:
    """Returns Meta's id of a message of this ticket's customer; raises UnusableValue, with the field that named it."""
    if reply is None or reply.ticket_id != ticket.ticket_id or reply.author != ReplyAuthor.CUSTOMER or not reply.wamid:
        raise UnusableValue(field, "must be a message that the customer of this ticket sent on WhatsApp")
    return reply.wamid
