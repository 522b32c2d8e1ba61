"""Makes the links by which files are downloaded: signed, and good for five minutes.

Source: Meta's pages on media. A link comes when a file is located, and in the webhook that brings it.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from api.simulator.setup import Setup

LINK_SECONDS: Final = 300


class MediaLinks:
    """Makes links, and tells genuine ones. `graph_url`: the Graph API's address for links in webhooks; without it they
    have none."""

    def __init__(self, setup: Setup, clock: Callable[[], float], graph_url: str) -> None:
        self._setup = setup
        self._clock = clock
        self._graph_url = graph_url

    def make_for_webhook(self, media_id: str) -> str:
        """Makes the link that a webhook has; "" where the address of the Graph API is not known."""
        return self.make(media_id, self._graph_url) if self._graph_url else ""

    def make(self, media_id: str, graph_url: str) -> str:
        """Makes a link under this address of the Graph API."""
        expires = str(int(self._clock()) + LINK_SECONDS)
        return f"{graph_url}/files/{media_id}?ext={expires}&hash={self._sign(media_id, expires)}"

    def is_good(self, media_id: str, expires: str, signature: str) -> bool:
        """Whether this is a link of ours that has not expired."""
        genuine = hmac.compare_digest(self._sign(media_id, expires).encode(), signature.encode("utf-8", "replace"))
        return genuine and int(expires) >= self._clock()

    def _sign(self, media_id: str, expires: str) -> str:
        signed = f"{media_id}.{expires}".encode("utf-8", "replace")
        return hmac.new(self._setup.app_secret.encode(), signed, hashlib.sha256).hexdigest()
