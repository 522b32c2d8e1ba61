"""A template of Meta's as a form to fill in: its places, what we may put there, and what it reads like then. Pure.

Invariant: what is filled in here is what Meta takes: as many values as there are places, under their names, none of
them empty, each in one line; and what would come out too long is not made at all, because nothing is cut here: why it
was not is said, for the agent whose words they are.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.whatsapp.messages.limits import units
from bot.whatsapp.sanitize import clean
from storage.statuses import TicketStatus

KINDS = ("opened", *TicketStatus, "reply")
VALUES = ("ticket_id", "title", "name", "text")
NEEDED = frozenset({"ticket_id", "text"})  # without them the message would say nothing
_SAID = {"ticket_id": "ticket's number", "text": "message's words"}
NOTHING = "–"  # for a title or a name that nobody gave: Meta refuses an empty value
LONGEST_BODY = 1024
LONGEST_HEADER = 60
FIXED_BUTTONS = frozenset({"QUICK_REPLY", "PHONE_NUMBER", "VOICE_CALL", "URL"})
_PLACE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_NAME = re.compile(r"[a-z0-9_]{1,100}")


@dataclass(frozen=True, slots=True)
class Part:
    """The header's text, or the body's. `places`: "1", "2" ... or names, each once, in the order to fill them in."""

    text: str = ""
    places: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether the places go by name."""
        return any(not place.isdecimal() for place in self.places)


@dataclass(frozen=True, slots=True)
class Form:
    """`problems`: why it can't be filled in by us, as sentences."""

    header: Part = Part()
    body: Part = Part()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filling:
    """Which of our values goes into which place."""

    body: Mapping[str, str] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, body: Sequence[str] | Mapping[str, str], header: Sequence[str] | Mapping[str, str]) -> "Filling":
        """By the places' names, or in their order."""
        return cls(_by_place(body), _by_place(header))

    @classmethod
    def from_json(cls, text: str) -> "Filling":
        """As `to_json` wrote it."""
        stored = json.loads(text)
        return cls(stored["body"], stored["header"])

    def to_json(self) -> str:
        """For the row of the notice."""
        return json.dumps({"body": dict(self.body), "header": dict(self.header)}, separators=(",", ":"))


def _by_place(values: Sequence[str] | Mapping[str, str]) -> Mapping[str, str]:
    if isinstance(values, Mapping):
        return dict(values)
    return {str(place): value for place, value in enumerate(values, 1)}


def read_form(components: str, category: str = "") -> Form:
    """What Meta's JSON of a template asks for; total."""
    try:
        found = json.loads(components)
    except (ValueError, RecursionError):
        found = None
    parts = [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []
    header, body, problems = Part(), Part(), []
    if category.upper() == "AUTHENTICATION":
        problems.append("It is for one-time codes, which a support desk does not send.")
    for part in parts:
        kind, text = _upper(part, "type"), part.get("text")
        if kind == "BODY" and isinstance(text, str):
            body = _part(text)
        elif kind == "HEADER" and _upper(part, "format") in ("", "TEXT") and isinstance(text, str):
            header = _part(text)
        elif kind == "HEADER":
            problems.append(f"Its header is {_article(_upper(part, 'format'))}, which a notice does not carry.")
        elif kind == "BUTTONS":
            problems += _of_buttons(part.get("buttons"))
        elif kind != "FOOTER":
            problems.append(f"It has a part that Tick can't fill in ({kind.lower() or 'without a type'}).")
    if not body.text:
        problems.append("Its text is not known: sync the templates.")
    for part_read in (header, body):
        numbers = [int(place) for place in part_read.places if place.isdecimal()]
        if numbers and (len(numbers) < len(part_read.places) or numbers != list(range(1, len(numbers) + 1))):
            problems.append("Its places are neither numbered from {{1}} on nor all named.")
        elif not all(_NAME.fullmatch(place) for place in part_read.places):
            problems.append("One of its places has a name that can't be one.")
    return Form(header, body, tuple(dict.fromkeys(problems)))


def _part(text: str) -> Part:
    places = list(dict.fromkeys(_PLACE.findall(text)))
    if all(place.isdecimal() and place.isascii() and len(place) < 4 for place in places):
        places.sort(key=int)
    return Part(text, tuple(places))


def _of_buttons(buttons: object) -> list[str]:
    problems = []
    for button in buttons if isinstance(buttons, list) else []:
        kind = _upper(button, "type") if isinstance(button, dict) else ""
        if kind not in FIXED_BUTTONS:
            problems.append(f"It has a button that Tick can't fill in ({kind.lower().replace('_', ' ') or 'unknown'}).")
        elif kind == "URL" and _PLACE.search(str(button.get("url", ""))):
            problems.append("It has a button whose link has a place to fill in.")
    return problems


def _upper(part: Mapping[str, object], key: str) -> str:
    value = part.get(key)
    return clean(value, 30).upper() if isinstance(value, str) else ""


def _article(name: str) -> str:
    shown = name.lower() or "of an unknown form"
    return f"an {shown}" if shown[0] in "aei" else f"a {shown}" if name else shown


def mismatches(kind: str, form: Form, filling: Filling) -> list[tuple[str, str]]:
    """(field, sentence) for each reason why this template can't carry this kind of notice, filled in so."""
    if form.problems:
        return [("template", problem) for problem in form.problems]
    found = []
    for name, part, given in (("body", form.body, filling.body), ("header", form.header, filling.header)):
        if part.named or len(given) == len(part.places):
            if missing := [place for place in part.places if place not in given]:
                found.append((name, f"The template's {name} needs a value for: {', '.join(missing)}."))
            if not set(given) <= set(part.places):
                found.append((name, f"The template's {name} has these places and no others: {', '.join(part.places)}."))
        else:
            found.append((name, f"The template's {name} has {_places(len(part.places))}, and {len(given)} were given."))
        if not set(given.values()) <= set(VALUES):
            found.append((name, f"These are the values that a place can be given: {', '.join(VALUES)}."))
    if "text" in filling.header.values():
        found.append(("header", "A header has 60 characters: the text of a message has to go into the body."))
    if kind == "reply" and "text" not in filling.body.values():
        found.append(("body", "A reply has to carry the agent's words: put `text` into the body."))
    return found


def _places(count: int) -> str:
    return {0: "no places to fill in", 1: "1 place to fill in"}.get(count, f"{count} places to fill in")


def fill(form: Form, filling: Filling, values: Mapping[str, str]) -> dict[str, object] | str:
    """`body` and `header` for the outbox; or, to be read after the template's name, why it can't carry these values."""
    filled: dict[str, object] = {}
    for name, part, given, longest in (
        ("body", form.body, filling.body, LONGEST_BODY),
        ("header", form.header, filling.header, LONGEST_HEADER),
    ):
        put = {place: in_one_line(values.get(given.get(place, ""), "")) for place in part.places}
        for place, value in put.items():
            if not value and given.get(place) in NEEDED:
                return f"needs the {_SAID[given[place]]} in its {name}, and there is nothing to put there"
            put[place] = value or NOTHING
        length = units(_PLACE.sub(lambda found, put=put: put[found[1]], part.text))  # type: ignore[misc]
        if length > longest:
            return f"has no room for it: its {name} would have {length} characters, and WhatsApp takes {longest}"
        if put or name == "body":
            filled[name] = put if part.named else list(put.values())
    return filled


def in_one_line(text: str) -> str:
    """As Meta takes it: no line break, no tab, no run of spaces."""
    return " ".join(clean(text).split())
