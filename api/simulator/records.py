"""Defines the records of what the simulator remembers: one for each customer, file, message and webhook."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

# Types of messages that change another message, or a customer, and show nothing of their own in a chat.
SILENT_KINDS: Final = frozenset({"reaction", "edit", "revoke", "system"})

Visibility = Literal["phone", "user_id"]  # the number beside the user id, or the user id alone


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who writes. Everybody has a phone number and, once they are saved, a business-scoped user id (BSUID),
    which the business always gets to see; `shows` says whether it sees the number too."""

    phone: str
    name: str
    user_id: str = ""
    username: str = ""
    shows: Visibility = "phone"


@dataclass(frozen=True, slots=True)
class Media:
    """A file. `inbound`: it was named in a webhook; such an id is good for seven days only. `sha256` is in hex."""

    media_id: str
    mime_type: str
    filename: str
    size: int
    sha256: str
    at: float
    inbound: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A button or a row. `kind`: reply, or what else a button can do: url, place, number, form."""

    option_id: str
    title: str
    description: str = ""
    section: str = ""
    kind: str = "reply"


@dataclass(slots=True)
class Message:
    """A message of a chat, whoever wrote it; the only record that changes.

    `phone`: the customer's. `kind`: Meta's type, or what the page shows of it (option, buttons, list ...). `status`:
    accepted, sent, delivered, read or failed. `quote`: the message that it answers, or that a silent one is about.
    `button`: what opens the list. `fails_with`: Meta's code, decided when the message was accepted and reported later.
    `dropped`: accepted, and never reported. `reactions`: emojis, by whom. `extra`: the place, the card.
    """

    wamid: str
    phone: str
    by: Literal["customer", "business"]
    at: float
    kind: str
    status: str
    text: str = ""
    quote: str = ""
    header: str = ""
    footer: str = ""
    button: str = ""
    options: list[Choice] = field(default_factory=list)
    media_id: str = ""
    opaque: str = ""
    fails_with: int = 0
    error: str = ""
    dropped: bool = False
    to_user_id: bool = False
    category: str = "service"
    edited: bool = False
    revoked: bool = False
    reactions: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that the service has not acknowledged yet. Those of one lane are posted one after the other."""

    webhook_id: int
    lane: str  # "<field>:<phone>"
    body: str
    wamid: str
    at: float

    @property
    def phone(self) -> str:
        """Whose lane it is; empty for what is about no customer."""
        return self.lane.partition(":")[2]
