"""Plays a lane's turns: what waits for one customer, in its order, and everything that has to be written for it.

Pure but for the ids and ticket numbers that it draws.

Invariants
- The messages of a lane are played one after the other, each on the conversation that the one before left behind.
- The first that fails stops its lane, and what came before it still counts.
- Nothing is written here, so a round whose transaction fails has changed nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.settings import BotSettings
from bot.whatsapp.webhook.events import read_event
from bot.whatsapp.webhook.items import ItemKind
from bot.worker.effects import Effects, Failure, ItemTurn, LaneTurns
from flows import About, Conversation, Desk, Event, Say, Ticket, take_turn
from storage.journal import PendingItem
from storage.outbox import OutboxRow
from storage.ticket_numbers import TicketNumbers
from storage.turn_writes import KnownMessage

APOLOGY = (
    "Sorry, something went wrong on our side with your last message. Our team has been told. Please go on writing."
)
log = structlog.get_logger(__name__)

EventOrError = Event | Exception


@dataclass(frozen=True, slots=True)
class LaneInput:
    """What the turns of one lane are played on: `items`, in their order, and what they may know.

    `tickets`: the open ones, the last touched first; `messages`: what is on a ticket, by wamid; `name`: the customer's,
    "" when it is not needed. `events` has those of other lanes too.
    """

    customer_id: int
    version: int
    state: LaneState
    items: Sequence[PendingItem]
    events: Mapping[int, EventOrError]
    tickets: Sequence[Ticket]
    messages: Mapping[str, KnownMessage]
    name: str


class Turns:
    """Plays the turns of one process."""

    def __init__(self, settings: BotSettings, ids: IdMaker, numbers: TicketNumbers) -> None:
        self._settings = settings
        self._effects = Effects(ids, numbers)
        self._numbers = numbers

    @property
    def phone_number_id(self) -> str:
        """Meta's id of our number, as it is in the journal's keys."""
        return self._settings.phone_number_id

    def read_events(self, items: Iterable[PendingItem]) -> dict[int, EventOrError]:
        """Reads the event of each item. What can't be read is its own turn's failure, and nobody else's."""
        events: dict[int, EventOrError] = {}
        for item in items:
            try:
                events[item.item_id] = _read_event(item)
            except Exception as error:  # noqa: BLE001 - raised again in its turn
                events[item.item_id] = error
        return events

    def play(self, lane_input: LaneInput, now: datetime) -> LaneTurns:
        """Plays the lane's items until one fails."""
        lane = LaneTurns(lane_input.customer_id, lane_input.version, lane_input.state)
        conversation = Conversation.from_json(lane_input.state.flow) if lane_input.state.flow else None
        tickets = list(lane_input.tickets)
        abouts = {wamid: About(one.ticket_id, one.reply_id, one.text) for wamid, one in lane_input.messages.items()}
        for item in lane_input.items:
            late = item.late or (lane.state.last_item_at is not None and item.meta_at < lane.state.last_item_at)
            try:
                read = lane_input.events[item.item_id]
                if isinstance(read, Exception):
                    raise read
                event = replace(read, late=late)
                about = abouts.get(event.quoted_wamid) if event.quoted_wamid else None
                turn = take_turn(conversation, event, self._make_desk(lane.state, tickets, about, now))
                item_turn = ItemTurn(
                    lane=lane, item=item, event=event, tickets=tickets, abouts=abouts, now=now, name=lane_input.name
                )
                effects = [self._effects.apply(item_turn, effect) for effect in turn.effects]
            except Exception as error:
                log.exception("turn_failed", item_id=item.item_id)
                lane.failure = Failure(item, f"{type(error).__name__}: {error}")
                break
            conversation = turn.conversation
            for media in event.files:
                self._effects.add_file(item_turn, media)
            if lane.state.note:
                effects += self._effects.add_waiting_note(item_turn, turn.effects)
            lane.done[item.item_id] = json.dumps(effects, separators=(",", ":"))
            lane.last = (item.meta_at, item.item_id)
            self._advance(lane, item, event, late=late)
        if conversation is not None:
            lane.state = replace(lane.state, flow=conversation.to_json())
        return lane

    def apologize(self, customer_id: int, version: int, item_id: int, now: datetime) -> OutboxRow:
        """Makes the row with the polite line for a message that could not be handled."""
        return self._effects.make_row(Say(APOLOGY), customer_id=customer_id, version=version, item_id=item_id, now=now)

    def _make_desk(self, state: LaneState, tickets: Sequence[Ticket], about: About | None, now: datetime) -> Desk:
        return Desk(
            now=now,
            flow=self._settings.flow,
            tickets=tuple(tickets),
            issue_types=self._settings.issue_types,
            next_ticket_id=self._numbers.peek(),
            about=about,
            quiet=state.quiet_until is not None and now < state.quiet_until,
        )

    def _advance(self, lane: LaneTurns, item: PendingItem, event: Event, *, late: bool) -> None:
        """Moves the lane's state on past this item."""
        state = lane.state
        if late:
            lane.late.append(item.item_id)
        elif item.address and (
            item.kind == ItemKind.MESSAGE or not state.address
        ):  # an address that others told us is better than none
            state = replace(state, address=item.address)
        if event.kind == "echo":
            until = item.meta_at + timedelta(seconds=self._settings.quiet_seconds)
            state = replace(state, quiet_until=max(state.quiet_until or until, until))
        if event.opens_window:
            state = replace(state, last_inbound_at=max(state.last_inbound_at or item.meta_at, item.meta_at))
            lane.heard = True
            if event.kind != "silent":  # what they tell Meta's agent is not ours to answer
                lane.heard_wamid = event.wamid
        lane.state = replace(state, last_item_at=max(state.last_item_at or item.meta_at, item.meta_at))


def _read_event(item: PendingItem) -> Event:
    """An item that is neither a message nor about one is silent in the conversation: it may bring another address."""
    if item.kind not in (ItemKind.MESSAGE, ItemKind.ECHO, ItemKind.HANDOVER):
        return Event("silent", item.meta_at, item.item_id)
    return read_event(item.payload, item_id=item.item_id, at=item.meta_at, late=False, kind=ItemKind(item.kind))
