"""A small reverse proxy between Meta and Tick, well-behaved or broken in one of many ways, in clear or with TLS.

It listens on loopback and speaks HTTP/1.1 with one request a connection.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PAGES = {
    "page": (200, "text/html", b"<!doctype html><title>You are about to visit a tunnel</title>"),
    "not_found": (404, "text/html", b"<html><head><title>404 Not Found</title></head></html>"),
    "gateway": (502, "text/html", b"<html><head><title>502 Bad Gateway</title></head></html>"),
    "forbidden": (403, "text/html", b"<html><head><title>Blocked by the firewall</title></head></html>"),
    "moved": (301, "text/plain", b""),
    "no_bucket": (404, "application/xml", b"<Error><Code>NoSuchBucket</Code><Message>None</Message></Error>"),
    "strange": (200, "text/plain", b"hello"),
}


class Certificate(NamedTuple):
    """A self-signed certificate for `name`, valid in these days around today."""

    name: str = "localhost"
    since_days: int = -1
    until_days: int = 30


def make_tls_context(wanted: Certificate, folder: Path) -> ssl.SSLContext:
    """Makes a key and the certificate, and the context of a server that has them."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted.name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=wanted.since_days))
        .not_valid_after(now + timedelta(days=wanted.until_days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(wanted.name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kept = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kept.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kept)
    return context


class ReverseProxy:
    """The proxy. `mode`: pass (adds to X-Forwarded-For), blind (passes it on as it came), rewrite (writes the body
    anew), late (Date is two minutes old), no_post (a firewall), silent, or one of PAGES."""

    def __init__(self, mode: str, target_port: int) -> None:
        self._mode = mode
        self._target_port = target_port
        self._open: set[asyncio.StreamWriter] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
            length = next((int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length:")), 0)
            body = await reader.readexactly(length)
            if self._mode == "silent":
                await reader.read()
            elif self._mode in PAGES:
                writer.write(_build_page(self._mode))
            elif self._mode == "no_post" and head[0].startswith(b"POST"):
                writer.write(_build_page("forbidden"))
            else:
                writer.write(await self._pass_on(head, body))
            await writer.drain()
        writer.close()
        self._open.discard(writer)

    def end(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _pass_on(self, head: list[bytes], body: bytes) -> bytes:
        if self._mode == "rewrite":
            body = body.replace(b'":"', b'": "')
        names = ("connection:", "content-length:")
        kept = [line for line in head if not line.decode("latin-1").lower().startswith(names)]
        if self._mode != "blind":
            came = [line.split(b":", 1)[1].strip() for line in kept if line.lower().startswith(b"x-forwarded-for:")]
            kept = [line for line in kept if not line.lower().startswith(b"x-forwarded-for:")]
            kept.append(b"X-Forwarded-For: " + b", ".join([*came, b"127.0.0.1"]))
        kept += [b"Connection: close", b"Content-Length: %d" % len(body)]
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        writer.write(b"\r\n".join(kept) + b"\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        if self._mode == "late":
            lines = [line for line in answer.split(b"\r\n") if not line.lower().startswith(b"date:")]
            date = format_datetime(datetime.now(UTC) - timedelta(minutes=2), usegmt=True).encode()
            answer = b"\r\n".join([lines[0], b"Date: " + date, *lines[1:]])
        return answer


def _build_page(mode: str) -> bytes:
    status, kind, body = PAGES[mode]
    location = "Location: https://elsewhere.example/login?next=x\r\n" if 300 <= status < 400 else ""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{location}Content-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


@asynccontextmanager
async def run_reverse_proxy(
    mode: str, target_port: int, folder: Path, certificate: Certificate | None = None
) -> AsyncIterator[str]:
    """Runs a proxy in front of a port until the block ends; yields its address."""
    proxy = ReverseProxy(mode, target_port)
    context = make_tls_context(certificate, folder) if certificate else None
    server = await asyncio.start_server(proxy.answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"
    finally:
        server.close()
        proxy.end()
