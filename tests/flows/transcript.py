"""Plays a transcript against the flow: what a support lead wrote down is exactly what must happen.

    # what this is about
    ! flow instant                      the desk is set so
    ! an agent opens #7 "Broken chair"  something happened at the desk
    ! an agent answers #7 "Try now." {w1}  the same, with what they wrote and the id of that message
    ! #7 is closed
    ! a person answers in the app       from here on the bot is quiet
    ! nobody answers in the app
    ! a minute later
    ! stored {"state": "nowhere"}       the conversation that was kept is replaced
    > Hi                                the customer writes
    > "\\u200b"                          the same, spelled as JSON
    > (Send)                            taps an option of our last question, or gives an option id
    > (old Send)                        taps that option where it was first offered
    > [photo] the screen                sends something else; [silent] is a reaction and the like, seen by an agent
    > [lost_file] [photo]               it did not come, nor did a [lost_message]
    > [lost_of] the screen              only the words of a photo came
    > It is dead. {w2}                  the id of this message
    > Yes. {about w1}                   quotes that message, or is about it
    > [edited] better {about w2}        and so does an edit, a [revoked] message, a [reaction]
    > [echo] See you.                   a person of ours writes in the app
    > [handover] Wants a mouse.         Meta's agent hands the chat over
    < Hello! {Send | Change}            we say this, with these buttons
    < Hello! {Pick: Red | Blue ...}     or with this list behind the button Pick
    = ticket #1 hardware "title" "description" 1 photo
    = reply #1 "text" photo
    = note #1 customer "text"           this is shown on the ticket, and whose it is

Whatever follows a customer's line is all that may happen. Line breaks in our messages are written as spaces.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

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
from flows.language.formatting import count_attachments
from tests.support.places import ROOT

TRANSCRIPTS = ROOT / "tests" / "transcripts"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOPICS = (
    IssueType("hardware", "Hardware", "Printers, screens, phones"),
    IssueType("software", "Software"),
    IssueType("network", "Network and Wi-Fi"),
    IssueType("account", "Account and access"),
    IssueType("other", "Something else"),
)
OPENING = Desk(NOW, "guided", (), TOPICS, 1, "Ann")
MEDIA = ("photo", "video", "voice", "audio", "file", "sticker")
AUTHORS = {"echo": "agent", "handover": "meta"}


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

    def set(self, line: str) -> None:
        if found := re.fullmatch(r"flow (\w+)", line):
            self.desk = replace(self.desk, flow=found[1])
        elif found := re.fullmatch(r'an agent opens #(\d+) "(.*)"', line):
            self._touch(Ticket(int(found[1]), "new", found[2]))
        elif found := re.fullmatch(r'an agent answers #(\d+)(?: "(.*)" \{(\w+)\})?', line):
            self._touch(next(t for t in self.desk.tickets if t.ticket_id == int(found[1])))
            self._replied(int(found[1]), found[3], found[2])
        elif line in ("a person answers in the app", "nobody answers in the app"):
            self.desk = replace(self.desk, quiet=line.startswith("a person"))
        elif line == "a minute later":
            self.at += timedelta(minutes=1)
        elif found := re.fullmatch(r"#(\d+) is closed", line):
            left = tuple(t for t in self.desk.tickets if t.ticket_id != int(found[1]))
            self.desk = replace(self.desk, tickets=left)
        elif found := re.fullmatch(r"stored (.*)", line):
            self.conversation = Conversation.from_json(found[1])
        elif found := re.fullmatch(r"(\d+) topics", line):
            topics = tuple(IssueType(f"t{n}", f"Topic {n}") for n in range(1, int(found[1]) + 1))
            self.desk = replace(self.desk, issue_types=topics)
        else:
            raise ValueError(f"not a line that sets the stage: {line}")

    def play(self, line: str) -> list[str]:
        self.item_id += 1
        event = self._event(line)
        desk = replace(self.desk, about=self.abouts.get(event.quoted_wamid))
        turn = take_turn(self.conversation, event, desk)
        self.conversation = Conversation.from_json(turn.conversation.to_json())  # as it is between two turns
        return [self._happened(effect, event) for effect in turn.effects]

    def _event(self, line: str) -> Event:
        if found := re.fullmatch(r"(.*?)(?: \{(\w+)\})?(?: \{about (\w+)\})?", line):
            line, wamid, about = found[1], found[2] or "", found[3] or ""
            spoken = self._spoken(line)
            return replace(spoken, at=self.at, wamid=wamid, quoted_wamid=about, about=bool(about and spoken.change))
        return replace(self._spoken(line), at=self.at)

    def _spoken(self, line: str) -> Event:
        if found := re.fullmatch(r"\[(\w+)\] ?(.*)", line):
            kind, text = found[1], found[2]
            if kind in MEDIA:
                media = Media(f"media-{self.item_id}", "", "", kind)  # type: ignore[arg-type]
                return Event("media", NOW, self.item_id, text=text or f"[{kind}]", media=media)
            if kind in ("edited", "revoked"):
                shown = f"[{kind}] {text}".strip()
                return Event("silent", NOW, self.item_id, shown=shown, change=kind, edited=text)  # type: ignore[arg-type]
            if kind.startswith("lost_"):
                lost = kind.removeprefix("lost_")
                if lost == "of":
                    return Event(
                        "text", NOW, self.item_id, text=text, shown="[photo that could not be received]", lost="file"
                    )
                return Event("unreadable", NOW, self.item_id, text=text, lost=lost)  # type: ignore[arg-type]
            if kind in ("silent", "echo", "handover"):
                author = AUTHORS.get(kind, "customer")
                return Event(kind, NOW, self.item_id, shown=text, author=author)  # type: ignore[arg-type]
            return Event(kind, NOW, self.item_id, text=text)  # type: ignore[arg-type]
        if found := re.fullmatch(r"\((old )?(.*)\)", line):
            options = self.offered if found[1] else self.latest
            named = {option.label: option.option_id for option in reversed(options)}
            return Event("option", NOW, self.item_id, option_id=named.get(found[2], found[2]), text=found[2])
        return Event("text", NOW, self.item_id, text=json.loads(line) if line.startswith('"') else line)

    def _replied(self, ticket_id: int, wamid: str | None, text: str) -> None:
        self.replies += 1
        if wamid:
            self.abouts[wamid] = About(ticket_id, self.replies, text)

    def _happened(self, effect: Effect, event: Event) -> str:
        match effect:
            case OpenTicket():
                ticket = Ticket(effect.ticket_id, "new", effect.title)
                self._touch(ticket)
                self.abouts |= {wamid: About(effect.ticket_id, 0, effect.description) for wamid in effect.wamids}
                words = [json.dumps(text, ensure_ascii=False) for text in (effect.title, effect.description)]
                files = count_attachments(effect.attachments)
                parts = ["= ticket", f"#{effect.ticket_id}", effect.issue_type, *words, files]
                return " ".join(filter(None, parts))
            case AddReply():
                self._touch(next(t for t in self.desk.tickets if t.ticket_id == effect.ticket_id))
                self._replied(effect.ticket_id, event.wamid, effect.text)
                media = f" {effect.media.kind}" if effect.media else ""
                return f"= reply #{effect.ticket_id} {json.dumps(effect.text, ensure_ascii=False)}{media}"
            case Note():
                about = f"of reply {effect.about_reply_id}" if effect.about_reply_id else ""
                text = json.dumps(effect.text, ensure_ascii=False)
                parts = [f"= note #{effect.ticket_id}", effect.author, text, effect.change, about]
                return " ".join(filter(None, parts))
            case Say():
                return f"< {' '.join(effect.text.split())}"
            case Offer():
                self.latest = list(effect.options)
                self.offered += effect.options
                opens = f"{effect.button}: " if len(effect.options) > 3 else ""
                labels = " | ".join(option.label for option in effect.options)
                return f"< {' '.join(effect.text.split())} {{{opens}{labels}}}"

    def _touch(self, ticket: Ticket) -> None:
        others = tuple(t for t in self.desk.tickets if t.ticket_id != ticket.ticket_id)
        highest = max(self.desk.next_ticket_id, ticket.ticket_id + 1)
        self.desk = replace(self.desk, tickets=(ticket, *others), next_ticket_id=highest)


def played(script: str) -> str:
    """The script as it really goes: the customer's lines kept, and below each what happened."""
    stage, lines = Stage(), []
    for line in script.splitlines():
        if line.startswith(("<", "=")):
            continue
        lines.append(line)
        if line.startswith("! "):
            stage.set(line[2:])
        elif line.startswith("> "):
            lines += stage.play(line[2:])
    return "\n".join(lines) + "\n"
