"""Shares out what a process has for outsiders (bodies' bytes, unfinished requests, connections) among their networks.

Invariants
- What all hold together is bounded, and what a network holds is.
- Who has not proved anything leaves something over for agents, and both leave something over for Meta's webhooks:
  nobody can take from them what is theirs by taking it first.
- What is remembered of networks is bounded; the one that was heard of longest ago is forgotten first.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from api.server.client_address import find_neighbourhood

MAX_KNOWN_NETWORKS = 10_000
MIB = 2**20


class Standing(IntEnum):
    """What a network has proved lately. A higher standing may take what a lower one has to leave over."""

    STRANGER = 0  # nothing
    AGENTS = 1  # a request from there had a good key or a good session
    WEBHOOKS = 2  # a webhook from there was signed with the app secret


class Share(NamedTuple):
    """What there is for a standing. `most`: of all that is held by anybody; `most_of_network`: of what one holds."""

    most: int
    most_of_network: int


Shares = Mapping[Standing, Share]
# The largest webhook has 4 MiB; those of the API 300 kB.
BODY_BYTES: Shares = {
    Standing.STRANGER: Share(32 * MIB, 12 * MIB),
    Standing.AGENTS: Share(48 * MIB, 24 * MIB),
    Standing.WEBHOOKS: Share(64 * MIB, 48 * MIB),
}
# A request is unfinished until its body is whole, which takes an honest sender no time.
UNFINISHED_REQUESTS: Shares = {
    Standing.STRANGER: Share(512, 64),
    Standing.AGENTS: Share(768, 256),
    Standing.WEBHOOKS: Share(1024, 512),
}


class KnownNetworks:
    """Remembers which networks have proved something."""

    def __init__(self) -> None:
        self._standings: OrderedDict[str, Standing] = OrderedDict()

    def vouch(self, network: str, standing: Standing) -> None:
        """Notes that a request from this network has proved it. Meta has many addresses, so its neighbours are known by
        its webhooks, too; those of an agent are not."""
        if self._standings.get(network, Standing.STRANGER) >= standing:
            self._standings.move_to_end(network)
            return
        names = (network, find_neighbourhood(network)) if standing is Standing.WEBHOOKS else (network,)
        for name in names:
            self._standings[name] = standing
            self._standings.move_to_end(name)
        while len(self._standings) > MAX_KNOWN_NETWORKS:
            self._standings.popitem(last=False)

    def find(self, network: str) -> Standing:
        """Finds the standing of a network."""
        own = self._standings.get(network, Standing.STRANGER)
        if own is Standing.WEBHOOKS or not self._standings:
            return own
        return max(own, self._standings.get(find_neighbourhood(network), Standing.STRANGER))


class SharedBudget:
    """Counts what is held at a time, by all and by each network."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._held = 0
        self._held_by: Counter[str] = Counter()

    def take(self, network: str, amount: int, standing: Standing) -> bool:
        """Takes so much for this network, if its share has room; returns whether it did."""
        share = self._shares[standing]
        if self._held + amount > share.most or self._held_by[network] + amount > share.most_of_network:
            return False
        self._held += amount
        self._held_by[network] += amount
        return True

    def give_back(self, network: str, amount: int) -> None:
        """Gives back what was taken."""
        self._held -= amount
        self._held_by[network] -= amount
        if not self._held_by[network]:
            del self._held_by[network]

    @property
    def held(self) -> int:
        """What is held now, by all together."""
        return self._held
