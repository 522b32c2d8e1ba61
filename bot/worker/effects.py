"""Turns the effects of a turn into rows: tickets, replies, notes, files, and messages of ours.

Pure but for the ids that it draws: the rows are gathered here, and written by round_transaction.py.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.whatsapp.addresses import read_phone_digits
from bot.whatsapp.graph.media import to_sha256_hex
from bot.whatsapp.messages.build import effect_to_message
from bot.whatsapp.messages.media_types import find_ending
from bot.whatsapp.webhook.events import read_profile_name
from flows import About, AddReply, Event, Media, Note, Offer, OpenTicket, Say, Ticket
from storage.event_log import TicketEvent
from storage.files import FileRow
from storage.journal import PendingItem
from storage.outbox import OutboxRow
from storage.statuses import (
    EventAuthor,
    FileState,
    Origin,
    OutboxReason,
    OutboxStatus,
    PendingReason,
    ReplyAuthor,
    ReplyKind,
    TicketEventKind,
    TicketStatus,
    Why,
)
from storage.ticket_numbers import TicketNumbers
from storage.turn_writes import MAX_WAMID_LENGTH, NewReply, NewTicket

MEDIA_ID_LIFE = timedelta(days=7)  # of one that came by a webhook, says Meta


@dataclass(slots=True)
class Failure:
    """An item whose own turn raised, and the error in words."""

    item: PendingItem
    error: str


@dataclass(slots=True)
class LaneTurns:
    """What a round writes for one lane. `version`: that on which the turns were played; the fence checks it."""

    customer_id: int
    version: int
    state: LaneState
    done: dict[int, str] = field(default_factory=dict)  # item -> its effects, as JSON for the journal
    last: tuple[datetime, int] | None = None  # the place of the last item that was played: when Meta had it, its id
    late: list[int] = field(default_factory=list)  # items that came after what was written later
    tickets: list[NewTicket] = field(default_factory=list)
    replies: list[NewReply] = field(default_factory=list)
    messages: list[tuple[str, int]] = field(default_factory=list)  # wamids that became a ticket's description
    changed: dict[int, str] = field(default_factory=dict)  # reply -> whether it was edited or deleted
    files: list[FileRow] = field(default_factory=list)
    attached: list[tuple[int, list[str]]] = field(default_factory=list)  # ticket -> media ids of its description
    rows: list[OutboxRow] = field(default_factory=list)
    events: list[TicketEvent] = field(default_factory=list)
    heard: bool = False  # the customer wrote: what was held may go out
    heard_wamid: str = ""  # the last message that they wrote to the bot
    parked: dict[int, float] = field(default_factory=dict)  # item -> seconds that it still waits for another message
    failure: Failure | None = None


@dataclass(slots=True)
class ItemTurn:
    """One item's turn while its effects are applied. `reply_id`: the reply or note that it became, on `ticket_id`.

    `tickets` and `abouts` are the lane's: what an effect changes in them, the next turn knows.
    """

    lane: LaneTurns
    item: PendingItem
    event: Event
    tickets: list[Ticket]
    abouts: dict[str, About]
    now: datetime
    name: str = ""  # under which we know the customer, where the item says none
    ticket_id: int | None = None
    reply_id: int | None = None


class Effects:
    """Applies effects, with the ids and the ticket numbers of this process."""

    def __init__(self, ids: IdMaker, numbers: TicketNumbers) -> None:
        self._ids = ids
        self._numbers = numbers

    def apply(self, turn: ItemTurn, effect: object) -> list[object]:
        """Adds the rows of one effect to the lane; returns what the journal keeps of it."""
        lane, event = turn.lane, turn.event
        match effect:
            case OpenTicket():
                self._open_ticket(turn, effect)
                return ["open_ticket", effect.ticket_id]
            case AddReply():
                reply_id = self._add_reply(turn, effect.ticket_id, effect.text, event.wamid)
                turn.reply_id, turn.ticket_id = reply_id, effect.ticket_id
                turn.abouts[event.wamid] = About(effect.ticket_id, reply_id, effect.text)
                turn.tickets.sort(key=lambda ticket: ticket.ticket_id != effect.ticket_id)
                return ["add_reply", effect.ticket_id, str(reply_id)]
            case Note():
                wamid = event.wamid if event.kind == "echo" else ""  # what a person wrote is quoted as any message
                note_id = self._add_reply(
                    turn, effect.ticket_id, effect.text, wamid, ReplyAuthor(effect.author), ReplyKind.NOTE
                )
                turn.reply_id, turn.ticket_id = note_id, effect.ticket_id
                if wamid:
                    turn.abouts[wamid] = About(effect.ticket_id, note_id, effect.text)
                if effect.change and effect.about_reply_id:
                    lane.changed[effect.about_reply_id] = effect.change
                    self._log(turn, TicketEventKind.CHANGED, effect.ticket_id, effect.about_reply_id, effect.change)
                return ["note", effect.ticket_id, str(note_id)]
            case Say() | Offer():
                row = self.make_row(
                    effect,
                    customer_id=lane.customer_id,
                    version=lane.version + 1,
                    item_id=turn.item.item_id,
                    now=turn.now,
                )
                if turn.item.reason == PendingReason.WENT_BACK:
                    row = replace(row, status=OutboxStatus.FAILED, why=Why(OutboxReason.WENT_BACK))
                lane.rows.append(row)
                return ["say", str(row.outbox_id)]
        raise TypeError(f"no such effect: {type(effect).__name__}")

    def _open_ticket(self, turn: ItemTurn, effect: OpenTicket) -> None:
        self._numbers.take()
        lane = turn.lane
        address = turn.item.address or lane.state.address
        media = effect.attachments[0] if effect.attachments else None
        lane.tickets.append(
            NewTicket(
                ticket_id=effect.ticket_id,
                customer_id=lane.customer_id,
                name=effect.name or read_profile_name(turn.item.payload) or turn.name,
                mobile=f"+{address}" if read_phone_digits(address) else "",
                issue_type=effect.issue_type,
                issue_type_other=effect.issue_type_other,
                title=effect.title,
                description=effect.description,
                attachment_name=(media.filename or f"{media.kind}{find_ending(media.mime_type)}") if media else "",
                attachment_type=media.mime_type if media else "",
                created_at=turn.now,
            )
        )
        self._log(turn, TicketEventKind.OPENED, effect.ticket_id, None, TicketStatus.NEW)
        lane.messages += [(wamid, effect.ticket_id) for wamid in effect.wamids]
        turn.abouts.update({wamid: About(effect.ticket_id, 0, effect.description) for wamid in effect.wamids})
        lane.attached.append((effect.ticket_id, [media.media_id for media in effect.attachments]))
        turn.tickets.insert(0, Ticket(effect.ticket_id, TicketStatus.NEW, effect.title))

    def _add_reply(
        self,
        turn: ItemTurn,
        ticket_id: int,
        text: str,
        wamid: str,
        author: ReplyAuthor = ReplyAuthor.CUSTOMER,
        kind: ReplyKind = ReplyKind.MESSAGE,
    ) -> int:
        reply_id, event = self._ids.next(), turn.event
        turn.lane.replies.append(
            NewReply(
                reply_id=reply_id,
                ticket_id=ticket_id,
                message=text,
                wamid=wamid,
                item_id=turn.item.item_id,
                late=event.late,
                written_at=event.at,
                created_at=turn.now,
                author=author,
                kind=kind,
            )
        )
        is_note = kind is ReplyKind.NOTE
        event_kind = TicketEventKind.NOTE if is_note else TicketEventKind.MESSAGE
        self._log(turn, event_kind, ticket_id, reply_id, author=EventAuthor(author))
        return reply_id

    def _log(
        self,
        turn: ItemTurn,
        kind: TicketEventKind,
        ticket_id: int,
        reply_id: int | None,
        became: str = "",
        author: EventAuthor = EventAuthor.CUSTOMER,
    ) -> None:
        """Adds an event of a ticket to the lane."""
        turn.lane.events.append(
            TicketEvent(
                event_id=self._ids.next(),
                ticket_id=ticket_id,
                customer_id=turn.lane.customer_id,
                kind=kind,
                author=author,
                at=turn.now,
                became=became,
                reply_id=reply_id,
            )
        )

    def add_waiting_note(self, turn: ItemTurn, effects: Sequence[object]) -> list[list[object]]:
        """Shows agents what waited for a ticket of this customer's, if these effects open one or add to one; returns
        what the journal keeps of it."""
        state = turn.lane.state
        for effect in effects:
            if isinstance(effect, OpenTicket | AddReply):
                turn.lane.state = replace(state, note="")
                return [self.apply(turn, Note(effect.ticket_id, state.note, "system"))]
        return []

    def add_file(self, turn: ItemTurn, media: Media) -> None:
        """Writes down that there is a file to fetch: the message comes first, the file after."""
        turn.lane.files.append(
            FileRow(
                file_id=self._ids.next(),
                direction="in",
                kind=media.kind,
                state=FileState.WAITING,
                due_at=turn.now,
                created_at=turn.now,
                customer_id=turn.lane.customer_id,
                ticket_id=turn.ticket_id,
                reply_id=turn.reply_id,
                wamid=turn.event.wamid if len(turn.event.wamid) <= MAX_WAMID_LENGTH else None,
                media_id=media.media_id,
                media_until=turn.item.meta_at + MEDIA_ID_LIFE,
                mime_type=media.mime_type,
                filename=media.filename,
                sha256=to_sha256_hex(media.sha256),
            )
        )

    def make_row(
        self, effect: Say | Offer, *, customer_id: int, version: int, item_id: int, now: datetime
    ) -> OutboxRow:
        """Makes the row of a message that the flow sends. `version`: of the lane's state that is written with it."""
        payload = json.dumps(effect_to_message(effect), ensure_ascii=False, separators=(",", ":"))
        return OutboxRow(
            outbox_id=self._ids.next(),
            customer_id=customer_id,
            version=version,
            origin=Origin.PROMPT,
            payload=payload,
            due_at=now,
            item_id=item_id,
        )
