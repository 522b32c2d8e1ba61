"""WhatsApp's own limits on what is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """WhatsApp's own limits. Text is counted in UTF-16 units, in which an emoji is two."""

    button: int = 20
    row: int = 24
    row_description: int = 72
    body: int = 1024  # a text with options
    text: int = 4096  # a text alone
    buttons: int = 3
    rows: int = 10


LIMITS: Final = Limits()
