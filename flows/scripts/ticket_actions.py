"""What the rows of a table do with tickets, and the conditions on them.

Both see one turn's talk and nothing else; doing means adding an effect.
"""

from __future__ import annotations

from flows.draft import NO_DRAFT, Draft
from flows.effects import AddReply, Note, OpenTicket
from flows.language import formatting
from flows.language.matching import is_blank
from flows.scripts.draft_actions import OTHER, text_of
from flows.talk import Talk

NAME = 100
QUOTED = 200


def instant(talk: Talk) -> bool:
    return talk.desk.flow == "instant"


def has_open_ticket(talk: Talk) -> bool:
    """Whether what they write at rest has a ticket to go to. After their own was closed, it begins something new."""
    tickets = talk.desk.tickets
    return bool(tickets) and (talk.ticket_id == 0 or any(t.ticket_id == talk.ticket_id for t in tickets))


def guided_draft(talk: Talk) -> bool:
    """A draft that was kept while nothing was asked. Where nothing ever is, it becomes part of the ticket."""
    return talk.draft.has_content and not instant(talk)


def guided_start(talk: Talk) -> bool:
    return not (instant(talk) or has_open_ticket(talk))


def quotes_open_ticket(talk: Talk) -> bool:
    about = talk.desk.about
    return about is not None and any(ticket.ticket_id == about.ticket_id for ticket in talk.desk.tickets)


def ticket_meant(talk: Talk) -> int:
    """The open ticket that they quote; else the one that was touched last, by them or by an agent: that is what they
    are answering. Only for a customer who has one."""
    about = talk.desk.about
    return about.ticket_id if about and quotes_open_ticket(talk) else talk.desk.tickets[0].ticket_id


def open_ticket(talk: Talk) -> None:
    draft = talk.draft
    count = formatting.counted(draft.attachments) if is_blank(draft.said) else ""
    title = formatting.title(draft.said) or count
    description = "\n".join(filter(None, (count, draft.description)))
    _open(talk, draft, title, description)
    talk.draft = NO_DRAFT


def open_handed_over(talk: Talk) -> None:
    """A ticket of what Meta's agent tells of the chat; a draft of theirs stays what it is."""
    told = text_of(talk) if is_blank(talk.event.shown) else talk.event.shown
    _open(talk, NO_DRAFT, formatting.title(told), told)


def _open(talk: Talk, draft: Draft, title: str, description: str) -> None:
    ticket_id, issue_type = talk.desk.next_ticket_id, draft.issue_type or OTHER
    name = formatting.one_line(talk.desk.profile_name, NAME)
    other = title if issue_type == OTHER else ""
    talk.effects.append(
        OpenTicket(ticket_id, issue_type, other, title, description, name, draft.attachments, draft.wamids)
    )
    talk.ticket_id = ticket_id


def add_reply(talk: Talk) -> None:
    ticket_id = ticket_meant(talk)
    text = "\n".join(filter(None, (text_of(talk), talk.event.shown)))
    talk.effects.append(AddReply(ticket_id, text, talk.event.media))
    talk.ticket_id = ticket_id


def note_unreadable(talk: Talk) -> None:
    talk.effects.append(Note(ticket_meant(talk), text_of(talk), talk.event.author))


def note(talk: Talk) -> None:
    """Shows something on the ticket that it is about, open or not, or else on the one that was touched last."""
    event, about = talk.event, talk.desk.about
    if is_blank(event.shown) or not (about or talk.desk.tickets):
        return
    if about is None:
        talk.effects.append(Note(talk.desk.tickets[0].ticket_id, event.shown, event.author, event.change))
        return
    quoted = formatting.one_line(about.text, QUOTED)
    label = "before" if event.change == "edited" else "about"
    text = f"{event.shown}\n{label}: “{quoted}”" if quoted else event.shown
    talk.effects.append(Note(about.ticket_id, text, event.author, event.change, about.reply_id))
