"""Reads the files that the desk's pages load: one style sheet and one icon."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "static"
CONTENT_TYPES = {"desk.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


class StaticFile(NamedTuple):
    """A file of the desk as it goes out: its bytes, and its Content-Type."""

    content: bytes
    content_type: str


def read_static_files() -> Mapping[str, StaticFile]:
    """Reads them all, by name. Another name is no file: no path that a request makes up is ever opened."""
    return {name: StaticFile((FOLDER / name).read_bytes(), kind) for name, kind in CONTENT_TYPES.items()}
