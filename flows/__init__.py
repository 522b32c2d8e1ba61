"""What is said: the conversations as tables, and the pure step that plays them."""

from flows.conversation import Conversation
from flows.draft import Draft, Piece
from flows.events import (
    LIMITS,
    About,
    AddReply,
    Desk,
    Effect,
    Event,
    IssueType,
    Media,
    Note,
    Offer,
    OpenTicket,
    Option,
    Say,
    Ticket,
    Turn,
)
from flows.turn import take_turn

__all__ = [
    "LIMITS",
    "About",
    "AddReply",
    "Conversation",
    "Desk",
    "Draft",
    "Effect",
    "Event",
    "IssueType",
    "Media",
    "Note",
    "Offer",
    "OpenTicket",
    "Option",
    "Piece",
    "Say",
    "Ticket",
    "Turn",
    "take_turn",
]
