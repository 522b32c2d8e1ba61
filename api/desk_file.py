"""Reads DESK_FILE, the TOML file in which a desk says what is its own: now its issue types.

Invariants
- The file is read once, when Tick starts, and checked whole: a customer never meets what is wrong with it.
- Each fault is one line that names the file, the place in it and the fix. No line repeats a text of the file, since
  the setting may name another one by mistake, with secrets in it.
- A key that is not known is refused, so that a mistyped one is not passed over.

A text stands for all languages, or is a table by language. English must be in the table: so far customers are spoken to
in English. The other languages are checked and kept all the same.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # flows brings the state machine, which the commands on the database alone have no use for
    from flows import IssueType

DEFAULT_LANGUAGE = "en"
MAX_FILE_BYTES = 1_000_000
SECTIONS = ("issue_types",)
ISSUE_TYPE_KEYS = ("id", "label", "description")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")
TOML_PLACE = re.compile(r"(.*) \(at (line \d+, column \d+|end of document)\)")
# The two-letter codes of ISO 639-1, and Filipino, which WhatsApp has and that list has not.
LANGUAGES = frozenset(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo
    es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg
    ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn
    no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta
    te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu fil
    """.split()
)
LANGUAGE = re.compile(rf"({'|'.join(sorted(LANGUAGES))})(_[A-Z]{{2}})?")

TextByLanguage = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeskIssueType:
    """An issue type in every language that the desk has for it. `description` may be empty."""

    type_id: str
    label: TextByLanguage
    description: TextByLanguage


@dataclass(frozen=True, slots=True)
class DeskFile:
    """What the file says. What is empty in it is Tick's own."""

    issue_types: tuple[DeskIssueType, ...] = ()


NO_DESK_FILE = DeskFile()


