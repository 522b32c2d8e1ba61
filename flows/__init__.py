"""What is said to customers: the conversations as tables, and `take_turn`, the pure function that plays them."""

from flows.conversation import Conversation
from flows.desk import About, Desk, IssueType, Ticket
from flows.draft import Draft, Piece
from flows.effects import AddReply, Effect, Note, Offer, OpenTicket, Option, Say
from flows.events import Event, Media
from flows.limits import LIMITS
from flows.turn import Turn, take_turn

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
