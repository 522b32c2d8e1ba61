"""Stores files in a bucket of an S3-compatible store, for when several machines serve.

Invariants, besides those of `store.py`
- A file goes up in parts (a multipart upload), and is seen once it is whole.
- An upload whose pieces fail is aborted. One that the death of the process cuts off leaves hidden parts, which a
  lifecycle rule of the bucket removes.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from storage.blobs.store import PIECE_BYTES, PROBE, NoFile, S3Access, StoreDown

if TYPE_CHECKING:
    from obstore import GetResult  # its module has the name for type checkers alone

PART_BYTES = 5 * 1024 * 1024  # the least that S3 takes as a part
MAX_PARTS_AT_ONCE = 2
_CODE = re.compile(r"<Code>(\w+)</Code>")
_SENTENCES = {
    "NoSuchBucket": "The bucket of FILES_URL does not exist at this store: create it, or fix the name.",
    "InvalidAccessKeyId": "The store of FILES_URL does not know the access key: check AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "The store of FILES_URL refuses the secret: check AWS_SECRET_ACCESS_KEY.",
    "InvalidToken": "The store of FILES_URL refuses the session token: check AWS_SESSION_TOKEN.",
    "ExpiredToken": "The session token for the store of FILES_URL has expired: renew AWS_SESSION_TOKEN.",
    "AccessDenied": "The access key may not do this in the bucket of FILES_URL: it has to put, get and delete.",
    "PermanentRedirect": "The bucket of FILES_URL is in another region: check AWS_REGION.",
    "AuthorizationHeaderMalformed": "The bucket of FILES_URL is in another region: check AWS_REGION.",
    "RequestTimeTooSkewed": "This machine's clock differs too much from that of the store of FILES_URL: set it.",
}


class BucketStore:
    """A store of files under a prefix of a bucket."""

    def __init__(self, url: str, access: S3Access) -> None:
        parts = urlsplit(url)
        if bool(access.access_key_id) != bool(access.secret_access_key):
            raise StoreDown("One of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set without the other: set both.")
        if access.endpoint and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/.*)?", access.endpoint):
            raise StoreDown("AWS_ENDPOINT_URL is not an address that begins with https://.")
        given: dict[str, Any] = {
            "access_key_id": access.access_key_id,
            "secret_access_key": access.secret_access_key,
            "token": access.session_token,
            "region": access.region,
            "endpoint": access.endpoint,
        }
        options: dict[str, Any] = {name: value for name, value in given.items() if value}
        with _store_errors():
            self._store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                client_options={
                    "allow_http": access.endpoint.startswith("http://"),
                    "connect_timeout": "5s",
                    "timeout": "120s",  # of one part, up or down
                },
                retry_config={"max_retries": 3},
                **options,
            )

    async def put(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        raised: list[Exception] = []

        async def watch() -> AsyncIterator[bytes]:
            try:
                async for piece in pieces:
                    yield piece
            except Exception as error:
                raised.append(error)
                raise

        try:
            with _store_errors():
                await obstore.put_async(
                    self._store, key, watch(), chunk_size=PART_BYTES, max_concurrency=MAX_PARTS_AT_ONCE
                )
        except Exception:
            if raised:
                raise raised[0] from None  # the caller's own error, and not the store's word for it
            raise

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if end is not None and end <= start:
            return _read_nothing()
        part: Any = {"offset": start} if end is None else (start, end)
        with _store_errors():
            found = await obstore.get_async(self._store, key, options={"range": part} if start or end else None)
        return _read_pieces(found)

    async def delete(self, key: str) -> None:
        with _store_errors(), contextlib.suppress(NotFoundError, FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def check_room(self) -> str:
        return ""  # a bucket has no end that it tells of

    async def check(self) -> str:
        try:
            with _store_errors():
                await obstore.put_async(self._store, PROBE, b"check")
                await (await obstore.get_async(self._store, PROBE)).bytes_async()
                await obstore.delete_async(self._store, PROBE)
        except StoreDown as error:
            return str(error)
        except NoFile:
            return "The store of FILES_URL does not give back what it was given."
        return ""


async def _read_pieces(found: "GetResult") -> AsyncIterator[bytes]:
    with _store_errors():
        async for piece in found.stream(min_chunk_size=PIECE_BYTES):
            yield bytes(piece)


async def _read_nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for piece in none:
        yield piece


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    """Turns what the library raises into NoFile, or into StoreDown with a sentence for the operator."""
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, NotFoundError | FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise NoFile from None
        raise StoreDown(_explain(str(error))) from None


def _explain(message: str) -> str:
    found = _CODE.search(message)
    code = found[1] if found else ""
    if code in _SENTENCES:
        return _SENTENCES[code]
    if code:
        return f"The store of FILES_URL refuses this ({code})."
    if "169.254." in message or "credential" in message.lower():
        return "There are no credentials for the store of FILES_URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if "error sending request" in message or "timed out" in message:
        return "The store of FILES_URL does not answer: check AWS_ENDPOINT_URL and the network."
    return "The store of FILES_URL failed."
