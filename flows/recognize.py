"""Recognizes what a customer meant by an event: a tap, a command, a quote, a small word, or content.

Pure. The same event is recognized the same way in every state but for the choices that the state offers.
"""

from __future__ import annotations

from collections.abc import Sequence

from flows.engine.definition import Choice, Intent, TurnContext
from flows.engine.machine import Flow
from flows.language.matching import (
    GREETINGS,
    MAX_WORD_CHARACTERS,
    THANKS,
    is_blank,
    is_number,
    normalize_word,
    read_number,
)
from flows.scripts.ticket_actions import has_quoted_open_ticket

COMMANDS = {"menu": Intent.MENU, "cancel": Intent.CANCEL}


def recognize(flow: Flow, context: TurnContext) -> str:
    """Returns an Intent, or the name of the choice that was tapped or typed; sets `context.argument` for a choice."""
    event = context.event
    if event.kind == "option":
        return _recognize_tap(flow, context)
    if event.kind == "handover":
        return Intent.HANDED_OVER
    if event.kind == "unreadable":
        return Intent.UNREADABLE
    if event.kind in ("location", "contact") or event.media is not None:
        sticker = event.media is not None and event.media.kind == "sticker"
        return Intent.QUOTE if has_quoted_open_ticket(context) else Intent.NOISE if sticker else Intent.CONTENT
    return _recognize_text(flow, context)


def _recognize_tap(flow: Flow, context: TurnContext) -> str:
    """An option id is `draft number.choice name[.argument]`. It counts for the draft that it was offered for alone, so
    that an old button never sends a new draft; option ids come from outside and may be forged."""
    number, _, rest = context.event.option_id.partition(".")
    name, _, context.argument = rest.partition(".")
    if not context.draft.number or number != str(context.draft.number) or name not in flow.option_names:
        return Intent.OLD_OPTION
    if name == "topic" and all(issue_type.type_id != context.argument for issue_type in context.desk.issue_types):
        return Intent.OLD_OPTION
    return name


def _recognize_text(flow: Flow, context: TurnContext) -> str:
    """A command goes before everything, a quote of a ticket's message before an answer to our question."""
    text = context.event.text
    if is_blank(text):
        return Intent.BLANK
    word = normalize_word(text) if len(text) <= MAX_WORD_CHARACTERS else ""
    if word in COMMANDS:
        return COMMANDS[word]
    if has_quoted_open_ticket(context):
        return Intent.QUOTE
    if len(text) > MAX_WORD_CHARACTERS:
        return Intent.CONTENT
    choice = _find_choice(flow.states_by_name[context.state].get_choices(context), word)
    if choice is not None:
        context.argument = choice.argument
        return choice.name
    if word in GREETINGS:
        return Intent.GREETING
    if word in THANKS:
        return Intent.THANKS
    return Intent.NOISE if not word or is_number(word) else Intent.CONTENT


def _find_choice(choices: Sequence[Choice], word: str) -> Choice | None:
    """Returns the choice that the normalized `word` names: by its place in the list, counted from 1, or in words."""
    number = read_number(word)
    if 0 < number <= len(choices):
        return choices[number - 1]
    return next((choice for choice in choices if choice.is_named_by(word)), None)
