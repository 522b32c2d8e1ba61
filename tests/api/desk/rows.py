"""What the desk's tests put into the database, and what they look at there."""

from typing import Any

from storage import alerts, files
from storage.alerts import Alert
from storage.files import FileRow
from storage.sql.columns import to_millis
from storage.statuses import FileState
from tests.api.rest_service import TICKET, Service

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


async def open_ticket(service: Service, **more: Any) -> int:
    return int((await service.data("POST", "/api/tickets", TICKET | more, status=201))["id"])


async def read_state(service: Service) -> list[Any]:
    """All that a form could change."""
    everything = (
        "SELECT id, status FROM ticket ORDER BY id",
        "SELECT id, ticket_id FROM reply ORDER BY id",
        "SELECT id, status FROM outbox ORDER BY id",
    )
    return [[tuple(row) for row in await service.rows(sql)] for sql in everything]


async def add_customer_message(service: Service, ticket_id: int, text: str = "Which one?", **more: Any) -> int:
    """A message of the customer is on the ticket; returns its id."""
    reply_id, at = service.resources.ids.next(), to_millis(service.clock.now)
    values = {
        "id": reply_id, "ticket_id": ticket_id, "author": "customer", "author_name": "", "message": text,
        "whatsapp_message_id": f"wamid.{reply_id}", "late": False, "written_at": at, "created_at": at, **more,
    }  # fmt: skip
    async with service.resources.database.transaction() as tx:
        await tx.insert("reply", list(values), [tuple(values.values())])
    return reply_id


async def raise_alert(service: Service, alert: Alert) -> None:
    await service.resources.database.run(lambda tx: alerts.raise_alert(tx, alert))


async def add_customer_file(service: Service, ticket_id: int, state: FileState, **more: Any) -> int:
    """A file of the customer is on the ticket; returns its id."""
    file_id, now = service.resources.ids.next(), service.clock.now
    row = FileRow(file_id, "in", "document", state, now, now, ticket_id=ticket_id, **more)
    await service.resources.database.run(lambda tx: files.insert(tx, [row]))
    return file_id
