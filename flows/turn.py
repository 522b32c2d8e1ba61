"""One turn: a conversation and what happened become the next conversation and what follows.

Pure and total: the same values give the same turn, and there is a turn for everything. At most one message goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows import human_takeover, silent_events
from flows.conversation import Conversation
from flows.desk import Desk
from flows.effects import Effect, Offer, Option, Say
from flows.engine.definition import Choice, Intent, Row, TurnContext
from flows.engine.machine import Flow
from flows.events import Event
from flows.language import formatting
from flows.language.matching import GREETINGS, LONGEST_WORD, THANKS, is_blank, is_number, number_of, plain
from flows.limits import LIMITS
from flows.scripts import unsupported
from flows.scripts.open_ticket import FLOWS, OPEN_TICKET
from flows.scripts.ticket_actions import quotes_open_ticket

COMMANDS = {"menu": Intent.MENU, "cancel": Intent.CANCEL}


@dataclass(frozen=True, slots=True)
class Turn:
    conversation: Conversation
    effects: tuple[Effect, ...]


def take_turn(conversation: Conversation | None, event: Event, desk: Desk) -> Turn:
    """`conversation` is None when the customer is new."""
    conversation = conversation or Conversation.new()
    context = TurnContext(conversation, event, desk)
    if event.kind in silent_events.ASIDES and not silent_events.opens_ticket(context):
        silent_events.record(context)
        return Turn(context.conversation(), tuple(context.effects))
    flow = FLOWS.get(context.flow, OPEN_TICKET)
    _start_again_if_damaged(flow, context)
    intent = _heard(flow, context)
    if desk.quiet and intent != Intent.HANDED_OVER:
        human_takeover.record(flow, context, intent)
    else:
        row = flow.hear(intent, context)
        if not (desk.quiet or unsupported.said_lately(context, intent)):
            context.effects.append(_answer(flow, context, row))
    return Turn(context.conversation(), tuple(context.effects))


def _start_again_if_damaged(flow: Flow, context: TurnContext) -> None:
    state = flow.by_name.get(context.state)
    if state is None or (state.needs and not state.needs(context)):
        context.state = flow.states[0].name
    context.flow = flow.name


def _heard(flow: Flow, context: TurnContext) -> str:
    event = context.event
    if event.kind == "option":
        return _tapped(flow, context)
    if event.kind == "handover":
        return Intent.HANDED_OVER
    if event.kind == "unreadable":
        return Intent.UNREADABLE
    if event.kind in ("place", "contact") or event.media is not None:
        sticker = event.media is not None and event.media.kind == "sticker"
        return Intent.QUOTE if quotes_open_ticket(context) else Intent.NOISE if sticker else Intent.CONTENT
    return _typed(flow, context)


def _tapped(flow: Flow, context: TurnContext) -> str:
    """An option counts only for the draft it was offered for: an old one can't send a new draft."""
    number, _, rest = context.event.option_id.partition(".")
    name, _, context.argument = rest.partition(".")
    if not context.draft.number or number != str(context.draft.number) or name not in flow.option_names:
        return Intent.OLD_OPTION
    if name == "topic" and all(t.type_id != context.argument for t in context.desk.issue_types):
        return Intent.OLD_OPTION
    return name


def _typed(flow: Flow, context: TurnContext) -> str:
    text = context.event.text
    if is_blank(text):
        return Intent.BLANK
    word = plain(text) if len(text) <= LONGEST_WORD else ""
    if word in COMMANDS:
        return COMMANDS[word]
    if quotes_open_ticket(context):
        return Intent.QUOTE
    if len(text) > LONGEST_WORD:
        return Intent.CONTENT
    choice = _meant(flow.by_name[context.state].offered(context), word)
    if choice is not None:
        context.argument = choice.argument
        return choice.name
    if word in GREETINGS:
        return Intent.GREETING
    if word in THANKS:
        return Intent.THANKS
    return Intent.NOISE if not word or is_number(word) else Intent.CONTENT


def _meant(offered: Sequence[Choice], word: str) -> Choice | None:
    number = number_of(word)
    if 0 < number <= len(offered):
        return offered[number - 1]
    return next((choice for choice in offered if choice.means(word)), None)


def _answer(flow: Flow, context: TurnContext, row: Row) -> Say | Offer:
    state = flow.by_name[context.state]
    text = row.says or state.asks
    said = text if isinstance(text, str) else text(context)
    lead = unsupported.tell_loss(context, row.lead if isinstance(row.lead, str) else row.lead(context))
    if lead:
        said = f"{lead} {said}"
    offered = state.offered(context)
    if not offered:
        return Say(formatting.clip(said, LIMITS.text))
    options = [Option(_option_id(context.draft.number, c), c.label, c.description) for c in offered]
    return Offer(formatting.clip(said, LIMITS.body), tuple(options), state.button)


def _option_id(number: int, choice: Choice) -> str:
    return f"{number}.{choice.name}.{choice.argument}" if choice.argument else f"{number}.{choice.name}"
