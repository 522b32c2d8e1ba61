"""Plays a transcript against the flow: what a support lead wrote down is exactly what must happen.

The grammar stands in tests/transcripts/README.md; DIRECTIVES and KINDS below are the whole of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from flows import (
    About,
    AddReply,
    Conversation,
    Desk,
    Effect,
    Event,
    IssueType,
    Media,
    Note,
    Offer,
    OpenTicket,
    Option,
    Say,
    Ticket,
    take_turn,
)
from flows.events import Change, Lost, MediaKind
from flows.language.formatting import count_attachments
from flows.limits import LIMITS

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOPICS = (
    IssueType("hardware", "Hardware", "Printers, screens, phones"),
    IssueType("software", "Software"),
    IssueType("network", "Network and Wi-Fi"),
    IssueType("account", "Account and access"),
    IssueType("other", "Something else"),
)
OPENING = Desk(NOW, "guided", (), TOPICS, 1, "Ann")


class TranscriptError(Exception):
    """A line is not in the grammar. The text says which one, and what is wrong with it."""


@dataclass
class Stage:
    """A desk with one customer, and everything that was offered to them."""

    desk: Desk = OPENING
    conversation: Conversation | None = None
    item_id: int = 0
    offered: list[Option] = field(default_factory=list)
    latest: list[Option] = field(default_factory=list)
    abouts: dict[str, About] = field(default_factory=dict)
    replies: int = 0
    at: datetime = NOW

    def find_ticket(self, ticket_id: str) -> Ticket:
        """Returns an open ticket of the customer's."""
        for ticket in self.desk.tickets:
            if ticket.ticket_id == int(ticket_id):
                return ticket
        raise TranscriptError(f"there is no open ticket #{ticket_id}")

    def touch(self, ticket: Ticket) -> None:
        """Puts a ticket first, as the one that was touched last."""
        others = tuple(t for t in self.desk.tickets if t.ticket_id != ticket.ticket_id)
        highest = max(self.desk.next_ticket_id, ticket.ticket_id + 1)
        self.desk = replace(self.desk, tickets=(ticket, *others), next_ticket_id=highest)

    def add_reply(self, ticket_id: int, wamid: str | None, text: str) -> None:
        """Numbers a reply, and keeps what a quote of it belongs to."""
        self.replies += 1
        if wamid:
            self.abouts[wamid] = About(ticket_id, self.replies, text)

    def set_up(self, line: str) -> None:
        """Does what a line says that begins with an exclamation mark."""
        for pattern, change in DIRECTIVES:
            if found := re.fullmatch(pattern, line):
                change(self, *found.groups())
                return
        raise TranscriptError("this is no directive")

    def play(self, line: str) -> list[str]:
        """Plays what the customer did, and returns the lines that say what happened."""
        self.item_id += 1
        event = self._read_event(line)
        desk = replace(self.desk, about=self.abouts.get(event.quoted_wamid))
        turn = take_turn(self.conversation, event, desk)
        self.conversation = Conversation.from_json(turn.conversation.to_json())  # as it is between two turns
        return [self._describe(effect, event) for effect in turn.effects]

    def _read_event(self, line: str) -> Event:
        found = re.fullmatch(r"(.*?)(?: \{(\w+)\})?(?: \{about (\w+)\})?", line)
        spoken, wamid, about = found.groups() if found else (line, None, None)
        event = replace(self._read_words(spoken), at=self.at, wamid=wamid or "", quoted_wamid=about or "")
        return replace(event, about=bool(about and event.change))

    def _read_words(self, words: str) -> Event:
        if found := re.fullmatch(r"\[(\w+)\] ?(.*)", words):
            kind, text = found.groups()
            if kind not in KINDS:
                raise TranscriptError(f"[{kind}] is no kind of message; to have it typed, spell it as JSON")
            return Event(at=NOW, item_id=self.item_id, **KINDS[kind](self, text))
        if found := re.fullmatch(r"\((old )?(.*)\)", words):
            options = self.offered if found[1] else self.latest
            option_ids = {option.label: option.option_id for option in reversed(options)}
            return Event("option", NOW, self.item_id, option_id=option_ids.get(found[2], found[2]), text=found[2])
        return Event("text", NOW, self.item_id, text=_unquote(words) if words.startswith('"') else words)

    def _describe(self, effect: Effect, event: Event) -> str:
        match effect:
            case OpenTicket():
                self.touch(Ticket(effect.ticket_id, "new", effect.title))
                self.abouts |= {wamid: About(effect.ticket_id, 0, effect.description) for wamid in effect.wamids}
                words = [_quote(effect.title), _quote(effect.description), count_attachments(effect.attachments)]
                return " ".join(filter(None, ["= ticket", f"#{effect.ticket_id}", effect.issue_type, *words]))
            case AddReply():
                self.touch(self.find_ticket(str(effect.ticket_id)))
                self.add_reply(effect.ticket_id, event.wamid, effect.text)
                media = f" {effect.media.kind}" if effect.media else ""
                return f"= reply #{effect.ticket_id} {_quote(effect.text)}{media}"
            case Note():
                about = f"of reply {effect.about_reply_id}" if effect.about_reply_id else ""
                parts = [f"= note #{effect.ticket_id}", effect.author, _quote(effect.text), effect.change, about]
                return " ".join(filter(None, parts))
            case Say():
                return f"< {' '.join(effect.text.split())}"
            case Offer():
                self.latest = list(effect.options)
                self.offered += effect.options
                button = f"{effect.button}: " if len(effect.options) > LIMITS.buttons else ""
                labels = " | ".join(option.label for option in effect.options)
                return f"< {' '.join(effect.text.split())} {{{button}{labels}}}"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _unquote(words: str) -> str:
    try:
        return str(json.loads(words))
    except json.JSONDecodeError as error:
        raise TranscriptError(f"this is no JSON: {error}") from None


