"""Decides what is said to customers: the conversations as tables, and `take_turn`, the pure function that plays one."""

from flows.conversation import Conversation
from flows.desk import About, Desk, IssueType, Ticket
from flows.draft import Draft, Piece
from flows.effects import AddReply, Effect, Note, Offer, OpenTicket, Option, Say
from flows.events import Event, Media
from flows.issue_types import DEFAULT_ISSUE_TYPES, IssueTypeFault, find_issue_type_faults
from flows.limits import LIMITS
from flows.scripts.texts import FILES_WAIT
from flows.turn import Turn, take_turn

__all__ = [
    "DEFAULT_ISSUE_TYPES",
    "FILES_WAIT",
    "LIMITS",
    "About",
    "AddReply",
    "Conversation",
    "Desk",
    "Draft",
    "Effect",
    "Event",
    "IssueType",
    "IssueTypeFault",
    "Media",
    "Note",
    "Offer",
    "OpenTicket",
    "Option",
    "Piece",
    "Say",
    "Ticket",
    "Turn",
    "find_issue_type_faults",
    "take_turn",
]
