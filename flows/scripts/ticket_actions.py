"""Defines guards on the customer's tickets, and the actions with which a flow's rows open and extend them.

Both see the turn's context and nothing else. An action adds an effect; the bot carries it out.
"""

from __future__ import annotations

from flows.draft import NO_DRAFT, Draft
from flows.effects import AddReply, Note, OpenTicket
from flows.engine.definition import TurnContext
from flows.language.formatting import count_attachments, fit_on_one_line, make_title
from flows.language.matching import is_blank
from flows.scripts.draft_actions import OTHER, read_text

MAX_NAME_UNITS = 100  # of the profile name: the ticket's column
MAX_QUOTE_UNITS = 200  # of the words that a note is about: enough to know them by


def is_instant(context: TurnContext) -> bool:
    """Whether the desk makes the first message a ticket at once."""
    return context.desk.flow == "instant"


def has_open_ticket(context: TurnContext) -> bool:
    """Whether what the customer writes at rest has a ticket to go to. Once the ticket that they were writing to is
    closed, it has none, even if others are open: it begins something new."""
    tickets = context.desk.tickets
    return bool(tickets) and (context.ticket_id == 0 or any(t.ticket_id == context.ticket_id for t in tickets))


def has_guided_draft(context: TurnContext) -> bool:
    """Whether something was kept while a person answered, and the bot may ask about it now. In the instant flow nothing
    is ever asked, and what was kept becomes part of the ticket."""
    return context.draft.has_content and not is_instant(context)


def is_guided_start(context: TurnContext) -> bool:
    """Whether a message that describes nothing is answered with the list of topics."""
    return not (is_instant(context) or has_open_ticket(context))


def has_quoted_open_ticket(context: TurnContext) -> bool:
    """Whether the event quotes something on one of the customer's open tickets."""
    about = context.desk.about
    return about is not None and any(ticket.ticket_id == about.ticket_id for ticket in context.desk.tickets)


def find_ticket_id(context: TurnContext) -> int:
    """Returns the open ticket that the customer quotes, else the one that was touched last, by them or by an agent:
    that is what they are answering. Only for a customer who has one."""
    about = context.desk.about
    return about.ticket_id if about and has_quoted_open_ticket(context) else context.desk.tickets[0].ticket_id


def open_ticket(context: TurnContext) -> None:
    """Opens a ticket of the draft. Files without words are counted in its title."""
    draft = context.draft
    files = count_attachments(draft.attachments) if is_blank(draft.customer_text) else ""
    title = make_title(draft.customer_text) or files
    description = "\n".join(filter(None, (files, draft.description)))
    _open(context, draft, title, description)
    context.draft = NO_DRAFT


def open_handed_over_ticket(context: TurnContext) -> None:
    """Opens a ticket of what Meta's agent tells about the chat. A draft of the customer's stays what it is."""
    summary = read_text(context) if is_blank(context.event.shown) else context.event.shown
    _open(context, NO_DRAFT, make_title(summary), summary)


def _open(context: TurnContext, draft: Draft, title: str, description: str) -> None:
    issue_type = draft.issue_type or OTHER
    opened = OpenTicket(
        ticket_id=context.desk.next_ticket_id,
        issue_type=issue_type,
        issue_type_other=title if issue_type == OTHER else "",
        title=title,
        description=description,
        name=fit_on_one_line(context.desk.profile_name, MAX_NAME_UNITS),
        attachments=draft.attachments,
        wamids=draft.wamids,
    )
    context.effects.append(opened)
    context.ticket_id = opened.ticket_id


def add_reply(context: TurnContext) -> None:
    """Adds what the customer wrote or sent to their ticket."""
    ticket_id = find_ticket_id(context)
    text = "\n".join(filter(None, (read_text(context), context.event.shown)))
    context.effects.append(AddReply(ticket_id, text, context.event.media))
    context.ticket_id = ticket_id


def note_unreadable(context: TurnContext) -> None:
    """Shows agents on the ticket that something came which can't be read."""
    context.effects.append(Note(find_ticket_id(context), read_text(context), context.event.author))


def add_note(context: TurnContext) -> None:
    """Shows agents an event on the ticket that it is about, open or not, or else on the one that was touched last."""
    event, about = context.event, context.desk.about
    if is_blank(event.shown) or not (about or context.desk.tickets):
        return
    if about is None:
        context.effects.append(Note(context.desk.tickets[0].ticket_id, event.shown, event.author, event.change))
        return
    quoted = fit_on_one_line(about.text, MAX_QUOTE_UNITS)
    label = "before" if event.change == "edited" else "about"
    text = f"{event.shown}\n{label}: “{quoted}”" if quoted else event.shown
    context.effects.append(Note(about.ticket_id, text, event.author, event.change, about.reply_id))
