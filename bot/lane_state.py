"""Defines the state of a lane, which is kept in SQL behind the fence, with a copy in Redis.

Invariants
- All that a turn or a delivery must know of a customer, besides items and rows, is in here, so that a claim brings it
  and one statement writes it.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import from_millis, to_millis


@dataclass(frozen=True, slots=True)
class LaneState:
    """Where we are with one customer. All instants are by Meta's clock.

    `address`: what we answer to. `last_inbound_at`: what the service window counts from. `last_item_at`: an item from
    before it is late. `flow`: the conversation as flows/ writes it, "" before the first turn. `quiet_until`: until then
    a person answers in the Business app, and the bot says nothing. `note`: what agents are to read on the ticket that
    this customer opens or adds to next, "" as a rule.
    """

    address: str = ""
    last_inbound_at: datetime | None = None
    last_item_at: datetime | None = None
    flow: str = ""
    quiet_until: datetime | None = None
    note: str = ""

    def to_json(self) -> str:
        """Returns the state as JSON; compact, since it is written with every turn."""
        instants = [_to_millis(self.last_inbound_at), _to_millis(self.last_item_at), _to_millis(self.quiet_until)]
        values = [self.address, self.flow, *instants, *([self.note] if self.note else [])]
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "LaneState":
        """Reads what `to_json` wrote. What can't be read is an empty state: the lane goes on, and its conversation
        begins again."""
        try:
            address, flow, *instants = json.loads(text)
            note = instants.pop() if len(instants) > 3 else ""
            last_inbound_at, last_item_at, quiet_until = map(_to_instant, instants)
            state = cls(address, last_inbound_at, last_item_at, flow, quiet_until, note)
        except (ValueError, TypeError, OverflowError, OSError, RecursionError):
            return cls()
        return state if all(isinstance(one, str) for one in (address, flow, note)) else cls()


def _to_millis(at: datetime | None) -> int | None:
    return None if at is None else to_millis(at)


def _to_instant(millis: int | None) -> datetime | None:
    return None if millis is None else from_millis(millis)
