"""States what WhatsApp takes of text, buttons and list rows.

Source: Meta's Cloud API reference, interactive reply buttons and interactive lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """The maxima. Lengths are counted in UTF-16 units, in which most emoji are two."""

    button: int = 20  # the label of a button, also of the one that opens a list
    row: int = 24  # the label of a row in a list
    row_description: int = 72  # the text under it
    body: int = 1024  # a text with options
    text: int = 4096  # a text alone
    buttons: int = 3  # options that are buttons; more are a list
    rows: int = 10  # options in a list


LIMITS: Final = Limits()
