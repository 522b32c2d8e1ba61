"""Names who makes a change: in words for the audit, by an id for the event log."""

from dataclasses import dataclass

from storage.statuses import EventAuthor


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change. `name` is what the audit says; `author` and `author_id` are what the event log says."""

    name: str
    author: EventAuthor
    author_id: int | None = None
