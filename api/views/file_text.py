"""What an agent reads beside a file. Pure.

Invariant: each state has a sentence, which says what has happened and whose move it is.
"""

from datetime import datetime

from storage.files import FileRow
from storage.statuses import FileState

EXPIRED = "Expired: ask the customer to send it again."


def told(row: FileRow) -> str:
    """Where the file stands, in one or two sentences; "" when it is there."""
    if row.state is FileState.STORED:
        return ""
    if row.state is FileState.LOOSE:
        return "It has not arrived here as a whole."
    if row.state is FileState.EXPIRED:
        return EXPIRED
    if row.state is FileState.REFUSED:
        return f"Refused: {row.reason}"
    if row.state is FileState.FAILED:
        return f"Could not be fetched: {row.reason} It is tried again{_until(row.media_until)}."
    if row.state is FileState.WAITING and row.reason:
        return f"Still to be fetched: {row.reason}"
    return "Still being fetched."


def _until(at: datetime | None) -> str:
    # by hand, since strftime would say it in the language of the machine
    if at is None:
        return ""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f" until {at.day} {months[at.month - 1]}, {at:%H:%M} UTC"
