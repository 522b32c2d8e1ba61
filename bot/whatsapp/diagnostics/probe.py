"""A webhook of our own making, by which one of us asks a running Tick how the network in between treats what comes in.

It is signed as Meta signs, so it is answered to nobody who does not hold the app secret; it is never kept, so a replay
tells its sender about its own connection and does nothing else. Pure.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

WEBHOOK_PATH = "/api/whatsapp/webhook"  # where Meta calls, and where we call as Meta would
_BEGINNING = b'{"object":"tick_probe","nonce":"'  # Meta's own bodies name another object here
_MOST_BYTES = 200


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """How a request looked to the server: who connected, what X-Forwarded-For said, and the address it believes."""

    nonce: str
    peer: str
    scheme: str
    forwarded: Sequence[str]
    believed: str
    peer_trusted: bool


def probe_body(nonce: str) -> bytes:
    """`nonce`: letters and digits."""
    return _BEGINNING + nonce.encode("ascii") + b'"}'


def read_nonce(body: bytes) -> str:
    """The nonce of a probe; empty for every other body, at the cost of comparing its beginning."""
    if not body.startswith(_BEGINNING) or len(body) > _MOST_BYTES:
        return ""
    nonce = body[len(_BEGINNING) : -2].decode("ascii", "replace")
    return nonce if nonce.isalnum() and body == probe_body(nonce) else ""


def encode_report(sighting: ProbeReport) -> bytes:
    """The answer to a probe."""
    return json.dumps({"success": True, "probe": asdict(sighting)}).encode()


def decode_report(body: bytes, nonce: str) -> ProbeReport | None:
    """The sighting of the probe with this nonce; None when the answer is no such thing."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    probe = value.get("probe") if isinstance(value, dict) else None
    if not isinstance(probe, dict) or probe.get("nonce") != nonce or not isinstance(probe.get("forwarded"), list):
        return None
    texts = {name: str(probe.get(name, ""))[:200] for name in ("peer", "scheme", "believed")}
    forwarded = [str(line)[:1000] for line in probe["forwarded"][:20]]
    return ProbeReport(nonce, forwarded=forwarded, peer_trusted=probe.get("peer_trusted") is True, **texts)
