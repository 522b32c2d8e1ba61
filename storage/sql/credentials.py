"""Reads what opens the database from its URL.

Invariants
- A sentence repeats nothing of the URL's values, which have a password in them.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from storage.errors import WrongDatabase
from storage.sql.mysql_url import make_tls_context, parse_mysql_url, parse_tls


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the database is (`url`: `sqlite:///path` or `mysql://user:password@host:port/name?ssl=verify`), and how
    many connections there are to MySQL (`pool_size`). `is_patient`: every session may wait for locks, and stand still,
    as long as the server has it: for migrations."""

    url: str
    pool_size: int = 8
    is_patient: bool = False


def read_credentials(settings: DatabaseSettings) -> tuple[dict[str, Any], str]:
    """Reads what Tortoise's engine needs, and the dialect, from the URL."""
    parts = urlsplit(settings.url)
    if parts.scheme == "sqlite":
        return {"file_path": settings.url.removeprefix("sqlite://")}, "sqlite"
    if parts.scheme == "mysql" and parts.hostname and parts.path.strip("/"):
        return _read_mysql_credentials(settings), "mysql"
    raise WrongDatabase("DATABASE_URL must look like sqlite:///path/to/tick.db or mysql://user:password@host:3306/tick")


def _read_mysql_credentials(settings: DatabaseSettings) -> dict[str, Any]:
    try:
        context = make_tls_context(parse_tls(settings.url))
    except ValueError as error:
        raise WrongDatabase(f"DATABASE_URL {error}.") from None
    address = parse_mysql_url(settings.url)
    # aiomysql takes a password for latin-1, and servers keep the hash of its UTF-8 bytes: it gets those, one as each
    # character.
    password = address.password.encode().decode("latin-1")
    # No timeout of its own for connecting: a statement's deadline holds for that too, and until Python 3.12 the way in
    # which aiomysql keeps one swallows a cancellation that comes with the connection, and the wait never ends.
    pool = {"minsize": 1, "maxsize": settings.pool_size, "ssl": context, "is_patient": settings.is_patient}
    return address._replace(password=password)._asdict() | pool
