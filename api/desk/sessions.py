"""Who is signed in at the desk.

A session is a random id in a signed cookie and a row in the database, looked up at each request: signing out, or an
agent being disabled, ends it at once in every process. Invariants: an id is made at the sign-in and never taken from a
request; the cookie's key and the tokens' are derived from the app secret, so all processes agree and nothing more needs
to be kept; a change needs the session's own token, and an Origin that is ours.
"""

import hmac
import secrets
from datetime import timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from quart import Quart, g, request
from quart_auth import Action, AuthUser, QuartAuth, current_user, login_user, logout_user

from api.web.auth import Principal
from api.web.credentials import Role
from bot.clock import Clock
from storage import agents, audit
from storage.agents import StoredAgent
from storage.audit import Line
from storage.sql.database import Database, Tx

SESSION_TIME = timedelta(hours=12)  # a working day


class Sessions:
    """The desk's sessions, for its pages and for the API."""

    def __init__(self, database: Database, clock: Clock, app_secret: str, public_url: str) -> None:
        self._database = database
        self._clock = clock
        self._cookie_key = _derived(app_secret, "desk cookie")
        self._token_key = _derived(app_secret, "desk token")
        public = urlsplit(public_url)
        self._public_origin = f"{public.scheme}://{public.netloc}" if public_url else ""
        self._secure = public.scheme == "https"

    def join(self, app: Quart) -> None:
        """Lets `app` carry the cookie."""
        app.secret_key = self._cookie_key
        QuartAuth(
            app,
            cookie_name="__Host-tick" if self._secure else "tick",
            cookie_secure=self._secure,
            cookie_http_only=True,
            cookie_samesite="Lax",
            duration=int(SESSION_TIME.total_seconds()),
            salt="tick desk",
        )
        if self._secure:

            @app.before_request
            async def trust_public_url() -> None:
                request.scheme = "https"  # TLS ends in front of us, and PUBLIC_URL says that it is there

    async def agent(self) -> StoredAgent | None:
        """Who makes this request."""
        if "desk_agent" not in g:
            g.desk_agent = await self._find()
        found: StoredAgent | None = g.desk_agent
        return found

    async def principal(self) -> Principal | None:
        """The same, as the doors see them."""
        agent = await self.agent()
        return None if agent is None else Principal(actor_of(agent), Role(agent.role))

    async def begin(self, agent: StoredAgent, audit_id: int, renewed_hash: str | None) -> None:
        """Signs the agent in with a new session, in place of the one that the request may have."""
        now, session_id, before = self._clock(), secrets.token_urlsafe(32), current_user.auth_id
        line = Line(audit_id, now, actor_of(agent), "agent.sign_in", agent.agent_id)

        async def write(tx: Tx) -> None:
            await agents.end_sessions(tx, _digest(before or ""), now)
            if await audit.landed(tx, audit_id):
                return
            await agents.begin_session(tx, _digest(session_id), agent.agent_id, now + SESSION_TIME)
            await audit.write(tx, line)
            if renewed_hash:
                await agents.renew_hash(tx, agent, renewed_hash)

        await self._database.run(write)
        login_user(AuthUser(session_id, Action.WRITE))

    async def end(self) -> None:
        """Signs out."""
        digest, now = _digest(current_user.auth_id or ""), self._clock()
        await self._database.run(lambda tx: agents.end_sessions(tx, digest, now))
        logout_user()

    def token(self) -> str:
        """What a form of this session says, to show that it is of this session."""
        return hmac.new(self._token_key, (current_user.auth_id or "").encode(), sha256).hexdigest()

    def has_csrf_proof(self, token: str) -> bool:
        """Whether the request comes from a page of ours and says the token of its session."""
        return self.from_our_page() and hmac.compare_digest(token.encode("utf-8", "replace"), self.token().encode())

    def from_our_page(self) -> bool:
        """Whether the browser says so. Where a proxy hides the address that agents see, PUBLIC_URL has it."""
        origin = request.headers.get("Origin", "")
        ours = {f"{scheme}://{request.host}" for scheme in ("http", "https")} | {self._public_origin}
        return bool(origin) and origin in ours

    async def _find(self) -> StoredAgent | None:
        session_id = current_user.auth_id
        if not session_id:
            return None
        async with self._database.reading() as tx:
            agent = await agents.by_session(tx, _digest(session_id), self._clock())
        return agent if agent is not None and agent.role in list(Role) else None


def actor_of(agent: StoredAgent) -> str:
    """What the audit says."""
    return f"{agent.name[:80]} ({agent.email[:100]})"


def _derived(app_secret: str, purpose: str) -> bytes:
    return hmac.new(app_secret.encode(), f"tick {purpose}".encode(), sha256).digest()


def _digest(session_id: str) -> str:
    return sha256(session_id.encode()).hexdigest()
