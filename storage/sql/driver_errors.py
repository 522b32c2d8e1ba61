"""Says what an error of a database's driver means: whether it may pass, and what an operator should look at.

Invariants
- These tables are the only places that know the servers' error numbers
  (https://mariadb.com/kb/en/mariadb-error-codes/, https://dev.mysql.com/doc/mysql-errors/8.4/en/,
  https://www.sqlite.org/rescode.html).
- A sentence names the setting to look at. It repeats nothing of the setting's value, which has a password in it.
"""

import socket
import sqlite3
import ssl
from collections.abc import Iterator

from pymysql.err import MySQLError
from tortoise.exceptions import BaseORMException, OperationalError

from storage.errors import WrongDatabase

HELD_MYSQL = {1205, 3572}  # lock wait; NOWAIT
TRANSIENT_MYSQL = HELD_MYSQL | {
    1213,  # deadlock
    2003, 2006, 2013, 1053, 1927, 4031, 1152, 1158, 1159, 1160, 1161,  # no connection, or none any more
    1040, 1203, 1226,  # too many connections
    1317, 1969,  # the statement was ended from outside, or by the server's own limit
    1290, 1836, 1021, 1114,  # read-only, as after a failover; disk full
}  # fmt: skip
_SIGN_IN = (
    "The database server refuses the user or the password of DATABASE_URL (percent-encode what is special in them; "
    "a user whom the server wants encrypted, or from another machine, is refused in the same words)."
)
_OTHER_WAY = (
    "The database server wants the user of DATABASE_URL to sign in in a way that Tick doesn't know: ALTER USER it, "
    "IDENTIFIED BY a password alone."
)
_FULL = "The database server has no connection left: raise its max_connections, or the limit of the user."
_READ_ONLY = "The database server may not be written to: is it read-only, or DATABASE_URL that of a replica?"
REFUSED_MYSQL = {
    1040: _FULL, 1203: _FULL, 1226: _FULL,
    1044: "The database server knows the user of DATABASE_URL, who may not use this database: GRANT it.",
    1045: _SIGN_IN,
    1049: "The database server has no database of the name in DATABASE_URL: CREATE DATABASE it, in utf8mb4.",
    1102: "The database server takes no such name as that of the database in DATABASE_URL: look for a typing error.",
    1129: "The database server blocks this machine after too many failed connections: FLUSH HOSTS there.",
    1130: "The database server takes no connection from this machine: CREATE the USER of DATABASE_URL for its address.",
    1142: "The user of DATABASE_URL may not do this in the database: GRANT ALL on it.",
    1143: "The user of DATABASE_URL may not do this in the database: GRANT ALL on it.",
    1184: "The database server ended the connection over its own init_connect: look at that in its configuration.",
    1251: _OTHER_WAY, 1698: _OTHER_WAY, 2059: _OTHER_WAY,
    1290: _READ_ONLY, 1836: _READ_ONLY,
    1021: "The disk of the database server is full: make room there.",
    1114: "The disk of the database server is full: make room there.",
    1820: "The password of DATABASE_URL has expired: ALTER USER it, with a new one.",
    1862: "The password of DATABASE_URL has expired: ALTER USER it, with a new one.",
    3118: "The user of DATABASE_URL is locked at the database server: ALTER USER it, ACCOUNT UNLOCK.",
    4151: "The user of DATABASE_URL is locked at the database server: ALTER USER it, ACCOUNT UNLOCK.",
    3159: "The database server takes encrypted connections alone: add ?ssl=verify to DATABASE_URL, or ?ssl=true.",
}  # fmt: skip
TRANSIENT_SQLITE = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}  # fmt: skip
_DAMAGED = (
    "The SQLite file of DATABASE_URL, or tick.db under DATA_DIR, can't be used as a database, for it is none, or "
    "damaged: name another file, or put a backup in its place."
)
_NOT_OURS = (
    "The SQLite file of DATABASE_URL, or tick.db under DATA_DIR, can't be opened and written by this user: change its "
    "owner, and that of its folder."
)
REFUSED_SQLITE = {
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_CANTOPEN: _NOT_OURS,
    sqlite3.SQLITE_READONLY: _NOT_OURS,
    sqlite3.SQLITE_PERM: _NOT_OURS,
    sqlite3.SQLITE_FULL: "The disk with the SQLite file is full: make room, or set DATA_DIR to another disk.",
    sqlite3.SQLITE_BUSY: "Another program holds the SQLite file locked: is a second Tick running on the same DATA_DIR?",
}
_CERTIFICATE_EXPIRED, _NAME_MISMATCH, _ADDRESS_MISMATCH = 10, 62, 64  # of OpenSSL (X509_V_ERR_...)


