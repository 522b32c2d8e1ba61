"""Encodes and decodes the probe, a webhook of our own by which the doctor asks a running Tick how a request reaches it.

Invariants
- A probe is signed as Meta signs, so nobody is answered who does not hold the app secret.
- It is never kept: a replay tells its sender about its own connection, and does nothing else.

Pure: it is sent by webhook_check.py and answered by api/webhook.py.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

WEBHOOK_PATH = "/api/whatsapp/webhook"  # where Meta calls, and where we call as Meta would
_BEGINNING = b'{"object":"tick_probe","nonce":"'  # Meta's own bodies name another object here
_MAX_PROBE_BYTES = 200
_MAX_TEXT_CHARACTERS, _MAX_LINES, _MAX_LINE_CHARACTERS = 200, 20, 1000  # of a report


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """How a request looked to the server that it reached.

    `peer` is the network address that connected, `forwarded` the lines of X-Forwarded-For, `believed` the address that
    the server takes for the client's, and `peer_trusted` whether the peer is one of its trusted proxies.
    """

    nonce: str
    peer: str
    scheme: str
    forwarded: Sequence[str]
    believed: str
    peer_trusted: bool


def encode_probe(nonce: str) -> bytes:
    """Returns the body of a probe. `nonce` has ASCII letters and digits."""
    return _BEGINNING + nonce.encode("ascii") + b'"}'


def read_nonce(body: bytes) -> str:
    """Returns the nonce of a probe; "" for every other body, at the cost of comparing its beginning."""
    if not body.startswith(_BEGINNING) or len(body) > _MAX_PROBE_BYTES:
        return ""
    nonce = body[len(_BEGINNING) : -2].decode("ascii", "replace")
    return nonce if nonce.isalnum() and body == encode_probe(nonce) else ""


def encode_report(report: ProbeReport) -> bytes:
    """Returns the JSON that answers a probe."""
    return json.dumps({"success": True, "probe": asdict(report)}).encode()


def decode_report(body: bytes, nonce: str) -> ProbeReport | None:
    """Returns the report on the probe with this nonce; None when the answer is no such thing."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    probe = value.get("probe") if isinstance(value, dict) else None
    if not isinstance(probe, dict) or probe.get("nonce") != nonce or not isinstance(probe.get("forwarded"), list):
        return None
    texts = {name: str(probe.get(name, ""))[:_MAX_TEXT_CHARACTERS] for name in ("peer", "scheme", "believed")}
    forwarded = [str(line)[:_MAX_LINE_CHARACTERS] for line in probe["forwarded"][:_MAX_LINES]]
    return ProbeReport(nonce, forwarded=forwarded, peer_trusted=probe.get("peer_trusted") is True, **texts)
