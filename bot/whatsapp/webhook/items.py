"""Defines what one webhook body is made of: an item for each thing that arrived, and whom it is about.

Invariants
- An item that is ignored names its reason and has neither a customer nor a change of address, so nothing can come of
  it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ItemKind(StrEnum):
    """What has arrived. Stored in the journal."""

    MESSAGE = "message"  # from a customer
    STATUS = "status"  # what became of a message of ours: sent, delivered, read, failed
    ECHO = "echo"  # a message to a customer that we did not send: written in the Business app, or by Meta's agent
    HANDOVER = "handover"  # of a chat between Meta's agent and us
    ACCOUNT = "account"  # an update about our account, number or templates, which has no customer
    OTHER = "other"  # a change of a user id, and whatever could not be read


class IgnoredReason(StrEnum):
    """Why an item has no effect. Stored in the journal."""

    NOT_JSON = "not_json"  # the body is no JSON, or too deep to be read
    NOT_WHATSAPP = "not_whatsapp"  # a webhook of another product of Meta's
    FOREIGN_NUMBER = "foreign_number"  # for another phone number of the same app
    NO_NUMBER = "no_number"  # it does not say for which phone number it is
    UNKNOWN_FIELD = "unknown_field"  # a field that is in no list of fields.py
    NOT_USED = "not_used"  # a field that we know, and have no use for
    EMPTY = "empty"  # nothing is in it
    MALFORMED = "malformed"  # a list or an object was expected
    NO_ID = "no_id"  # a message or a status without the wamid
    GROUP = "group"  # groups are not supported
    NO_SENDER = "no_sender"  # it names nobody
    OWN_NUMBER = "own_number"  # from our own number, or an echo to it: that is no customer
    UNKNOWN_STATUS = "unknown_status"  # a status that is neither sent, delivered, read, played nor failed
    SUPERSEDED = "superseded"  # found by the worker: the row of the outbox is further on already
    UNKNOWN_MESSAGE = "unknown_message"  # found by the worker: a status of a message that is not in the outbox


@dataclass(frozen=True, slots=True)
class WhatsAppUser:
    """A customer as Meta names them: the phone (digits), the BSUID, or both.

    Name and username are theirs to choose: they are shown, and never compared.
    """

    phone: str = ""
    bsuid: str = ""
    name: str = ""
    username: str = ""

    @property
    def address(self) -> str:
        """What we send to: the phone where there is one."""
        return self.phone or self.bsuid


@dataclass(frozen=True, slots=True)
class AddressChange:
    """A customer's phone or BSUID was replaced by another; "" is what Meta did not say.

    `is_new_number`: Meta says that the phone is another, so none from before is theirs any more, also where the new one
    is hidden. Otherwise an `old_phone` is theirs still.
    """

    old_phone: str = ""
    new_phone: str = ""
    old_bsuid: str = ""
    new_bsuid: str = ""
    is_new_number: bool = False

    @property
    def address(self) -> str:
        """What we send to from now on, a phone where there is one."""
        return self.new_phone or ("" if self.is_new_number else self.old_phone) or self.new_bsuid


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that arrived.

    `key` is the same for each delivery of it (item_keys.py), `payload` the JSON text that the journal keeps, `meta_at`
    Meta's time for it. `customer` is whom it is about: who wrote a message, to whom an echo or a status's message went,
    whose chat is handed over; None also where a status or a change of address does not say.
    """

    key: str
    kind: ItemKind
    meta_at: datetime
    payload: str
    customer: WhatsAppUser | None
    ignored: IgnoredReason | None
    address_change: AddressChange | None = None
    given_phone: str = ""  # the number that they gave as theirs, asked for it (contacts.read_given_phone)


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """What became of a message of ours: sent, delivered, read or failed.

    `opaque` is the outbox row's id where Meta gave it back (`biz_opaque_callback_data`). `error_code` and `error_text`
    are of a failed one; the text is Meta's.
    """

    wamid: str
    status: str
    at: datetime
    opaque: str = ""
    error_code: int | None = None
    error_text: str = ""