class CannotConnect(ConnectionError):
    """There is no connection to the server of DATABASE_URL; the cause says why."""


def is_row_held(error: BaseException) -> bool:
    """Returns whether another session has locked what the statement wanted, for longer than ours waits."""
    return any(
        bool(each.args) and each.args[0] in HELD_MYSQL for each in iterate_causes(error) if isinstance(each, MySQLError)
    )


def is_refusal_of_server(error: BaseException) -> bool:
    """Returns whether this is what a server said to us, which is there, then."""
    return any(
        bool(each.args) and each.args[0] in REFUSED_MYSQL
        for each in iterate_causes(error)
        if isinstance(each, MySQLError)
    )


def is_transient(error: BaseException) -> bool:
    """Returns whether the same statement may succeed later."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError | EOFError):
            return True
        if isinstance(seen, sqlite3.OperationalError):
            return _get_sqlite_code(seen) in TRANSIENT_SQLITE
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
    if sentence := explain_refusal(error):
        return sentence
    seen = list(iterate_causes(error))
    if sentence := next((sentence for each in seen if (sentence := _explain_connecting(each))), None):
        return sentence
    reason = next((each.__cause__ for each in seen if isinstance(each, CannotConnect)), None)
    if reason is not None and not (reason.args and isinstance(reason.args[0], int)):
        kind = type(reason).__name__
        return f"What answers at host and port of DATABASE_URL is no MySQL or MariaDB that Tick understands ({kind})."
    return "The database can't be reached: is the server of DATABASE_URL running at that host and port?"


def explain_refusal(error: BaseException) -> str | None:
    """Returns the sentence that says what to look at after an error by which a database refused something; None for any
    other error."""
    return next((sentence for each in iterate_causes(error) if (sentence := _explain_refusal(each))), None)


def iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and, one after the other, what it was raised for."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        inner = seen.args[0] if seen.args else None
        is_wrapped = isinstance(seen, BaseORMException) and isinstance(inner, BaseException)
        seen = inner if is_wrapped else seen.__cause__ or seen.__context__


def _explain_refusal(error: BaseException) -> str | None:
    if isinstance(error, WrongDatabase):
        return str(error)
    if isinstance(error, sqlite3.Error):
        return REFUSED_SQLITE.get(_get_sqlite_code(error))
    return REFUSED_MYSQL.get(error.args[0]) if isinstance(error, MySQLError) and error.args else None


def _explain_connecting(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error)
    if isinstance(error, socket.gaierror):
        return "The host of DATABASE_URL is not known: look for a typing error, and at this machine's name server."
    if isinstance(error, UnicodeError):
        return "The host of DATABASE_URL is no name that a host can have: look for a typing error."
    if isinstance(error, TimeoutError):
        return "The database server does not answer in time: look at host and port of DATABASE_URL, and for a firewall."
    return None


def _explain_tls(error: ssl.SSLError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "The encryption that DATABASE_URL asks for could not be agreed on with the server: look at its log."
    if error.verify_code in (_NAME_MISMATCH, _ADDRESS_MISMATCH):
        return "The database server's certificate is for another host than DATABASE_URL names: use a name that it has."
    if error.verify_code == _CERTIFICATE_EXPIRED:
        return "The database server's certificate has expired: renew it there."
    return (
        "The database server's certificate is signed by nobody whom this machine trusts: name the file of its "
        "authorities as ssl_ca in DATABASE_URL (?ssl=verify&ssl_ca=/path/to/ca.pem)."
    )


def _get_sqlite_code(error: sqlite3.Error) -> int:
    """Returns the primary code: what SQLite adds in the higher bits says it more exactly."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