def _set_flow(stage: Stage, flow: str) -> None:
    stage.desk = replace(stage.desk, flow=flow)


def _open_ticket(stage: Stage, ticket_id: str, title: str) -> None:
    stage.touch(Ticket(int(ticket_id), "new", title))


def _answer(stage: Stage, ticket_id: str, text: str | None, wamid: str | None) -> None:
    stage.touch(stage.find_ticket(ticket_id))
    stage.add_reply(int(ticket_id), wamid, text or "")


def _close_ticket(stage: Stage, ticket_id: str) -> None:
    closed = stage.find_ticket(ticket_id)
    stage.desk = replace(stage.desk, tickets=tuple(ticket for ticket in stage.desk.tickets if ticket != closed))


def _set_quiet(stage: Stage, who: str) -> None:
    stage.desk = replace(stage.desk, quiet=who == "a person")


def _let_a_minute_pass(stage: Stage) -> None:
    stage.at += timedelta(minutes=1)


def _store(stage: Stage, text: str) -> None:
    stage.conversation = Conversation.from_json(text)


def _set_topics(stage: Stage, count: str) -> None:
    topics = tuple(IssueType(f"t{n}", f"Topic {n}") for n in range(1, int(count) + 1))
    stage.desk = replace(stage.desk, issue_types=topics)


def _drop_topic(stage: Stage, type_id: str) -> None:
    left = tuple(issue_type for issue_type in stage.desk.issue_types if issue_type.type_id != type_id)
    stage.desk = replace(stage.desk, issue_types=left)


DIRECTIVES: tuple[tuple[str, Callable[..., None]], ...] = (
    (r"flow (guided|instant)", _set_flow),
    (r'an agent opens #(\d+) "(.*)"', _open_ticket),
    (r'an agent answers #(\d+)(?: "(.*)" \{(\w+)\})?', _answer),
    (r"#(\d+) is closed", _close_ticket),
    (r"(a person|nobody) answers in the app", _set_quiet),
    (r"a minute later", _let_a_minute_pass),
    (r"(\d+) topics", _set_topics),
    (r"the topic (\w+) is gone", _drop_topic),
    (r"stored (.*)", _store),
)


def _send_media(kind: MediaKind) -> Callable[[Stage, str], dict[str, Any]]:
    def send(stage: Stage, text: str) -> dict[str, Any]:
        media = Media(f"media-{stage.item_id}", kind=kind)
        return {"kind": "media", "text": text or f"[{kind}]", "media": media}

    return send


def _lose(lost: Lost) -> Callable[[Stage, str], dict[str, Any]]:
    return lambda stage, text: {"kind": "unreadable", "text": text, "lost": lost}


def _change(change: Change) -> Callable[[Stage, str], dict[str, Any]]:
    def edit_or_delete(stage: Stage, text: str) -> dict[str, Any]:
        return {"kind": "silent", "shown": f"[{change}] {text}".strip(), "change": change, "edited": text}

    return edit_or_delete


# The kinds of messages that are no plain text, each with the fields of its event.
KINDS: dict[str, Callable[[Stage, str], dict[str, Any]]] = {
    **{kind: _send_media(kind) for kind in get_args(MediaKind)},
    "place": lambda stage, text: {"kind": "location", "text": text},
    "contact": lambda stage, text: {"kind": "contact", "text": text},
    "unreadable": _lose(""),
    "lost_file": _lose("file"),
    "lost_message": _lose("message"),
    "lost_of": lambda stage, text: {
        "kind": "text",
        "text": text,
        "shown": "[photo that could not be received]",
        "lost": "file",
    },
    "edited": _change("edited"),
    "revoked": _change("revoked"),
    "silent": lambda stage, text: {"kind": "silent", "shown": text},
    "echo": lambda stage, text: {"kind": "echo", "shown": text, "author": "agent"},
    "handover": lambda stage, text: {"kind": "handover", "shown": text, "author": "meta"},
}


def play_transcript(script: str) -> str:
    """Returns the transcript as it really goes: what people wrote is kept, and below each line stands what happened."""
    stage, lines = Stage(), []
    for number, line in enumerate(script.splitlines(), 1):
        try:
            if line.startswith(("< ", "= ")):
                continue
            lines.append(line)
            if line.startswith("! "):
                stage.set_up(line[2:])
            elif line.startswith("> "):
                lines += stage.play(line[2:])
            elif line and not line.startswith("#"):
                raise TranscriptError("a line begins with #, !, >, < or =, and a space")
        except TranscriptError as error:
            raise TranscriptError(f"line {number} ({line}): {error}; see tests/transcripts/README.md") from None
    return "\n".join(lines) + "\n"
