"""Writes and reads the manifest of a backup: what it is of, and what each member must be like. JSON, a value a line.

The first line is about the backup, each further one about a member, in their order in the archive. So however many
files there are, one is in memory.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, BinaryIO

from api.backup.archive import Member, WrongArchive

FORMAT = 1
MAX_LINE_BYTES = 100_000
DAMAGED = "The backup's manifest can't be read: the backup is damaged. Take another copy of it."


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of. `format`: of the archive; `program`: the version that made it; `migration`: the last one of
    its database; `made_at`: the moment whose state it holds; `counts`: the rows by table; `missing`: how many files the
    database names that were not in the store."""

    format: int
    program: str
    migration: str
    made_at: datetime
    counts: Mapping[str, int]
    members: int
    missing: int

    def to_json(self) -> str:
        """Returns the manifest's first line."""
        return json.dumps(asdict(self) | {"made_at": self.made_at.isoformat()})


def make_line(member: Member) -> str:
    """Returns the manifest's line about a member."""
    return json.dumps(asdict(member))


def read_manifest(file: BinaryIO) -> Manifest:
    """Reads the first line. Raises WrongArchive for what can't be read, or is of a newer format."""
    values = _read_line(file)
    if isinstance(values.get("format"), int) and values["format"] > FORMAT:
        raise WrongArchive(
            f"This backup was made by a newer version of Tick ({show(values.get('program'))}): install that one first."
        )
    try:
        manifest = Manifest(**(values | {"made_at": datetime.fromisoformat(values["made_at"])}))
        numbers = (manifest.format, manifest.members, manifest.missing, *manifest.counts.values())
        texts = (manifest.program, manifest.migration)
        is_right = all(type(one) is int for one in numbers) and all(type(one) is str for one in texts)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise WrongArchive(DAMAGED) from None
    if not is_right or manifest.made_at.tzinfo is None:
        raise WrongArchive(DAMAGED)
    return manifest


def read_members(file: BinaryIO, number: int) -> Iterator[Member]:
    """Reads the lines about the members. Raises WrongArchive."""
    for _ in range(number):
        values = _read_line(file)
        try:
            yield Member(**values)
        except TypeError:
            raise WrongArchive(DAMAGED) from None


def _read_line(file: BinaryIO) -> dict[str, Any]:
    try:
        values = json.loads(file.readline(MAX_LINE_BYTES))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise WrongArchive(DAMAGED)
    return values


def show(text: object) -> str:
    """Shows what a manifest says in a line of a terminal."""
    return text[:60] if isinstance(text, str) and text.isprintable() else "which can't be read"
