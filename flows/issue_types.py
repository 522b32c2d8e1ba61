"""Names the issue types of a desk that has none of its own, and checks those that a desk does name.

A desk's issue types come from a file of the operator's. What a flow's table is checked for when it is built, these are
checked for when Tick starts: that WhatsApp shows them whole, and that a customer can pick each of them, by a tap or in
words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from unicodedata import category

from flows.desk import IssueType
from flows.engine.definition import Choice
from flows.language.formatting import count_units
from flows.language.matching import GREETINGS, THANKS, is_blank, is_number, normalize_word
from flows.limits import LIMITS
from flows.recognize import COMMANDS
from flows.scripts.topics import make_pages

DEFAULT_ISSUE_TYPES = (
    IssueType("hardware", "Hardware", "Computers, printers, phones"),
    IssueType("software", "Software", "Programs, updates, errors"),
    IssueType("network", "Network", "Wi-Fi, VPN, internet"),
    IssueType("account", "Account and access", "Passwords, permissions"),
    IssueType("billing", "Billing", "Invoices and payments"),
    IssueType("other", "Something else"),
)
MAX_ISSUE_TYPES = 100  # a dozen pages of a list: nobody looks through more on a phone
MAX_ID_CHARACTERS = 50  # the ticket's column
NOT_ON_ONE_LINE = frozenset(("Cc", "Cs", "Zl", "Zp"))  # categories of Unicode: controls, surrogates, line breaks
# Unicode's embeddings, overrides and isolates: they would turn around what stands behind a label, at the desk too.
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
TYPE_ID = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_ID_CHARACTERS - 1}}}")


class IssueTypeFault(NamedTuple):
    """What is wrong with issue types. `type_ids` names those that it is about; none: all of them together.

    `problem` says where and what, `fix` what to do. Neither repeats a text of the operator's.
    """

    type_ids: tuple[str, ...]
    problem: str
    fix: str


def find_issue_type_faults(issue_types: Sequence[IssueType], language: str = "") -> Iterator[IssueTypeFault]:
    """Yields what is wrong with the texts of these issue types, whose ids are distinct and of the right form.

    `language` is named in the faults, where the issue types have texts in more than one.
    """
    if not issue_types:
        yield IssueTypeFault((), "there are no issue types", "add at least one, with an id and a label")
        return
    if (count := len(issue_types)) > MAX_ISSUE_TYPES:
        yield IssueTypeFault((), f"there are {count} issue types", f"keep {MAX_ISSUE_TYPES} of them at most")
        return
    suffix = f" in {language}" if language else ""
    by_id = {issue_type.type_id: issue_type for issue_type in issue_types}
    pages = make_pages(tuple(issue_types))
    for page in pages:
        are_buttons = len(page) <= LIMITS.buttons
        for choice in page:
            if choice.name == "topic":
                yield from _find_text_faults(by_id[choice.argument], suffix, are_buttons=are_buttons)
    yield from _find_word_faults(issue_types, pages, suffix)


def _find_text_faults(issue_type: IssueType, suffix: str, *, are_buttons: bool) -> Iterator[IssueTypeFault]:
    type_id, label, description = issue_type.type_id, issue_type.label, issue_type.description
    where = f"the label of {type_id}{suffix}"
    if is_blank(label):
        yield IssueTypeFault((type_id,), f"{where} is blank", "write what customers are to pick")
    yield from _find_form_faults(type_id, where, label)
    most, holder = (LIMITS.button, "a button") if are_buttons else (LIMITS.row, "a row of a list")
    yield from _find_length_faults(type_id, where, label, holder, most)
    where = f"the description of {type_id}{suffix}"
    if description and is_blank(description):
        yield IssueTypeFault((type_id,), f"{where} is blank", "write something, or leave it out")
    yield from _find_form_faults(type_id, where, description)
    yield from _find_length_faults(type_id, where, description, "a row of a list", LIMITS.row_description)


def _find_form_faults(type_id: str, where: str, text: str) -> Iterator[IssueTypeFault]:
    if any(category(character) in NOT_ON_ONE_LINE or character in BIDI_CONTROLS for character in text):
        yield IssueTypeFault((type_id,), f"{where} has a line break or another control character", "remove it")
    elif text != text.strip() and not is_blank(text):
        yield IssueTypeFault((type_id,), f"{where} has spaces around it", "remove them")


def _find_length_faults(type_id: str, where: str, text: str, holder: str, most: int) -> Iterator[IssueTypeFault]:
    """Lengths are in UTF-16 units, as WhatsApp counts them."""
    if (length := count_units(text)) > most:
        problem = f"{where} has {length} characters (an emoji is two), and {holder} holds {most}"
        hint = "; three choices or fewer are buttons, on the last of several pages too" if most == LIMITS.button else ""
        yield IssueTypeFault((type_id,), problem, f"shorten it{hint}")


def _find_word_faults(
    issue_types: Sequence[IssueType], pages: Sequence[Sequence[Choice]], suffix: str
) -> Iterator[IssueTypeFault]:
    """A customer who types a label or an id must be understood: as this issue type, and as nothing else."""
    paging = {word for page in pages for choice in page if choice.name == "page" for word in choice.list_words()}
    owners: dict[str, str] = {}
    for issue_type in issue_types:
        type_id, label = issue_type.type_id, normalize_word(issue_type.label)
        if not is_blank(issue_type.label) and (meaning := _find_other_meaning(label)):
            yield IssueTypeFault((type_id,), f"the label of {type_id}{suffix} {meaning}", "use other words")
        if normalize_word(type_id) in GREETINGS | THANKS:
            yield IssueTypeFault((type_id,), f"the id {type_id} is what customers greet or thank with", "use another")
        if normalize_word(type_id) in COMMANDS:
            yield IssueTypeFault(
                (type_id,), f"the id {type_id} reads as a command, so typing it never picks it", "use another"
            )
        for word in filter(None, dict.fromkeys((label, normalize_word(type_id)))):
            if word in paging:
                where = f"the {'label' if word == label else 'id'} of {type_id}{suffix}"
                yield IssueTypeFault((type_id,), f"{where} is what customers type for another page", "use other words")
            owner = owners.setdefault(word, type_id)
            if owner != type_id:
                problem = f"{owner} and {type_id}{suffix} have a label or an id that reads the same"
                yield IssueTypeFault((owner, type_id), problem, "change one of them")


def _find_other_meaning(word: str) -> str:
    """Returns why a customer who types this would not be understood; "" if they would."""
    if not word:
        return "has no letter, so nobody can type it"
    if word in COMMANDS:
        return f"reads as the command {word}, so typing it never picks it"
    if is_number(word):
        return "reads as a number, which picks by place"
    if word in GREETINGS:
        return "reads as a greeting"
    return "reads as thanks" if word in THANKS else ""
