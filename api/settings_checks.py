"""Checks the values of settings: a function for each kind of value, which returns it as the program takes it.

Invariants
- A check raises ValueError with the problem, a few words that follow the variable's name; it never repeats the value,
  which may be a secret.
"""

import math
import re
from collections.abc import Callable
from datetime import timedelta, timezone, tzinfo
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator

from api.server.client_address import Network
from bot.phones import is_country
from storage.sql.mysql_url import parse_tls

# What is left of an example: words that nobody has in a secret by chance, a value in brackets or of dots, a variable
# that nobody has filled in, a value of nothing but the words of examples. What only has such words in it is a secret.
_EXAMPLE_WORD = (
    "(?:access|account|api|app|business|dummy|enter|example|facebook|fill|goes|here|id|in|insert|key|meta|none|null"
    "|number|paste|password|phone|put|secret|the|this|todo|token|type|undefined|value|verify|whatsapp|your)"
)
PLACEHOLDER = re.compile(
    r"(?<![a-z])(?:change[-_ ]?me|replace[-_ ]?me|place[-_ ]?holder)(?![a-z])|^<.*>$|^\{.*\}$"
    r"|(?-i:^\$(?:\{\w+\}|[A-Z_]+)$)"
    rf"|^(?:x{{3,}}|\*{{3,}}|\.{{3,}}|-{{3,}})$|^{_EXAMPLE_WORD}(?:[-_ ]{_EXAMPLE_WORD})*$",
    re.IGNORECASE,
)
QUOTES = "\"'`\u2018\u2019\u201c\u201d"
MIN_SECRET_CHARACTERS = 8


def validate_with(check: Callable[[str], Any] = str) -> BeforeValidator:
    """Makes the validator that runs `check` on what an operator typed; what the program itself passes (a Path, a
    number) is left alone."""

    def validate(value: Any) -> Any:
        if value is None:
            raise ValueError("is missing")
        if not isinstance(value, str):
            return value
        if not value.strip():
            raise ValueError("is blank")
        if value != value.strip():
            raise ValueError("has spaces around its value, which must go")
        if value[0] in QUOTES and value[-1] in QUOTES:
            raise ValueError("has quotes around its value, which must go")
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ValueError("has a line break or another control character in it")
        return check(value)

    return BeforeValidator(validate)


def check_secret(value: str) -> str:
    """Accepts a secret that is no placeholder and has no space in it."""
    if PLACEHOLDER.search(value):
        raise ValueError("still has a placeholder")
    if " " in value:
        raise ValueError("has a space in it")
    return value


def check_app_secret(value: str) -> str:
    """Accepts an app secret of a plausible length."""
    if len(check_secret(value)) < MIN_SECRET_CHARACTERS:
        raise ValueError(f"is shorter than {MIN_SECRET_CHARACTERS} characters")
    return value


def check_digits(value: str) -> str:
    """Accepts an id of Meta's, which has digits alone."""
    if PLACEHOLDER.search(value):
        raise ValueError("still has a placeholder")
    if not (value.isascii() and value.isdigit()):
        raise ValueError("is not an id of digits alone")
    return value


def check_word(value: str) -> str:
    """Accepts a name without spaces, such as a region's."""
    if not re.fullmatch(r"[0-9A-Za-z._-]+", value):
        raise ValueError("is not a name of letters, digits and dashes")
    return value


