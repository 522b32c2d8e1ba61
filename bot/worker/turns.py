"""A lane's turns: what waits for one customer, played in order, and everything that has to be written for it.

Pure but for the ids it draws. Invariants: messages of a lane are played one after the other, each on the conversation
that the one before left behind; the first that fails stops the lane, and what came before it still counts; nothing is
written here, so a round whose transaction fails has changed nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.settings import BotSettings
from bot.whatsapp.webhook.events import read_event
from bot.whatsapp.webhook.items import ItemKind
from bot.worker.effects import Effects, Failure, LaneTurns, Writing
from flows import About, Conversation, Desk, Event, Say, Ticket, take_turn
from storage.journal import PendingItem
from storage.outbox import OutboxRow
from storage.ticket_numbers import TicketNumbers
from storage.turn_writes import KnownMessage

SORRY = "Sorry, something went wrong on our side with your last message. Our team has been told. Please go on writing."
log = structlog.get_logger(__name__)

Read = Event | Exception


class Turns:
    """Plays lanes with what this process knows."""

    def __init__(self, settings: BotSettings, ids: IdMaker, numbers: TicketNumbers) -> None:
        self._settings = settings
        self._effects = Effects(ids, numbers)
        self._numbers = numbers

    @property
    def phone_number_id(self) -> str:
        """Ours, as it is in the journal's keys."""
        return self._settings.phone_number_id

    def read(self, items: Iterable[PendingItem]) -> dict[int, Read]:
        """The event of each item. One that can't be read is its own turn's failure, and nobody else's."""
        events: dict[int, Read] = {}
        for item in items:
            try:
                events[item.item_id] = _event(item)
            except Exception as error:  # noqa: BLE001 - raised again in its turn
                events[item.item_id] = error
        return events

    def play(
        self,
        customer_id: int,
        version: int,
        state: LaneState,
        items: Sequence[PendingItem],
        events: Mapping[int, Read],
        tickets: Iterable[Ticket],
        known: Mapping[str, KnownMessage],
        now: datetime,
        name: str = "",
    ) -> LaneTurns:
        """The turns of `items`, in their order, for a customer with these tickets (the last touched first) and with
        these messages on them, who may have a name."""
        lane = LaneTurns(customer_id, version, state)
        conversation = Conversation.from_json(state.flow) if state.flow else None
        open_tickets = list(tickets)
        abouts = {wamid: About(one.ticket_id, one.reply_id, one.text) for wamid, one in known.items()}
        for item in items:
            late = item.late or (lane.state.last_item_at is not None and item.meta_at < lane.state.last_item_at)
            try:
                read = events[item.item_id]
                if isinstance(read, Exception):
                    raise read
                event = replace(read, late=late)
                turn = take_turn(conversation, event, self._desk(lane.state, open_tickets, abouts, event, now))
                written = Writing(lane, item, event, open_tickets, abouts, now, name)
                did = [self._effects.apply(written, effect) for effect in turn.effects]
            except Exception as error:
                log.exception("turn_failed", item_id=item.item_id)
                lane.failure = Failure(item, f"{type(error).__name__}: {error}")
                break
            conversation = turn.conversation
            if event.media is not None:
                self._effects.file(written, event.media)
            lane.done[item.item_id] = json.dumps(did, separators=(",", ":"))
            lane.last = (item.meta_at, item.item_id)
            self._move(lane, item, event, late)
        if conversation is not None:
            lane.state = replace(lane.state, flow=conversation.to_json())
        return lane

    def sorry(self, customer_id: int, version: int, item_id: int, now: datetime) -> OutboxRow:
        """The polite line for a message that could not be handled."""
        return self._effects.row(customer_id, version, item_id, Say(SORRY), now)

    def _desk(
        self,
        state: LaneState,
        tickets: Sequence[Ticket],
        abouts: Mapping[str, About],
        event: Event,
        now: datetime,
    ) -> Desk:
        return Desk(
            now=now,
            flow=self._settings.flow,
            tickets=tuple(tickets),
            issue_types=self._settings.issue_types,
            next_ticket_id=self._numbers.peek(),
            about=abouts.get(event.quoted_wamid) if event.quoted_wamid else None,
            quiet=state.quiet_until is not None and now < state.quiet_until,
        )

    def _move(self, lane: LaneTurns, item: PendingItem, event: Event, late: bool) -> None:
        state = lane.state
        if late:
            lane.late.append(item.item_id)
        elif item.address and (item.kind == ItemKind.MESSAGE or not state.address):  # told by others, it is a beginning
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


def _event(item: PendingItem) -> Event:
    """What is neither a message nor about one says nothing in the conversation: it may bring another address."""
    if item.kind not in (ItemKind.MESSAGE, ItemKind.ECHO, ItemKind.HANDOVER):
        return Event("silent", item.meta_at, item.item_id)
    return read_event(item.payload, item_id=item.item_id, at=item.meta_at, late=False, kind=ItemKind(item.kind))
