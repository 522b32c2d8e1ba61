"""Puts the tests' temporary files into memory (/dev/shm), where there is room and TMPDIR is not set.

A disk makes each commit wait for its sync, and no test is about how long that takes. What is synced stays synced, by
Tick and by the servers; only what it is synced to differs.
"""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
MIN_FREE_BYTES = 4 * 1024**3  # many times what a run takes


def use_memory_for_temporary_files() -> None:
    """Sets TMPDIR for this process and those that it starts."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    if shutil.disk_usage(MEMORY).free >= MIN_FREE_BYTES:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None
