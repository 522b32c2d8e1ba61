"""Reads the DATABASE_URL of a MySQL or MariaDB server: where it is, who signs in, and whether that is encrypted."""

import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from storage.errors import WrongDatabase

PARAMETERS = ("ssl", "ssl_ca")  # ssl_ca is PyMySQL's name for the file


class MysqlAddress(NamedTuple):
    """Where a MySQL or MariaDB database is and how to sign in, under the names that the drivers have for it."""

    host: str
    port: int
    user: str
    password: str
    database: str


class Encryption(StrEnum):
    """Whether the connections to the server are encrypted (TLS)."""

    NONE = ""
    UNVERIFIED = "true"  # they are, and whoever answers is taken for the server
    VERIFIED = "verify"  # they are, and the server has to show a certificate for its host


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is encrypted. `ca_file`: the authorities that sign the server's certificate; "" for the ones
    that the machine trusts."""

    encryption: Encryption = Encryption.NONE
    ca_file: str = ""


def parse_mysql_url(url: str) -> MysqlAddress:
    """Parses `mysql://user:password@host:port/database`, in which user, password and database are percent-encoded."""
    parts = urlsplit(url)
    return MysqlAddress(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")),
    )


def parse_tls(url: str) -> Tls:
    """Parses the URL's `?ssl=true` or `?ssl=verify&ssl_ca=/path/to/ca.pem`. Raises ValueError with the problem, a few
    words that follow the name of the setting and repeat nothing of its value."""
    if "#" in url:
        raise ValueError("has a # in it, which has to be %23")
    given = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    names = [name for name, _ in given]
    if not set(names) <= set(PARAMETERS) or (urlsplit(url).query and not given):
        raise ValueError(f"has something behind its ? that Tick doesn't know, which is only {' and '.join(PARAMETERS)}")
    if len(set(names)) < len(names):
        raise ValueError("has the same parameter twice")
    values = dict(given)
    if "ssl" in values and values["ssl"] not in (Encryption.UNVERIFIED, Encryption.VERIFIED):
        raise ValueError("has an ssl that is neither true nor verify")
    tls = Tls(Encryption(values.get("ssl", "")), values.get("ssl_ca", ""))
    if "ssl_ca" in values and not (tls.ca_file and tls.encryption is Encryption.VERIFIED):
        raise ValueError("has an ssl_ca, which takes the path of a file and ssl=verify beside it")
    return tls


def make_tls_context(tls: Tls) -> ssl.SSLContext | None:
    """Makes what the drivers encrypt with; None where they don't. Raises WrongDatabase for a file of authorities that
    can't be read."""
    if tls.encryption is Encryption.NONE:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
    except ssl.SSLError:
        raise WrongDatabase(
            f"{tls.ca_file}, the ssl_ca of DATABASE_URL, has no certificate in it: it takes a file in the PEM format."
        ) from None
    except OSError as error:
        raise WrongDatabase(f"{tls.ca_file}, the ssl_ca of DATABASE_URL, can't be read: {error.strerror}.") from None
    if tls.encryption is Encryption.UNVERIFIED:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
