"""Asks Meta about a customer's file: where it is now, and which hash it must have.

Invariants
- Whatever Meta answers, the end is an address and its facts, or one of three exceptions: MediaRefused (this file is
  never to be had), MediaFailed (it may be had later), AccountStopped (it is the account that Meta refuses, and no file
  is to blame).

Source: Meta, media (GET /{media-id}; an id lives seven days, its address five minutes).
"""

import base64
import binascii
import re
from dataclasses import dataclass

from bot.whatsapp.errors import Action
from bot.whatsapp.graph.client import GraphClient, GraphResponse
from bot.whatsapp.graph.media_hosts import MediaRefused
from bot.whatsapp.sanitize import MEDIA_ID, clean_mime_type

_UNKNOWN_ID_CODES = frozenset({33, 100})


class MediaFailed(Exception):
    """The file could not be fetched now, and may be later, after `wait_seconds`. The text is a sentence for agents."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class AccountStopped(Exception):
    """Meta refuses our account or token, whatever the file. Try again after `wait_seconds`."""

    def __init__(self, reason: str, wait_seconds: float) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class MediaLocation:
    """Where Meta has a file, and what it says of it: `sha256` in hex, `size` in bytes, "" and None where unknown."""

    url: str
    mime_type: str
    sha256: str
    size: int | None


def to_sha256_hex(text: str) -> str:
    """Returns a hash as Meta writes it (base64 in webhooks, hex elsewhere) in hex; "" when it is none."""
    text = text.strip()
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        return text.lower()
    try:
        decoded = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return decoded.hex() if len(decoded) == 32 else ""


async def locate_media(graph: GraphClient, media_id: str) -> MediaLocation:
    """Asks Meta where the file is now. Raises MediaRefused, MediaFailed or AccountStopped."""
    if not MEDIA_ID.fullmatch(media_id):
        raise MediaRefused("The message named no file that Meta could have.")
    # without phone_number_id, which Meta also refuses for files that are ours
    response = await graph.get(media_id)
    if not response.ok:
        raise _to_exception(response)
    value = response.value
    url, claimed = _text(value.get("url")), _text(value.get("mime_type"))
    size = value.get("file_size")
    if isinstance(size, str) and size.isascii() and size.isdecimal() and len(size) < 19:
        size = int(size)
    if not url:
        raise MediaFailed("Meta answered without saying where it is.")
    return MediaLocation(
        url=url,
        mime_type=clean_mime_type(claimed) if claimed else "",
        sha256=to_sha256_hex(_text(value.get("sha256"))),
        size=size if type(size) is int and size >= 0 else None,
    )


def _to_exception(response: GraphResponse) -> Exception:
    error = response.error
    if error is None:
        return MediaFailed(response.failure)
    if error.code in _UNKNOWN_ID_CODES:  # of a number it would stop everything; of a file it says that this one is gone
        return MediaFailed("Meta says that it has no such file.")
    if error.action is Action.STOP:
        return AccountStopped(error.reason, error.wait_seconds)
    return MediaFailed(error.reason, error.wait_seconds)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
