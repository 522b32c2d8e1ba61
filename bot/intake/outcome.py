"""Gathers what comes of settling items beside the directory, to be written in the same transaction. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from bot.whatsapp.webhook.items import Item
from storage.alerts import Alert
from storage.statuses import AlertSeverity, AuditAction


@dataclass(frozen=True, slots=True)
class Cause:
    """The item that something comes of, and when it was said, by Meta's clock."""

    item_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class AgentNote:
    """What agents are to read on a customer's tickets."""

    customer_id: int
    text: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What the audit is to say of a customer."""

    action: AuditAction
    customer_id: int
    detail: str


@dataclass(frozen=True, slots=True)
class CustomerJoin:
    """Two customers who are one person: the second becomes the first. `is_stored`: both were there before this
    transaction, so there may be rows of the second's."""

    kept_id: int
    joined_id: int
    is_stored: bool


@dataclass(slots=True)
class Outcome:
    """What is to be written."""

    now: datetime
    alerts: list[Alert] = field(default_factory=list)
    notes: list[AgentNote] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    joins: list[CustomerJoin] = field(default_factory=list)
    names: dict[int, tuple[datetime, str]] = field(default_factory=dict)  # customer -> when they said which name

    def resolve(self, customer_id: int) -> int:
        """Returns the customer whom this one has become by now."""
        for join in self.joins:
            if customer_id == join.joined_id:
                customer_id = join.kept_id
        return customer_id

    def note_name(self, customer_id: int, item: Item) -> None:
        """Notes what a customer calls themselves; of several names the one counts that was said last."""
        name = item.customer.name if item.customer else ""
        if name and (customer_id not in self.names or self.names[customer_id][0] <= item.meta_at):
            self.names[customer_id] = (item.meta_at, name)

    def note_join(self, join: CustomerJoin) -> None:
        """Notes that two customers are one, whose name is the one that was said last."""
        self.joins.append(join)
        self.audit.append(
            AuditEntry(AuditAction.CUSTOMER_JOIN, join.kept_id, f"{join.joined_id} is the same person, says Meta")
        )
        if (said := self.names.pop(join.joined_id, None)) and said >= self.names.get(join.kept_id, said):
            self.names[join.kept_id] = said

    def alert_of_number(self, customer_id: int, message: str) -> None:
        """Has an operator told of a number of the customer's."""
        self.alerts.append(Alert(f"number:{customer_id}", AlertSeverity.INFO, message, self.now))
