"""Names what stands on a ticket in words for agents: its status, and what became of a reply. Pure."""

from collections.abc import Mapping

from storage.statuses import TicketStatus

STATUS_LABELS: Mapping[TicketStatus, str] = {
    TicketStatus.NEW: "New",
    TicketStatus.IN_PROGRESS: "In progress",
    TicketStatus.WAITING: "Waiting",
    TicketStatus.RESOLVED: "Resolved",
    TicketStatus.CLOSED: "Closed",
}
# What its writer did to a reply later (StoredReply.changed).
CHANGE_LABELS: Mapping[str, str] = {"edited": "Changed later", "revoked": "Deleted by the customer"}
# What a reply asks the customer for (ThreadEntry.form).
REQUEST_LABELS: Mapping[str, str] = {
    "location_request": "Asks for the location",
    "contact_request": "Asks for a contact",
}
