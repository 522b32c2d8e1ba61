"""The page of one ticket: what was said on it, and the form to go on.

Invariants: what can't be done now is not offered, and the page says why; nothing that was written into the form is
lost when the page is made again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quart import Response

from api.desk.guard import form_field, uploaded
from api.desk.pages import Pages
from api.views.thread import ThreadEntry, TicketCustomer, read_thread, read_ticket_customer
from api.web.auth import PERMISSIONS, Permission, caller
from api.web.fields import MAX_IDS, read_id
from bot.agents import notices
from bot.agents.errors import TicketNotFound
from bot.clock import Clock
from bot.ids import IdMaker
from bot.templates.notice_kinds import NoticeKind
from storage import files, templates, tickets
from storage.replies import StoredReply
from storage.sql.database import Database
from storage.statuses import TicketStatus
from storage.tickets import MOVES, StoredTicket

EMOJI = ("👍", "❤️", "🙏", "✅", "😊", "😮")


@dataclass(frozen=True, slots=True)
class Draft:
    """What the answer's form holds: the text, the id of the message that it answers, and files that are stored."""

    text: str = ""
    quoted_id: int | None = None
    file_ids: Sequence[int] = ()


def read_draft() -> Draft:
    """Reads the form as it came: files that an earlier try has stored are named in it, and new ones are in it."""
    earlier = [file_id for part in form_field("attached").split(",") if (file_id := read_id(part))]
    file_ids = dict.fromkeys([*earlier, *(row.file_id for row in uploaded())])
    return Draft(form_field("message"), read_id(form_field("quote")), list(file_ids)[:MAX_IDS])


class TicketPage:
    """Makes the page."""

    def __init__(self, pages: Pages, database: Database, clock: Clock, ids: IdMaker) -> None:
        self._pages = pages
        self._database = database
        self._clock = clock
        self._ids = ids

    async def show(self, ticket_id: int, status: int = 200, says: str = "", draft: Draft | None = None) -> Response:
        """The page; `says`: why what was tried did not work. Raises TicketNotFound."""
        draft = draft or Draft()
        async with self._database.reading() as tx:
            ticket = await tickets.find(tx, ticket_id)
            if ticket is None:
                raise TicketNotFound
            thread = await read_thread(tx, ticket)
            customer = await read_ticket_customer(tx, ticket, self._clock())
            attached = [row for file_id in draft.file_ids if (row := await files.find(tx, file_id))]
            template = await templates.chosen(tx, NoticeKind.REPLY, notices.LANGUAGE)
        may = PERMISSIONS[caller().role]
        return await self._pages.show(
            "ticket",
            status,
            ticket=ticket,
            thread=thread,
            attached=attached,
            customer=customer,
            template=template,
            moves=[each for each in TicketStatus if each in MOVES[ticket.status]]
            if Permission.CHANGE_TICKETS in may
            else [],
            may_answer=Permission.WRITE_TO_CUSTOMERS in may,
            may_retry=Permission.CHANGE_TICKETS in may,
            at_once=_at_once(ticket, customer),
            quoted=_find_quoted(thread.entries, draft.quoted_id),
            says=says,
            draft=draft.text,
            emoji=EMOJI,
            new_idempotency_id=self._ids.next,
        )


def _at_once(ticket: StoredTicket, customer: TicketCustomer | None) -> bool:
    """Whether a reaction or a request would go out."""
    return ticket.whatsapp_enabled and customer is not None and customer.window_until is not None


def _find_quoted(entries: Sequence[ThreadEntry], quoted_id: int | None) -> StoredReply | None:
    quotable = (entry.reply for entry in entries if entry.reply.author == "customer" and entry.wamid)
    return next((reply for reply in quotable if reply.reply_id == quoted_id), None)
