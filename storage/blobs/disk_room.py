"""Measures how much room a disk has left, and keeps a reserve of it.

Invariants
- Files leave the reserve alone, so a database on the same disk can go on.
- The reserve is a gigabyte, and less on a small disk.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Reserve:
    """How much of a disk is kept free: a share of it, and no more than so many bytes."""

    share: float
    max_bytes: int


RESERVE = Reserve(share=0.05, max_bytes=1024**3)


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """What a disk has left for our user, and what of that is the reserve, in bytes."""

    free_bytes: int
    reserve_bytes: int

    @property
    def is_short(self) -> bool:
        """Whether nothing but the reserve is left."""
        return self.free_bytes < self.reserve_bytes


def measure_room(folder: Path, reserve: Reserve) -> DiskRoom:
    """Measures the disk on which the folder is, or is going to be; raises OSError."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    disk = os.statvfs(existing)
    return DiskRoom(
        free_bytes=disk.f_bavail * disk.f_frsize,
        reserve_bytes=min(reserve.max_bytes, int(disk.f_blocks * disk.f_frsize * reserve.share)),
    )
