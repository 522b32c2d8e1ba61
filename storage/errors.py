"""Defines the base of errors that the operator fixes: a wrong setting, a full disk, a server that can't be used.

Invariants
- The text is one sentence, or a line for each thing, that says what to fix. It holds no secret.
- This module imports no other, so that a command can tell such an error from a bug without loading all that raise one.
"""


class OperatorError(Exception):
    """An error that the operator fixes. `exit_code`: 2 for what was asked or set wrongly, 1 for the rest."""

    exit_code = 1


class WrongDatabase(OperatorError):
    """The database that the settings name can't be used."""
