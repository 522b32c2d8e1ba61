"""What the rows of a table do with tickets, and the conditions on them.

Both see one turn's context and nothing else; doing means adding an effect.
"""

from __future__ import annotations

from flows.draft import NO_DRAFT, Draft
from flows.effects import AddReply, Note, OpenTicket
from flows.engine.definition import TurnContext
from flows.language import formatting
from flows.language.matching import is_blank
from flows.scripts.draft_actions import OTHER, text_of

NAME = 100
QUOTED = 200


def instant(context: TurnContext) -> bool:
    return context.desk.flow == "instant"


def has_open_ticket(context: TurnContext) -> bool:
    """Whether what they write at rest has a ticket to go to. After their own was closed, it begins something new."""
    tickets = context.desk.tickets
    return bool(tickets) and (context.ticket_id == 0 or any(t.ticket_id == context.ticket_id for t in tickets))


def guided_draft(context: TurnContext) -> bool:
    """A draft that was kept while nothing was asked. Where nothing ever is, it becomes part of the ticket."""
    return context.draft.has_content and not instant(context)


def guided_start(context: TurnContext) -> bool:
    return not (instant(context) or has_open_ticket(context))


def quotes_open_ticket(context: TurnContext) -> bool:
    about = context.desk.about
    return about is not None and any(ticket.ticket_id == about.ticket_id for ticket in context.desk.tickets)


def ticket_meant(context: TurnContext) -> int:
    """The open ticket that they quote; else the one that was touched last, by them or by an agent: that is what they
    are answering. Only for a customer who has one."""
    about = context.desk.about
    return about.ticket_id if about and quotes_open_ticket(context) else context.desk.tickets[0].ticket_id


def open_ticket(context: TurnContext) -> None:
    draft = context.draft
    count = formatting.counted(draft.attachments) if is_blank(draft.said) else ""
    title = formatting.title(draft.said) or count
    description = "\n".join(filter(None, (count, draft.description)))
    _open(context, draft, title, description)
    context.draft = NO_DRAFT


def open_handed_over(context: TurnContext) -> None:
    """A ticket of what Meta's agent tells of the chat; a draft of theirs stays what it is."""
    told = text_of(context) if is_blank(context.event.shown) else context.event.shown
    _open(context, NO_DRAFT, formatting.title(told), told)


def _open(context: TurnContext, draft: Draft, title: str, description: str) -> None:
    ticket_id, issue_type = context.desk.next_ticket_id, draft.issue_type or OTHER
    name = formatting.one_line(context.desk.profile_name, NAME)
    other = title if issue_type == OTHER else ""
    context.effects.append(
        OpenTicket(ticket_id, issue_type, other, title, description, name, draft.attachments, draft.wamids)
    )
    context.ticket_id = ticket_id


def add_reply(context: TurnContext) -> None:
    ticket_id = ticket_meant(context)
    text = "\n".join(filter(None, (text_of(context), context.event.shown)))
    context.effects.append(AddReply(ticket_id, text, context.event.media))
    context.ticket_id = ticket_id


def note_unreadable(context: TurnContext) -> None:
    context.effects.append(Note(ticket_meant(context), text_of(context), context.event.author))


def note(context: TurnContext) -> None:
    """Shows something on the ticket that it is about, open or not, or else on the one that was touched last."""
    event, about = context.event, context.desk.about
    if is_blank(event.shown) or not (about or context.desk.tickets):
        return
    if about is None:
        context.effects.append(Note(context.desk.tickets[0].ticket_id, event.shown, event.author, event.change))
        return
    quoted = formatting.one_line(about.text, QUOTED)
    label = "before" if event.change == "edited" else "about"
    text = f"{event.shown}\n{label}: “{quoted}”" if quoted else event.shown
    context.effects.append(Note(about.ticket_id, text, event.author, event.change, about.reply_id))
