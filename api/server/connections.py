"""Cuts connections on which nothing is asked, where one network has too many or all have together.

The server accepts connections by itself, and tells of them only once a whole head has come. So this looks at the open
files of the process.

Invariants
- A connection with a request under way is never cut, nor one of a trusted proxy: it speaks for many.
- A network holds at most MAX_OF_NETWORK for longer than WATCH_SECONDS. When those that have proved nothing are many,
  each may hold fewer, so that the part of the others stays free.
- It is the connections that came first that are cut: the one that has just come is about to ask.
"""

import asyncio
import contextlib
import os
import resource
import socket
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from api.server.client_address import find_network, is_trusted_proxy
from api.server.front_door import Admission, Peer
from api.server.shares import Standing

WATCH_SECONDS = 0.25
MAX_CONNECTIONS = 8192  # some 20 kB each while a head comes in; the server takes no more at a time
FILES_OF_OUR_OWN = 256  # the database, Redis, the Graph API, what is being stored or sent
# Of one network, by its standing. A browser opens six, and a head that does not come ends its connection after seconds.
MAX_OF_NETWORK: Mapping[Standing, int] = {Standing.STRANGER: 256, Standing.AGENTS: 1024, Standing.WEBHOOKS: 4096}
STRANGERS_PART = 0.5  # of all connections
OPEN_FILES = Path("/dev/fd")


class Connection(NamedTuple):
    """A connection to our port: our file of it, and the other end."""

    fd: int
    peer: Peer


def raise_file_limit() -> int:
    """Lets the process have as many open files as it may, and returns how many connections fit beside its own files.

    Many systems give a program 1,024 to begin with, and 500,000 when it asks.
    """
    wanted = MAX_CONNECTIONS + FILES_OF_OUR_OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft < most and soft != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if soft == resource.RLIM_INFINITY:
        soft = wanted
    return max(FILES_OF_OUR_OWN, min(soft, wanted) - FILES_OF_OUR_OWN)


class ConnectionWatch:
    """Watches the connections to one port of this process. `most`: how many the server takes at a time."""

    def __init__(self, port: int, admission: Admission, most: int) -> None:
        self._port = port
        self._admission = admission
        self._most_of_strangers = int(most * STRANGERS_PART)
        self._can_watch = OPEN_FILES.is_dir()
        self._seen: dict[Peer, None] = {}  # in the order of their coming

    async def run(self) -> None:
        """Looks again and again, until it is cancelled."""
        crowd = min(MAX_OF_NETWORK[Standing.STRANGER], self._most_of_strangers)
        while self._can_watch:
            await asyncio.sleep(WATCH_SECONDS)
            if len(os.listdir(OPEN_FILES)) > crowd:
                self.cut_surplus(await asyncio.to_thread(lambda: list(find_connections(self._port))))

    def cut_surplus(self, connections: Sequence[Connection]) -> None:
        """Cuts what is too much of these."""
        there = {connection.peer for connection in connections}
        self._seen = {peer: None for peer in self._seen if peer in there}
        self._seen |= {connection.peer: None for connection in connections if connection.peer not in self._seen}
        by_peer = {connection.peer: connection for connection in connections}
        for connection in self._choose([by_peer[peer] for peer in self._seen]):
            if cut(connection):
                self._admission.count_refusal("connection")

    def _choose(self, connections: Sequence[Connection]) -> Iterator[Connection]:
        by_network: dict[str, list[Connection]] = defaultdict(list)
        for connection in connections:
            if not is_trusted_proxy(connection.peer[0], self._admission.trusted_proxies):
                by_network[find_network(connection.peer[0])].append(connection)
        standings = {network: self._admission.known.find(network) for network in by_network}
        strangers = [len(by_network[network]) for network, standing in standings.items() if not standing]
        most_of_stranger = compute_most_of_network(strangers, self._most_of_strangers)
        for network, held in by_network.items():
            standing = standings[network]
            surplus = len(held) - (MAX_OF_NETWORK[standing] if standing else most_of_stranger)
            silent = (connection for connection in held if connection.peer not in self._admission.busy)
            yield from (connection for connection, _ in zip(silent, range(surplus), strict=False))


def compute_most_of_network(held: Sequence[int], most: int) -> int:
    """Returns how many connections a stranger's network may hold, so that all of them together hold `most`."""
    most_of_network = MAX_OF_NETWORK[Standing.STRANGER]
    while most_of_network > 1 and sum(min(each, most_of_network) for each in held) > most:
        most_of_network //= 2
    return most_of_network


def find_connections(port: int) -> Iterator[Connection]:
    """Finds the open connections to this port of ours, among all files that the process has open."""
    for name in os.listdir(OPEN_FILES):
        fd = int(name)
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and (peer := find_peer(fd, port)):
                yield Connection(fd, peer)


def find_peer(fd: int, port: int) -> Peer | None:
    """Finds the other end of a socket, if it is a connection to this port of ours. Raises OSError when it is closed."""
    with _copy_socket(fd) as own:
        if own.family not in (socket.AF_INET, socket.AF_INET6) or own.getsockname()[1] != port:
            return None
        host, peer_port = own.getpeername()[:2]
        return host, peer_port


def cut(connection: Connection) -> bool:
    """Ends a connection; returns False when the file is another by now."""
    with contextlib.suppress(OSError), _copy_socket(connection.fd) as own:
        if own.family in (socket.AF_INET, socket.AF_INET6) and own.getpeername()[:2] == connection.peer:
            own.shutdown(socket.SHUT_RDWR)
            return True
    return False


def _copy_socket(fd: int) -> socket.socket:
    """Opens a file of the process once more, as a socket: so it can't become another one meanwhile. Raises OSError."""
    copy = os.dup(fd)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
