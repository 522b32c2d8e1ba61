"""Each file in tests/transcripts is one situation, played to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.flows.transcript import TRANSCRIPTS, played

FILES = sorted(TRANSCRIPTS.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_goes_as_written(path: Path) -> None:
    script = path.read_text(encoding="utf-8")
    assert script.startswith("# "), "a transcript begins with a line that says what it is about"
    assert played(script) == script


@pytest.mark.parametrize(("name", "most"), [("hello_to_ticket", 4), ("problem_first", 3)])
def test_how_many_messages_a_ticket_takes(name: str, most: int) -> None:
    script = (TRANSCRIPTS / f"{name}.txt").read_text(encoding="utf-8")
    until_number = script[: script.index("your ticket is *#1*")]
    assert len(re.findall("^> ", until_number, re.MULTILINE)) <= most
    assert len(re.findall("^< ", until_number, re.MULTILINE)) <= most
