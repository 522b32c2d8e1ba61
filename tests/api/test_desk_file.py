"""DESK_FILE: what a desk may say of itself, and the sentence for everything that is wrong with it."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from api.desk_file import NO_DESK_FILE, DeskFileError, list_issue_types, read_desk_file
from flows import DEFAULT_ISSUE_TYPES, IssueType
from tests.support.places import ROOT

HARDWARE = 'id = "hardware"\nlabel = "Hardware"\n'
FORM = "use at most 50 of a to z, 0 to 9 and _, in quotes, a letter first"


def one(fields: str) -> str:
    return f"[[issue_types]]\n{fields}\n"


def labelled(label: str, more: str = "") -> str:
    """Four issue types, so that they are a list; the first has this label."""
    others = "".join(one(f'id = "t{n}"\nlabel = "Topic {n}"') for n in range(3))
    return one(f'id = "first"\nlabel = {label}\n{more}') + others


def paged(count: int, last: str) -> str:
    topics = [one(f'id = "t{n}"\nlabel = "Topic {n}"') for n in range(1, count)]
    return "".join(topics) + one(last)


FAULTS = {
    "a mistyped section": (
        '[[issue_type]]\nid = "a"\n',
        ["the file has the unknown key issue_type: write issue_types"],
    ),
    "an unknown section": (
        one(HARDWARE) + "[hours]\nmonday = 9\n",
        ["the file has the unknown key hours: remove it; valid is issue_types"],
    ),
    "a key that is a sentence": (
        one(HARDWARE) + '["my secret: x"]\n',
        ["the file has the unknown key that can't be shown: remove it; valid is issue_types"],
    ),
    "a mistyped key": (
        one(f'{HARDWARE}descripton = "x"'),
        ["issue type 1 has the unknown key descripton: write description"],
    ),
    "an unknown key": (
        one(f'{HARDWARE}colour = "red"'),
        ["issue type 1 has the unknown key colour: remove it; valid is id, label, description"],
    ),
    "an id that is a command": (
        one('id = "menu"\nlabel = "Canteen"'),
        ["the id menu reads as a command, so typing it never picks it: use another"],
    ),
    "a label that turns the text around": (
        one('id = "fruit"\nlabel = "\\u202eelppA"'),
        ["the label of fruit has a line break or another control character: remove it"],
    ),
    "nothing": ("", ["there are no issue types: add at least one, with an id and a label"]),
    "an empty list": ("issue_types = []", ["there are no issue types: add at least one, with an id and a label"]),
    "no list": (
        f"[issue_types]\n{HARDWARE}",
        ["issue_types is not a list of tables: begin each issue type with [[issue_types]]"],
    ),
    "a list of texts": (
        'issue_types = ["hardware"]',
        ["issue_types is not a list of tables: begin each issue type with [[issue_types]]"],
    ),
    "no id": (one('label = "Hardware"'), ['issue type 1 has no id: give it one, such as id = "hardware"']),
    "an id with spaces": (
        one('id = "Wi Fi"\nlabel = "Wi-Fi"'),
        [f"issue type 1 has an id of the wrong form: {FORM}"],
    ),
    "an id that is a number": (one('id = 7\nlabel = "Seven"'), [f"issue type 1 has an id of the wrong form: {FORM}"]),
    "an id too long": (
        one(f'id = "{"a" * 51}"\nlabel = "A"'),
        [f"issue type 1 has an id of the wrong form: {FORM}"],
    ),
    "an id twice": (
        one(HARDWARE) + one('id = "hardware"\nlabel = "Machines"'),
        ["issue types 1 and 2 have the same id hardware: give one of them another"],
    ),
    "no label": (one('id = "hardware"'), ['hardware has no label: give it one, such as label = "Hardware"']),
    "a blank label": (labelled('" "'), ["the label of first is blank: write what customers are to pick"]),
    "an invisible label": (labelled('"\\u200b"'), ["the label of first is blank: write what customers are to pick"]),
    "a label with spaces around": (labelled('"Hardware "'), ["the label of first has spaces around it: remove them"]),
    "a label of two lines": (
        labelled('"Hard\\nware"'),
        ["the label of first has a line break or another control character: remove it"],
    ),
    "a label too long for a list": (
        labelled('"Hardware of every kind at all"'),
        [
            "the label of first has 29 characters (an emoji is two), and a row of a list holds 24: shorten it",
        ],
    ),
    "a label of emoji": (
        labelled(f'"{"👍" * 13}"'),
        ["the label of first has 26 characters (an emoji is two), and a row of a list holds 24: shorten it"],
    ),
    "a label too long for a button": (
        one('id = "a"\nlabel = "A label of 24 characters"') + one('id = "b"\nlabel = "B"'),
        [
            "the label of a has 24 characters (an emoji is two), and a button holds 20: shorten it; three choices or "
            "fewer are buttons, on the last of several pages too"
        ],
    ),
    "a label too long for the last page's buttons": (
        paged(17, 'id = "last"\nlabel = "A label of 24 characters"'),
        [
            "the label of last has 24 characters (an emoji is two), and a button holds 20: shorten it; three choices "
            "or fewer are buttons, on the last of several pages too"
        ],
    ),
    "a description too long": (
        labelled('"First"', f'description = "{"x" * 73}"'),
        ["the description of first has 73 characters (an emoji is two), and a row of a list holds 72: shorten it"],
    ),
    "a blank description": (
        labelled('"First"', 'description = " "'),
        ["the description of first is blank: write something, or leave it out"],
    ),
    "a description of two lines": (
        labelled('"First"', 'description = """a\nb"""'),
        ["the description of first has a line break or another control character: remove it"],
    ),
    "more than a person looks through": (
        paged(101, 'id = "last"\nlabel = "Last"'),
        ["there are 101 issue types: keep 100 of them at most"],
    ),
    "a label that is a number": (
        labelled("7"),
        [
            "the label of first is neither a text nor a table of texts by language: write "
            'label = "...", or label = { en = "...", es = "..." }'
        ],
    ),
    "a table of no texts": (
        labelled("{ en = 7 }"),
        [
            "the label of first is neither a text nor a table of texts by language: write "
            'label = "...", or label = { en = "...", es = "..." }'
        ],
    ),
    "a language that is none": (
        labelled('{ en = "First", sp = "Primero" }'),
        ["the label of first has the language sp, which is no code: use codes of ISO 639-1, such as en, es or pt_BR"],
    ),
    "a language in words": (
        labelled('"First"', 'description = { en = "x", "in Spanish" = "y" }'),
        ["the description of first has a language that is no code: use codes such as en, es or pt_BR"],
    ),
    "a language with a dash": (
        labelled('{ en = "First", pt-br = "Primeiro" }'),
        ["the label of first has the language pt-br, which is no code: write pt_BR"],
    ),
    "a table without English": (
        labelled('{ es = "Primero" }'),
        ['the label of first has no text in en: add en = "..."; it is for all whose language is not there'],
    ),
    "a text too long in another language": (
        labelled('{ en = "First", es = "Primero de todos los que hay" }'),
        ["the label of first in es has 28 characters (an emoji is two), and a row of a list holds 24: shorten it"],
    ),
    "labels that read the same": (
        labelled('"TOPIC 1!"'),
        ["first and t1 have a label or an id that reads the same: change one of them"],
    ),
    "a label that reads as another's id": (
        labelled('"T1"'),
        ["first and t1 have a label or an id that reads the same: change one of them"],
    ),
    "labels that read the same in another language": (
        labelled('{ en = "First", es = "Topic 2" }'),
        ["first and t2 in es have a label or an id that reads the same: change one of them"],
    ),
    "a label that reads as a number": (
        labelled('"3"'),
        ["the label of first reads as a number, which picks by place: use other words"],
    ),
    "a label that reads as a number in words": (
        labelled('"Two"'),
        ["the label of first reads as a number, which picks by place: use other words"],
    ),
    "a label that reads as a command": (
        labelled('"Menú"'),
        ["the label of first reads as the command menu, so typing it never picks it: use other words"],
    ),
    "a label that reads as a greeting": (
        labelled('"Good morning!"'),
        ["the label of first reads as a greeting: use other words"],
    ),
    "a label that reads as thanks": (
        labelled('{ en = "First", es = "Gracias" }'),
        ["the label of first in es reads as thanks: use other words"],
    ),
    "a label of punctuation": (
        labelled('"???"'),
        ["the label of first has no letter, so nobody can type it: use other words"],
    ),
    "an id that reads as a greeting": (
        one(HARDWARE) + one('id = "start"\nlabel = "A new project"'),
        ["the id start is what customers greet or thank with: use another"],
    ),
    "a label that turns the page": (
        paged(11, 'id = "last"\nlabel = "More"'),
        ["the label of last is what customers type for another page: use other words"],
    ),
    "an id that turns the page": (
        paged(11, 'id = "back"\nlabel = "Chairs"'),
        ["the id of back is what customers type for another page: use other words"],
    ),
    "several at once": (
        one('id = "a"\nlable = "A"') + one('label = "B"'),
        [
            "issue type 1 has the unknown key lable: write label",
            'a has no label: give it one, such as label = "Hardware"',
            'issue type 2 has no id: give it one, such as id = "hardware"',
        ],
    ),
}


def refused(path: Path) -> list[str]:
    with pytest.raises(DeskFileError) as raised:
        read_desk_file(str(path))
    return raised.value.lines


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_named_with_its_mend(tmp_path: Path, name: str) -> None:
    content, faults = FAULTS[name]
    path = tmp_path / "desk.toml"
    path.write_text(content, encoding="utf-8")
    tomllib.loads(content)
    assert refused(path) == [f"names {path}, where {fault}" for fault in faults]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b'[[issue_types]\nid = "a"\n', " at line 1, column "),
        (b"[[issue_types]]\nid = hardware\n", " at line 2, column 6 ("),
        (b'issue_types = [{id = "a"', " at the end of the document ("),
        (b"a = " + b"[" * 5000, ""),
        (b"a = " + b"9" * 5000, ""),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path, content: bytes, where: str) -> None:
    path = tmp_path / "desk.toml"
    path.write_bytes(content)
    (line,) = refused(path)
    assert line.startswith(f"names {path}, which is not TOML{where}")
    assert line.endswith(": fix it, .env.example shows how")


def test_a_pipe_keeps_no_start_waiting(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    os.mkfifo(path)
    assert refused(path) == [f"names {path}, which is no regular file: name the right file"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'label = "\xff"', "which is not UTF-8: save it as text in UTF-8"),
        (b"#" * 1_000_001, "which is larger than 1000000 bytes: name the right file"),
    ],
)
def test_what_is_no_text_of_a_bearable_size(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "desk.toml"
    path.write_bytes(content)
    assert refused(path) == [f"names {path}, {sentence}"]


def test_a_file_that_is_not_there_or_no_file(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    assert refused(path) == [f"names {path}, which is not there: create it, or leave DESK_FILE out"]
    path.mkdir()
    fix = "it must be a file that Tick's user may read"
    assert refused(path) == [f"names {path}, which can't be read (Is a directory): {fix}"]


def test_what_the_file_says_is_what_customers_pick_from(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    rooms = 'id = "rooms"\r\nlabel = { en = "Rooms", pt_BR = "Salas" }\r\ndescription = { en = "Keys", es = "Llaves" }'
    other = 'id = "other"\r\nlabel = "Something else"'
    path.write_bytes(b"\xef\xbb\xbf" + (one(rooms) + one(other)).encode())  # as some editors save it
    desk_file = read_desk_file(str(path))
    assert list_issue_types(desk_file) == (IssueType("rooms", "Rooms", "Keys"), IssueType("other", "Something else"))
    assert list_issue_types(desk_file, "pt_BR")[0] == IssueType("rooms", "Salas", "Keys")
    assert list_issue_types(desk_file, "es")[0] == IssueType("rooms", "Rooms", "Llaves")


def test_without_a_file_they_are_ticks_own() -> None:
    assert list_issue_types(NO_DESK_FILE) == DEFAULT_ISSUE_TYPES


def test_the_example_of_the_settings_is_a_right_file(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    lines = re.findall(
        r"(?m)^#(?:   (.*))?$", example[example.index("#   [[issue_types]]") : example.index("#DESK_FILE=")]
    )
    path = tmp_path / "desk.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    type_ids = [issue_type.type_id for issue_type in list_issue_types(read_desk_file(str(path)))]
    assert type_ids == ["hardware", "billing", "facilities", "other"]
