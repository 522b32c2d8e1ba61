"""Says in a sentence why the database did not take a write that it takes on other days.

The numbers and words are those of `driver_errors.py`, which says what may pass.
"""

import sqlite3

from storage.sql.driver_errors import is_transient

_READ_ONLY = "The database is read-only: let Tick write to it."
_FULL = "The disk of the database is full: make room there."
_BROKEN_DISK = "The database can't write to its disk: look at the disk, and at the database's own log."
_NOT_GRANTED = "The user of DATABASE_URL may not write to the tables: GRANT it SELECT, INSERT, UPDATE and DELETE."
_OTHER_SCHEMA = "The database lacks a table or a column: run `tick migrate`."
_DAMAGED = "The file of the database is damaged: restore it from a backup."
_SILENT = "The database does not answer in time."
MYSQL_SENTENCES = {
    1290: _READ_ONLY, 1836: _READ_ONLY,
    1021: _FULL, 1114: _FULL,
    1026: _BROKEN_DISK, 1030: _BROKEN_DISK,
    1142: _NOT_GRANTED, 1143: _NOT_GRANTED,
    1146: _OTHER_SCHEMA, 1054: _OTHER_SCHEMA,
}  # fmt: skip
SQLITE_SENTENCES = {  # by words of its messages: the driver of Python 3.11 does not give its numbers for all
    "readonly": _READ_ONLY,
    "disk is full": _FULL,
    "disk I/O": _BROKEN_DISK,
    "no such table": _OTHER_SCHEMA,
    "no column named": _OTHER_SCHEMA,
    "no such column": _OTHER_SCHEMA,
    "malformed": _DAMAGED,
    "not a database": _DAMAGED,
    "unable to open": "The file of the database can't be opened: look whose DATA_DIR is, and at DATABASE_URL.",
    "locked": "Another program keeps the file of the database locked.",
}


def explain_refused_write(error: BaseException) -> str:
    """Returns the sentence for an operator: what is wrong, and what fixes it."""
    seen: BaseException | None = error
    while seen is not None:
        code = seen.args[0] if seen.args else None
        if isinstance(code, int) and code in MYSQL_SENTENCES:
            return MYSQL_SENTENCES[code]
        if isinstance(seen, sqlite3.Error):
            for words, sentence in SQLITE_SENTENCES.items():
                if words in str(seen):
                    return sentence
        seen = code if isinstance(code, BaseException) else seen.__cause__
    if isinstance(error, TimeoutError) or is_transient(error):
        return _SILENT
    return f"The database refuses what a webhook brings ({type(error).__name__}): the log says more."
