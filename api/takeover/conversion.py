"""Converts one row of the original system into rows of ours. Pure.

Invariants
- Nothing that a row may hold raises an error: what can't be read becomes a remark, with what was there.
- The ids are made of the row's own, so the same row always becomes the same rows. Ours begin with the time, and are
  larger than all of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from bot.phones import read_local_phone
from bot.whatsapp.messages.media_kinds import MEDIA_RULES
from bot.whatsapp.sanitize import clean, clean_file_name, clean_line, clean_mime_type
from storage.files import FileRow
from storage.original_tables import OriginalRow, OriginalTable
from storage.replies import StoredReply
from storage.statuses import FileState, ReplyAuthor, TicketStatus
from storage.takeovers import REPLIES, TICKETS
from storage.tickets import StoredTicket

END_OF_ROW_IDS = 2**40  # the original's own are of 31 bits as a rule
SIDES: Mapping[str, ReplyAuthor] = {
    **dict.fromkeys("client contact customer guest reporter requester user visitor".split(), ReplyAuthor.CUSTOMER),
    **dict.fromkeys("admin administrator agent operator staff support team".split(), ReplyAuthor.AGENT),
    **dict.fromkeys("bot system".split(), ReplyAuthor.SYSTEM),
}
CUT_TYPE_LENGTH = 50  # characters, as the original's column has
KNOWN_TYPES = frozenset[str]().union(*(rule.mime_types for rule in MEDIA_RULES.values()))
UNKNOWN_TYPE = "other"
MIN_YEAR, MAX_YEAR = 1970, 9998  # what is outside was never a date, and no driver takes it in every time zone


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every row. `country`: of the numbers without one; `zone`: of the dates; `now`: the date of what
    has none that can be read."""

    country: str
    zone: tzinfo
    now: datetime


@dataclass(frozen=True, slots=True)
class ConvertedTicket:
    """A ticket as ours. `phone`: its number's digits, "" where it has none; `file`: its file's row; `remarks`: what of
    it could not be read."""

    ticket: StoredTicket
    phone: str
    file: FileRow | None
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class ConvertedReply:
    """A reply as ours, in the same way."""

    reply: StoredReply
    file: FileRow | None
    remarks: list[str]


@dataclass(slots=True)
class _Reader:
    """Reads the values of one row, and gathers the remarks."""

    table: OriginalTable
    row: OriginalRow
    rules: Rules
    remarks: list[str] = field(default_factory=list)

    def read_text(self, column: str) -> str:
        value = self.row.values.get(column)
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str("" if value is None else value)
        return clean(text, len(text) + 1)

    def read_line(self, column: str, max_characters: int) -> str:
        text = self.read_text(column)
        line = clean_line(text, max_characters)
        if len(text) > max_characters and line.endswith("[cut]"):
            self.remarks.append(f"This was too long for its place ({column}): {text}")
        return line

    def read_flag(self, column: str, *, default: bool) -> bool:
        value = self.row.values.get(column)
        return default if value is None else value not in (0, b"\x00", "0", "")

    def read_date(self, column: str, otherwise: datetime) -> datetime:
        text = self.read_text(column)
        if not text:
            return otherwise
        try:
            at = datetime.fromisoformat(text)
            if not MIN_YEAR <= at.year <= MAX_YEAR:
                raise ValueError
        except ValueError:
            self.remarks.append(f"This date can't be read ({column}): {text}")
            return otherwise
        zone = UTC if self.table.columns[column] == "timestamp" else self.rules.zone
        return at.replace(tzinfo=zone).astimezone(UTC)

    def read_phone(self) -> str:
        text = self.read_text("mobile").strip()
        phone = read_local_phone(text, self.rules.country) or ""
        if text and not phone:
            self.remarks.append(f"This phone number can't be read, so nobody on WhatsApp is connected with it: {text}")
        return phone

    def read_status(self) -> TicketStatus:
        text = self.read_text("status").strip()
        try:
            return TicketStatus(text)
        except ValueError:
            self.remarks.append(f"This status is not known here, where the ticket is new now: {text or 'none'}")
            return TicketStatus.NEW

    def read_author(self, ticket: StoredTicket) -> tuple[ReplyAuthor, str]:
        """Reads on whose side a reply is, and the name of an agent."""
        given = [text for column in ("author", "sender", "user_name") if (text := self.read_line(column, 200))]
        side = next((text.lower() for text in given if text.lower() in SIDES), "")
        name = next((text for text in given if text.lower() not in SIDES), "")
        author = SIDES.get(side) or (ReplyAuthor.CUSTOMER if _is_of(ticket, name) else ReplyAuthor.AGENT)
        return author, name if author is ReplyAuthor.AGENT else ""

    def make_file(self, at: datetime) -> FileRow | None:
        """Makes the row of the file, whose bytes are still to come."""
        if self.row.file_bytes is None:
            return None
        filename = clean_file_name(self.read_text("attachment_name"))
        mime_type = choose_type(self.read_text("attachment_type"))
        return FileRow(
            file_id=self.row.row_id << 1 | (self.table.name == REPLIES),
            direction="in",
            kind=choose_kind(mime_type),
            state=FileState.LOOSE,
            due_at=at,
            created_at=at,
            mime_type=mime_type,
            filename=filename,
            size=self.row.file_bytes,
        )


