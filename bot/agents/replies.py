"""What an agent says to a customer: answers with files and quotes, requests, reactions, a message of its own.

Invariants: what is said and what carries it to the customer are written in one transaction; an answer that can't go out
now is held, and what is only worth something at once is refused; whose message is quoted and whose file is sent is
looked at where it happens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.agents import notices
from bot.agents.enqueue import Behind, Letter, Message, delivery, post
from bot.agents.transaction import Changes, NoTicket, WindowClosed
from bot.whatsapp.messages.build import fit
from storage import audit, files, outbox, replies
from storage.files import FileRow
from storage.replies import StoredReply
from storage.sql.database import Tx
from storage.statuses import FileState, Origin, OutboxStatus
from storage.tickets import StoredTicket

Request = Literal["location", "contact"]


class NotTheirs(Exception):
    """`field` names a message or a file that can't be used here. The text says why."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class NotOnWhatsApp(Exception):
    """The ticket has no customer who could get a message."""


class NotInDoubt(Exception):
    """Nothing of this message waits for a person to send it again."""


class NoMessage(Exception):
    """No agent has sent a message with this id outside of a ticket."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, and where its delivery stands."""

    reply: StoredReply
    delivery: OutboxStatus | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is no reply."""

    outbox_id: int
    delivery: OutboxStatus | None


class Answers(Changes):
    """What agents say, for one process."""

    async def reply(
        self,
        actor: str,
        author_name: str,
        ticket_id: int,
        text: str,
        once: int | None = None,
        *,
        file_ids: Sequence[int] = (),
        quoted_id: int | None = None,
    ) -> Answered:
        """Answers the customer on a ticket, or one message of theirs; raises NoTicket, NotTheirs. What is too long for
        one message goes out in several."""
        ticket = await self.ticket(ticket_id)
        sends = ticket.customer_id is not None and ticket.whatsapp_enabled
        quoted_wamid = await self._quoted(ticket, quoted_id)
        rows = await self._files(file_ids)
        letter = self._letter(Origin.AGENT, _messages(ticket, text, rows, quoted_wamid), ticket_id)
        line = self._line(actor, "ticket.reply", ticket_id, once)
        reply = self._reply(ticket, text, author_name, letter if sends else None)

        async def write(tx: Tx, behind: Behind | None) -> Answered:
            if await audit.landed(tx, line.audit_id):
                return Answered(reply, await delivery(tx, letter))
            attached = await files.attach_uploads(tx, file_ids, ticket.customer_id, ticket_id, reply.reply_id)
            if len(attached) != len(file_ids):
                raise NotTheirs("file_ids", "one of the files was already sent with another answer")
            await replies.insert(tx, reply)
            await audit.write(tx, line)
            return Answered(reply, await post(tx, behind, letter, line.at) if sends else None)

        return await self.change(ticket, write)

    async def ask(
        self, actor: str, author_name: str, ticket_id: int, wanted: Request, text: str, once: int | None = None
    ) -> Answered:
        """Asks the customer for their location or a contact; raises NoTicket, NotOnWhatsApp, WindowClosed."""
        ticket = await self.ticket(ticket_id)
        letter = self._letter(Origin.AGENT, [{"type": f"{wanted}_request", "text": text}], ticket_id)
        line = self._line(actor, f"ticket.ask_{wanted}", ticket_id, once)
        reply = self._reply(ticket, text, author_name, letter)

        async def write(tx: Tx, behind: Behind | None) -> Answered:
            if await audit.landed(tx, line.audit_id):
                return Answered(reply, await delivery(tx, letter))
            await self._at_once(ticket, behind)
            await replies.insert(tx, reply)
            await audit.write(tx, line)
            return Answered(reply, await post(tx, behind, letter, line.at))

        return await self.change(ticket, write)

    async def react(self, actor: str, reply_id: int, emoji: str, once: int | None = None) -> Sent:
        """Reacts to what a customer said, "" takes it back; raises NoTicket, NotTheirs, NotOnWhatsApp, WindowClosed."""
        found, ticket = await self._said(reply_id)
        wamid = _wamid(found, ticket, "id")
        letter = self._letter(Origin.AGENT, [{"type": "reaction", "wamid": wamid, "emoji": emoji}], ticket.ticket_id)
        line = self._line(actor, "ticket.reaction", ticket.ticket_id, once)

        async def write(tx: Tx, behind: Behind | None) -> Sent:
            if await audit.landed(tx, line.audit_id):
                return Sent(letter.outbox_ids[0], await delivery(tx, letter))
            await self._at_once(ticket, behind)
            await audit.write(tx, line)
            return Sent(letter.outbox_ids[0], await post(tx, behind, letter, line.at))

        return await self.change(ticket, write)

    async def send_again(self, actor: str, reply_id: int, once: int | None = None) -> StoredReply:
        """Sends what it is not known of whether the customer has it, at the risk that they get it twice; raises
        NoTicket, NotInDoubt."""
        reply, ticket = await self._said(reply_id)
        line = self._line(actor, "ticket.send_again", ticket.ticket_id, once)

        async def write(tx: Tx, _behind: Behind | None) -> StoredReply:
            if await audit.landed(tx, line.audit_id):
                return reply
            if reply.outbox_id is None or not await outbox.send_again(tx, reply.outbox_id, line.at):
                raise NotInDoubt
            await audit.write(tx, line)
            return reply

        return await self.change(ticket, write)

    async def send(self, actor: str, phone: str, text: str) -> Sent:
        """Writes to a customer outside of any ticket; raises WindowClosed, and then nothing is queued."""
        customer_id = await self.customer_of(phone)
        if customer_id is None:
            raise WindowClosed  # who never wrote has no window
        letter = self._letter(Origin.AGENT, [{"type": "text", "text": text}], None)
        line = self._line(actor, "message.send", customer_id)

        async def write(tx: Tx, behind: Behind | None) -> Sent:
            if await audit.landed(tx, line.audit_id):
                return Sent(letter.outbox_ids[0], await delivery(tx, letter))
            if behind is None or not behind.window_open:
                raise WindowClosed
            await audit.write(tx, line)
            return Sent(letter.outbox_ids[0], await post(tx, behind, letter, line.at))

        return await self.behind_fence(customer_id, write)

    async def send_message_again(self, actor: str, outbox_id: int) -> None:
        """The same as `send_again`, for a message outside of any ticket; raises NoMessage, NotInDoubt."""
        async with self._database.reading() as tx:
            found = await replies.loose(tx, outbox_id)
        if found is None:
            raise NoMessage
        line = self._line(actor, "message.send_again", found.customer_id)

        async def write(tx: Tx, _behind: Behind | None) -> None:
            if await audit.landed(tx, line.audit_id):
                return
            if not await outbox.send_again(tx, outbox_id, line.at):
                raise NotInDoubt
            await audit.write(tx, line)

        await self.behind_fence(found.customer_id, write)

    def _reply(self, ticket: StoredTicket, text: str, author_name: str, letter: Letter | None) -> StoredReply:
        outbox_id = letter.outbox_ids[0] if letter else None
        return StoredReply(
            self._ids.next(), ticket.ticket_id, "agent", text, None, outbox_id, self._clock(), author_name=author_name
        )

    async def _said(self, reply_id: int) -> tuple[StoredReply, StoredTicket]:
        async with self._database.reading() as tx:
            found = await replies.find(tx, reply_id)
        if found is None:
            raise NoTicket
        return found, await self.ticket(found.ticket_id)

    async def _quoted(self, ticket: StoredTicket, quoted_id: int | None) -> str:
        if quoted_id is None:
            return ""
        async with self._database.reading() as tx:
            return _wamid(await replies.find(tx, quoted_id), ticket, "quote")

    async def _files(self, file_ids: Sequence[int]) -> list[FileRow]:
        async with self._database.reading() as tx:
            found = [await files.find(tx, file_id) for file_id in file_ids]
        rows = [row for row in found if row is not None and row.direction == "out" and row.state is FileState.STORED]
        if len(rows) != len(set(file_ids)):
            raise NotTheirs("file_ids", "one of the files is not there: upload it first")
        return rows

    @staticmethod
    async def _at_once(ticket: StoredTicket, behind: Behind | None) -> None:
        if behind is None or not ticket.whatsapp_enabled:
            raise NotOnWhatsApp
        if not behind.window_open:
            raise WindowClosed


def _messages(ticket: StoredTicket, text: str, rows: Sequence[FileRow], quoted_wamid: str) -> list[Message]:
    """The text is the caption of the first file, as far as that can have it. Outside of the window a template may carry
    a text, and never a file."""
    messages: list[dict[str, object]] = [
        {"type": "media", "kind": row.kind, "file_id": str(row.file_id), "filename": row.filename} for row in rows
    ] or [{"type": "text", "text": text}]
    if rows and text:
        messages[0]["caption"] = text
    if quoted_wamid:
        messages[0]["quoted"] = quoted_wamid
    fitting = [piece for message in messages for piece in fit(message)]
    for piece in fitting:
        if piece["type"] == "text":
            piece["notice"] = notices.for_template(notices.REPLY, ticket, str(piece["text"]))
    return list(fitting)


def _wamid(reply: StoredReply | None, ticket: StoredTicket, field: str) -> str:
    """Meta's id of a message of this ticket's customer."""
    if reply is None or reply.ticket_id != ticket.ticket_id or reply.author != "customer" or not reply.wamid:
        raise NotTheirs(field, "must be a message that the customer of this ticket sent on WhatsApp")
    return reply.wamid
