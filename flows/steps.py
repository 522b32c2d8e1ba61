"""What the rows of a table are made of: conditions to look at, and things to do.

Both see one turn's talk and nothing else; doing means changing the draft or adding an effect.
"""

from __future__ import annotations

from dataclasses import replace

from flows import fit
from flows.conversation import NO_DRAFT
from flows.model import AddReply, Media, OpenTicket
from flows.talk import Talk
from flows.words import is_blank

OTHER = "other"
DRAFT_CHARACTERS = 65_536
DRAFT_ATTACHMENTS = 100
NAME = 100
# A picture without a word is shown by its count; the reader's stand-in for it says nothing more.
STAND_INS = frozenset(f"[{name}]" for name in (*fit.COUNTED, *(one for one, _ in fit.COUNTED.values())))


def has_draft(talk: Talk) -> bool:
    return talk.draft.number > 0


def has_content(talk: Talk) -> bool:
    return talk.draft.has_content


def can_be_sent(talk: Talk) -> bool:
    return has_draft(talk) and has_content(talk)


def draft_is_full(talk: Talk) -> bool:
    draft = talk.draft
    too_long = draft.has_content and len(draft.description) + len(_words(talk)) > DRAFT_CHARACTERS
    return too_long or (talk.event.media is not None and len(draft.attachments) >= DRAFT_ATTACHMENTS)


def instant(talk: Talk) -> bool:
    return talk.desk.flow == "instant"


def has_open_ticket(talk: Talk) -> bool:
    """Whether what they write at rest has a ticket to go to. After their own was closed, it begins something new."""
    tickets = talk.desk.tickets
    return bool(tickets) and (talk.ticket_id == 0 or any(t.ticket_id == talk.ticket_id for t in tickets))


def guided_start(talk: Talk) -> bool:
    return not (instant(talk) or has_open_ticket(talk))


def begin(talk: Talk) -> None:
    if not has_draft(talk):
        talk.draft = replace(talk.draft, number=talk.event.item_id)
    talk.ticket_id = 0


def discard(talk: Talk) -> None:
    talk.draft = NO_DRAFT


def keep(talk: Talk) -> None:
    """Adds what they wrote or sent to the draft."""
    draft, words = talk.draft, _words(talk)
    text = f"{draft.description}\n{words}" if draft.description and words else draft.description or words
    talk.draft = replace(draft, description=text, attachments=_with_media(talk))


def describe(talk: Talk) -> None:
    """The description, in place of an older one; a picture without a word leaves that as it is."""
    text = _words(talk) or talk.draft.description
    talk.draft = replace(talk.draft, description=text, attachments=_with_media(talk))


def take_topic(talk: Talk) -> None:
    talk.draft = replace(talk.draft, issue_type=talk.argument or OTHER, page=0)


def file_under_other(talk: Talk) -> None:
    talk.draft = replace(talk.draft, issue_type=talk.draft.issue_type or OTHER, page=0)


def turn_page(talk: Talk) -> None:
    page = int(talk.argument) if talk.argument.isdecimal() and len(talk.argument) < 4 else 0
    talk.draft = replace(talk.draft, page=page)


def open_ticket(talk: Talk) -> None:
    draft, ticket_id = talk.draft, talk.desk.next_ticket_id
    description = fit.counted(draft.attachments) if is_blank(draft.description) else draft.description
    title = fit.title(description)
    issue_type = draft.issue_type or OTHER
    name = fit.one_line(talk.desk.profile_name, NAME)
    other = title if issue_type == OTHER else ""
    talk.effects.append(OpenTicket(ticket_id, issue_type, other, title, description, name, draft.attachments))
    talk.draft, talk.ticket_id = NO_DRAFT, ticket_id


def add_reply(talk: Talk) -> None:
    """To the ticket that was touched last, by them or by an agent: that is what they are answering."""
    ticket_id = talk.desk.tickets[0].ticket_id
    talk.effects.append(AddReply(ticket_id, _text(talk), talk.event.media))
    talk.ticket_id = ticket_id


def _text(talk: Talk) -> str:
    event = talk.event
    if not is_blank(event.text):
        return event.text
    return f"[{fit.COUNTED[event.media.kind][0] if event.media else event.kind}]"


def _words(talk: Talk) -> str:
    text = _text(talk).strip()
    return "" if talk.event.media and text in STAND_INS else text


def _with_media(talk: Talk) -> tuple[Media, ...]:
    media = talk.event.media
    return talk.draft.attachments if media is None else (*talk.draft.attachments, media)
