"""What the simulator remembers, one record of each kind."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

# What changes another message and is none to look at.
ACTS: Final = frozenset({"reaction", "edit", "revoke", "system"})


@dataclass(frozen=True, slots=True)
class Customer:
    phone: str  # everybody has one; the business may not be shown it
    name: str
    user_id: str = ""
    username: str = ""
    shows: Literal["phone", "user_id", "both"] = "phone"


@dataclass(frozen=True, slots=True)
class Media:
    media_id: str
    mime_type: str
    filename: str
    size: int
    sha256: str  # hex
    at: float
    inbound: bool = False  # named in a webhook: such an id is worth something for seven days only


@dataclass(frozen=True, slots=True)
class Choice:
    option_id: str
    title: str
    description: str = ""
    section: str = ""
    kind: str = "reply"  # or what else a button can do: url, place, number, form


@dataclass(slots=True)
class Message:
    wamid: str
    phone: str  # the customer's, whoever wrote it
    by: Literal["customer", "business"]
    at: float
    kind: str  # text, option, buttons, list, template, image, location, contacts, reaction, edit ...
    status: str
    text: str = ""
    quote: str = ""  # also whom a reaction, an edit or a revoke is about
    header: str = ""
    footer: str = ""
    button: str = ""  # what opens the list
    options: list[Choice] = field(default_factory=list)
    media_id: str = ""
    opaque: str = ""
    fails_with: int = 0  # decided when it was accepted, told later, as Meta does
    error: str = ""
    dropped: bool = False  # accepted, and never heard of again
    to_user_id: bool = False
    category: str = "service"
    edited: bool = False
    revoked: bool = False
    reactions: dict[str, str] = field(default_factory=dict)  # by whom: the emoji
    extra: dict[str, Any] = field(default_factory=dict)  # the place, the card, the address behind a button


@dataclass(frozen=True, slots=True)
class Webhook:
    webhook_id: int
    lane: str  # webhooks of one lane are posted one after the other
    body: str
    wamid: str
    at: float

    @property
    def phone(self) -> str:
        """Whose lane it is; empty for what is about no customer."""
        return self.lane.partition(":")[2]
