"""What one webhook body is made of, as values: an item for each thing that arrived, and who it is about.

Invariant: an item that is ignored names its reason and has neither a sender nor a rename, so nothing can come of it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ItemKind(StrEnum):
    MESSAGE = "message"
    STATUS = "status"
    ECHO = "echo"  # a message to a customer that we did not send: written in the Business app, or by Meta's agent
    HANDOVER = "handover"  # of a chat between Meta's agent and us; like an echo's, its sender is the customer
    ACCOUNT = "account"  # news of our account, number or templates: it has no sender
    OTHER = "other"


class IgnoredReason(StrEnum):
    """Why an item has no effect. The last two are found later, when a status meets the outbox."""

    NOT_JSON = "not_json"
    NOT_WHATSAPP = "not_whatsapp"
    FOREIGN_NUMBER = "foreign_number"
    NO_NUMBER = "no_number"
    UNKNOWN_FIELD = "unknown_field"
    NOT_USED = "not_used"  # a field that we know, and have no use for
    EMPTY = "empty"
    MALFORMED = "malformed"
    NO_ID = "no_id"
    GROUP = "group"
    NO_SENDER = "no_sender"
    UNKNOWN_STATUS = "unknown_status"
    SUPERSEDED = "superseded"
    UNKNOWN_MESSAGE = "unknown_message"


@dataclass(frozen=True, slots=True)
class WhatsAppUser:
    """A customer as Meta names them: at least one of phone (digits) and bsuid is there. Name and username are theirs to
    choose: they are shown, and never compared."""

    phone: str = ""
    bsuid: str = ""
    name: str = ""
    username: str = ""

    @property
    def address(self) -> str:
        return self.phone or self.bsuid


@dataclass(frozen=True, slots=True)
class AddressChange:
    """A customer whose number or business-scoped user id was replaced; "" is what Meta didn't say."""

    old_phone: str = ""
    new_phone: str = ""
    old_bsuid: str = ""
    new_bsuid: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    key: str
    kind: ItemKind
    meta_at: datetime
    payload: str
    customer: WhatsAppUser | None
    ignored: IgnoredReason | None
    address_change: AddressChange | None = None
    given_phone: str = ""  # the number that they gave as theirs, asked for it (see people.given_phone)


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """What became of a message of ours. `opaque` is the outbox row's id, when Meta gave it back."""

    wamid: str
    status: str
    at: datetime
    opaque: str = ""
    error_code: int | None = None
    error_text: str = ""
