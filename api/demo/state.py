"""Keeps what one start of the demo hands to the next: how far its clock was put forward, and its port.

What the demo has stored is dated by that clock, so a restart that went back to the machine's would meet tickets and
windows from the future; and on another port the addresses that somebody noted would lead nowhere.
"""

import json
import math
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from bot.clock import Clock

FILE_NAME = "state.json"
MAX_PORT = 65535
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DemoState:
    """The demo as it was last. `port`: where it was; `wanted_port`: what PORT was then, which it goes by as long as
    that stays the same."""

    ahead_seconds: float = 0.0
    wanted_port: int = 0
    port: int = 0

    def choose_port(self, wanted_port: int) -> int:
        """Returns the port to try first, where PORT is `wanted_port`."""
        return self.port if self.wanted_port == wanted_port and 0 < self.port <= MAX_PORT else wanted_port

    def now(self, clock: Clock) -> datetime:
        """Returns the time at the demo. `clock`: the machine's."""
        return clock() + timedelta(seconds=self.ahead_seconds)


def load_demo_state(folder: Path) -> DemoState:
    """Reads what was kept in the demo's folder; that of a first start where there is nothing that can be read."""
    try:
        kept = json.loads((folder / FILE_NAME).read_text("utf-8"))
        ahead_seconds = float(kept["ahead_seconds"])
        if not math.isfinite(ahead_seconds):
            return DemoState()
        return DemoState(max(0.0, ahead_seconds), int(kept["wanted_port"]), int(kept["port"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return DemoState()


def save_demo_state(folder: Path, state: DemoState) -> None:
    """Writes the state, whole or not at all. Where it can't be written, the next start begins anew."""
    draft = folder / f"{FILE_NAME}.new"
    try:
        draft.write_text(json.dumps(asdict(state)), "utf-8")
        os.replace(draft, folder / FILE_NAME)
    except OSError as error:
        log.warning("demo_state_not_kept", error=error.strerror)
