"""The tests' own HTTP clients: without TLS and without a proxy.

None of them loads the certificates of all authorities, which takes longer than most tests.
"""

import ssl
from typing import Any

import httpx

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def plain_http(base_url: str = "", **more: Any) -> httpx.AsyncClient:
    """Makes a client for servers on this machine."""
    return httpx.AsyncClient(base_url=base_url, trust_env=False, verify=NO_AUTHORITIES, **more)
