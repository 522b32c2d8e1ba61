"""Locks a file for as long as a process has it open: how a second Tick is kept out of a folder.

Invariants
- The lock ends with the process, however that ends, and with whoever inherited the open file.
"""

import fcntl
from pathlib import Path
from typing import TextIO


def lock_file(path: Path) -> TextIO | None:
    """Locks the file, which it makes where it is not there; returns None if somebody else has it locked. Closing what
    is returned unlocks it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
