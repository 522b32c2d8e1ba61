"""The event log says nothing that anybody wrote, and no other place changes what it tells of.

That each change has its event is judged after every scenario: `tests/support/event_log.py`.
"""

import re

from storage.models import TicketEvent
from storage.sql.columns import AsciiField, InstantField
from tests.support.places import ROOT

# A place that opens tickets, adds replies or changes a status, and whose callers write the event.
LOGGED_WRITERS = {"storage/tickets.py", "storage/turn_writes.py", "storage/replies.py"}
WRITES = re.compile(r"UPDATE (ticket|reply) SET|INSERT INTO (ticket|reply) |\.insert\(\"(ticket|reply)\"")
MAX_ASCII_LENGTH = 20  # characters: members of enums and ids; a name or a sentence would not fit


def test_there_is_no_room_for_words() -> None:
    fields = TicketEvent._meta.fields_map
    ascii_lengths = [field.max_length for field in fields.values() if isinstance(field, AsciiField)]
    others = [type(field) for field in fields.values() if not isinstance(field, AsciiField)]
    assert max(ascii_lengths) <= MAX_ASCII_LENGTH
    assert {kind.__name__ for kind in others} == {"BigIntField", InstantField.__name__}


def test_only_these_places_write_what_it_tells_of() -> None:
    sources = [path for room in ("api", "bot", "flows", "storage") for path in (ROOT / room).rglob("*.py")]
    writers = {str(path.relative_to(ROOT)) for path in sources if WRITES.search(path.read_text())}
    assert {place for place in writers if "/migrations/" not in place} == LOGGED_WRITERS
