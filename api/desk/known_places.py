"""Knows again from where agents have signed in: browsers by a cookie, networks by a row.

Who guesses an agent's password makes everybody wait who can't be told from them. A browser that an agent has signed in
with can be: its tries are counted by themselves, also behind a proxy that hides everybody's address. A network can be,
too, as long as nobody guesses from there: its tries have places of their own before the passwords are checked.

Invariants
- Neither opens anything: who has the cookie, or is in the network, still needs the password.
- The cookie is good for the e-mail addresses that signed in with it, says none of them, and can't be made up.
- What is stored of a network is a keyed digest, of an agent and the network together.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from quart import request
from werkzeug.wrappers import Response as WerkzeugResponse

from storage import sign_in_networks
from storage.agents import StoredAgent
from storage.sql.database import Tx

COOKIE = "tick-browser"
COOKIE_PATH = "/desk/sign-in"
KEPT_FOR = timedelta(days=180)
MAX_AGENTS_OF_BROWSER = 5  # who share a computer
_BROWSER = re.compile(r"(?P<id>[0-9a-f]{32})(?P<proofs>(?:\.[0-9a-f]{32}){1,5})")


class KnownPlaces:
    """Knows browsers and networks again. `app_secrets`: the first makes what is kept, each of them recognises it."""

    def __init__(self, app_secrets: Sequence[str]) -> None:
        self._keys = [hmac.digest(secret.encode(), b"tick desk places", "sha256") for secret in app_secrets]

    def find_browser(self, email: str) -> str:
        """Finds which browser makes this request, if somebody with this address has signed in with it; "" for any
        other."""
        found = _BROWSER.fullmatch(request.cookies.get(COOKIE, ""))
        if found is None:
            return ""
        proofs = found["proofs"].split(".")
        wanted = [self._prove(key, found["id"], email) for key in self._keys]
        is_known = any(hmac.compare_digest(proof, one) for proof in proofs for one in wanted)
        return found["id"] if is_known else ""

    def remember_browser(self, response: WerkzeugResponse, email: str) -> None:
        """Has the browser that gets this response known again when somebody with this address signs in."""
        found = _BROWSER.fullmatch(request.cookies.get(COOKIE, ""))
        browser = found["id"] if found else secrets.token_hex(16)
        proof = self._prove(self._keys[0], browser, email)
        others = [one for one in found["proofs"].split(".")[1:] if one != proof] if found else []
        response.set_cookie(
            COOKIE,
            ".".join([browser, proof, *others][: MAX_AGENTS_OF_BROWSER + 1]),
            max_age=KEPT_FOR,
            path=COOKIE_PATH,
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )

    async def is_known_network(self, tx: Tx, agent: StoredAgent, network: str) -> bool:
        """Whether this agent has signed in from this network."""
        return await sign_in_networks.is_any_known(tx, [self._digest(key, agent, network) for key in self._keys])

    async def remember_network(self, tx: Tx, agent: StoredAgent, network: str, now: datetime) -> None:
        """Notes that this agent has signed in from this network."""
        digest = self._digest(self._keys[0], agent, network)
        await sign_in_networks.remember(tx, digest, agent.agent_id, now, now - KEPT_FOR)

    def _prove(self, key: bytes, browser: str, email: str) -> str:
        return hmac.new(key, f"browser {browser} {email}".encode("utf-8", "replace"), sha256).hexdigest()[:32]

    def _digest(self, key: bytes, agent: StoredAgent, network: str) -> str:
        return hmac.new(key, f"network {agent.agent_id} {network}".encode(), sha256).hexdigest()
