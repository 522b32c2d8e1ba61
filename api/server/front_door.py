"""Admits requests before anything else sees them, by what their networks hold already.

Invariants
- The bytes of unfinished bodies, of all requests of the process together, are within one budget; so are the requests.
- Who is not admitted is told to try again, and its connection ends: nothing of it is kept.
- A body that breaks off (its chunks are no chunks, or the sender hung up) is answered 400, and counted.
- A request that does not say in a readable way whom it is for (CONNECT, two hosts, a Host header with more in it than a
  host and a port) is answered 400, and counted: nobody behind has to make sense of it.

The application meets the door again in its scope: `get_visit` finds what a request holds, and lets it be vouched for.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NamedTuple

from api.server.client_address import Network, find_client_network, find_network, is_trusted_proxy
from api.server.shares import BODY_BYTES, UNFINISHED_REQUESTS, KnownNetworks, SharedBudget, Shares, Standing

SCOPE_KEY = "tick.visit"
MAX_BODY_BYTES = 300_000  # of JSON and of plain forms: the longest answer in the longest writing is 262 kB
FORWARDED_HEADER = b"x-forwarded-for"
SCHEME_HEADER = b"x-forwarded-proto"
BROKEN_BODY = 400
TOO_MUCH = 503
# RFC 9110, 4.2.1 and RFC 1035: labels of at most 63 characters; services of Docker have underscores in their names.
HOST = re.compile(
    rb"(?:[0-9A-Za-z_-]{1,63}(?:\.[0-9A-Za-z_-]{1,63}){0,126}\.?|\[[0-9A-Fa-f:.]{2,45}\])?(?::[0-9]{0,5})?"
)


class Refusal(NamedTuple):
    """How a request is turned away: the status, the word by which it is counted, and what is said."""

    status: int
    counted_as: str
    body: bytes


UNREADABLE = Refusal(400, "unreadable", b'{"success":false,"message":"The request does not say which host it is for"}')
ANSWERS = {
    BROKEN_BODY: Refusal(
        BROKEN_BODY, "broken_body", b'{"success":false,"message":"The body of the request broke off"}'
    ),
    TOO_MUCH: Refusal(
        TOO_MUCH,
        "too_much",
        b'{"success":false,"message":"Too much comes from your network at once: try again later"}',
    ),
}

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
Peer = tuple[str, int]


class Admission:
    """What the process knows of its visitors, and what they hold at the moment.

    `webhook_paths`: the addresses that the share of the webhooks is kept for.
    `busy`: the other ends of the connections on which a request is under way. `count_refusal` is called with a word for
    each request that is refused here, and for each connection that is cut.
    """

    def __init__(
        self,
        trusted_proxies: Sequence[Network] = (),
        webhook_paths: Collection[str] = (),
        count_refusal: Callable[[str], None] = lambda _: None,
        *,
        body_bytes: Shares = BODY_BYTES,
        unfinished_requests: Shares = UNFINISHED_REQUESTS,
    ) -> None:
        self.trusted_proxies = trusted_proxies
        self.webhook_paths = webhook_paths
        self.count_refusal = count_refusal
        self.known = KnownNetworks()
        self.bytes = SharedBudget(body_bytes)
        self.requests = SharedBudget(unfinished_requests)
        self.busy: set[Peer] = set()


class Visit:
    """One request at the door, and what it holds. `network`: where it comes from; `peer`: who is connected, a proxy
    perhaps; `refused`: with which status it is answered here, 0 while it is not."""

    def __init__(self, admission: Admission, scope: Scope) -> None:
        host, port = scope.get("client") or ("", 0)
        forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED_HEADER]
        self._headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.peer: Peer = (host, int(port))
        self.forwarded = forwarded
        trusted = admission.trusted_proxies
        self.network = find_client_network(host, forwarded, trusted) if forwarded else find_network(host)
        standing = admission.known.find(self.network)
        self.standing = standing if scope["path"] in admission.webhook_paths else min(standing, Standing.AGENTS)
        self.is_unfinished = False
        self.refused = 0
        self._admission = admission
        self._held_bytes = 0
        self._max_held_bytes = MAX_BODY_BYTES

    @property
    def has_undeclared_proxy(self) -> bool:
        """Whether the peer says for whom it calls, and TRUSTED_PROXIES does not name it."""
        return bool(self.forwarded) and not is_trusted_proxy(self.peer[0], self._admission.trusted_proxies)

    @property
    def came_by_https(self) -> bool:
        """Whether a trusted proxy, the one that is nearest to us, says that it was asked by https."""
        schemes = [value for name, value in self._headers if name == SCHEME_HEADER]
        nearest = schemes[-1].rpartition(b",")[2].strip().lower() if schemes else b""
        return nearest == b"https" and is_trusted_proxy(self.peer[0], self._admission.trusted_proxies)

    def vouch(self, standing: Standing) -> None:
        """Notes that this request has proved where it comes from: its network has this standing from now on."""
        self._admission.known.vouch(self.network, standing)

    def keep_at_most(self, size: int) -> None:
        """Says how much of the body its reader keeps at most, where that is not MAX_BODY_BYTES; the rest is not
        counted."""
        self._max_held_bytes = size

    def begin(self) -> bool:
        """Counts the request as unfinished; returns False when its network may have no more of them."""
        self.is_unfinished = self._admission.requests.take(self.network, 1, self.standing)
        return self.is_unfinished

    def hold(self, size: int) -> bool:
        """Counts bytes of the body; returns False when there is no more room for them."""
        size = min(size, self._max_held_bytes - self._held_bytes)
        if not self._admission.bytes.take(self.network, size, self.standing):
            return False
        self._held_bytes += size
        return True

    def finish(self) -> None:
        """Notes that the body is whole."""
        if self.is_unfinished:
            self._admission.requests.give_back(self.network, 1)
            self.is_unfinished = False

    def end(self) -> None:
        """Gives back what the request holds."""
        self.finish()
        self._admission.bytes.give_back(self.network, self._held_bytes)
        self._held_bytes = 0


def get_visit(scope: Scope) -> Visit | None:
    """Finds the visit of a request; None where no front door stands before the application, as in some tests."""
    found: Visit | None = scope.get(SCOPE_KEY)
    return found


class FrontDoor:
    """ASGI middleware that admits requests."""

    def __init__(self, application: Application, admission: Admission) -> None:
        self._application = application
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        if not _is_readable(scope):
            await self._refuse(UNREADABLE, send)
            return
        visit = Visit(self._admission, scope)
        if _has_body(scope["headers"]) and not visit.begin():
            await self._refuse(ANSWERS[TOO_MUCH], send)
            return
        scope[SCOPE_KEY] = visit
        self._admission.busy.add(visit.peer)
        try:
            await self._answer(visit, scope, receive, send)
        finally:
            self._admission.busy.discard(visit.peer)
            visit.end()

    async def _answer(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def receive_counted() -> Message:
            message = await receive()
            if message["type"] != "http.request":
                if visit.is_unfinished and not visit.refused:
                    visit.refused = BROKEN_BODY
                visit.finish()
                return message
            if not visit.hold(len(message.get("body", b""))):
                visit.refused = TOO_MUCH
                return {"type": "http.disconnect"}
            if not message.get("more_body", False):
                visit.finish()
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal has_begun
            if visit.refused and not has_begun:
                return  # what the application makes of a body that ended in the middle interests nobody
            has_begun = True
            await send(message)

        await self._application(scope, receive_counted, send_unless_refused)
        if visit.refused and not has_begun:
            await self._refuse(ANSWERS[visit.refused], send)

    async def _refuse(self, refusal: Refusal, send: Send) -> None:
        self._admission.count_refusal(refusal.counted_as)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(refusal.body)).encode()),
            (b"connection", b"close"),
        ]
        if refusal.status == TOO_MUCH:
            headers.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": refusal.body})


def _is_readable(scope: Scope) -> bool:
    """Whether the request says in a readable way what it asks, and of which host; HTTP/1.0 needs not name one."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return scope["path"].startswith("/") and len(hosts) <= 1 and all(map(HOST.fullmatch, hosts))


def _has_body(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return any((name == b"content-length" and value != b"0") or name == b"transfer-encoding" for name, value in headers)
