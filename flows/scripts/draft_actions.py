"""Defines guards on the draft, and the actions with which a flow's rows change it.

Invariants
- Guards and actions see the turn's context and nothing else.
- A draft is bounded (the MAX_DRAFT_ constants), so that a conversation always fits where it is stored.
"""

from __future__ import annotations

from dataclasses import replace

from flows.draft import NO_DRAFT, Piece
from flows.engine.definition import TurnContext
from flows.language.formatting import MEDIA_NOUNS
from flows.language.matching import is_blank

OTHER = "other"  # the issue type of what was written without picking one
MAX_DRAFT_CHARACTERS = 65_536  # sixteen of the longest messages that WhatsApp takes
MAX_DRAFT_ATTACHMENTS = 100
MAX_DRAFT_PIECES = 1000
MAX_DRAFT_NOTES = 50  # pieces that are only shown to agents
MAX_PAGE_DIGITS = 3  # an option id comes from outside, and int() takes long for a long number
# A picture without a word is shown by its count; the reader's placeholder for it says nothing more.
PLACEHOLDERS = frozenset(f"[{name}]" for name in (*MEDIA_NOUNS, *(noun.one for noun in MEDIA_NOUNS.values())))


def has_draft(context: TurnContext) -> bool:
    """Whether a draft has begun, also one in which nothing is yet."""
    return context.draft.number > 0


def has_content(context: TurnContext) -> bool:
    """Whether the draft holds words or files of the customer's."""
    return context.draft.has_content


def can_send(context: TurnContext) -> bool:
    """Whether the draft can become a ticket."""
    return has_draft(context) and has_content(context)


def is_draft_full(context: TurnContext) -> bool:
    """Whether the draft has no room for this message. A first message always has."""
    draft, piece = context.draft, make_piece(context)
    characters = len(draft.description) + len(piece.text) + len(piece.shown)
    return (draft.has_content and characters > MAX_DRAFT_CHARACTERS) or has_too_many_pieces(context)


def has_too_many_pieces(context: TurnContext) -> bool:
    """Whether the draft has no room for one more message, or one more file, whatever its length."""
    draft, files = context.draft, len(context.event.files)
    has_room_for_files = len(draft.attachments) + files <= MAX_DRAFT_ATTACHMENTS
    return len(draft.pieces) + max(1, files) > MAX_DRAFT_PIECES or (files > 0 and not has_room_for_files)


def begin_draft(context: TurnContext) -> None:
    """Begins a draft where there is none. What the customer writes now belongs to no ticket."""
    if not has_draft(context):
        context.draft = replace(context.draft, number=context.event.item_id)
    context.ticket_id = 0


def discard_draft(context: TurnContext) -> None:
    """Forgets the draft."""
    context.draft = NO_DRAFT


def keep_message(context: TurnContext) -> None:
    """Adds what the customer wrote or sent to the draft."""
    context.draft = replace(context.draft, pieces=(*context.draft.pieces, *_make_pieces(context)))


def keep_for_agent(context: TurnContext) -> None:
    """Adds what only an agent is to read: a placeholder for what can't be read, the ad that brought a greeting, an edit
    of something that is not in the draft. What there is no room for is left out."""
    event, pieces = context.event, context.draft.pieces
    lines = [event.text if event.kind == "unreadable" else "", event.shown]
    shown = "\n".join(filter(None, lines))
    room = MAX_DRAFT_CHARACTERS - len(context.draft.description)
    notes = sum(not piece.text and not piece.media for piece in pieces)
    if 0 < len(shown) <= room and notes < MAX_DRAFT_NOTES:
        context.draft = replace(context.draft, pieces=(*pieces, Piece(wamid=event.wamid, shown=shown)))


def replace_description(context: TurnContext) -> None:
    """Takes this message for the description, in place of an older one; a picture without words leaves that alone."""
    piece, pieces = make_piece(context), context.draft.pieces
    if piece.text:
        pieces = tuple(replace(old, text="") for old in pieces if old.media or old.shown)
    context.draft = replace(context.draft, pieces=(*pieces, *_make_pieces(context)))


def take_topic(context: TurnContext) -> None:
    """Files the draft under the topic that was picked."""
    context.draft = replace(context.draft, issue_type=context.argument or OTHER, page=0)


def file_under_other(context: TurnContext) -> None:
    """Files the draft under "other", unless a topic was picked before."""
    context.draft = replace(context.draft, issue_type=context.draft.issue_type or OTHER, page=0)


def turn_page(context: TurnContext) -> None:
    """Turns the list of topics to the page that was picked."""
    digits = context.argument
    page = int(digits) if digits.isdecimal() and len(digits) <= MAX_PAGE_DIGITS else 0
    context.draft = replace(context.draft, page=page)


def apply_change(context: TurnContext) -> None:
    """Edits or deletes in the draft what the customer edited or deleted in WhatsApp. An edit without a word, or one for
    which there is no room, changes nothing."""
    event, pieces = context.event, context.draft.pieces
    changed = [piece for piece in pieces if piece.wamid == event.quoted_wamid]
    if event.change == "revoked":
        context.draft = replace(context.draft, pieces=tuple(piece for piece in pieces if piece not in changed))
    elif event.change == "edited" and event.edited.strip():
        text = event.edited.strip()
        growth = len(event.edited) - sum(len(piece.text) for piece in changed)
        if len(context.draft.description) + growth <= MAX_DRAFT_CHARACTERS:
            edited = tuple(replace(piece, text=text) if piece in changed[:1] else piece for piece in pieces)
            context.draft = replace(context.draft, pieces=edited)


def make_piece(context: TurnContext) -> Piece:
    """Returns this message as a piece of a draft."""
    event, text = context.event, read_text(context).strip()
    words = "" if event.media and text in PLACEHOLDERS else text
    return Piece(words, event.media, event.wamid, event.shown)


def _make_pieces(context: TurnContext) -> tuple[Piece, ...]:
    """Returns this message as pieces of a draft: a file each, the words with the first."""
    event = context.event
    return (make_piece(context), *(Piece(media=media, wamid=event.wamid) for media in event.more_media))


def read_text(context: TurnContext) -> str:
    """Returns what the customer wrote, or a placeholder for what they sent; never blank."""
    event = context.event
    if not is_blank(event.text):
        return event.text
    return f"[{MEDIA_NOUNS[event.media.kind].one if event.media else event.kind}]"
