"""What a setting may look like: one check for each kind of value.

Invariant: a check raises ValueError with the problem, a few words that follow the variable's name; it never repeats the
value, which may be a secret.
"""

import math
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import BeforeValidator

Network: TypeAlias = IPv4Network | IPv6Network

PLACEHOLDER = re.compile(
    r"change[-_ ]?me|replace[-_ ]?me|place[-_ ]?holder|^(your|example|insert|enter|todo|dummy)([-_ ]|$)|[-_ ]here$"
    r"|^(secret|token|password|none|null|undefined)$|^<.*>$|^\{.*\}$|^\$|^(x{3,}|\*{3,}|\.{3,}|-{3,})$",
    re.IGNORECASE,
)
QUOTES = "\"'`\u2018\u2019\u201c\u201d"
LEAST_SECRET_LENGTH = 8
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def checked(check: Callable[[str], Any] = str) -> BeforeValidator:
    """Runs `check` on what an operator typed; what the program itself passes (a Path, a number) is left alone."""

    def validate(value: Any) -> Any:
        if value is None:
            raise ValueError("is missing")
        if not isinstance(value, str):
            return value
        if not value.strip():
            raise ValueError("is blank")
        if value != value.strip():
            raise ValueError("has spaces around its value, which must go")
        if value[0] in QUOTES or value[-1] in QUOTES:
            raise ValueError("has quotes around its value, which must go")
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ValueError("has a line break or another control character in it")
        return check(value)

    return BeforeValidator(validate)


def secret(value: str) -> str:
    if PLACEHOLDER.search(value):
        raise ValueError("still has a placeholder")
    if " " in value:
        raise ValueError("has a space in it")
    return value


def app_secret(value: str) -> str:
    if len(secret(value)) < LEAST_SECRET_LENGTH:
        raise ValueError(f"is shorter than {LEAST_SECRET_LENGTH} characters")
    return value


def digits(value: str) -> str:
    if PLACEHOLDER.search(value):
        raise ValueError("still has a placeholder")
    if not (value.isascii() and value.isdigit()):
        raise ValueError("is not an id of digits alone")
    return value


def word(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._-]+", value):
        raise ValueError("is not a name of letters, digits and dashes")
    return value


def host_of(value: str, schemes: set[str]) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in schemes or not host or " " in value:
        raise ValueError(f"is not a URL that begins with {' or '.join(f'{scheme}://' for scheme in sorted(schemes))}")
    return host


def web_url(value: str) -> str:
    host_of(value, {"http", "https"})
    if "?" in value or "#" in value or "@" in value:
        raise ValueError("has more in it than scheme, host and path")
    return value.rstrip("/")


def graph_url(value: str) -> str:
    url = web_url(value)
    host = host_of(url, {"http", "https"})
    if url.startswith("http://") and host not in LOOPBACK:
        raise ValueError("would send the access token unencrypted: it must begin with https://")
    if host == "graph.facebook.com" and not re.search(r"/v\d+\.\d+$", url):
        raise ValueError("lacks the version at its end")
    return url


def database_url(value: str) -> str:
    if value.startswith("sqlite:///") and len(value) > len("sqlite:///"):
        return value
    if value.startswith("sqlite:"):
        raise ValueError("names no file after sqlite:///")
    host_of(value, {"mysql", "sqlite"})
    if "user:password@host" in value:
        raise ValueError("still has a placeholder")
    if not urlsplit(value).path.strip("/"):
        raise ValueError("names no database after the host")
    return value


def redis_url(value: str) -> str:
    if not re.match(r"unix://.", value):
        host_of(value, {"redis", "rediss", "unix"})
    return value


def files_url(value: str) -> str:
    if value.startswith("s3://"):
        host_of(value, {"s3"})
    elif "://" in value:
        raise ValueError("is neither a folder nor s3://bucket/prefix")
    return value


def host(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", value) or re.fullmatch(r"[^:]+:\d+", value):
        raise ValueError("is not an address or a host name")
    return value


def networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part, strict=False) for part in re.split(r"[,\s]+", value) if part)
    except ValueError:
        raise ValueError("is not a list of addresses or networks") from None


def number(least: float, most: float) -> Callable[[str], float]:
    def check(value: str) -> float:
        try:
            found = float(value)
        except ValueError:
            raise ValueError("is not a number") from None
        if not math.isfinite(found) or not least <= found <= most:
            raise ValueError("is out of range")
        return found

    return check


def port(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", value):
        raise ValueError("is not a port number")
    if not 1 <= int(value) <= 65535:
        raise ValueError("is out of range")
    return int(value)


def one_of(*words: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return value.lower()

    return check
