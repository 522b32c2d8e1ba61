"""What happens to a draft: conditions on it to look at, and what the rows of a table do with it.

Both see one turn's talk and nothing else. A draft is bounded, so that a conversation always fits where it is kept.
"""

from __future__ import annotations

from dataclasses import replace

from flows.draft import NO_DRAFT, Piece
from flows.language import formatting
from flows.language.matching import is_blank
from flows.talk import Talk

OTHER = "other"
DRAFT_CHARACTERS = 65_536
DRAFT_ATTACHMENTS = 100
DRAFT_PIECES = 1000
DRAFT_ASIDES = 50  # pieces that are nothing but something shown
# A picture without a word is shown by its count; the reader's stand-in for it says nothing more.
STAND_INS = frozenset(f"[{name}]" for name in (*formatting.COUNTED, *(one for one, _ in formatting.COUNTED.values())))


def has_draft(talk: Talk) -> bool:
    return talk.draft.number > 0


def has_content(talk: Talk) -> bool:
    return talk.draft.has_content


def can_be_sent(talk: Talk) -> bool:
    return has_draft(talk) and has_content(talk)


def draft_is_full(talk: Talk) -> bool:
    draft, piece = talk.draft, piece_of(talk)
    too_long = draft.has_content and len(draft.description) + len(piece.text) + len(piece.shown) > DRAFT_CHARACTERS
    return too_long or too_many_pieces(talk)


def too_many_pieces(talk: Talk) -> bool:
    files = len(talk.draft.attachments)
    return len(talk.draft.pieces) >= DRAFT_PIECES or (talk.event.media is not None and files >= DRAFT_ATTACHMENTS)


def begin(talk: Talk) -> None:
    if not has_draft(talk):
        talk.draft = replace(talk.draft, number=talk.event.item_id)
    talk.ticket_id = 0


def discard(talk: Talk) -> None:
    talk.draft = NO_DRAFT


def keep(talk: Talk) -> None:
    """Adds what they wrote or sent to the draft."""
    talk.draft = replace(talk.draft, pieces=(*talk.draft.pieces, piece_of(talk)))


def keep_aside(talk: Talk) -> None:
    """Adds what only an agent is to read: a placeholder for what can't be read, the ad that brought a greeting, an edit
    of what is not in the draft. What there is no room for is left out."""
    event, pieces = talk.event, talk.draft.pieces
    lines = [event.text if event.kind == "unreadable" else "", event.shown]
    shown = "\n".join(filter(None, lines))
    room = DRAFT_CHARACTERS - len(talk.draft.description)
    if 0 < len(shown) <= room and sum(not piece.text and not piece.media for piece in pieces) < DRAFT_ASIDES:
        talk.draft = replace(talk.draft, pieces=(*pieces, Piece(wamid=event.wamid, shown=shown)))


def describe(talk: Talk) -> None:
    """The description, in place of an older one; a picture without a word leaves that as it is."""
    piece, pieces = piece_of(talk), talk.draft.pieces
    if piece.text:
        pieces = tuple(replace(old, text="") for old in pieces if old.media or old.shown)
    talk.draft = replace(talk.draft, pieces=(*pieces, piece))


def take_topic(talk: Talk) -> None:
    talk.draft = replace(talk.draft, issue_type=talk.argument or OTHER, page=0)


def file_under_other(talk: Talk) -> None:
    talk.draft = replace(talk.draft, issue_type=talk.draft.issue_type or OTHER, page=0)


def turn_page(talk: Talk) -> None:
    page = int(talk.argument) if talk.argument.isdecimal() and len(talk.argument) < 4 else 0
    talk.draft = replace(talk.draft, page=page)


def change_piece(talk: Talk) -> None:
    """What they edit or delete of a draft is changed in it. An edit for which there is no room leaves it as it was."""
    event, pieces = talk.event, talk.draft.pieces
    mine = [piece for piece in pieces if piece.wamid == event.quoted_wamid]
    if event.change == "revoked":
        talk.draft = replace(talk.draft, pieces=tuple(piece for piece in pieces if piece not in mine))
    elif event.change == "edited" and event.edited.strip():
        grown = len(event.edited) - sum(len(piece.text) for piece in mine)
        if len(talk.draft.description) + grown <= DRAFT_CHARACTERS:
            edited = tuple(replace(piece, text=event.edited.strip()) if piece in mine else piece for piece in pieces)
            talk.draft = replace(talk.draft, pieces=edited)


def piece_of(talk: Talk) -> Piece:
    event, text = talk.event, text_of(talk).strip()
    words = "" if event.media and text in STAND_INS else text
    return Piece(words, event.media, event.wamid, event.shown)


def text_of(talk: Talk) -> str:
    """What they wrote or sent; never blank."""
    event = talk.event
    if not is_blank(event.text):
        return event.text
    return f"[{formatting.COUNTED[event.media.kind][0] if event.media else event.kind}]"
