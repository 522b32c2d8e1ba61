"""Says in words why an item of the journal was ignored, is dead, or gets no answer."""

from collections.abc import Mapping

from bot.whatsapp.webhook.items import IgnoredReason
from storage.statuses import PendingReason

IGNORED_SENTENCES: Mapping[str, str] = {
    IgnoredReason.NOT_JSON: "The body can't be read as JSON",
    IgnoredReason.NOT_WHATSAPP: "It is about another product of Meta's",
    IgnoredReason.OWN_NUMBER: "It says that it is from our own number, which is nobody's customer",
    IgnoredReason.FOREIGN_NUMBER: "It is for another phone number than ours",
    IgnoredReason.NO_NUMBER: "It doesn't say for which phone number it is",
    IgnoredReason.UNKNOWN_FIELD: "It is of a kind that Tick doesn't know",
    IgnoredReason.NOT_USED: "It is of a kind that Tick has no use for",
    IgnoredReason.EMPTY: "There is nothing in it",
    IgnoredReason.MALFORMED: "It doesn't have the shape that it should have",
    IgnoredReason.NO_ID: "It doesn't say which message it is, or is about",
    IgnoredReason.GROUP: "It was written in a group, and groups are not supported",
    IgnoredReason.NO_SENDER: "It doesn't say who it is from",
    IgnoredReason.UNKNOWN_STATUS: "It reports a status that Tick doesn't know",
    IgnoredReason.SUPERSEDED: "The message was further on already",
    IgnoredReason.UNKNOWN_MESSAGE: "It is about a message that Tick didn't send",
}

WAITING_SENTENCES: Mapping[str, str] = {
    PendingReason.WENT_BACK: "It waited when the database went back to an earlier state, and may have been answered",
}
_SENTENCES = {**IGNORED_SENTENCES, **WAITING_SENTENCES}


def explain_fate(reason: str, error: str) -> str:
    """Returns a sentence, with the code or the error that a search needs behind it; "" where nothing is to be said."""
    if error:
        return f"Handling it failed: {error}"
    return f"{_SENTENCES[reason]} ({reason})" if reason in _SENTENCES else reason
