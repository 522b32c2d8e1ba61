"""A lane's turns: what waits for one customer, played in order, and everything that has to be written for it.

Pure but for the ids it draws. Invariants: messages of a lane are played one after the other, each on the conversation
that the one before left behind; the first that fails stops the lane, and what came before it still counts; nothing is
written here, so a round whose transaction fails has changed nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from bot.ids import IdMaker
from bot.place import Place
from bot.settings import BotSettings
from bot.whatsapp.items import Kind
from bot.whatsapp.message import read_event, read_name
from bot.whatsapp.outgoing import message_of
from bot.whatsapp.people import phone_of
from flows import AddReply, Conversation, Desk, Event, Offer, OpenTicket, Say, Ticket, take_turn
from storage.filing import NewReply, NewTicket
from storage.journal import PendingItem
from storage.numbers import TicketNumbers
from storage.outbox import OutboxRow

SORRY = "Sorry, something went wrong on our side with your last message. Our team has been told. Please go on writing."
log = structlog.get_logger(__name__)


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
    place: Place
    done: dict[int, str] = field(default_factory=dict)  # item -> what came of it, as JSON
    last: tuple[datetime, int] | None = None
    late: list[int] = field(default_factory=list)
    tickets: list[NewTicket] = field(default_factory=list)
    replies: list[NewReply] = field(default_factory=list)
    rows: list[OutboxRow] = field(default_factory=list)
    heard: bool = False  # the customer wrote: what was held may go out
    failure: Failure | None = None


class Turns:
    """Plays lanes with what this process knows."""

    def __init__(self, settings: BotSettings, ids: IdMaker, numbers: TicketNumbers) -> None:
        self._settings = settings
        self._ids = ids
        self._numbers = numbers

    def play(
        self,
        customer_id: int,
        version: int,
        place: Place,
        items: Sequence[PendingItem],
        tickets: Iterable[Ticket],
        now: datetime,
    ) -> LaneTurns:
        """The turns of `items`, in their order, for a customer with these tickets (the last touched first)."""
        lane = LaneTurns(customer_id, version, place)
        conversation = Conversation.from_json(place.flow) if place.flow else None
        known = list(tickets)
        for item in items:
            late = item.late or (lane.place.last_item_at is not None and item.meta_at < lane.place.last_item_at)
            try:
                event = _event(item, late)
                turn = take_turn(conversation, event, self._desk(known, now))
                did = [self._effect(lane, item, event, effect, known, now) for effect in turn.effects]
            except Exception as error:
                log.exception("turn_failed", item_id=item.item_id)
                lane.failure = Failure(item, f"{type(error).__name__}: {error}")
                break
            conversation = turn.conversation
            lane.done[item.item_id] = json.dumps(did, separators=(",", ":"))
            lane.last = (item.meta_at, item.item_id)
            self._move(lane, item, event, late)
        if conversation is not None:
            lane.place = replace(lane.place, flow=conversation.to_json())
        return lane

    def sorry(self, customer_id: int, version: int, item_id: int, now: datetime) -> OutboxRow:
        """The polite line for a message that could not be handled."""
        return self._row(customer_id, version, item_id, Say(SORRY), now)

    def _desk(self, tickets: Sequence[Ticket], now: datetime) -> Desk:
        return Desk(
            now=now,
            flow=self._settings.flow,
            tickets=tuple(tickets),
            issue_types=self._settings.issue_types,
            next_ticket_id=self._numbers.peek(),
        )

    def _move(self, lane: LaneTurns, item: PendingItem, event: Event, late: bool) -> None:
        place = lane.place
        if late:
            lane.late.append(item.item_id)
        elif item.address:
            place = replace(place, address=item.address)
        if event.kind != "silent":
            place = replace(place, last_inbound_at=max(place.last_inbound_at or item.meta_at, item.meta_at))
            lane.heard = True
        lane.place = replace(place, last_item_at=max(place.last_item_at or item.meta_at, item.meta_at))

    def _effect(
        self, lane: LaneTurns, item: PendingItem, event: Event, effect: object, tickets: list[Ticket], now: datetime
    ) -> list[object]:
        """Adds the rows of one effect to the lane; returns its line for the journal."""
        match effect:
            case OpenTicket():
                self._numbers.take()
                address = item.address or lane.place.address
                media = effect.attachments[0] if effect.attachments else None
                lane.tickets.append(
                    NewTicket(
                        ticket_id=effect.ticket_id,
                        customer_id=lane.customer_id,
                        name=effect.name or read_name(item.payload),
                        mobile=f"+{address}" if phone_of(address) else "",
                        issue_type=effect.issue_type,
                        issue_type_other=effect.issue_type_other,
                        title=effect.title,
                        description=effect.description,
                        attachment_name=(media.filename or media.kind) if media else "",
                        attachment_type=media.mime_type if media else "",
                        created_at=now,
                    )
                )
                tickets.insert(0, Ticket(effect.ticket_id, "new", effect.title))
                return ["open_ticket", effect.ticket_id]
            case AddReply():
                reply_id = self._ids.next()
                lane.replies.append(
                    NewReply(
                        reply_id, effect.ticket_id, effect.text, event.wamid, item.item_id, event.late, event.at, now
                    )
                )
                tickets.sort(key=lambda ticket: ticket.ticket_id != effect.ticket_id)
                return ["add_reply", effect.ticket_id, str(reply_id)]
            case Say() | Offer():
                row = self._row(lane.customer_id, lane.version + 1, item.item_id, effect, now)
                lane.rows.append(row)
                return ["say", str(row.outbox_id)]
        raise TypeError(f"no such effect: {type(effect).__name__}")

    def _row(self, customer_id: int, version: int, item_id: int, effect: Say | Offer, now: datetime) -> OutboxRow:
        payload = json.dumps(message_of(effect), ensure_ascii=False, separators=(",", ":"))
        return OutboxRow(self._ids.next(), customer_id, version, "prompt", payload, now, item_id=item_id)


def _event(item: PendingItem, late: bool) -> Event:
    """What is no message says nothing in the conversation: it may bring another address."""
    if item.kind != Kind.MESSAGE:
        return Event("silent", item.meta_at, item.item_id, late=late)
    return read_event(item.payload, item_id=item.item_id, at=item.meta_at, late=late)
