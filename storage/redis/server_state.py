"""Asks a Redis on a unix socket how it is, beside any client and in a bounded time.

Invariants
- Whoever hangs or has ended is SILENT. A server that only loads its file, or can't write to its disk, is not: that may
  pass, and starting it anew would not help.
"""

import asyncio
import socket
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

PING = b"PING\r\n"
ASK_SECONDS = 0.5
MAX_ANSWER_BYTES = 64


class ServerState(StrEnum):
    """How a server is."""

    ANSWERING = "answering"  # it has loaded its data
    LOADING = "loading"  # its file, after a start
    SILENT = "silent"  # it does not answer in time, or nobody listens


def ask_server(socket_path: Path, seconds: float = ASK_SECONDS) -> ServerState:
    """Asks the server, and keeps the caller's thread for at most so many seconds."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(socket_path))
            connection.sendall(PING)
            return _read_state(connection.recv(MAX_ANSWER_BYTES))
    except OSError:
        return ServerState.SILENT


async def ask_server_aside(socket_path: Path, seconds: float = ASK_SECONDS) -> ServerState:
    """Asks the server while the event loop goes on."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(str(socket_path))
            try:
                writer.write(PING)
                return _read_state(await reader.read(MAX_ANSWER_BYTES))
            finally:
                with suppress(OSError):
                    writer.close()
    except (OSError, TimeoutError):
        return ServerState.SILENT


def _read_state(answer: bytes) -> ServerState:
    if answer.startswith(b"-LOADING"):
        return ServerState.LOADING
    return ServerState.ANSWERING if answer.startswith((b"+PONG", b"-MISCONF")) else ServerState.SILENT
