"""HTTP as no client library would speak it: bytes over a socket, sent slowly, endlessly or wrong."""

import asyncio
from collections.abc import Callable, Iterable

from api.simulator import bodies
from tests.system.end_to_end.tick import SECRET, WEBHOOK


def head(*headers: bytes, method: str = "POST", path: str = WEBHOOK) -> bytes:
    """The head of a request, complete but for what `headers` leave out."""
    return b"\r\n".join((f"{method} {path} HTTP/1.1".encode(), b"Host: tick", b"Connection: close", *headers, b"", b""))


def signature(body: bytes) -> bytes:
    """The header that makes `body` Meta's."""
    return b"X-Hub-Signature-256: " + bodies.sign(body, SECRET).encode()


def length(body: bytes) -> bytes:
    """The header that says how long `body` is."""
    return b"Content-Length: %d" % len(body)


async def ask(
    port: int,
    *parts: bytes,
    endless: Iterable[bytes] = (),
    every_seconds: float = 0,
    sent: Callable[[int], None] = lambda _: None,
) -> bytes:
    """Sends `parts`, then those of `endless`, until the other side closes; returns all it said. `sent` hears of the
    length of each part that the socket took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        try:
            writer.write(b"".join(parts))
            for part in endless:
                writer.write(part)
                await writer.drain()
                sent(len(part))
                await asyncio.sleep(every_seconds)
        except ConnectionError:
            pass  # cut off: what it answered is still read

    sending = asyncio.create_task(send())
    said = b""
    try:
        while part := await reader.read(65536):
            said += part
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
    return said


def status_of(said: bytes) -> int:
    """The status of the answer; 0 when the connection was closed without one."""
    return int(said[9:12]) if said.startswith(b"HTTP/1.1 ") else 0
