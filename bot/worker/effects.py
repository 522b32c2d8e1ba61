"""What a turn asks for becomes rows: tickets, replies, notes, files, and messages of ours.

Pure but for the ids it draws: the rows are gathered here, and written by round_transaction.py.
"""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.whatsapp.addresses import read_phone_digits
from bot.whatsapp.messages.build import effect_to_message
from bot.whatsapp.webhook.events import read_profile_name
from flows import About, AddReply, Event, Media, Note, Offer, OpenTicket, Say, Ticket
from storage.files import FileRow
from storage.journal import PendingItem
from storage.outbox import OutboxRow
from storage.statuses import FileState, Origin, TicketStatus
from storage.ticket_numbers import TicketNumbers
from storage.turn_writes import MAX_WAMID_LENGTH, NewReply, NewTicket

MEDIA_LASTS = timedelta(days=7)  # an id that came by a webhook


@dataclass(slots=True)
class Failure:
    """The item whose own turn raised, and what it raised."""

    item: PendingItem
    error: str


@dataclass(slots=True)
class LaneTurns:
    """What a round writes for one lane. `version` is what the turns were taken on; the fence checks it."""

    customer_id: int
    version: int
    state: LaneState
    done: dict[int, str] = field(default_factory=dict)  # item -> what came of it, as JSON
    last: tuple[datetime, int] | None = None
    late: list[int] = field(default_factory=list)
    tickets: list[NewTicket] = field(default_factory=list)
    replies: list[NewReply] = field(default_factory=list)
    messages: list[tuple[str, int]] = field(default_factory=list)  # wamids that became a ticket's description
    changed: dict[int, str] = field(default_factory=dict)  # replies that were edited or deleted
    files: list[FileRow] = field(default_factory=list)
    attached: list[tuple[int, list[str]]] = field(default_factory=list)  # ticket -> media ids of its description
    rows: list[OutboxRow] = field(default_factory=list)
    heard: bool = False  # the customer wrote: what was held may go out
    heard_wamid: str = ""  # the last that they wrote to the bot
    parked: dict[int, float] = field(default_factory=dict)  # items that wait for another message, and for how long
    failure: Failure | None = None


@dataclass(slots=True)
class Writing:
    """One item's turn, as its effects are written. `replied`: the reply or note that it became, on `ticket_id`."""

    lane: LaneTurns
    item: PendingItem
    event: Event
    tickets: list[Ticket]
    abouts: dict[str, About]
    now: datetime
    name: str = ""  # under which we know the customer, where the item does not say
    ticket_id: int | None = None
    replied: int | None = None


class Effects:
    """Turns effects into rows, with this process's ids and numbers."""

    def __init__(self, ids: IdMaker, numbers: TicketNumbers) -> None:
        self._ids = ids
        self._numbers = numbers

    def apply(self, at: Writing, effect: object) -> list[object]:
        """Adds the rows of one effect to the lane; returns its line for the journal."""
        lane, event = at.lane, at.event
        match effect:
            case OpenTicket():
                self._open_ticket(at, effect)
                return ["open_ticket", effect.ticket_id]
            case AddReply():
                reply_id = self._reply(at, effect.ticket_id, effect.text, event.wamid)
                at.replied, at.ticket_id = reply_id, effect.ticket_id
                at.abouts[event.wamid] = About(effect.ticket_id, reply_id, effect.text)
                at.tickets.sort(key=lambda ticket: ticket.ticket_id != effect.ticket_id)
                return ["add_reply", effect.ticket_id, str(reply_id)]
            case Note():
                wamid = event.wamid if event.kind == "echo" else ""  # what a person wrote is quoted as any message
                note_id = self._reply(at, effect.ticket_id, effect.text, wamid, effect.author, "note")
                at.replied, at.ticket_id = note_id, effect.ticket_id
                if wamid:
                    at.abouts[wamid] = About(effect.ticket_id, note_id, effect.text)
                if effect.change and effect.about_reply_id:
                    lane.changed[effect.about_reply_id] = effect.change
                return ["note", effect.ticket_id, str(note_id)]
            case Say() | Offer():
                row = self.row(lane.customer_id, lane.version + 1, at.item.item_id, effect, at.now)
                lane.rows.append(row)
                return ["say", str(row.outbox_id)]
        raise TypeError(f"no such effect: {type(effect).__name__}")

    def _open_ticket(self, at: Writing, effect: OpenTicket) -> None:
        self._numbers.take()
        lane = at.lane
        address = at.item.address or lane.state.address
        media = effect.attachments[0] if effect.attachments else None
        lane.tickets.append(
            NewTicket(
                ticket_id=effect.ticket_id,
                customer_id=lane.customer_id,
                name=effect.name or read_profile_name(at.item.payload) or at.name,
                mobile=f"+{address}" if read_phone_digits(address) else "",
                issue_type=effect.issue_type,
                issue_type_other=effect.issue_type_other,
                title=effect.title,
                description=effect.description,
                attachment_name=(media.filename or media.kind) if media else "",
                attachment_type=media.mime_type if media else "",
                created_at=at.now,
            )
        )
        lane.messages += [(wamid, effect.ticket_id) for wamid in effect.wamids]
        at.abouts.update({wamid: About(effect.ticket_id, 0, effect.description) for wamid in effect.wamids})
        lane.attached.append((effect.ticket_id, [media.media_id for media in effect.attachments]))
        at.tickets.insert(0, Ticket(effect.ticket_id, TicketStatus.NEW, effect.title))

    def _reply(
        self, at: Writing, ticket_id: int, text: str, wamid: str, author: str = "customer", kind: str = "message"
    ) -> int:
        reply_id, event = self._ids.next(), at.event
        at.lane.replies.append(
            NewReply(
                reply_id,
                ticket_id,
                text,
                wamid,
                at.item.item_id,
                event.late,
                event.at,
                at.now,
                author=author,
                kind=kind,
            )
        )
        return reply_id

    def file(self, at: Writing, media: Media) -> None:
        """The message first, the file after: here it is only written down that there is one to fetch."""
        at.lane.files.append(
            FileRow(
                self._ids.next(),
                "in",
                media.kind,
                FileState.WAITING,
                at.now,
                at.now,
                customer_id=at.lane.customer_id,
                ticket_id=at.ticket_id,
                reply_id=at.replied,
                wamid=at.event.wamid if len(at.event.wamid) <= MAX_WAMID_LENGTH else None,
                media_id=media.media_id,
                media_until=at.item.meta_at + MEDIA_LASTS,
                mime_type=media.mime_type,
                filename=media.filename,
                sha256=_hex_of(media.sha256),
            )
        )

    def row(self, customer_id: int, version: int, item_id: int, effect: Say | Offer, now: datetime) -> OutboxRow:
        payload = json.dumps(effect_to_message(effect), ensure_ascii=False, separators=(",", ":"))
        return OutboxRow(self._ids.next(), customer_id, version, Origin.PROMPT, payload, now, item_id=item_id)


def _hex_of(digest: str) -> str:
    """A SHA-256 in hex, from Meta's base64 or hex; "" when it is neither."""
    try:
        raw = bytes.fromhex(digest) if len(digest) == 64 else base64.b64decode(digest, validate=True)
    except ValueError:
        return ""
    return raw.hex() if len(raw) == 32 else ""