class DeskFileError(ValueError):
    """The file can't be used. Each of `lines` follows the setting's name: the problem, a colon, and the fix."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read_desk_file(name: str) -> DeskFile:
    """Returns what the file says, or raises DeskFileError."""
    path = Path(name).absolute()
    table = _parse(path)
    reading = _Reading()
    reading.refuse_unknown_keys(table, "the file", SECTIONS)
    desk_file = DeskFile(issue_types=reading.read_issue_types(table.get("issue_types", [])))
    faults = reading.faults or list(dict.fromkeys(_find_text_faults(desk_file)))
    if faults:
        raise DeskFileError([f"names {path}, where {fault}" for fault in faults])
    return desk_file


def list_issue_types(desk_file: DeskFile, language: str = DEFAULT_LANGUAGE) -> "tuple[IssueType, ...]":
    """Returns the desk's issue types in a language, each text in English where it is not there; or Tick's own."""
    from flows import DEFAULT_ISSUE_TYPES, IssueType

    if not desk_file.issue_types:
        return DEFAULT_ISSUE_TYPES
    return tuple(
        IssueType(one.type_id, _pick_text(one.label, language), _pick_text(one.description, language))
        for one in desk_file.issue_types
    )


def _pick_text(texts: TextByLanguage, language: str) -> str:
    return texts.get(language) or texts.get(DEFAULT_LANGUAGE, "")


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would keep the start waiting
            raise DeskFileError([f"names {path}, which is no regular file: name the right file"])
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise DeskFileError([f"names {path}, which is not there: create it, or leave DESK_FILE out"]) from None
    except OSError as error:
        reason = f"names {path}, which can't be read ({error.strerror})"
        raise DeskFileError([f"{reason}: it must be a file that Tick's user may read"]) from None
    if len(content) > MAX_FILE_BYTES:
        raise DeskFileError([f"names {path}, which is larger than {MAX_FILE_BYTES} bytes: name the right file"])
    try:
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError:
        raise DeskFileError([f"names {path}, which is not UTF-8: save it as text in UTF-8"]) from None
    except (ValueError, RecursionError) as error:
        found = TOML_PLACE.fullmatch(str(error))
        where = f" at {found[2].replace('end of', 'the end of the')} ({found[1]})" if found else ""
        raise DeskFileError([f"names {path}, which is not TOML{where}: fix it, .env.example shows how"]) from None


def _find_text_faults(desk_file: DeskFile) -> Iterator[str]:
    """Looks at the issue types as a customer of each language would see them."""
    from flows import find_issue_type_faults

    for fault in find_issue_type_faults(list_issue_types(desk_file) if desk_file.issue_types else ()):
        yield f"{fault.problem}: {fault.fix}"
    texts = {one.type_id: one.label.keys() | one.description.keys() for one in desk_file.issue_types}
    for language in sorted({language for languages in texts.values() for language in languages} - {DEFAULT_LANGUAGE}):
        for fault in find_issue_type_faults(list_issue_types(desk_file, language), language):
            if any(language in texts[type_id] for type_id in fault.type_ids):
                yield f"{fault.problem}: {fault.fix}"


class _Reading:
    """Reads the parts of the parsed file, and collects what is wrong with their form."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def refuse_unknown_keys(self, table: Mapping[str, Any], where: str, known: tuple[str, ...]) -> None:
        """A key is shown only if it looks like one."""
        for key in table:
            if key not in known:
                shown = key if BARE_KEY.fullmatch(key) else "that can't be shown"
                meant = get_close_matches(key, known, 1)
                fix = f"write {meant[0]}" if meant else f"remove it; valid is {', '.join(known)}"
                self.faults.append(f"{where} has the unknown key {shown}: {fix}")

    def read_issue_types(self, value: object) -> tuple[DeskIssueType, ...]:
        """Each entry is named by its number until it has an id."""
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.faults.append("issue_types is not a list of tables: begin each issue type with [[issue_types]]")
            return ()
        numbers: dict[str, int] = {}
        found = []
        for number, entry in enumerate(value, 1):
            self.refuse_unknown_keys(entry, f"issue type {number}", ISSUE_TYPE_KEYS)
            type_id = self._read_id(entry, number)
            if type_id and type_id in numbers:
                problem = f"issue types {numbers[type_id]} and {number} have the same id {type_id}"
                self.faults.append(f"{problem}: give one of them another")
            numbers.setdefault(type_id, number)
            name = type_id or f"issue type {number}"
            if "label" not in entry:
                self.faults.append(f'{name} has no label: give it one, such as label = "Hardware"')
            label = self._read_text(entry.get("label", ""), f"the label of {name}", "label")
            description = self._read_text(entry.get("description", ""), f"the description of {name}", "description")
            found.append(DeskIssueType(type_id, label, description))
        return tuple(found)

    def _read_id(self, entry: Mapping[str, Any], number: int) -> str:
        from flows.issue_types import MAX_ID_CHARACTERS, TYPE_ID

        type_id = entry.get("id")
        if isinstance(type_id, str) and TYPE_ID.fullmatch(type_id):
            return type_id
        if type_id is None:
            self.faults.append(f'issue type {number} has no id: give it one, such as id = "hardware"')
        else:
            form = f"at most {MAX_ID_CHARACTERS} of a to z, 0 to 9 and _, in quotes, a letter first"
            self.faults.append(f"issue type {number} has an id of the wrong form: use {form}")
        return ""

    def _read_text(self, value: object, where: str, key: str) -> dict[str, str]:
        if isinstance(value, str):
            return {DEFAULT_LANGUAGE: value}
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            example = f'{key} = "...", or {key} = {{ en = "...", es = "..." }}'
            self.faults.append(f"{where} is neither a text nor a table of texts by language: write {example}")
            return {}
        for language in value:
            if not LANGUAGE.fullmatch(language):
                self.faults.append(f"{where} has {_name_wrong_language(language)}")
        if DEFAULT_LANGUAGE not in value:
            fix = f'add {DEFAULT_LANGUAGE} = "..."; it is for all whose language is not there'
            self.faults.append(f"{where} has no text in {DEFAULT_LANGUAGE}: {fix}")
        return dict(value)


def _name_wrong_language(language: str) -> str:
    if not BARE_KEY.fullmatch(language):
        return "a language that is no code: use codes such as en, es or pt_BR"
    code, _, region = language.replace("-", "_").partition("_")
    meant = f"{code.lower()}_{region.upper()}" if region else code.lower()
    fix = f"write {meant}" if LANGUAGE.fullmatch(meant) else "use codes of ISO 639-1, such as en, es or pt_BR"
    return f"the language {language}, which is no code: {fix}"
