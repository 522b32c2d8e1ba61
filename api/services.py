"""What the agents' API is made of, handed to it by the composition root."""

from dataclasses import dataclass

from bot.bootstrap import Supplies
from bot.clock import Clock
from bot.ids import IdMaker
from bot.metrics import Metrics
from bot.whatsapp.graph.client import GraphClient
from storage.blobs.store import FileStore
from storage.redis.lanes import Lanes
from storage.sql.database import Database
from storage.ticket_numbers import TicketNumbers


@dataclass(frozen=True, slots=True)
class ApiParts:
    """`supplies`: what the worker of this process, if it has one, works with too; `redis_line`: what the start said of
    its Redis."""

    database: Database
    lanes: Lanes
    ids: IdMaker
    numbers: TicketNumbers
    clock: Clock
    metrics: Metrics
    phone_number_id: str
    graph: GraphClient
    store: FileStore
    supplies: Supplies
    redis_line: str = ""
