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
from flows.engine.definition import Choice, Heard, Row
from flows.engine.machine import Flow
from flows.events import Event
from flows.language import formatting
from flows.language.matching import GREETINGS, LONGEST_WORD, THANKS, is_blank, is_number, number_of, plain
from flows.limits import LIMITS
from flows.scripts import unsupported
from flows.scripts.open_ticket import FLOWS, OPEN_TICKET
from flows.scripts.ticket_actions import quotes_open_ticket
from flows.talk import Talk

COMMANDS = {"menu": Heard.MENU, "cancel": Heard.CANCEL}


@dataclass(frozen=True, slots=True)
class Turn:
    conversation: Conversation
    effects: tuple[Effect, ...]


def take_turn(conversation: Conversation | None, event: Event, desk: Desk) -> Turn:
    """`conversation` is None when the customer is new."""
    conversation = conversation or Conversation.new()
    talk = Talk(conversation, event, desk)
    if event.kind in silent_events.ASIDES and not silent_events.opens_ticket(talk):
        silent_events.record(talk)
        return Turn(talk.conversation(), tuple(talk.effects))
    flow = FLOWS.get(talk.flow, OPEN_TICKET)
    _start_again_if_damaged(flow, talk)
    heard = _heard(flow, talk)
    if desk.quiet and heard != Heard.HANDED_OVER:
        human_takeover.record(flow, talk, heard)
    else:
        row = flow.hear(heard, talk)
        if not (desk.quiet or unsupported.said_lately(talk, heard)):
            talk.effects.append(_answer(flow, talk, row))
    return Turn(talk.conversation(), tuple(talk.effects))


def _start_again_if_damaged(flow: Flow, talk: Talk) -> None:
    state = flow.by_name.get(talk.state)
    if state is None or (state.needs and not state.needs(talk)):
        talk.state = flow.states[0].name
    talk.flow = flow.name


def _heard(flow: Flow, talk: Talk) -> str:
    event = talk.event
    if event.kind == "option":
        return _tapped(flow, talk)
    if event.kind == "handover":
        return Heard.HANDED_OVER
    if event.kind == "unreadable":
        return Heard.UNREADABLE
    if event.kind in ("place", "contact") or event.media is not None:
        sticker = event.media is not None and event.media.kind == "sticker"
        return Heard.QUOTE if quotes_open_ticket(talk) else Heard.NOISE if sticker else Heard.CONTENT
    return _typed(flow, talk)


def _tapped(flow: Flow, talk: Talk) -> str:
    """An option counts only for the draft it was offered for: an old one can't send a new draft."""
    number, _, rest = talk.event.option_id.partition(".")
    name, _, talk.argument = rest.partition(".")
    if not talk.draft.number or number != str(talk.draft.number) or name not in flow.option_names:
        return Heard.OLD_OPTION
    if name == "topic" and all(t.type_id != talk.argument for t in talk.desk.issue_types):
        return Heard.OLD_OPTION
    return name


def _typed(flow: Flow, talk: Talk) -> str:
    text = talk.event.text
    if is_blank(text):
        return Heard.BLANK
    word = plain(text) if len(text) <= LONGEST_WORD else ""
    if word in COMMANDS:
        return COMMANDS[word]
    if quotes_open_ticket(talk):
        return Heard.QUOTE
    if len(text) > LONGEST_WORD:
        return Heard.CONTENT
    choice = _meant(flow.by_name[talk.state].offered(talk), word)
    if choice is not None:
        talk.argument = choice.argument
        return choice.name
    if word in GREETINGS:
        return Heard.GREETING
    if word in THANKS:
        return Heard.THANKS
    return Heard.NOISE if not word or is_number(word) else Heard.CONTENT


def _meant(offered: Sequence[Choice], word: str) -> Choice | None:
    number = number_of(word)
    if 0 < number <= len(offered):
        return offered[number - 1]
    return next((choice for choice in offered if choice.means(word)), None)


def _answer(flow: Flow, talk: Talk, row: Row) -> Say | Offer:
    state = flow.by_name[talk.state]
    text = row.says or state.asks
    said = text if isinstance(text, str) else text(talk)
    lead = unsupported.tell_loss(talk, row.lead if isinstance(row.lead, str) else row.lead(talk))
    if lead:
        said = f"{lead} {said}"
    offered = state.offered(talk)
    if not offered:
        return Say(formatting.clip(said, LIMITS.text))
    options = [Option(_option_id(talk.draft.number, c), c.label, c.description) for c in offered]
    return Offer(formatting.clip(said, LIMITS.body), tuple(options), state.button)


def _option_id(number: int, choice: Choice) -> str:
    return f"{number}.{choice.name}.{choice.argument}" if choice.argument else f"{number}.{choice.name}"
