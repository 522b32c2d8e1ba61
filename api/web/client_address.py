"""Finds where a request comes from when proxies stand in between.

Invariants
- An address that a stranger can choose is never believed: what X-Forwarded-For says counts only as far as
  TRUSTED_PROXIES have written it.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from api.settings_checks import Network

_WITH_PORT = re.compile(r"\[(?P<six>[0-9a-fA-F:.]+)\](:\d+)?|(?P<four>[0-9.]+):\d+")


def find_client_network(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Finds the address nearest to us that is no proxy of ours; of IPv6 the /64, which is what one household has.

    `forwarded`: the X-Forwarded-For headers as they came.
    """
    hops = [_read_address(hop) for line in forwarded for hop in line.split(",")]
    nearest = _read_address(peer)
    while nearest is not None and hops and any(nearest in network for network in trusted):
        nearest, known = hops.pop(), nearest
        if nearest is None:
            nearest = known  # the proxy wrote what nobody can read: all that comes through it is one peer
            break
    if nearest is None:
        return peer
    return str(ip_network((nearest, 64), strict=False)) if isinstance(nearest, IPv6Address) else str(nearest)


def is_trusted_proxy(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether this is one of our proxies."""
    address = _read_address(peer)
    return address is not None and any(address in network for network in trusted)


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found["six"] or found["four"]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
