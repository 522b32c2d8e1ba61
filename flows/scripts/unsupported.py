"""What can't be read here, or never came whole: answered with what is true of it.

The same line is not said again within a minute, unless something else was said meanwhile: an album that WhatsApp lost
comes as many messages, and one answer does for all.
"""

from __future__ import annotations

from flows.engine.check import LEAD
from flows.engine.definition import Heard
from flows.language.formatting import units
from flows.talk import Talk

CANNOT_READ = {
    "": "Sorry, I cannot read this kind of message.",
    "file": "Sorry, a file of yours did not reach us. Please send it again; files may be up to 100 MB.",
    "message": "Sorry, WhatsApp did not pass a message of yours on to us. Please send it again.",
}
AGAIN_SECONDS = 60


def say_unreadable(talk: Talk) -> str:
    return CANNOT_READ[talk.event.lost]


def tell_loss(talk: Talk, lead: str) -> str:
    """The same in front of an answer to the words that came without their file, where there is room."""
    if not talk.event.lost or talk.event.kind == "unreadable":
        return lead
    both = f"{CANNOT_READ[talk.event.lost]} {lead}".rstrip()
    return both if units(both) <= LEAD else lead


def said_lately(talk: Talk, heard: str) -> bool:
    """Whether the last that they were told is just this; what they are told now is noted."""
    if heard != Heard.UNREADABLE:
        talk.sorry_for, talk.sorry_at = "", 0
        return False
    lost, at = talk.event.lost, int(talk.event.at.timestamp())
    if talk.sorry_at and lost == talk.sorry_for and abs(at - talk.sorry_at) < AGAIN_SECONDS:
        return True
    talk.sorry_for, talk.sorry_at = lost, at
    return False
