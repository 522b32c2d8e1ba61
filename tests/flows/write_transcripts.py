"""Writes all transcripts and charts anew (`make transcripts`): a changed sentence is then one git diff to look at.

Only what happened is written. The lines of the customers, of the desk and the comments stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows.chart import write_charts
from tests.flows.transcript import TranscriptError, play_transcript
from tests.support.places import ROOT

TRANSCRIPTS = ROOT / "tests" / "transcripts"


def list_transcripts(folder: Path = TRANSCRIPTS) -> list[Path]:
    """Returns the transcripts; what else lies beside them, such as the README, is none."""
    return sorted(folder.glob("*.txt"))


def write_transcripts(folder: Path = TRANSCRIPTS) -> Iterator[Path]:
    """Writes the transcripts that go otherwise than is written, and yields their files."""
    for path in list_transcripts(folder):
        script = path.read_text(encoding="utf-8")
        try:
            fresh = play_transcript(script)
        except TranscriptError as error:
            raise SystemExit(f"{path.relative_to(folder.parent)}: {error}") from None
        if fresh != script:
            path.write_text(fresh, encoding="utf-8")
            yield path


if __name__ == "__main__":
    changed = [*write_transcripts(), *write_charts()]
    for path in changed:
        print(f"Wrote {path.relative_to(ROOT)}")
    print("Look at the changes: git diff tests/transcripts flows" if changed else "Nothing has changed.")
