"""Says what an error of a database's driver means: whether it may pass, and what an operator should look at.

Invariants
- These two tables are the only places that know the servers' error numbers
  (https://mariadb.com/kb/en/mariadb-error-codes/).
"""

import sqlite3

from tortoise.exceptions import BaseORMException, OperationalError

TRANSIENT_MYSQL = {
    1213, 1205,  # deadlock, lock wait
    2003, 2006, 2013, 1053, 1927, 4031, 1152, 1158, 1159, 1160, 1161,  # no connection, or none any more
    1040, 1203, 1226,  # too many connections
    1317, 1969,  # the statement was ended from outside, or by the server's own limit
    1290, 1836, 1021, 1114,  # read-only, as after a failover; disk full
}  # fmt: skip
REFUSED_MYSQL = {
    1044: "The database server knows the user of DATABASE_URL, who may not use this database: GRANT it.",
    1045: "The database server refuses the user or the password of DATABASE_URL (percent-encode what is special).",
    1049: "The database server has no database of the name in DATABASE_URL: CREATE DATABASE it, in utf8mb4.",
}


def is_transient(error: BaseException) -> bool:
    """Returns whether the same statement may succeed later."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError | EOFError):
            return True
        if isinstance(seen, sqlite3.OperationalError):
            return any(word in str(seen) for word in ("locked", "busy", "disk I/O", "full", "unable to open"))
        code = seen.args[0] if seen.args else None
        if isinstance(code, int) and code in TRANSIENT_MYSQL:
            return True
        if isinstance(seen, BaseORMException) and isinstance(code, BaseException):
            seen = code
            continue
        if isinstance(seen, OperationalError) and "Can't connect" in str(seen):
            return True
        seen = seen.__cause__
    return False


def explain_down(error: BaseException) -> str:
    """Returns the sentence that says what to look at when the database can't be reached."""
    seen: BaseException | None = error
    while seen is not None:
        if seen.args and seen.args[0] in REFUSED_MYSQL:
            return REFUSED_MYSQL[seen.args[0]]
        seen = seen.__cause__ or seen.__context__
    return "The database can't be reached: is the server of DATABASE_URL running at that host and port?"