def parse_host(value: str, schemes: set[str]) -> str:
    """Returns the host of a URL with one of these schemes; anything else is a ValueError."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in schemes or not host or " " in value:
        raise ValueError(f"is not a URL that begins with {' or '.join(f'{scheme}://' for scheme in sorted(schemes))}")
    return host


def check_web_url(value: str) -> str:
    """Accepts an http(s) URL of scheme, host and path; drops a slash at its end."""
    parse_host(value, {"http", "https"})
    if "?" in value or "#" in value or "@" in value:
        raise ValueError("has more in it than scheme, host and path")
    return value.rstrip("/")


def check_public_url(value: str) -> str:
    """Accepts the address at which Tick is reached: scheme and host, since its paths are its own."""
    url = check_web_url(value)
    if urlsplit(url).path:
        raise ValueError("has a path behind its host, which must go: Tick has no prefix, and needs a host of its own")
    return url


def check_hosts(value: str) -> tuple[str, ...]:
    """Accepts names and addresses of hosts without a port, separated by commas or spaces."""
    hosts = [part for part in re.split(r"[,\s]+", value.lower()) if part]
    if not all(re.fullmatch(r"[0-9a-z._-]+|\[[0-9a-f:.]+\]", host) for host in hosts):
        raise ValueError("is not a list of host names or addresses, without scheme and port")
    return tuple(host.rstrip(".") for host in hosts)


def is_loopback(host: str) -> bool:
    """Whether this name or address is that of this machine itself, where nobody else gets."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_graph_url(value: str) -> str:
    """Accepts the base of the Graph API: encrypted but on this machine, and with its version at the end."""
    url = check_web_url(value)
    host = parse_host(url, {"http", "https"})
    if url.startswith("http://") and not is_loopback(host):
        raise ValueError("would send the access token unencrypted: it must begin with https://")
    if re.search(r"/v\d+\.\d+/.", url):
        raise ValueError("has a path behind the version, which must go")
    if host == "graph.facebook.com" and not re.search(r"/v\d+\.\d+$", url):
        raise ValueError("lacks the version at its end")
    return url


def check_database_url(value: str) -> str:
    """Accepts the URL of a SQLite file or a MySQL database."""
    if value.startswith("sqlite:///") and len(value) > len("sqlite:///"):
        if "?" in value:
            raise ValueError("has something behind a ?, and SQLite takes nothing there")
        return value
    if value.startswith("sqlite:"):
        raise ValueError("names no file after sqlite:///")
    parse_host(value, {"mysql", "sqlite"})
    if "user:password@host" in value:
        raise ValueError("still has a placeholder")
    if not urlsplit(value).path.strip("/"):
        raise ValueError("names no database after the host")
    parse_tls(value)
    return value


def check_redis_url(value: str) -> str:
    """Accepts the URL of a Redis server."""
    if not re.match(r"unix://.", value):
        parse_host(value, {"redis", "rediss", "unix"})
    return value


def check_files_url(value: str) -> str:
    """Accepts a folder, or the URL of a bucket and a prefix."""
    if value.startswith("s3://"):
        parse_host(value, {"s3"})
    elif "://" in value:
        raise ValueError("is neither a folder nor s3://bucket/prefix")
    return value


def check_host(value: str) -> str:
    """Accepts an address or a host name, without a port."""
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", value) or re.fullmatch(r"[^:]+:\d+", value):
        raise ValueError("is not an address or a host name")
    return value


def check_networks(value: str) -> tuple[Network, ...]:
    """Accepts addresses and networks, separated by commas or spaces."""
    try:
        return tuple(ip_network(part, strict=False) for part in re.split(r"[,\s]+", value) if part)
    except ValueError:
        raise ValueError("is not a list of addresses or networks") from None


def check_number(minimum: float, maximum: float) -> Callable[[str], float]:
    """Makes the check for a number of this range."""

    def check(value: str) -> float:
        try:
            found = float(value)
        except ValueError:
            raise ValueError("is not a number") from None
        if not math.isfinite(found) or not minimum <= found <= maximum:
            raise ValueError("is out of range")
        return found

    return check


def check_country(value: str) -> str:
    """Accepts a country that has phone numbers."""
    if not is_country(value):
        raise ValueError("is not a country as ISO 3166 writes it")
    return value


def check_time_zone(value: str) -> str:
    """Accepts the name of a time zone, or an offset."""
    read_time_zone(value)
    return value


def read_time_zone(value: str) -> tzinfo:
    """Reads the name of a time zone (Europe/Berlin), or an offset (+02:00)."""
    if match := re.fullmatch(r"([+-])([01]?[0-9]):?([0-5][0-9])", value):
        sign, hours, minutes = match.groups()
        return timezone((-1 if sign == "-" else 1) * timedelta(hours=int(hours), minutes=int(minutes)))
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, OSError, ValueError):  # the second for the name of a folder of names
        raise ValueError("is not a time zone that is known here") from None


def check_port(value: str) -> int:
    """Accepts a port number."""
    if not re.fullmatch(r"[0-9]{1,5}", value):
        raise ValueError("is not a port number")
    if not 1 <= int(value) <= 65535:
        raise ValueError("is out of range")
    return int(value)


def check_one_of(*words: str) -> Callable[[str], str]:
    """Makes the check for one of these words, in any case."""

    def check(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return value.lower()

    return check
