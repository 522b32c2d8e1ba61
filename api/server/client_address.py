"""Finds where a request comes from when proxies stand in between.

Invariants
- An address that a stranger can choose is never believed: what X-Forwarded-For says counts only as far as
  TRUSTED_PROXIES have written it. The rest of it is not even read: a header holds thousands of addresses.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

_WITH_PORT = re.compile(r"\[(?P<six>[0-9a-fA-F:.]+)\](:\d+)?|(?P<four>[0-9.]+):\d+")
NETWORK_BITS = {4: 32, 6: 64}  # by the version of IP: what one household has
NEIGHBOURHOOD_BITS = {4: 20, 6: 32}  # what one company has, if it is as large as Meta


def find_client_network(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Finds the address nearest to us that is no proxy of ours; of IPv6 the /64, which is what one household has.

    `forwarded`: the X-Forwarded-For headers as they came.
    """
    hops = (hop for line in reversed(forwarded) for hop in reversed(line.split(",")))
    nearest = _read_address(peer)
    while nearest is not None and any(nearest in network for network in trusted):
        if (hop := next(hops, None)) is None:
            break
        nearest, known = _read_address(hop), nearest
        if nearest is None:
            nearest = known  # the proxy wrote what nobody can read: all that comes through it is one peer
            break
    return peer if nearest is None else _name_network(nearest, NETWORK_BITS)


@lru_cache(maxsize=4096)
def find_network(address: str) -> str:
    """Finds the network of a peer's address, which is what one household has; what is no address is one by itself.
    Peers come again and again, so their networks are cached; what a header says is not."""
    found = _read_address(address)
    return address if found is None else _name_network(found, NETWORK_BITS)


def find_neighbourhood(network: str) -> str:
    """Finds the wider network in which an address or a network lies, which is what one large company has; at home, and
    in an office, there is none."""
    found = _read_address(network.partition("/")[0])
    return _name_network(found, NEIGHBOURHOOD_BITS) if found is not None and found.is_global else network


def is_trusted_proxy(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether this is one of our proxies."""
    address = _read_address(peer)
    return address is not None and any(address in network for network in trusted)


def _name_network(address: IPv4Address | IPv6Address, bits: dict[int, int]) -> str:
    kept = bits[address.version]
    return str(address) if kept == address.max_prefixlen else str(ip_network((address, kept), strict=False))


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found["six"] or found["four"]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
