"""Defines the simulated customers of a benchmark: their habits, how far each of them is, and what they have sent."""

import asyncio
from dataclasses import dataclass, field

from api.bench.graph_stand_in import AcceptedSend
from api.simulator.bodies import Person


@dataclass(frozen=True, slots=True)
class Habits:
    """How customers behave. `burst` follow-ups are written before the first answer is waited for; `pause_seconds`: the
    longest that somebody thinks before answering; `patience_seconds`: after it a customer gives up; `stall_seconds`:
    after it a wait counts as stalled."""

    follow_ups: int = 12
    burst: int = 1
    pause_seconds: float = 0.0
    patience_seconds: float = 30.0
    stall_seconds: float = 6.0


@dataclass(slots=True)
class Customer:
    """A customer and how far they are. `life`: how many began before them."""

    person: Person
    life: int
    sent_messages: int = 0
    ticket_id: int = 0
    follow_ups: int = 0
    arrived: asyncio.Queue[AcceptedSend] = field(default_factory=asyncio.Queue)


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message of a customer that was acknowledged. `n` counts the messages of one customer, from 1; `kind`: hi,
    topic, describe, submit, follow_up; the times are of the monotonic clock."""

    customer: str
    n: int
    kind: str
    text: str
    wamid: str
    posted_at: float
    acked_at: float
    tries: int


class Unanswered(Exception):
    """A customer has given up waiting for an answer."""
