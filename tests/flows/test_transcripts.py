"""Each file in tests/transcripts is one situation, played to the letter; `make transcripts` writes them anew."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.flows.transcript import DIRECTIVES, KINDS, TranscriptError, play_transcript
from tests.flows.write_transcripts import TRANSCRIPTS, list_transcripts, write_transcripts

README = (TRANSCRIPTS / "README.md").read_text(encoding="utf-8")
HELLO = TRANSCRIPTS / "hello_to_ticket.txt"


@pytest.mark.parametrize("path", list_transcripts(), ids=lambda path: path.stem)
def test_goes_as_written(path: Path) -> None:
    script = path.read_text(encoding="utf-8")
    assert script.startswith("# "), "a transcript begins with a line that says what it is about"
    fresh = play_transcript(script)
    assert fresh == script, f"{path.name} goes otherwise now: run `make transcripts`, and look at `git diff`"


@pytest.mark.parametrize(("name", "most"), [("hello_to_ticket", 4), ("problem_first", 3)])
def test_how_many_messages_a_ticket_takes(name: str, most: int) -> None:
    script = (TRANSCRIPTS / f"{name}.txt").read_text(encoding="utf-8")
    until_number = script[: script.index("your ticket is *#1*")]
    assert len(re.findall("^> ", until_number, re.MULTILINE)) <= most
    assert len(re.findall("^< ", until_number, re.MULTILINE)) <= most


def test_only_what_happened_is_written_anew(tmp_path: Path) -> None:
    shutil.copytree(TRANSCRIPTS, tmp_path, dirs_exist_ok=True)
    right, path = HELLO.read_text(encoding="utf-8"), tmp_path / HELLO.name
    path.write_text(re.sub("(?m)^< Thank you.*\n", "< Thanks a lot.\n= note #1\n", right), encoding="utf-8")
    assert list(write_transcripts(tmp_path)) == [path]
    assert path.read_text(encoding="utf-8") == right
    assert list(write_transcripts(tmp_path)) == []
    path.write_text(f"{right}\n# And a day later:\n! #1 is closed\n> Hi\n", encoding="utf-8")
    assert list(write_transcripts(tmp_path)) == [path]
    ending = path.read_text(encoding="utf-8").removeprefix(right)
    assert ending.startswith("\n# And a day later:\n! #1 is closed\n> Hi\n< Hello! What do you need help with?")


def test_the_readme_is_no_transcript(tmp_path: Path) -> None:
    shutil.copy(TRANSCRIPTS / "README.md", tmp_path)
    assert list_transcripts(tmp_path) == []


def test_the_readme_begins_with_a_transcript() -> None:
    example = README.split("```\n")[1]
    assert play_transcript(example) == example


def test_the_readme_has_an_example_of_everything() -> None:
    examples = re.findall(r"`([>!]) ([^`]+)`", README)
    directives = [line for mark, line in examples if mark == "!"]
    for pattern, _ in DIRECTIVES:
        assert any(re.fullmatch(pattern, line) for line in directives), pattern
    for kind in KINDS:
        assert f"[{kind}]" in README
    before = '! an agent opens #7 "Broken chair"\n! an agent answers #7 "Which room?" {a1}\n> Hi {w1}\n'
    for mark, line in examples:
        if line != "...":
            play_transcript(f"{before}{mark} {line}\n")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("# a\n>Hi\n", "line 2 (>Hi): a line begins with #, !, >, < or =, and a space"),
        ("Hi\n", "line 1 (Hi): a line begins with #, !, >, < or =, and a space"),
        ("# a\n\n! flow quick\n", "line 3 (! flow quick): this is no directive"),
        ("! #7 is closed\n", "line 1 (! #7 is closed): there is no open ticket #7"),
        ("! an agent answers #7\n", "line 1 (! an agent answers #7): there is no open ticket #7"),
        ("> [poll]\n", "line 1 (> [poll]): [poll] is no kind of message; to have it typed, spell it as JSON"),
        ('> "x\n', 'line 1 (> "x): this is no JSON: Unterminated string starting at: line 1 column 1 (char 0)'),
    ],
)
def test_a_line_that_is_not_in_the_grammar_is_named(script: str, sentence: str) -> None:
    with pytest.raises(TranscriptError) as raised:
        play_transcript(script)
    assert str(raised.value) == f"{sentence}; see tests/transcripts/README.md"
