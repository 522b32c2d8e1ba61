"""Apologizes for what can't be read here, or was lost on its way to us.

The same apology is not repeated within a minute, unless something else was said meanwhile: an album that WhatsApp lost
comes as many messages, and one apology does for all of them.
"""

from __future__ import annotations

from flows.engine.definition import MAX_LEAD_UNITS, Intent, TurnContext
from flows.language.formatting import count_units

APOLOGIES = {
    "": "Sorry, I cannot read this kind of message.",
    "file": "Sorry, a file of yours did not reach us. Please send it again; files may be up to 100 MB.",
    "message": "Sorry, WhatsApp did not pass a message of yours on to us. Please send it again.",
}
REPEAT_SECONDS = 60  # within these the same apology is not said again


def apologize(context: TurnContext) -> str:
    """Returns the sentence for a message that can't be read."""
    return APOLOGIES[context.event.lost]


def add_loss(context: TurnContext, lead: str) -> str:
    """Puts the apology in front of the answer to words whose file was lost, if the lead has room for it."""
    if not context.event.lost or context.event.kind == "unreadable":
        return lead
    both = f"{APOLOGIES[context.event.lost]} {lead}".rstrip()
    return both if count_units(both) <= MAX_LEAD_UNITS else lead


def is_repeated(context: TurnContext, intent: str) -> bool:
    """Whether the last thing that the customer was told is this very apology, less than a minute ago."""
    if intent != Intent.UNREADABLE or not context.apology_epoch or context.event.lost != context.apology_for:
        return False
    return abs(_read_epoch(context) - context.apology_epoch) < REPEAT_SECONDS


def remember_apology(context: TurnContext, intent: str) -> None:
    """Records what the customer is told now: an apology and when, or something else."""
    is_apology = intent == Intent.UNREADABLE
    context.apology_for = context.event.lost if is_apology else ""
    context.apology_epoch = _read_epoch(context) if is_apology else 0


def _read_epoch(context: TurnContext) -> int:
    return int(context.event.at.timestamp())
