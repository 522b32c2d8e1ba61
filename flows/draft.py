"""Defines the draft of a ticket: the messages that it is made of, each of which can still be edited or deleted."""

from __future__ import annotations

from dataclasses import dataclass

from flows.events import Media
from flows.language.matching import is_blank


@dataclass(frozen=True, slots=True)
class Piece:
    """One message in a draft, which its writer can still edit or delete."""

    text: str = ""  # the customer's own words
    media: Media | None = None
    wamid: str = ""
    shown: str = ""  # what only an agent reads: that it was forwarded, or can't be shown


@dataclass(frozen=True, slots=True)
class Draft:
    """The draft of one customer. Its number is the id of the item that began it, so no two drafts share one."""

    number: int = 0  # 0: no draft has begun
    issue_type: str = ""
    pieces: tuple[Piece, ...] = ()
    page: int = 0  # of the list of topics, counted from 0

    @property
    def customer_text(self) -> str:
        """What the customer wrote."""
        return "\n".join(piece.text for piece in self.pieces if piece.text)

    @property
    def description(self) -> str:
        """What an agent will read of it."""
        return "\n".join(line for piece in self.pieces for line in (piece.text, piece.shown) if line)

    @property
    def attachments(self) -> tuple[Media, ...]:
        """The files of all pieces, in their order."""
        return tuple(piece.media for piece in self.pieces if piece.media)

    @property
    def wamids(self) -> tuple[str, ...]:
        """The messages that it is made of, each once."""
        return tuple(dict.fromkeys(piece.wamid for piece in self.pieces if piece.wamid))

    @property
    def has_content(self) -> bool:
        """Whether there is a file, or a word that a person can see."""
        return any(piece.media or not is_blank(piece.text) for piece in self.pieces)


NO_DRAFT = Draft()
