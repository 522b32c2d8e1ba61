"""Where the tests keep what is thrown away with them: in memory, where there is room.

A disk makes each commit wait for its sync, and no test is about how long that takes. Invariant: what is synced stays
synced, by Tick and by the servers; only what it is synced to differs. Whoever sets TMPDIR has chosen.
"""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 * 1024**3  # many times what a run takes


def in_memory() -> None:
    """From now on in this process and those that it starts."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    if shutil.disk_usage(MEMORY).free >= ROOM_BYTES:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None