def convert_ticket(table: OriginalTable, row: OriginalRow, rules: Rules) -> ConvertedTicket:
    """Converts a ticket, which is nobody's so far."""
    reader = _Reader(table, row, rules)
    created_at = reader.read_date("created_at", rules.now)
    phone = reader.read_phone()
    ticket = StoredTicket(
        ticket_id=row.row_id,
        customer_id=None,
        name=reader.read_line("name", 200),
        email=reader.read_line("email", 254) or None,
        mobile=f"+{phone}" if phone else None,
        description=reader.read_text("description"),
        issue_type=reader.read_line("issue_type", 50) or UNKNOWN_TYPE,
        issue_type_other=reader.read_line("issue_type_other", 200) or None,
        issue_title=reader.read_line("issue_title", 200) or None,
        attachment_name=reader.read_line("attachment_name", 255) or None,
        attachment_type=reader.read_line("attachment_type", 100) or None,
        status=reader.read_status(),
        whatsapp_enabled=reader.read_flag("whatsapp_enabled", default=False),
        whatsapp_notifications=reader.read_flag("whatsapp_notifications", default=True),
        created_at=created_at,
        updated_at=reader.read_date("updated_at", created_at),
    )
    return ConvertedTicket(ticket, phone, reader.make_file(created_at), reader.remarks)


def convert_reply(table: OriginalTable, row: OriginalRow, rules: Rules, ticket: StoredTicket) -> ConvertedReply:
    """Converts a reply to this ticket of ours."""
    reader = _Reader(table, row, rules)
    written_at = reader.read_date("created_at", ticket.created_at)
    texts = (reader.read_text(column) for column in ("message", "reply", "content", "body"))
    author, author_name = reader.read_author(ticket)
    reply = StoredReply(
        reply_id=row.row_id,
        ticket_id=ticket.ticket_id,
        author=author,
        author_name=author_name,
        message=next(filter(None, texts), ""),
        wamid=None,
        outbox_id=None,
        written_at=written_at,
    )
    file = reader.make_file(written_at)
    if file is not None:
        file = replace(file, customer_id=ticket.customer_id, ticket_id=ticket.ticket_id, reply_id=row.row_id)
    return ConvertedReply(reply, file, reader.remarks)


def find_file_source(file_id: int) -> tuple[str, int]:
    """Returns the original's table and row that a file of this id comes from."""
    return REPLIES if file_id & 1 else TICKETS, file_id >> 1


def choose_type(given: str) -> str:
    """Returns the type of a file. The original cut it at 50 characters, and those of Office documents have more."""
    mime_type = clean_mime_type(given)
    fitting = [known for known in KNOWN_TYPES if len(mime_type) >= CUT_TYPE_LENGTH and known.startswith(mime_type)]
    return fitting[0] if len(fitting) == 1 else mime_type


def choose_kind(mime_type: str) -> str:
    """Returns which kind of media a file of this type is."""
    kind = mime_type.partition("/")[0]
    return kind if kind in ("image", "video", "audio") else "document"


def _is_of(ticket: StoredTicket, name: str) -> bool:
    """Whether this is what the ticket calls its customer."""
    names = {text.casefold() for text in (ticket.name, ticket.email, ticket.mobile) if text}
    return name.casefold() in names
