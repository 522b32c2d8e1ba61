"""Defines what keeps an agent's change from being made: one base, and a code by which each door chooses its answer.

Invariants
- Nothing of the change has happened when one of these is raised.
- A sentence names no customer and repeats nothing that anybody typed.
"""

from enum import StrEnum

from storage.statuses import TicketStatus
from storage.tickets import MOVES


class ErrorCode(StrEnum):
    """What is in the way, and whose move it is. Callers of the API read these values: they don't change."""

    NOT_FOUND = "not_found"  # the caller's: there is nothing with the id that they gave
    UNUSABLE_VALUE = "unusable_value"  # the caller's: what a field names can't be used here, now or later
    ILLEGAL_STATUS_CHANGE = "illegal_status_change"  # nobody's: the ticket stands where no way leads to that status
    WINDOW_CLOSED = "window_closed"  # the customer's: free text goes out once they have written again
    NOT_ON_WHATSAPP = "not_on_whatsapp"  # nobody's: the ticket has no customer who could get a message
    NOT_IN_DOUBT = "not_in_doubt"  # nobody's: the message has gone out or failed, or is still on its way


class AgentError(Exception):
    """A change that can't be made. `field` is where in the request the reason lies, `sentence` says it in English."""

    def __init__(self, code: ErrorCode, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.field = field
        self.sentence = sentence


class TicketNotFound(AgentError):
    """There is no ticket with this number."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_FOUND, "ticket_id", "there is no ticket with this number")


class MessageNotFound(AgentError):
    """There is no reply with this id, or no message outside of a ticket."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_FOUND, "id", "there is no message with this id")


class UnusableValue(AgentError):
    """A field names a message or a file that can't be used here."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(ErrorCode.UNUSABLE_VALUE, field, sentence)


class IllegalStatusChange(AgentError):
    """A ticket can't go from the status that it has to the wanted one."""

    def __init__(self, current: TicketStatus, wanted: TicketStatus) -> None:
        moves = " or ".join(status for status in TicketStatus if status in MOVES[current])
        sentence = f"a ticket that is {current} can't go there; it can go to {moves}"
        super().__init__(ErrorCode.ILLEGAL_STATUS_CHANGE, "status", sentence)
        self.current = current
        self.wanted = wanted


class WindowClosed(AgentError):
    """The customer has not written within 24 hours: only a template may go out."""

    def __init__(self) -> None:
        sentence = "this customer has not written within 24 hours; until they do, only a template may go out"
        super().__init__(ErrorCode.WINDOW_CLOSED, "customer", sentence)


class NotOnWhatsApp(AgentError):
    """The ticket has no customer who could get a message."""

    def __init__(self) -> None:
        sentence = "this ticket's customer gets nothing on WhatsApp"
        super().__init__(ErrorCode.NOT_ON_WHATSAPP, "ticket_id", sentence)


class NotInDoubt(AgentError):
    """It is known what became of the message, or will be: no person needs to send it again."""

    def __init__(self) -> None:
        sentence = "nothing of this message waits for somebody to send it again"
        super().__init__(ErrorCode.NOT_IN_DOUBT, "id", sentence)
