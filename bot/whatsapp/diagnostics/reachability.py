"""Checks whether an address can be reached, step by step: its name, a connection, TLS, an answer over HTTP.

Each step is tried by itself, because only then is it known which of them broke: an HTTP client's errors mix them up.

Invariants
- No step takes longer than a few seconds.
- Nothing raises but CancelledError.
- No request goes to a server whose certificate is not good.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

import httpx

STEP_SECONDS = 5.0
ANSWER_SECONDS = 10.0
_MAX_BODY_BYTES = 65_536

# OpenSSL's X509_V_ERR_ codes of a certificate that is not good.
_SELF_SIGNED = 18  # DEPTH_ZERO_SELF_SIGNED_CERT
_EXPIRED = {9: "it is not valid yet", 10: "it has expired"}  # CERT_NOT_YET_VALID, CERT_HAS_EXPIRED
_WRONG_HOST = {62, 64}  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH


class Step(StrEnum):
    """At which step the way to an address breaks off."""

    NAME = "name"  # there is no such name
    REFUSED = "refused"  # nothing listens on the port
    SILENT = "silent"  # nothing answers on the port
    NETWORK = "network"  # there is no way to the machine
    TLS = "tls"  # the handshake fails, or the certificate is not good


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The address can't be reached. `why`, which only TLS has, is what follows a "because"."""

    step: Step
    why: str = ""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """An answer over HTTP; `failure`, in words, says why there was none."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""


async def check_reachability(url: str) -> Unreachable | None:
    """Returns where the way to a URL breaks off; None when a server is there and, on https, its certificate is good."""
    parts = urlsplit(url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    try:
        async with asyncio.timeout(STEP_SECONDS):
            await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return Unreachable(Step.NAME)
    try:
        await _connect(host, port)
    except TimeoutError:
        return Unreachable(Step.SILENT)
    except ConnectionRefusedError:
        return Unreachable(Step.REFUSED)
    except OSError as error:
        # A name with several addresses has several errors, and asyncio raises one for all of them.
        return Unreachable(Step.REFUSED if "refused" in str(error).lower() else Step.NETWORK)
    return await _check_certificate(host, port) if tls else None


async def fetch(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes = b"",
    seconds: float = ANSWER_SECONDS,
) -> FetchResult:
    """Sends one request, and reads no further than a page can be of interest.

    Redirects are not followed: Meta does not follow them either.
    """
    extensions = {"timeout": httpx.Timeout(seconds, connect=STEP_SECONDS).as_dict()}
    try:
        async with asyncio.timeout(seconds):
            request = httpx.Request(method, url, headers=headers, content=content or None, extensions=extensions)
            response = await http.send(request, stream=True)
            try:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_BODY_BYTES:
                        break
            finally:
                await response.aclose()
    except (TimeoutError, httpx.TimeoutException):
        return FetchResult(failure="no answer came in time")
    except Exception as error:  # noqa: BLE001 - the messages hold the address, and with it what was asked
        return FetchResult(failure=f"the connection broke before an answer came ({type(error).__name__})")
    return FetchResult(response.status_code, response.headers, bytes(body[:_MAX_BODY_BYTES]))


async def _connect(host: str, port: int, context: ssl.SSLContext | None = None) -> bytes:
    """Connects and hangs up. Returns the certificate that the server showed, in DER, b"" without TLS."""
    async with asyncio.timeout(STEP_SECONDS):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    shown = writer.get_extra_info("ssl_object")
    certificate = (shown.getpeercert(binary_form=True) or b"") if shown else b""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
    return certificate


async def _check_certificate(host: str, port: int) -> Unreachable | None:
    try:
        await _connect(host, port, httpx.create_ssl_context(trust_env=False))
    except ssl.SSLCertVerificationError as error:
        return Unreachable(Step.TLS, await _explain_certificate(host, port, error))
    except ssl.SSLError as error:
        plain = "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER" in str(error)
        why = "what answers there does not speak TLS" if plain else "the TLS handshake fails"
        return Unreachable(Step.TLS, why)
    except (OSError, TimeoutError):
        return Unreachable(Step.TLS, "the connection breaks off during the TLS handshake")
    return None


async def _explain_certificate(host: str, port: int, error: ssl.SSLCertVerificationError) -> str:
    """Finds everything that is wrong with a certificate, while a verification stops at the first thing.

    An untrusted issuer hides the rest, so the certificate is looked at once more as if it were trusted itself.
    """
    found = []
    if error.verify_code not in _EXPIRED and error.verify_code not in _WRONG_HOST:
        self_signed = error.verify_code == _SELF_SIGNED
        found.append("it is self-signed" if self_signed else "its issuer is not trusted, or its chain is incomplete")
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    try:
        shown = await _connect(host, port, unverified)
    except (OSError, TimeoutError):
        shown = b""
    for check_host in (False, True) if shown else ():
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = check_host
        trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        trusting.load_verify_locations(cadata=shown)
        try:
            await _connect(host, port, trusting)
        except ssl.SSLCertVerificationError as other:
            if other.verify_code in _EXPIRED:
                found.append(_EXPIRED[other.verify_code])
            elif other.verify_code in _WRONG_HOST:
                found.append(f"it is made out to another name than {host}")
        except (OSError, TimeoutError):
            break
    return ", and ".join(dict.fromkeys(found)) or "it is not good"


def is_on_this_machine(url: str) -> bool:
    """Whether the URL names this machine itself, where nobody else gets."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
