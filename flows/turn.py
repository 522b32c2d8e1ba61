"""Plays one turn: from a conversation and an event come the next conversation and the effects.

Invariants
- Pure and total: the same values give the same turn, and every event has one, whatever was stored.
- At most one message goes out in a turn.
"""

from __future__ import annotations

from dataclasses import dataclass

from flows import human_takeover, silent_events
from flows.conversation import Conversation
from flows.desk import Desk
from flows.effects import Effect, Offer, Option, Say
from flows.engine.definition import Choice, Row, TurnContext
from flows.engine.machine import Flow
from flows.events import Event
from flows.language.formatting import clip
from flows.limits import LIMITS
from flows.recognize import recognize
from flows.scripts import unsupported
from flows.scripts.open_ticket import FLOWS, OPEN_TICKET


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn leaves behind: the conversation to keep, and what is to be done, in this order."""

    conversation: Conversation
    effects: tuple[Effect, ...]


def take_turn(conversation: Conversation | None, event: Event, desk: Desk) -> Turn:
    """Plays `event` on `conversation`, which is None for a new customer."""
    context = TurnContext(conversation or Conversation.new(), event, desk)
    if event.kind in silent_events.SILENT_KINDS and not silent_events.is_opening_ticket(context):
        silent_events.record(context)
    else:
        _play(context)
    return Turn(context.to_conversation(), tuple(context.effects))


def _play(context: TurnContext) -> None:
    flow = FLOWS.get(context.flow, OPEN_TICKET)
    _restart_if_damaged(flow, context)
    intent = recognize(flow, context)
    if context.desk.quiet:
        human_takeover.record(flow, context, intent)
        return
    row = flow.step(intent, context)
    if not unsupported.is_repeated(context, intent):
        unsupported.remember_apology(context, intent)
        context.effects.append(_make_answer(flow, context, row))


def _restart_if_damaged(flow: Flow, context: TurnContext) -> None:
    """A stored conversation that stands where it can't stand goes back to the first state, with its draft."""
    state = flow.states_by_name.get(context.state)
    if state is None or (state.needs and not state.needs(context)):
        context.state = flow.states[0].name
    context.flow = flow.name


def _make_answer(flow: Flow, context: TurnContext, row: Row) -> Say | Offer:
    state = flow.states_by_name[context.state]
    text = row.answer or state.prompt
    answer = text if isinstance(text, str) else text(context)
    lead = row.lead if isinstance(row.lead, str) else row.lead(context)
    if lead := unsupported.add_loss(context, lead):
        answer = f"{lead} {answer}"
    choices = state.get_choices(context)
    if not choices:
        return Say(clip(answer, LIMITS.text))
    options = [Option(_make_option_id(context.draft.number, c), c.label, c.description) for c in choices]
    return Offer(clip(answer, LIMITS.body), tuple(options), state.button)


def _make_option_id(draft_number: int, choice: Choice) -> str:
    """Option ids name the draft, so that a button of an old draft is known as such (see recognize.py)."""
    return f"{draft_number}.{choice.name}.{choice.argument}" if choice.argument else f"{draft_number}.{choice.name}"
