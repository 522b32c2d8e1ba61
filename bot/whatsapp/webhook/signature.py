"""Checks that it is Meta who calls the webhook: the signature of a POST, and the verification request, a GET.

Invariants
- Without the right secret both say no, in the same time and without an exception, whatever they are given.
- The bytes that were received are hashed. The parsed JSON written out again would be other bytes: Meta escapes
  non-ASCII characters and slashes, and a serialiser of ours would not do it in the same way.

Source: Meta, webhooks/create-webhook-endpoint (X-Hub-Signature-256, hub.challenge); HMAC: RFC 2104.
"""

import hmac
import re
from collections.abc import Iterable, Sequence

_PREFIX = b"sha256="

# The challenge is echoed, so what could be taken for markup is refused. Meta sends digits.
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{1,256}")


def find_signing_secret(body: bytes, header: bytes | None, secrets: Sequence[str]) -> int | None:
    """Finds which of the secrets signed the body, by its place among them; None when none did.

    Good is a header that is "sha256=" and the lower-case hex HMAC-SHA256 of the body; `header` is None when the request
    has none. Several secrets make a rotation possible: each is tried whichever is right, and compared in constant time.
    An empty one counts as none, so a missing setting lets nobody in.
    """
    if header is None or not header.startswith(_PREFIX):
        return None
    given = header[len(_PREFIX) :]
    found = None
    for place, secret in enumerate(secrets):
        if secret:
            wanted = hmac.digest(secret.encode("utf-8", "surrogatepass"), body, "sha256").hex().encode()
            is_right = hmac.compare_digest(wanted, given)
            found = place if is_right and found is None else found
    return found


def answer_verification(query: Iterable[tuple[str, str]], verify_token: str) -> str | None:
    """Returns what to answer to Meta's verification request as text/plain, None for a 403.

    `query` has the names and values of the URL's query, decoded. A parameter that is repeated
    could be read in two ways by two programs, so it is refused like a missing one.
    """
    pairs = list(query)
    values = dict(pairs)
    if len(values) != len(pairs) or values.get("hub.mode") != "subscribe" or not verify_token:
        return None
    given = values.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(verify_token.encode("utf-8", "surrogatepass"), given):
        return None
    echo = values.get("hub.challenge", "")
    return echo if _CHALLENGE.fullmatch(echo) else None
