"""What will become a ticket: the messages it is made of, each as a piece that can still be edited or deleted."""

from __future__ import annotations

from dataclasses import dataclass

from flows.events import Media
from flows.language.matching import is_blank


@dataclass(frozen=True, slots=True)
class Piece:
    """One message in a draft."""

    text: str = ""  # the customer's own words
    media: Media | None = None
    wamid: str = ""
    shown: str = ""  # what only an agent reads: that it was forwarded, or can't be shown


@dataclass(frozen=True, slots=True)
class Draft:
    """Its number is the id of the item that began it, so no two drafts share one."""

    number: int = 0
    issue_type: str = ""
    pieces: tuple[Piece, ...] = ()
    page: int = 0  # of the list of topics

    @property
    def said(self) -> str:
        """What the customer wrote."""
        return "\n".join(piece.text for piece in self.pieces if piece.text)

    @property
    def description(self) -> str:
        """What an agent will read of it."""
        return "\n".join(line for piece in self.pieces for line in (piece.text, piece.shown) if line)

    @property
    def attachments(self) -> tuple[Media, ...]:
        return tuple(piece.media for piece in self.pieces if piece.media)

    @property
    def wamids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(piece.wamid for piece in self.pieces if piece.wamid))

    @property
    def has_content(self) -> bool:
        return any(piece.media or not is_blank(piece.text) for piece in self.pieces)


NO_DRAFT = Draft()
