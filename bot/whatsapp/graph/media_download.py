"""Downloads a customer's file from the address that Meta gave for it.

Invariants
- An address is checked before the token is shown to it, at each redirect again, and the connection goes to the very
  network address that was checked, whatever a name resolves to a moment later.
- No more than a piece is in memory.
- Nothing is waited for without end, nor read beyond the bound, whatever lengths are claimed.
- What is read to its end has the hash that Meta announced.
- The type that Meta names is a claim and decides nothing.

Source: Meta, media (the address of a file needs the token, and lives five minutes).
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from bot.whatsapp.graph.http import load_trusted_certificates
from bot.whatsapp.graph.media import MediaFailed, MediaLocation
from bot.whatsapp.graph.media_hosts import MediaRefused, Origin, check_url, is_public, parse_origin, resolve_redirect

MEGABYTE = 1024 * 1024
PIECE_BYTES = 64 * 1024
MAX_REDIRECTS = 3
_MAX_CONNECTIONS = 32
_EXPIRED_STATUSES = frozenset({401, 403, 404, 410})  # what Meta's servers answer to an address that is too old
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})


class MediaUrlExpired(MediaFailed):
    """The address is too old: ask Meta for another."""


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Bounds how much of a file is read, and how long that may take. Only waiting for the other side counts as time."""

    max_bytes: int = 100 * MEGABYTE  # as much as WhatsApp lets a customer send
    answer_seconds: float = 15.0  # until the response begins
    idle_seconds: float = 15.0  # without a byte
    grace_seconds: float = 20.0  # after which the pace counts
    min_bytes_per_second: int = 20_000
    total_seconds: float = 900.0


class _PublicResolver(AbstractResolver):
    """Resolves names to network addresses that are public, but for our own origin's, which may be anywhere."""

    def __init__(self, resolver: AbstractResolver, own: Origin) -> None:
        self._resolver = resolver
        self._own = own

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if (host, port) != (self._own.host, self._own.port) and not all(is_public(each["host"]) for each in found):
            raise MediaRefused("Its address leads into a private network, where nothing is asked for it.")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class Download:
    """One file on its way. `size` (bytes) and `sha256` are of what has come so far."""

    def __init__(self, downloads: "Downloads", located: MediaLocation, *, access_token: str, sha256: str) -> None:
        self._downloads = downloads
        self._located = located
        self._access_token = access_token
        self._announced = sha256 or located.sha256
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The hash of what has come so far, in hex."""
        return self._digest.hexdigest()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yields the file, piece by piece.

        Raises MediaRefused or MediaFailed, at its end too when it is not what was announced: what was read until then
        is worth nothing.
        """
        limits, claimed = self._downloads.limits, self._located.size
        _check_size(claimed, limits)
        try:
            response = await self._downloads.open_response(self._located.url, self._access_token)
            async with response:
                _check_size(response.content_length, limits)
                pace = _Pace(limits)
                while piece := await pace.read_piece(response.content):
                    self.size += len(piece)
                    _check_size(self.size, limits)
                    self._digest.update(piece)
                    yield piece
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one of these
            raise MediaFailed(_describe_failure(error)) from None
        if self._announced and self.sha256 != self._announced:
            raise MediaFailed("What came is not what the customer sent: its hash is another.")
        if not self._announced and claimed is not None and self.size != claimed:
            raise MediaFailed("What came is not as long as Meta said.")


class Downloads:
    """Downloads files from where Meta says they are."""

    def __init__(self, session: aiohttp.ClientSession, own: Origin, limits: DownloadLimits) -> None:
        self._session = session
        self._own = own
        self.limits = limits

    def prepare(self, located: MediaLocation, access_token: str, sha256: str = "") -> Download:
        """Prepares a download. `sha256` is the webhook's, in hex; it counts more than what Meta says now."""
        return Download(self, located, access_token=access_token, sha256=sha256)

    async def open_response(self, url: str, access_token: str) -> aiohttp.ClientResponse:
        """Opens the response that has the file's bytes, after at most MAX_REDIRECTS redirects."""
        async with asyncio.timeout(self.limits.answer_seconds):
            return await self._follow(url, access_token)

    async def _follow(self, url: str, access_token: str) -> aiohttp.ClientResponse:
        check_url(url, self._own)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._session.get(
                URL(url, encoded=True), headers={"Authorization": f"Bearer {access_token}"}, allow_redirects=False
            )
            if response.status == 200 and response.headers.get("Content-Encoding", "identity") == "identity":
                return response
            response.close()
            if response.status not in _REDIRECT_STATUSES:
                raise _to_exception(response.status)
            url = resolve_redirect(url, response.headers.get("Location", ""), self._own)
        raise MediaFailed("Meta's servers sent us round in circles for it.")


@asynccontextmanager
async def open_downloads(
    api_url: str, limits: DownloadLimits = DownloadLimits(), resolver: AbstractResolver | None = None
) -> AsyncIterator[Downloads]:
    """Opens Downloads with connections of their own: a file that takes its time never holds up a message."""
    own = parse_origin(api_url)
    connector = aiohttp.TCPConnector(
        limit=_MAX_CONNECTIONS, resolver=_PublicResolver(resolver or ThreadedResolver(), own), use_dns_cache=False,
        ssl=load_trusted_certificates(),
    )  # fmt: skip
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False,
        read_bufsize=PIECE_BYTES, headers={"User-Agent": "tick", "Accept": "*/*", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.answer_seconds, sock_read=limits.idle_seconds),
    )  # fmt: skip
    async with session:
        yield Downloads(session, own, limits)


class _Pace:
    """Gives a download up when its bytes come too slowly, going by the time that we waited for them."""

    def __init__(self, limits: DownloadLimits) -> None:
        self._limits = limits
        self._waited = 0.0
        self._bytes = 0

    async def read_piece(self, content: aiohttp.StreamReader) -> bytes:
        """Returns the next piece, b"" at the end. Raises MediaFailed when the file comes too slowly."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        piece = await content.read(PIECE_BYTES)
        self._waited += loop.time() - begun
        self._bytes += len(piece)
        counted = self._waited - self._limits.grace_seconds
        is_slow = counted > 0 and self._bytes < counted * self._limits.min_bytes_per_second
        if is_slow or self._waited > self._limits.total_seconds:
            raise MediaFailed("It came too slowly, and was given up.")
        return piece


def _to_exception(status: int) -> MediaFailed:
    if status in _EXPIRED_STATUSES:
        return MediaUrlExpired(f"Meta's servers no longer have it where Meta says it is (HTTP {status}).")
    if status == 200:
        return MediaFailed("Meta's servers sent it packed, which was not asked for.")
    return MediaFailed(f"Meta's servers could not give it just now (HTTP {status}).")


def _describe_failure(error: BaseException) -> str:
    """Says what broke without the error's message, which holds the address."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return "There was no connection to Meta's servers for files."
    if isinstance(error, TimeoutError):
        return "Nothing came from Meta's servers for too long."
    return f"The connection broke before all of it was here ({type(error).__name__})."


def _check_size(size: int | None, limits: DownloadLimits) -> None:
    if size is not None and size > limits.max_bytes:
        raise MediaRefused(f"Larger than {limits.max_bytes // MEGABYTE} MB.")
