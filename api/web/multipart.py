"""Streams multipart forms from the socket to whoever reads them, piece by piece.

The framework reads a request's body as a whole before the view runs. For the addresses of PATHS this module stands in
front of it, tells it that there is no body, and lets the view pull the form (RFC 7578) event by event.

Invariants
- A piece is taken from the socket when the reader asks for it, so memory is the same for any form.
- The head of a part is bounded before it is read: whoever sends it may be a stranger.
- A client that sends nothing for READ_SECONDS, or hangs up, ends its form with an error.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from quart import Quart, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, RequestTimeout
from werkzeug.sansio.multipart import BLANK_LINE_RE, Data, Event, MultipartDecoder, NeedData, State

from api.server.front_door import get_visit
from api.server.serving import LINGER_SECONDS, READ_SECONDS
from api.web.responses import SEND_FORM

PATHS = re.compile(r"/api/files|/desk/tickets/[0-9]+/replies")
SCOPE_KEY = "tick.multipart"
PIECE_BYTES = 64 * 1024
MAX_PARTS = 40
MAX_FIELD_BYTES = 300_000  # of all fields together: the longest answer in the longest writing is 262 kB
MAX_HEAD_BYTES = 16 * 1024  # of a part; each parameter in it takes 5 µs to read, and a browser writes three
MAX_DECODER_BYTES = 4 * PIECE_BYTES + MAX_FIELD_BYTES


class UploadRefused(Exception):
    """The form can't be taken. `status` is HTTP's; the text is a sentence for who sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def take_uploads(app: Quart) -> None:
    """Puts the door for large forms in front of the application."""
    app.asgi_app = _Door(app.asgi_app)  # type: ignore[method-assign,assignment]  # Quart's own place for it


class MultipartForm:
    """The form of this request, event by event. Raises UploadRefused where the request has none."""

    def __init__(self) -> None:
        boundary = request.mimetype_params.get("boundary", "")
        body: Any = request.scope.get(SCOPE_KEY)
        if not boundary or body is None:
            raise UploadRefused(422, SEND_FORM)
        self._body: AsyncIterator[bytes] = body
        self._decoder = MultipartDecoder(boundary.encode("latin-1", "replace"), MAX_DECODER_BYTES, max_parts=MAX_PARTS)
        self._text_left = MAX_FIELD_BYTES

    async def next_event(self) -> Event:
        """Reads what comes next; raises BadRequest when it is no form, and RequestEntityTooLarge."""
        while True:
            self._check_head()
            try:
                event = self._decoder.next_event()
            except ValueError:  # a UnicodeDecodeError is one
                raise BadRequest from None
            if not isinstance(event, NeedData):
                return event
            try:
                self._decoder.receive_data(await anext(self._body))
            except StopAsyncIteration:
                self._decoder.receive_data(None)

    def _check_head(self) -> None:
        """Raises RequestEntityTooLarge where a part begins with a head that is too long to be read."""
        decoder = self._decoder
        is_long = decoder.state is State.PART and len(decoder.buffer) > MAX_HEAD_BYTES
        if is_long and BLANK_LINE_RE.search(decoder.buffer, 0, MAX_HEAD_BYTES) is None:
            raise RequestEntityTooLarge

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yields what the current part holds."""
        while isinstance(event := await self.next_event(), Data):
            if event.data:
                yield event.data
            if not event.more_data:
                return
        raise BadRequest

    async def read_text(self) -> str:
        """Reads the current part as a field's value; raises RequestEntityTooLarge."""
        text = bytearray()
        async for piece in self.pieces():
            text += piece
            if len(text) > self._text_left:
                raise RequestEntityTooLarge
        self._text_left -= len(text)
        return text.decode("utf-8", "replace")

    async def skip_empty(self) -> None:
        """Passes over a part that holds nothing; raises UploadRefused when it holds something."""
        async for piece in self.pieces():
            if piece:
                raise UploadRefused(422, "One of the files has no name.")


class _Door:
    """ASGI middleware by which large forms are not read ahead: the framework is told that there is no body, and the
    view pulls it."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if SCOPE_KEY not in scope and _is_large(scope):
            if visit := get_visit(scope):
                visit.keep_at_most(MAX_DECODER_BYTES + MAX_FIELD_BYTES)
            body = _Body(receive)
            await self._application({**scope, SCOPE_KEY: body}, body.receive_for_framework, body.drain_before(send))
        else:
            await self._application(scope, receive, send)


def _is_large(scope: Mapping[str, Any]) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST" or not PATHS.fullmatch(scope["path"]):
        return False
    kinds = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
    return len(kinds) == 1 and kinds[0].lower().startswith(b"multipart/form-data")


class _Body:
    """The request's body, pulled from the socket; at most PIECE_BYTES at a time."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._begun = False
        self._ended = asyncio.Event()
        self._left = b""

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        while not self._left:
            if self._ended.is_set():
                raise StopAsyncIteration
            try:
                async with asyncio.timeout(READ_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                raise RequestTimeout from None
            if message["type"] != "http.request":
                raise BadRequest  # hung up: nobody reads the answer
            self._left = bytes(message.get("body", b""))
            if not message.get("more_body", False):
                self._ended.set()
        piece, self._left = self._left[:PIECE_BYTES], self._left[PIECE_BYTES:]
        return piece

    def drain_before(self, send: Any) -> Any:
        """Wraps `send` for a client that may be refused before it has sent all: the rest is read as of any request, and
        when that takes too long the client is told that this connection is over."""

        async def drain_and_send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                with contextlib.suppress(BadRequest, RequestTimeout, TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        async for _ in self:
                            pass
                if not self._ended.is_set():
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        return drain_and_send

    async def receive_for_framework(self) -> Any:
        """Tells the framework of an empty body, and later that the other side has gone."""
        if not self._begun:
            self._begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._ended.wait()
        return await self._receive()
