"""Fills an empty database in bulk, for `tick bench --seed`: with what a desk holds after a long time, so that its size
can be felt without waiting for it.

The database makes the rows by itself, of numbers, so that millions take minutes. They are what Tick would have written:
each item has a fate, each ticket its events, and nothing waits to be done.

Invariants
- Only a database without customers is filled.
- The kept counts and the event log agree with the rows.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from storage import count_settlement
from storage.errors import OperatorError
from storage.sql.columns import to_millis
from storage.sql.database import Database, Tx

ROWS_PER_TRANSACTION = 50_000
MAX_SECONDS = 600.0
AGE = timedelta(days=80)  # of the oldest row: retention deletes none
EPOCH_MILLIS, RANDOM_BITS = 1_735_689_600_000, 22  # of ids, as bot/ids.py makes them
ITEMS_PER_CUSTOMER, ITEMS_PER_TICKET, ITEMS_PER_MESSAGE = 20, 5, 4
FIRST_PHONE = 15_550_000_000
ISSUE_TYPES = ("hardware", "software", "network", "account", "other")
STATUSES = ("closed", "closed", "closed", "resolved", "new")  # of tickets, in turn
OUTCOMES = ("read", "read", "delivered", "failed")  # of messages
WORDS = "The printer in room 12 does not print since this morning, and its light is red. "


class NotEmpty(OperatorError):
    """The database has customers already. The text is one sentence."""


class Table(NamedTuple):
    """What is filled into a table: a row for each number `n` from 0 up to `rows`, its columns as expressions of `n`."""

    name: str
    rows: int
    columns: Mapping[str, str]
    condition: str = "1 = 1"


async def seed(database: Database, items: int, now: datetime, on_progress: Callable[[str], None]) -> None:
    """Fills the database with so many items of the journal and all that comes with them; `on_progress` is called with a
    line on each table that is full. Raises NotEmpty."""
    async with database.reading() as tx:
        if await tx.fetch("SELECT id FROM customer LIMIT 1"):
            raise NotEmpty("There are customers in this database: only one without any is filled.")
    for table in _Seed(database.dialect, items, now).make_tables():
        for start in range(0, table.rows, ROWS_PER_TRANSACTION):
            async with database.transaction(MAX_SECONDS) as tx:
                await _fill(tx, table, start, min(table.rows, start + ROWS_PER_TRANSACTION))
        on_progress(f"{table.name}: {table.rows:,}")
    async with database.transaction(MAX_SECONDS) as tx:
        await count_settlement.add_lacking(tx, "seeded")
    async with database.reading(MAX_SECONDS) as tx:  # plans of queries rest on what the database believes to have
        await tx.fetch("ANALYZE" if database.dialect == "sqlite" else "ANALYZE TABLE item, outbox, ticket, reply")


async def _fill(tx: Tx, table: Table, start: int, end: int) -> None:
    if tx.dialect == "mysql":
        names = "'cte_max_recursion_depth', 'max_recursive_iterations'"  # MySQL's, MariaDB's
        for name, _ in await tx.fetch(f"SHOW VARIABLES WHERE Variable_name IN ({names})"):
            await tx.execute(f"SET SESSION {name} = {ROWS_PER_TRANSACTION + 1}")
    columns = ", ".join(f"`{column}`" for column in table.columns)
    await tx.execute(
        f"INSERT INTO {table.name} ({columns}) "
        "WITH RECURSIVE numbers (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
        f"SELECT {', '.join(table.columns.values())} FROM numbers WHERE {table.condition}",
        [start, end - 1],
    )


class _Seed:
    """Describes what is filled in, in the words of one database."""

    def __init__(self, dialect: str, items: int, now: datetime) -> None:
        self._dialect = dialect
        self._items = items
        self._first = to_millis(now - AGE)
        self._step = max(1, to_millis(now) - self._first) / items  # milliseconds between two items

    def make_tables(self) -> list[Table]:
        """Makes the tables, in the order in which they are filled."""
        tickets = -(-self._items // ITEMS_PER_TICKET)
        return [
            *self._make_customers(-(-self._items // ITEMS_PER_CUSTOMER)),
            self._make_items(),
            self._make_messages(),
            self._make_tickets(tickets),
            self._make_replies(tickets),
            *self._make_events(tickets),
        ]

    def _make_customers(self, rows: int) -> list[Table]:
        place = f"n * {ITEMS_PER_CUSTOMER}"
        customer_id = self._customer(place)
        return [
            Table(
                "customer",
                rows,
                {"id": customer_id, "name": self._join("'Customer '", "n"), "created_at": self._at("0")},
            ),
            Table("alias", rows, {"alias": self._join("'p:'", self._phone(place)), "customer_id": customer_id}),
            Table("conversation", rows, {"customer_id": customer_id, "version": "1", "body": "'{}'"}),
        ]

    def _make_items(self) -> Table:
        is_message = f"n % {ITEMS_PER_MESSAGE} = 0"
        at = self._at("n")
        columns = {
            "id": self._id("n"),
            "key": self._join(
                f"CASE WHEN {is_message} THEN 'm:' ELSE 's:' END", "'555000000000001:wamid.seed.'", self._pad("n")
            ),
            "kind": f"CASE WHEN {is_message} THEN 'message' ELSE 'status' END",
            "customer_id": self._customer("n"),
            "address": self._join("''", self._phone("n")),
            "meta_at": at,
            "received_at": at,
            "payload": self._join("""'{"type":"text","text":{"body":"'""", f"'{WORDS * 3}'", "n", "'\"}}'"),
            "fate": "CASE WHEN n % 10000 = 7 THEN 'dead' WHEN n % 50 = 3 THEN 'ignored' ELSE 'done' END",
            "reason": "CASE WHEN n % 10000 <> 7 AND n % 50 = 3 THEN 'superseded' ELSE '' END",
            "attempts": "0",
            "late": "0",
            "duplicates": "CASE WHEN n % 97 = 0 THEN 1 ELSE 0 END",
            "closed_at": at,
        }
        return Table("item", self._items, columns)

    def _make_messages(self) -> Table:
        place = f"n * {ITEMS_PER_MESSAGE}"
        at = self._at(place)
        columns = {
            "id": self._id(place),
            "customer_id": self._customer(place),
            "version": "1",
            "item_id": self._id(place),
            "origin": "'prompt'",
            "payload": self._join("""'{"type":"text","text":"'""", f"'{WORDS}'", "n", "'\"}'"),
            "status": _choose(OUTCOMES),
            "reason": "CASE WHEN n % 4 = 3 THEN 'window_closed' ELSE '' END",
            "wamid": self._join("'wamid.seed.out.'", self._pad("n")),
            "attempts": "1",
            "resent": "0",
            "owner": "''",
            "due_at": at,
            "created_at": at,
            "status_at": at,
        }
        return Table("outbox", -(-self._items // ITEMS_PER_MESSAGE), columns)

    def _make_tickets(self, rows: int) -> Table:
        place = f"n * {ITEMS_PER_TICKET}"
        at = self._at(place)
        columns = {
            "id": "n + 1",
            "customer_id": self._customer(place),
            "name": self._join("'Customer '", "n"),
            "mobile": self._join("'+'", self._phone(place)),
            "description": self._join(f"'{WORDS * 4}'", "n"),
            "issue_type": _choose([issue_type for issue_type in ISSUE_TYPES for _ in STATUSES]),
            "issue_title": self._join("'Printer '", "n"),
            "status": _choose(STATUSES),
            "whatsapp_enabled": "1",
            "whatsapp_notifications": "1",
            "created_at": at,
            "updated_at": at,
        }
        return Table("ticket", rows, columns)

    def _make_replies(self, tickets: int) -> Table:
        at = self._at(f"n * {ITEMS_PER_TICKET} + 2")
        columns = {
            "id": self._id(f"n * {ITEMS_PER_TICKET} + 2"),
            "ticket_id": "n + 1",
            "author": "'customer'",
            "author_name": "''",
            "message": self._join(f"'{WORDS}'", "n"),
            "late": "0",
            "written_at": at,
            "created_at": at,
        }
        return Table("reply", tickets, columns)

    def _make_events(self, tickets: int) -> list[Table]:
        def make(place: str, columns: dict[str, str], condition: str = "1 = 1") -> Table:
            whose = self._customer(first)
            own = {"id": self._id(place), "ticket_id": "n + 1", "customer_id": whose, "at": self._at(place)}
            return Table("ticket_event", tickets, own | columns, condition)

        first = f"n * {ITEMS_PER_TICKET}"
        nothing = {"was": "''", "became": "''"}
        status = _choose(STATUSES)
        return [
            make(first, nothing | {"kind": "'opened'", "author": "'customer'", "became": "'new'"}),
            make(
                f"{first} + 2",
                nothing | {"kind": "'message'", "author": "'customer'", "reply_id": self._id(f"{first} + 2")},
            ),
            make(
                f"{first} + 3",
                {"kind": "'status'", "author": "'bot'", "was": "'new'", "became": status},
                f"{status} <> 'new'",
            ),
        ]

    def _at(self, place: str) -> str:
        """When something happened that has this place among the items, in milliseconds."""
        return self._whole(f"{self._first} + ({place}) * {self._step!r}")

    def _id(self, place: str) -> str:
        """The id of what has this place among the items."""
        return f"({self._at(place)} - {EPOCH_MILLIS}) * {1 << RANDOM_BITS} + ({place}) % {1 << RANDOM_BITS}"

    def _customer(self, place: str) -> str:
        """Whose the item is that has this place: customers wrote one after the other, which is what fills fastest."""
        return self._id(f"({place}) - ({place}) % {ITEMS_PER_CUSTOMER}")

    def _phone(self, place: str) -> str:
        return f"{FIRST_PHONE} + ({place}) - ({place}) % {ITEMS_PER_CUSTOMER}"

    def _pad(self, number: str) -> str:
        """This number in ten digits, so that texts that hold it rise with it."""
        return f"printf('%010d', {number})" if self._dialect == "sqlite" else f"LPAD({number}, 10, '0')"

    def _whole(self, number: str) -> str:
        return f"CAST({number} AS {'INTEGER' if self._dialect == 'sqlite' else 'SIGNED'})"

    def _join(self, *parts: str) -> str:
        """These expressions as one text."""
        return (
            " || ".join(f"({part})" for part in parts) if self._dialect == "sqlite" else f"CONCAT({', '.join(parts)})"
        )


def _choose(values: Sequence[str]) -> str:
    """One of these values for each number, in turn."""
    cases = " ".join(f"WHEN {at} THEN '{value}'" for at, value in enumerate(values))
    return f"CASE n % {len(values)} {cases} END"
