"""Says how long a session of MySQL or MariaDB waits for others' locks, and how long it may hold its own idle.

Whoever holds a lock is waited for by all who want it, so both are bounded: one session that stands still (its process
is frozen, or cut off from the network) would else stop everybody for as long as the server keeps it, which is hours by
default.

Invariants
- Every session waits for a lock about a second, and one that is idle in a transaction is ended by the server within
  seconds. What takes longer by its nature (a migration, a take-over) says so, and its session is not used for anything
  else.
"""

from enum import Enum

LOCK_WAIT_SECONDS = 1
# Who is frozen in a transaction holds what it locked for so long, where nobody ends its session. Our own loop stands
# still for less, between two statements.
MAX_IDLE_SECONDS = 2
PATIENT_SECONDS = 600
MARIADB = "MariaDB"
# Stands before a SELECT ... SKIP LOCKED: in a session that does not wait at all, MariaDB 10.11 fails it with 1180 where
# it has something to skip. MySQL skips the comment.
BEFORE_SKIP_LOCKED = f"/*M!100300 SET STATEMENT innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS} FOR */ "


class LockWait(Enum):
    """How a transaction waits for rows that another session holds."""

    USUAL = "usual"  # about a second
    HASTY = "hasty"  # not at all where the server can (MariaDB): it is one of several that are tried one by one
    PATIENT = "patient"  # for minutes


def list_session_variables(*, is_patient: bool) -> str:
    """Returns the part of a SET that bounds the waits of a new session. What MariaDB alone has is in a comment that
    MySQL skips."""
    wait, idle = (PATIENT_SECONDS, 0) if is_patient else (LOCK_WAIT_SECONDS, MAX_IDLE_SECONDS)
    return f"innodb_lock_wait_timeout = {wait} /*M!100300 , idle_transaction_timeout = {idle} */"


def begin_statement(lock_wait: LockWait, server_version: str) -> str:
    """Returns the SET that precedes such a transaction; "" where the session is as it has to be."""
    is_mariadb = MARIADB in server_version
    if lock_wait is LockWait.PATIENT:
        idle = "idle_transaction_timeout = 0" if is_mariadb else "wait_timeout = DEFAULT"
        return f"SET SESSION innodb_lock_wait_timeout = {PATIENT_SECONDS}, {idle}"
    if not is_mariadb:  # MySQL ends idle sessions alone, in a transaction or not
        return f"SET SESSION wait_timeout = {MAX_IDLE_SECONDS}"
    return "SET SESSION innodb_lock_wait_timeout = 0" if lock_wait is LockWait.HASTY else ""


def end_statement(lock_wait: LockWait, server_version: str) -> str:
    """Returns the SET that makes the session as it was; "" where it is."""
    if MARIADB not in server_version:
        return "SET SESSION wait_timeout = DEFAULT"
    return f"SET SESSION innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}" if lock_wait is LockWait.HASTY else ""
