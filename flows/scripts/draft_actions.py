"""What happens to a draft: conditions on it to look at, and what the rows of a table do with it.

Both see one turn's context and nothing else. A draft is bounded, so that a conversation always fits where it is kept.
"""

from __future__ import annotations

from dataclasses import replace

from flows.draft import NO_DRAFT, Piece
from flows.engine.definition import TurnContext
from flows.language import formatting
from flows.language.matching import is_blank

OTHER = "other"
DRAFT_CHARACTERS = 65_536
DRAFT_ATTACHMENTS = 100
DRAFT_PIECES = 1000
DRAFT_ASIDES = 50  # pieces that are nothing but something shown
# A picture without a word is shown by its count; the reader's stand-in for it says nothing more.
STAND_INS = frozenset(f"[{name}]" for name in (*formatting.COUNTED, *(one for one, _ in formatting.COUNTED.values())))


def has_draft(context: TurnContext) -> bool:
    return context.draft.number > 0


def has_content(context: TurnContext) -> bool:
    return context.draft.has_content


def can_be_sent(context: TurnContext) -> bool:
    return has_draft(context) and has_content(context)


def draft_is_full(context: TurnContext) -> bool:
    draft, piece = context.draft, piece_of(context)
    too_long = draft.has_content and len(draft.description) + len(piece.text) + len(piece.shown) > DRAFT_CHARACTERS
    return too_long or too_many_pieces(context)


def too_many_pieces(context: TurnContext) -> bool:
    files = len(context.draft.attachments)
    return len(context.draft.pieces) >= DRAFT_PIECES or (context.event.media is not None and files >= DRAFT_ATTACHMENTS)


def begin(context: TurnContext) -> None:
    if not has_draft(context):
        context.draft = replace(context.draft, number=context.event.item_id)
    context.ticket_id = 0


def discard(context: TurnContext) -> None:
    context.draft = NO_DRAFT


def keep(context: TurnContext) -> None:
    """Adds what they wrote or sent to the draft."""
    context.draft = replace(context.draft, pieces=(*context.draft.pieces, piece_of(context)))


def keep_aside(context: TurnContext) -> None:
    """Adds what only an agent is to read: a placeholder for what can't be read, the ad that brought a greeting, an edit
    of what is not in the draft. What there is no room for is left out."""
    event, pieces = context.event, context.draft.pieces
    lines = [event.text if event.kind == "unreadable" else "", event.shown]
    shown = "\n".join(filter(None, lines))
    room = DRAFT_CHARACTERS - len(context.draft.description)
    if 0 < len(shown) <= room and sum(not piece.text and not piece.media for piece in pieces) < DRAFT_ASIDES:
        context.draft = replace(context.draft, pieces=(*pieces, Piece(wamid=event.wamid, shown=shown)))


def describe(context: TurnContext) -> None:
    """The description, in place of an older one; a picture without a word leaves that as it is."""
    piece, pieces = piece_of(context), context.draft.pieces
    if piece.text:
        pieces = tuple(replace(old, text="") for old in pieces if old.media or old.shown)
    context.draft = replace(context.draft, pieces=(*pieces, piece))


def take_topic(context: TurnContext) -> None:
    context.draft = replace(context.draft, issue_type=context.argument or OTHER, page=0)


def file_under_other(context: TurnContext) -> None:
    context.draft = replace(context.draft, issue_type=context.draft.issue_type or OTHER, page=0)


def turn_page(context: TurnContext) -> None:
    page = int(context.argument) if context.argument.isdecimal() and len(context.argument) < 4 else 0
    context.draft = replace(context.draft, page=page)


def change_piece(context: TurnContext) -> None:
    """What they edit or delete of a draft is changed in it. An edit for which there is no room leaves it as it was."""
    event, pieces = context.event, context.draft.pieces
    mine = [piece for piece in pieces if piece.wamid == event.quoted_wamid]
    if event.change == "revoked":
        context.draft = replace(context.draft, pieces=tuple(piece for piece in pieces if piece not in mine))
    elif event.change == "edited" and event.edited.strip():
        grown = len(event.edited) - sum(len(piece.text) for piece in mine)
        if len(context.draft.description) + grown <= DRAFT_CHARACTERS:
            edited = tuple(replace(piece, text=event.edited.strip()) if piece in mine else piece for piece in pieces)
            context.draft = replace(context.draft, pieces=edited)


def piece_of(context: TurnContext) -> Piece:
    event, text = context.event, text_of(context).strip()
    words = "" if event.media and text in STAND_INS else text
    return Piece(words, event.media, event.wamid, event.shown)


def text_of(context: TurnContext) -> str:
    """What they wrote or sent; never blank."""
    event = context.event
    if not is_blank(event.text):
        return event.text
    return f"[{formatting.COUNTED[event.media.kind][0] if event.media else event.kind}]"
