"""What the agents' API is made of, handed to it by the composition root."""

from dataclasses import dataclass

from bot.clock import Clock
from bot.ids import IdMaker
from bot.metrics import Metrics
from storage.database import Database
from storage.lanes import Lanes
from storage.numbers import TicketNumbers


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of our number at Meta. `number` and `quality` are None until somebody has asked Meta."""

    phone_number_id: str
    number: str | None = None
    quality: str | None = None


@dataclass(frozen=True, slots=True)
class ApiParts:
    """`redis_line`: what the start said of its Redis."""

    database: Database
    lanes: Lanes
    ids: IdMaker
    numbers: TicketNumbers
    clock: Clock
    account: Account
    metrics: Metrics
    redis_line: str = ""
