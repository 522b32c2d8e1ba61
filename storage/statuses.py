"""Lists the enums of what rows carry: fates, statuses, states, reasons, origins, severities. Columns hold their values.

They stand below the tables, since one table also reads, counts or logs what another one holds. Which status may follow
which is in the table's own module (its MOVES).
"""

from enum import StrEnum
from typing import NamedTuple


class Fate(StrEnum):
    """What became of an item of the journal: exactly one of these at any time."""

    DONE = "done"  # its turn was played, or its status applied: what it caused is in the same transaction
    IGNORED = "ignored"  # has no effect, for the reason beside it
    DEAD = "dead"  # its turn failed too often: an operator may have it replayed, which makes it pending again
    PENDING = "pending"  # waits for its turn


class PendingReason(StrEnum):
    """Why an item that is pending is not handled like others."""

    WENT_BACK = "went_back"  # it waited when the database went back to an earlier state: it may have been answered


class OutboxStatus(StrEnum):
    """How far a row of the outbox has come on its way to the customer's screen."""

    QUEUED = "queued"  # it is sent once it is due
    SENDING = "sending"  # its request is about to go out, or has gone out without an answer so far
    UNKNOWN = "unknown"  # in doubt: nobody knows whether Meta took it
    HELD = "held"  # outside of the 24 hours and without a template: it waits for the customer, or for a template
    ACCEPTED = "accepted"  # Meta answered with its id, the wamid
    SENT = "sent"  # Meta reported that it is on its way
    DELIVERED = "delivered"  # it is on the customer's phone
    READ = "read"  # the customer has opened it, or played it
    FAILED = "failed"  # it will not reach them, unless a later status reports that it did


class Origin(StrEnum):
    """Who caused a row of the outbox, which decides what may be done with it."""

    PROMPT = "prompt"  # the flow, as its answer to a message: worth nothing once the customer writes again
    NOTICE = "notice"  # a change of a ticket, of which its customer is to know
    AGENT = "agent"  # a person's own words: nobody but a person sends them a second time when in doubt


class OutboxReason(StrEnum):
    """Why a row of the outbox is where it is. What Meta or a connection said of it stands beside it, as its detail."""

    NONE = ""  # nothing kept it
    WINDOW_CLOSED = "window_closed"  # the customer has not written for 24 hours
    NO_TEMPLATE = "no_template"  # the window is closed, and no template is assigned to carry it
    TEMPLATE_UNFIT = "template_unfit"  # the window is closed, and the assigned template can't carry it; see the detail
    RATE_LIMITED = "rate_limited"  # Meta's limit for our number or for this customer is used up
    SUPERSEDED = "superseded"  # a later notice about the same ticket has overtaken it
    SENDER_DIED = "sender_died"  # its process ended before Meta's answer was written
    ANSWER_LOST = "answer_lost"  # the request may have gone out, and no answer came
    SERVER_FAILED = "server_failed"  # Meta's server answered that it failed, and may have taken it all the same
    RESENT = "resent"  # it was in doubt for long enough: it goes out once more
    DOUBTED_AGAIN = "doubted_again"  # it was sent once more, and is in doubt again: it is given up
    ASK_A_PERSON = "ask_a_person"  # it is in doubt, and only a person may send it again
    NOT_SENT = "not_sent"  # the request never went out
    MARKED_TOO_SLOWLY = "marked_too_slowly"  # so much time went by with the mark that sending it was not safe
    NOT_UPLOADED = "not_uploaded"  # its file could not be brought to Meta
    UNSENDABLE = "unsendable"  # no message that WhatsApp takes can be made of it
    NO_ADDRESS = "no_address"  # the number is another's by now, and we know no other address of this customer's
    WENT_BACK = "went_back"  # the database went back to an earlier state, and it may have gone out since
    REFUSED = "refused"  # Meta refused it, at once or in a status; the detail has the code


class Why(NamedTuple):
    """A reason, and its detail: what Meta or a connection said, "" or a sentence, of which 300 characters are kept."""

    reason: OutboxReason = OutboxReason.NONE
    detail: str = ""


NO_REASON = Why()


class FileState(StrEnum):
    """How far a file has come, whose bytes are in the store of FILES_URL."""

    WAITING = "waiting"  # a customer's: to be fetched from Meta once it is due
    FETCHING = "fetching"  # a process has it until its lease ends
    STORED = "stored"  # all of its bytes are in the store
    FAILED = "failed"  # could not be fetched: tried again once it is due, or at once when an agent says so
    DEFERRED = "deferred"  # left at Meta, since its customer's budget is used up: fetched when an agent says so
    REFUSED = "refused"  # not fetched, and never will be: too large, or not from Meta's servers
    EXPIRED = "expired"  # Meta has it no more
    LOOSE = "loose"  # an agent's: nobody knows whether its bytes are there yet, or any more, as they are being deleted


class AlertSeverity(StrEnum):
    """How bad what an alert says is."""

    RED = "red"  # something does not work
    YELLOW = "yellow"  # something may soon not work
    INFO = "info"  # good to know, and nothing to fix


