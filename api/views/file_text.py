"""Says in words where a file stands, for the agent who reads it beside the file. Pure.

Invariants
- Each state has a sentence, which says what has happened and whose move it is.
"""

from datetime import datetime

from storage.files import FileRow
from storage.statuses import FileState

EXPIRED = "Expired: ask the customer to send it again."
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def describe_file_state(row: FileRow) -> str:
    """Describes the file's state in one or two sentences; returns "" when the file is there."""
    if row.state is FileState.STORED:
        return ""
    if row.state is FileState.LOOSE:
        return "It has not arrived here as a whole."
    if row.state is FileState.EXPIRED:
        return EXPIRED
    if row.state is FileState.REFUSED:
        return f"Refused: {row.reason}"
    if row.state is FileState.FAILED:
        return f"Could not be fetched: {row.reason} It is tried again{_describe_until(row.media_until)}."
    if row.state is FileState.DEFERRED:
        return f"Not fetched: {row.reason} Meta keeps it{_describe_until(row.media_until)}: fetch it if you need it."
    if row.state is FileState.WAITING and row.reason:
        return f"Still to be fetched: {row.reason}"
    return "Still being fetched."


def _describe_until(at: datetime | None) -> str:
    if at is None:
        return ""
    # by hand, since strftime would say the month in the language of the machine
    return f" until {at.day} {MONTHS[at.month - 1]}, {at:%H:%M} UTC"
