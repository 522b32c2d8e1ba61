"""What keeps Tick from working and an operator can mend.

Invariant: the text is one sentence, or a line for each thing, that says what to mend and holds no secret. This module
needs no other, so a command can tell such an error from a fault of ours without loading all that might raise one.
"""


class Trouble(Exception):
    """Tick can't go on like this. `exit_code`: 2 for what was asked or set wrongly, 1 for the rest."""

    exit_code = 1
