"""What an agent's change answers with is read from the rows that it shows, however long the ticket has become."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from storage import outbox
from storage.outbox import FOR_A_PERSON, OutboxRow
from storage.sql.columns import to_millis
from storage.sql.database import Database, Row, Tx
from storage.sql.lock_waits import LockWait
from storage.statuses import Origin, OutboxStatus
from tests.api.rest.test_replies import add_customer_message, open_ticket, upload_file
from tests.api.rest_service import Service

MANY = 1000
counted: Counter[str] = Counter()


class CountingTx(Tx):
    """Counts the statements that are sent, and the rows that come back."""

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        counted["statements"] += 1
        return await super().execute(sql, parameters)

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        rows = await super().fetch(sql, parameters)
        counted["statements"] += 1
        counted["rows"] += len(rows)
        return rows


class CountingDatabase(Database):
    """Gives transactions that count."""

    @asynccontextmanager
    async def transaction(
        self, deadline_seconds: float = 5.0, *, lock_wait: LockWait = LockWait.USUAL
    ) -> AsyncIterator[Tx]:
        async with super().transaction(deadline_seconds, lock_wait=lock_wait) as tx:
            yield CountingTx(tx.client, tx.dialect)

    @asynccontextmanager
    async def reading(self, deadline_seconds: float = 5.0) -> AsyncIterator[Tx]:
        async with super().reading(deadline_seconds) as tx:
            yield CountingTx(tx.client, tx.dialect)


async def fill(service: Service, customer_id: int, ticket_id: int) -> None:
    """A thousand answers were given on the ticket, and are on the customer's phone."""
    now, at = service.clock.now, to_millis(service.clock.now)
    ids = [(service.resources.ids.next(), service.resources.ids.next()) for _ in range(MANY)]
    said = [(reply_id, ticket_id, "agent", "", "Hello", sent, False, at, at) for reply_id, sent in ids]
    sent = [
        OutboxRow(
            outbox_id=outbox_id,
            customer_id=customer_id,
            version=100 + number,
            origin=Origin.AGENT,
            payload='{"type": "text", "text": "Hello"}',
            due_at=now,
            ticket_id=ticket_id,
            status=OutboxStatus.DELIVERED,
        )
        for number, (_, outbox_id) in enumerate(ids)
    ]

    async def write(tx: Tx) -> None:
        columns = "id ticket_id author author_name message outbox_id late written_at created_at"
        await tx.insert("reply", columns.split(), said)
        await outbox.insert(tx, sent)
        await tx.execute("UPDATE conversation SET version = ?", [100 + MANY])

    await service.resources.database.run(write)


async def test_a_change_reads_no_more_on_a_ticket_of_a_thousand_replies(service: Service) -> None:
    customer_id = await service.customer()
    short, long = await open_ticket(service), await open_ticket(service)
    await fill(service, customer_id, long)
    service.resources.database.__class__ = CountingDatabase
    costs: dict[int, list[dict[str, int]]] = {}
    for ticket_id in (short, long):
        asked = await add_customer_message(service, ticket_id)
        file_id = await upload_file(service)
        body = {"ticket_id": ticket_id, "message": "It is " + "very " * 1000 + "late.", "quote": asked}
        calls: list[tuple[str, dict[str, Any], int]] = [
            ("/api/replies", body, 201),
            ("/api/replies", {"ticket_id": ticket_id, "file_ids": [file_id]}, 201),
            (f"/api/tickets/{ticket_id}/ask", {"for": "location", "message": "Where?"}, 201),
            (f"/api/replies/{asked}/reaction", {"emoji": "👍"}, 200),
        ]
        await service.data("GET", "/api/tickets")  # the key is known by now
        costs[ticket_id] = []
        for path, content, status in calls:
            counted.clear()
            shown = await service.data("POST", path, content, status=status)
            costs[ticket_id].append(dict(counted))
            assert shown["delivery"] == "queued"
            if path == "/api/replies":
                assert shown["quoted"] == content.get("quote")
                assert [file["id"] for file in shown["files"]] == content.get("file_ids", [])
    assert costs[short] == costs[long]
    assert max(cost["rows"] for cost in costs[long]) < 20


async def test_a_reply_that_is_sent_again_is_read_alone(light_service: Service) -> None:
    service = light_service
    customer_id = await service.customer()
    ticket_id = await open_ticket(service)
    await fill(service, customer_id, ticket_id)
    reply = await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": "Late."}, status=201)
    await service.execute(
        "UPDATE outbox SET status = 'unknown', due_at = ? WHERE status = 'queued'", [to_millis(FOR_A_PERSON)]
    )
    service.resources.database.__class__ = CountingDatabase
    counted.clear()
    again = await service.data("POST", f"/api/replies/{reply['id']}/send-again")
    assert (again["id"], again["delivery"]) == (reply["id"], "queued")
    assert counted["rows"] < 20
