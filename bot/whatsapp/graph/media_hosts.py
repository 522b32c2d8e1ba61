"""Decides where a file may be fetched from, which is where the access token may be shown. Pure.

Invariants
- The token goes over TLS to Meta's hosts for files, or to the very origin of WHATSAPP_API_URL, and nowhere else.
- Except for that origin, nothing is fetched from an address inside somebody's network.
- An address that two programs could read in two ways is refused.

Sources: Meta, media (files are on lookaside.fbsbx.com); origins: RFC 6454; special addresses: RFC 6890.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urljoin, urlsplit

_META_HOST = re.compile(r"([a-z0-9-]+\.){1,4}fbsbx\.com")
_PLAIN_URL = re.compile(r"[!#$%&'()*+,./0-9:;=?@A-Z_a-z~\[\]-]{1,4000}")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
# The metadata services of some clouds, and relays: `is_global` of ipaddress alone would let them through.
_CLOUD_NETWORKS = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv4Network("168.63.129.16/32"))
_DEFAULT_PORTS = {"http": 80, "https": 443}


class MediaRefused(Exception):
    """The file is not fetched, and trying again changes nothing. The text is a sentence for agents."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answers at an address: scheme, host and port."""

    scheme: str
    host: str
    port: int


def parse_origin(url: str) -> Origin:
    """Returns the origin of an address. Raises MediaRefused for what is no plain web address."""
    if not _PLAIN_URL.fullmatch(url):
        raise MediaRefused("Meta named an address for it that can't be read.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise MediaRefused("Meta named an address for it that can't be read.") from None
    named = f"[{host}]" if ":" in host else host
    plainly = parts.netloc.lower() in (named, f"{named}:{port}")  # no name, no password, no empty port
    if parts.scheme not in _DEFAULT_PORTS or not host or not plainly:
        raise MediaRefused("Meta named an address for it that can't be read.")
    return Origin(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme])


def check_url(url: str, own: Origin) -> Origin:
    """Returns the origin of a `url` that may be asked with the token. Raises MediaRefused for every other."""
    found = parse_origin(url)
    if found == own:
        return found
    if (found.scheme, found.port) == ("https", 443) and _META_HOST.fullmatch(found.host):
        return found
    raise MediaRefused("Its address is not on Meta's servers, and nothing else is asked for it.")


def resolve_redirect(url: str, location: str, own: Origin) -> str:
    """Returns where a redirect from `url` leads. Raises MediaRefused when the token may not be shown there."""
    if not _PLAIN_URL.fullmatch(location):
        raise MediaRefused("Meta named an address for it that can't be read.")
    try:
        target = urljoin(url, location)
    except ValueError:
        raise MediaRefused("Meta named an address for it that can't be read.") from None
    check_url(target, own)
    return target


def is_public(address: str) -> bool:
    """Whether an IP address is of the internet at large, in whatever notation a private one hides."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _NAT64:  # how machines without IPv4 reach those that have nothing else
            found = IPv4Address(int(found) & 0xFFFFFFFF)
        elif found in _SIX_TO_FOUR or found in _TEREDO or int(found) < 2**32:
            return False
    if isinstance(found, IPv4Address) and any(found in network for network in _CLOUD_NETWORKS):
        return False
    return found.is_global and not found.is_multicast and not found.is_reserved
