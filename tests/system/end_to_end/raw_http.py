"""HTTP as no client library would speak it: bytes over a socket, sent slowly, endlessly or wrongly."""

import asyncio
from collections.abc import Callable, Iterable

from api.simulator import bodies
from tests.system.end_to_end.tick import SECRET, WEBHOOK


def build_head(*headers: bytes, method: str = "POST", path: str = WEBHOOK) -> bytes:
    """Builds the head of a request, complete but for what `headers` leave out."""
    return b"\r\n".join((f"{method} {path} HTTP/1.1".encode(), b"Host: tick", b"Connection: close", *headers, b"", b""))


def build_signature(body: bytes) -> bytes:
    """Builds the header that makes `body` Meta's."""
    return b"X-Hub-Signature-256: " + bodies.sign(body, SECRET).encode()


def build_length(body: bytes) -> bytes:
    """Builds the header that says how long `body` is."""
    return b"Content-Length: %d" % len(body)


async def ask(
    port: int,
    *parts: bytes,
    endless: Iterable[bytes] = (),
    every_seconds: float = 0,
    on_sent: Callable[[int], None] = lambda _: None,
) -> bytes:
    """Sends `parts`, then those of `endless`, until the other side closes; returns everything that it answered.
    `on_sent` is called with the length of each part that the socket took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        try:
            writer.write(b"".join(parts))
            for part in endless:
                writer.write(part)
                await writer.drain()
                on_sent(len(part))
                await asyncio.sleep(every_seconds)
        except ConnectionError:
            pass  # cut off: what it answered is still read

    sending = asyncio.create_task(send())
    answer = b""
    try:
        while part := await reader.read(65536):
            answer += part
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
    return answer


def parse_status(answer: bytes) -> int:
    """Returns the status of an answer; 0 when the connection was closed without one."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
