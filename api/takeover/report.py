"""Says what was taken over, and what of it could not be read. Pure."""

from collections.abc import Iterator

from api.takeover.events import NOTE_IDS
from api.takeover.run import Outcome
from storage.original_tables import OriginalTables
from storage.takeovers import REPLIES

MAX_NOTES = 1000  # more than anybody reads on a terminal; each is on its ticket


def describe_outcome(outcome: Outcome, found: OriginalTables) -> Iterator[str]:
    """Yields the lines of the report."""
    tickets, replies = outcome.tickets, outcome.replies
    copied = f"{tickets.copied} tickets, {replies.copied if replies else 0} replies and {outcome.files} files"
    yield (
        f"Took over {copied} ({outcome.file_bytes / 1_000_000:.1f} MB) of the original system. Its tables are as they "
        f"were. New tickets have numbers above {outcome.highest_number}."
    )
    if tickets.country:
        yield f"Phone numbers without a + were read as numbers of {tickets.country}."
    if tickets.time_zone:
        yield f"Dates were read as dates of {tickets.time_zone}."
    yield from _describe_gaps(outcome, found)
    if outcome.notes:
        yield f"What could not be read stands as a note on its ticket, of {len(outcome.notes)} rows:"
    for note in outcome.notes[:MAX_NOTES]:
        what = "a reply on ticket" if note.reply_id >= NOTE_IDS[REPLIES] else "ticket"
        yield f"  {what} {note.ticket_id}: {' '.join(note.message.splitlines()[1:])}"
    if len(outcome.notes) > MAX_NOTES:
        yield f"  ... and {len(outcome.notes) - MAX_NOTES} more."


def describe_foreign(found: OriginalTables) -> Iterator[str]:
    """Yields a line for each table that is called as one of the original's and is none."""
    for name, reason in found.foreign.items():
        yield f"The table `{name}` is not read as the original system's, since {reason}: nothing of it is taken over."


def _describe_gaps(outcome: Outcome, found: OriginalTables) -> Iterator[str]:
    """Yields what of the original's tables has no place here, or no meaning."""
    for table in (found.tickets, found.replies):
        if table is not None and table.unread:
            yield f"Not taken over, the columns of {table.name} that are not known: {', '.join(table.unread)}."
    if found.replies is None and REPLIES not in found.foreign:
        yield "There is no table `replies`, so there are no replies."
    if found.replies is not None:
        columns = found.replies.columns.keys()
        if not columns & {"message", "reply", "content", "body"}:
            yield "No column of replies has their text (message, reply, content or body): they are empty."
        if not columns & {"author", "sender", "user_name"}:
            yield "No column of replies says who wrote them (author, sender or user_name): they are shown as agents'."
    if outcome.orphans:
        yield f"Not taken over: {outcome.orphans} replies to tickets that are not there."
    if outcome.lost_files:
        yield f"Not taken over: {outcome.lost_files} files that were deleted from the original system meanwhile."
