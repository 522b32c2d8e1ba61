"""Reads which parameters a template of Meta's has, checks what is assigned to them, and fills them in. Pure.

A template is a list of components (header, body, footer, buttons). The texts of header and body may have parameters,
either positional ({{1}}, {{2}}) or named ({{ticket}}).

Invariants
- What is filled in here is what Meta takes: a value for each parameter, under its name, not empty, and on one line.
- Nothing is cut. A message that would come out too long is not made; why it was not is returned, for the agent whose
  words they are.

Source: Meta, templates/overview and templates/components.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bot.templates.notice_kinds import NoticeKind, NoticeValue
from bot.whatsapp.sanitize import clean
from flows.language.formatting import count_units

REQUIRED_VALUES = frozenset({NoticeValue.TICKET_ID, NoticeValue.TEXT})  # without them the message would say nothing
_VALUE_WORDS = {NoticeValue.TICKET_ID: "ticket's number", NoticeValue.TEXT: "message's words"}
MISSING_VALUE = "–"  # for a title or a name that nobody gave: Meta refuses an empty value
MAX_BODY_CHARACTERS = 1024  # as Meta counts them
MAX_HEADER_CHARACTERS = 60
_MAX_TYPE_CHARACTERS = 30
BUTTONS_WITHOUT_PARAMETERS = frozenset({"QUICK_REPLY", "PHONE_NUMBER", "VOICE_CALL", "URL"})
_PARAMETER = re.compile(r"\{\{([^{}]*)\}\}")  # with the spaces around its name, so that each is looked at once
_PARAMETER_NAME = re.compile(r"[a-z0-9_]{1,100}")


@dataclass(frozen=True, slots=True)
class TextComponent:
    """The text of a header or a body, and its parameters: "1", "2" ... or names, each once, in the order of filling."""

    text: str = ""
    parameters: tuple[str, ...] = ()

    @property
    def is_named(self) -> bool:
        """Whether the parameters go by name; otherwise they are positional."""
        return any(not name.isdecimal() for name in self.parameters)


@dataclass(frozen=True, slots=True)
class TemplateComponents:
    """What a template consists of. `problems`: why Tick can't fill it in, as sentences; empty when it can."""

    header: TextComponent = TextComponent()
    body: TextComponent = TextComponent()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterMapping:
    """Which value goes into which parameter, as an admin chose: the name of a parameter -> that of a NoticeValue.

    The values are whatever the API was given, until `find_mismatches` has found nothing wrong with them.
    """

    body: Mapping[str, str] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_request(
        cls, body: Sequence[str] | Mapping[str, str], header: Sequence[str] | Mapping[str, str]
    ) -> "ParameterMapping":
        """Makes one of values by the parameters' names, or of values in the order of positional parameters."""
        return cls(_number_values(body), _number_values(header))

    @classmethod
    def from_json(cls, text: str) -> "ParameterMapping":
        """Reads what `to_json` wrote."""
        stored = json.loads(text)
        return cls(stored["body"], stored["header"])

    def to_json(self) -> str:
        """Writes it for the row of the assignment."""
        return json.dumps({"body": dict(self.body), "header": dict(self.header)}, separators=(",", ":"))


class Mismatch(NamedTuple):
    """A reason why a template can't carry a notice: the field of the request that is at fault, and a sentence."""

    field: str
    sentence: str


def _number_values(values: Sequence[str] | Mapping[str, str]) -> Mapping[str, str]:
    if isinstance(values, Mapping):
        return dict(values)
    return {str(position): value for position, value in enumerate(values, 1)}


def parse_components(components: str, category: str = "") -> TemplateComponents:
    """Parses Meta's JSON of a template's components; raises nothing, whatever the JSON is."""
    header, body, problems = TextComponent(), TextComponent(), []
    if category.upper() == "AUTHENTICATION":
        problems.append("It is for one-time codes, which a support desk does not send.")
    for component in _load_components(components):
        kind, text = _get_upper(component, "type"), component.get("text")
        if kind == "BODY" and isinstance(text, str):
            body = _parse_text(text)
        elif kind == "HEADER" and _get_upper(component, "format") in ("", "TEXT") and isinstance(text, str):
            header = _parse_text(text)
        elif kind == "HEADER":
            media = _add_article(_get_upper(component, "format"))
            problems.append(f"Its header is {media}, which a notice does not carry.")
        elif kind == "BUTTONS":
            problems += _find_button_problems(component.get("buttons"))
        elif kind != "FOOTER":
            problems.append(f"It has a part that Tick can't fill in ({kind.lower() or 'without a type'}).")
    if not body.text:
        problems.append("Its text is not known: sync the templates.")
    problems += _find_name_problems(header.parameters) + _find_name_problems(body.parameters)
    return TemplateComponents(header, body, tuple(dict.fromkeys(problems)))


def _load_components(components: str) -> list[dict[str, object]]:
    try:
        loaded = json.loads(components)
    except (ValueError, RecursionError):
        return []
    return [component for component in loaded if isinstance(component, dict)] if isinstance(loaded, list) else []


