"""What can't be read here, or never came whole: answered with what is true of it.

The same line is not said again within a minute, unless something else was said meanwhile: an album that WhatsApp lost
comes as many messages, and one answer does for all.
"""

from __future__ import annotations

from flows.engine.check import LEAD
from flows.engine.definition import Intent, TurnContext
from flows.language.formatting import units

CANNOT_READ = {
    "": "Sorry, I cannot read this kind of message.",
    "file": "Sorry, a file of yours did not reach us. Please send it again; files may be up to 100 MB.",
    "message": "Sorry, WhatsApp did not pass a message of yours on to us. Please send it again.",
}
AGAIN_SECONDS = 60


def say_unreadable(context: TurnContext) -> str:
    return CANNOT_READ[context.event.lost]


def tell_loss(context: TurnContext, lead: str) -> str:
    """The same in front of an answer to the words that came without their file, where there is room."""
    if not context.event.lost or context.event.kind == "unreadable":
        return lead
    both = f"{CANNOT_READ[context.event.lost]} {lead}".rstrip()
    return both if units(both) <= LEAD else lead


def said_lately(context: TurnContext, intent: str) -> bool:
    """Whether the last that they were told is just this; what they are told now is noted."""
    if intent != Intent.UNREADABLE:
        context.sorry_for, context.sorry_at = "", 0
        return False
    lost, at = context.event.lost, int(context.event.at.timestamp())
    if context.sorry_at and lost == context.sorry_for and abs(at - context.sorry_at) < AGAIN_SECONDS:
        return True
    context.sorry_for, context.sorry_at = lost, at
    return False
