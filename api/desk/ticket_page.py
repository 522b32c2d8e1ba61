"""Shows the page of one ticket: its thread, its customer, and the composer to go on.

Invariants
- What can't be done now is not offered, and the page says why.
- Nothing that was written into the composer is lost when the page is shown again.
"""

from collections.abc import Sequence

from quart import Response

from api.desk.composer import ComposerDraft
from api.desk.form_ids import make_form_id
from api.desk.pages import show_page
from api.services import services
from api.views.thread import ThreadEntry, TicketCustomer, read_thread, read_ticket_customer
from api.web.auth import PERMISSIONS, Permission, caller
from bot.agents.errors import TicketNotFound
from bot.templates import choice
from bot.templates.notice_kinds import LANGUAGE, NoticeKind
from storage import files, tickets
from storage.replies import StoredReply
from storage.statuses import ReplyAuthor, TicketStatus
from storage.tickets import MOVES, StoredTicket

EMOJI = ("👍", "❤️", "🙏", "✅", "😊", "😮")
EMPTY_DRAFT = ComposerDraft()


async def show_ticket_page(
    ticket_id: int, *, status: int = 200, problem: str = "", draft: ComposerDraft = EMPTY_DRAFT
) -> Response:
    """Shows the page. `problem`: a sentence that says why what was tried did not work. Raises TicketNotFound."""
    async with services().database.reading() as tx:
        ticket = await tickets.find(tx, ticket_id)
        if ticket is None:
            raise TicketNotFound
        thread = await read_thread(tx, ticket)
        customer = await read_ticket_customer(tx, ticket, services().clock())
        attached = [row for file_id in draft.file_ids if (row := await files.find(tx, file_id))]
        template = await choice.find_usable_name(tx, NoticeKind.REPLY, LANGUAGE)
    permissions = PERMISSIONS[caller().role]
    may_change = Permission.CHANGE_TICKETS in permissions
    return await show_page(
        "ticket",
        status,
        ticket=ticket,
        topic=services().find_issue_type_label(ticket.issue_type),
        thread=thread,
        customer=customer,
        problem=problem,
        moves=_list_moves(ticket) if may_change else [],
        may_answer=Permission.WRITE_TO_CUSTOMERS in permissions,
        may_retry=may_change,
        is_window_open=_is_window_open(ticket, customer),
        template=template,
        draft=draft.text,
        quoted=_find_quoted(thread.entries, draft.quoted_id),
        attached=attached,
        emoji=EMOJI,
        new_idempotency_id=lambda: make_form_id(ticket_id),
    )


def _list_moves(ticket: StoredTicket) -> list[TicketStatus]:
    return [status for status in TicketStatus if status in MOVES[ticket.status]]


def _is_window_open(ticket: StoredTicket, customer: TicketCustomer | None) -> bool:
    """Whether a reaction or a request would go out: unlike an answer, neither is held."""
    return ticket.whatsapp_enabled and customer is not None and customer.window_until is not None


def _find_quoted(entries: Sequence[ThreadEntry], quoted_id: int | None) -> StoredReply | None:
    """Finds the reply that a draft quotes; None when it is no message that the customer sent on WhatsApp."""
    quotable = (entry.reply for entry in entries if entry.reply.author is ReplyAuthor.CUSTOMER and entry.wamid)
    return next((reply for reply in quotable if reply.reply_id == quoted_id), None)