def _parse_text(text: str) -> TextComponent:
    names = list(dict.fromkeys(name.strip() for name in _PARAMETER.findall(text)))
    if all(name.isdecimal() and name.isascii() and len(name) < 4 for name in names):
        names.sort(key=int)
    return TextComponent(text, tuple(names))


def _find_button_problems(buttons: object) -> list[str]:
    problems = []
    for button in buttons if isinstance(buttons, list) else []:
        kind = _get_upper(button, "type") if isinstance(button, dict) else ""
        if kind not in BUTTONS_WITHOUT_PARAMETERS:
            problems.append(f"It has a button that Tick can't fill in ({kind.lower().replace('_', ' ') or 'unknown'}).")
        elif kind == "URL" and _PARAMETER.search(str(button.get("url", ""))):
            problems.append("It has a button whose link has a place to fill in.")
    return problems


def _find_name_problems(names: Sequence[str]) -> list[str]:
    numbers = [int(name) for name in names if name.isdecimal()]
    if numbers and (len(numbers) < len(names) or numbers != list(range(1, len(numbers) + 1))):
        return ["Its places are neither numbered from {{1}} on nor all named."]
    if not all(_PARAMETER_NAME.fullmatch(name) for name in names):
        return ["One of its places has a name that can't be one."]
    return []


def _get_upper(component: Mapping[str, object], key: str) -> str:
    value = component.get(key)
    return clean(value, _MAX_TYPE_CHARACTERS).upper() if isinstance(value, str) else ""


def _add_article(media_format: str) -> str:
    shown = media_format.lower() or "of an unknown form"
    return f"an {shown}" if shown[0] in "aei" else f"a {shown}" if media_format else shown


def find_mismatches(kind: str, components: TemplateComponents, mapping: ParameterMapping) -> list[Mismatch]:
    """Finds each reason why this template can't carry a notice of this kind when it is filled in so."""
    if components.problems:
        return [Mismatch("template", problem) for problem in components.problems]
    found = [
        *_find_component_mismatches("body", components.body, mapping.body),
        *_find_component_mismatches("header", components.header, mapping.header),
    ]
    if NoticeValue.TEXT in mapping.header.values():
        sentence = "A header has 60 characters: the text of a message has to go into the body."
        found.append(Mismatch("header", sentence))
    if kind == NoticeKind.REPLY and NoticeValue.TEXT not in mapping.body.values():
        found.append(Mismatch("body", "A reply has to carry the agent's words: put `text` into the body."))
    return found


def describe_mismatch(mismatch: Mismatch) -> str:
    """Puts a mismatch into words to be read after the template's name."""
    return f"does not fit what it is filled with: {mismatch.sentence.removesuffix('.')}"


def _find_component_mismatches(name: str, component: TextComponent, given: Mapping[str, str]) -> list[Mismatch]:
    sentences = []
    names = component.parameters
    if component.is_named or len(given) == len(names):
        if missing := [parameter for parameter in names if parameter not in given]:
            sentences.append(f"The template's {name} needs a value for: {', '.join(missing)}.")
        if not set(given) <= set(names):
            sentences.append(f"The template's {name} has these places and no others: {', '.join(names)}.")
    else:
        sentences.append(f"The template's {name} has {_count_places(len(names))}, and {len(given)} were given.")
    if not set(given.values()) <= set(NoticeValue):
        sentences.append(f"These are the values that a place can be given: {', '.join(NoticeValue)}.")
    return [Mismatch(name, sentence) for sentence in sentences]


def _count_places(count: int) -> str:
    return {0: "no places to fill in", 1: "1 place to fill in"}.get(count, f"{count} places to fill in")


def fill_parameters(
    components: TemplateComponents, mapping: ParameterMapping, values: Mapping[str, str]
) -> dict[str, object] | str:
    """Fills a notice's values in, for a mapping that has no mismatch.

    Returns `body` and `header` of a message in the outbox, or words to be read after the template's name when it can't
    carry these values.
    """
    filled: dict[str, object] = {}
    for name, component, given, max_characters in (
        ("body", components.body, mapping.body, MAX_BODY_CHARACTERS),
        ("header", components.header, mapping.header, MAX_HEADER_CHARACTERS),
    ):
        texts = {
            parameter: to_single_line(values.get(given.get(parameter, ""), "")) for parameter in component.parameters
        }
        for parameter, text in texts.items():
            if not text and given.get(parameter) in REQUIRED_VALUES:
                words = _VALUE_WORDS[NoticeValue(given[parameter])]
                return f"needs the {words} in its {name}, and there is nothing to put there"
            texts[parameter] = text or MISSING_VALUE
        length = count_units(_PARAMETER.sub(lambda found, texts=texts: texts[found[1].strip()], component.text))  # type: ignore[misc]
        if length > max_characters:
            return f"has no room for it: its {name} would have {length} characters, and WhatsApp takes {max_characters}"
        if texts or name == "body":
            filled[name] = texts if component.is_named else list(texts.values())
    return filled


def to_single_line(text: str) -> str:
    """Puts a value on one line, as Meta takes it: no line break, no tab, no run of spaces."""
    return " ".join(clean(text).split())