class TicketStatus(StrEnum):
    """Where the work on a ticket stands."""

    NEW = "new"  # nobody works on it yet
    IN_PROGRESS = "in_progress"  # an agent works on it
    WAITING = "waiting"  # it waits for the customer, who was asked something
    RESOLVED = "resolved"  # solved as far as the agent knows: the customer may say that it is not
    CLOSED = "closed"  # over: what the customer writes goes elsewhere


class ReplyAuthor(StrEnum):
    """Who wrote a reply or a note."""

    CUSTOMER = "customer"
    AGENT = "agent"  # at the desk, over REST, or in the WhatsApp Business app
    META = "meta"  # Meta's agent, or Meta itself about who leads the chat
    SYSTEM = "system"  # WhatsApp, about a change of the customer's number or account


class ReplyKind(StrEnum):
    """What a row of the table `reply` is."""

    MESSAGE = "message"  # written by the customer, or sent to them
    NOTE = "note"  # for agents alone


class AuditAction(StrEnum):
    """What somebody did, as the audit says it. What a line is about stands beside it, as its object."""

    TICKET_OPEN = "ticket.open"  # opened a ticket for a customer
    TICKET_STATUS = "ticket.status"  # moved a ticket to another status; the detail has both
    TICKET_REPLY = "ticket.reply"  # answered the customer of a ticket
    TICKET_ASK_LOCATION = "ticket.ask_location"  # asked the customer of a ticket where they are
    TICKET_ASK_CONTACT = "ticket.ask_contact"  # asked the customer of a ticket for their number
    TICKET_REACTION = "ticket.reaction"  # reacted to a message on a ticket, or took that back
    TICKET_SEND_AGAIN = "ticket.send_again"  # had an answer sent once more that may have got lost
    MESSAGE_SEND = "message.send"  # wrote to a customer outside of any ticket
    MESSAGE_SEND_AGAIN = "message.send_again"  # had such a message sent once more that may have got lost
    FILE_UPLOAD = "file.upload"  # uploaded a file for an answer
    FILE_RETRY = "file.retry"  # had a customer's file fetched again
    CHANNEL_TRY = "channel.try"  # had sending tried again at once
    NOTICE_TEMPLATE = "notice.template"  # chose the template that carries a notice, or took it away
    TEMPLATE_SYNC = "template.sync"  # had Meta asked for the templates
    QR_CREATE = "qr.create"  # asked Meta for a QR code; the detail has its text
    QR_DELETE = "qr.delete"  # asked Meta to delete a QR code
    KEY_CREATE = "key.create"  # made a key to the REST API
    KEY_REVOKE = "key.revoke"  # made a key useless, for good
    AGENT_ADD = "agent.add"  # let a person sign in at the desk
    AGENT_DISABLE = "agent.disable"  # locked an agent out, and ended their sign-ins
    AGENT_ENABLE = "agent.enable"  # let a locked-out agent sign in again
    AGENT_PASSWORD = "agent.password"  # noqa: S105 - set another password of an agent's, and ended their sign-ins
    AGENT_ROLE = "agent.role"  # gave an agent another role; the detail has both
    AGENT_SIGN_IN = "agent.sign_in"  # came in at the desk with their password
    AGENT_SIGN_IN_REFUSED = "agent.sign_in_refused"  # somebody gave a wrong password for an agent's address
    AGENT_SIGN_OUT = "agent.sign_out"  # left the desk, in one browser
    AGENT_SIGN_OUT_EVERYWHERE = "agent.sign_out_everywhere"  # had every sign-in of an agent ended
    CUSTOMER_JOIN = "customer.join"  # Meta named two customers as one person
    CUSTOMER_NUMBER_MOVED = "customer.number_moved"  # a number went from another customer to this one
    CUSTOMER_USER_ID_MOVED = "customer.user_id_moved"  # a user id went from another customer to this one
    JOURNAL_REPLAY = "journal.replay"  # set a dead item pending again
    WENT_BACK = "went_back"  # the database was restored, or is back at an earlier state; the detail has what came of it
    TAKEOVER = "takeover"  # took over what the original system kept


class TicketEventKind(StrEnum):
    """What happened to a ticket, as the event log tells it."""

    OPENED = "opened"  # it is there now, with the status that it became
    MESSAGE = "message"  # its customer added something
    ANSWER = "answer"  # an agent wrote to its customer, or asked them for something
    NOTE = "note"  # something was written down for agents alone
    CHANGED = "changed"  # the writer of a reply has edited or deleted it; what they said first stays
    REACTION = "reaction"  # an agent reacted to a message of the customer's, or took that back
    STATUS = "status"  # it went from one status to another
    ASSIGNMENT = "assignment"  # it went from one agent, or from nobody, to another: both by their ids
    DELIVERY = "delivery"  # a message about it came to an end on its way, or waits, or was sent again by a person


class EventAuthor(StrEnum):
    """By whom an event of a ticket came about. Agents and keys have their id beside it."""

    CUSTOMER = "customer"
    AGENT = "agent"  # at the desk; without an id, in the WhatsApp Business app
    API_KEY = "api_key"  # a program, over REST
    OPERATOR = "operator"  # on the command line
    BOT = "bot"  # Tick itself, by a rule of its own
    META = "meta"  # Meta: its agent, what it reports of a message, or who leads the chat
    SYSTEM = "system"  # WhatsApp, about a change of the customer's number or account
