"""Logs what the process is doing as debug events, so that whoever kills it can name what was interrupted.

Invariants
- Each phase has an event when it begins and one when it ends, so the phases open at a death are known.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import structlog

Phase = Literal["claimed", "transaction", "sending", "marking"]
log = structlog.get_logger(__name__)


@contextmanager
def log_phase(name: Phase, count: int) -> Iterator[None]:
    """Logs the begin and the end of the block as the phase `name`, over `count` lanes or rows."""
    log.debug("phase", phase=name, state="begin", n=count)
    try:
        yield
    finally:
        log.debug("phase", phase=name, state="end", n=count)
