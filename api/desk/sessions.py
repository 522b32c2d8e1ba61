"""Signs agents in and out, and finds by its session cookie who makes a request.

A session is a random id in a signed cookie and a row in the database, which is looked up at each request: signing out,
or an agent being disabled, ends it at once in every process.

Invariants
- A session id is made at the sign-in and never taken from a request, so nobody can plant one (session fixation).
- The keys that sign cookies and make CSRF tokens are derived from the app secret, so all processes agree on them and
  nothing more needs to be kept. While the secret is being changed, what the old one made is good as well, so nobody is
  signed out: a sign-in lasts SESSION_TIME at most.
- A change needs the CSRF token of its own session, and an Origin that is ours.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, cast
from urllib.parse import urlsplit

from quart import Quart, g, has_request_context, request
from quart_auth import Action, AuthUser, QuartAuth, current_user, login_user, logout_user

from api.server.front_door import get_visit
from api.web.auth import Principal
from api.web.credentials import Role
from bot.agents.actor import Actor
from bot.clock import Clock
from storage import agents, audit
from storage.agents import StoredAgent
from storage.audit import AuditLine
from storage.sql.database import Database, Tx
from storage.statuses import AuditAction, EventAuthor

SESSION_TIME = timedelta(hours=12)  # a working day
_MAX_NAME_CHARACTERS = 80  # of an agent, in a line of the audit
_MAX_EMAIL_CHARACTERS = 100


class _DeskAuth(QuartAuth):
    """Signs the cookie, which is Secure where its request came by https."""

    @property
    def cookie_secure(self) -> bool:
        """Whether the cookie is for https alone."""
        return has_request_context() and request.is_secure

    @cookie_secure.setter
    def cookie_secure(self, value: bool | None) -> None:
        """Takes what the library sets, which is nothing."""


class Sessions:
    """Keeps the desk's sessions, for its pages and for the API."""

    def __init__(self, database: Database, clock: Clock, app_secrets: Sequence[str], public_url: str) -> None:
        self._database = database
        self._clock = clock
        self._cookie_keys = [_derive_key(secret, "desk cookie") for secret in app_secrets]
        self._token_keys = [_derive_key(secret, "desk token") for secret in app_secrets]
        public = urlsplit(public_url)
        self._public_origin = f"{public.scheme}://{public.netloc}" if public_url else ""
        self._is_secure = public.scheme == "https"

    def install(self, app: Quart) -> None:
        """Has the application read and write the session cookie."""
        app.secret_key = self._cookie_keys[0]
        app.config["SECRET_KEY_FALLBACKS"] = self._cookie_keys[1:]
        auth = _DeskAuth(
            app,
            cookie_name="__Host-tick" if self._is_secure else "tick",
            cookie_http_only=True,
            cookie_samesite="Lax",
            salt="tick desk",
        )
        # Until when a session lasts is in its row. The cookie would go by the machine's clock, and count for nothing
        # while that shows an earlier time than it did at the sign-in.
        auth.duration = None

        @app.before_request
        async def find_scheme() -> None:
            visit = get_visit(cast(dict[str, Any], request.scope))
            if self._is_secure or (visit is not None and visit.came_by_https):
                request.scheme = "https"  # TLS ends in front of us, as PUBLIC_URL says, or a proxy of ours

    async def find_agent(self) -> StoredAgent | None:
        """Finds who makes this request; looks it up once a request."""
        if "desk_agent" not in g:
            g.desk_agent = await self._find_agent()
        return self.get_known_agent()

    def get_known_agent(self) -> StoredAgent | None:
        """Returns who makes this request as far as it was looked up, without asking the database."""
        found: StoredAgent | None = g.get("desk_agent")
        return found

    async def find_principal(self) -> Principal | None:
        """Finds who makes this request, as the guards of the API and of the desk know callers."""
        agent = await self.find_agent()
        return None if agent is None else _identify(agent)

    async def begin(self, agent: StoredAgent, audit_id: int, renewed_hash: str | None) -> bool:
        """Signs the agent in with a new session, in place of the one that the request may have; returns False where the
        password is theirs no longer. `renewed_hash`: of the password, where the stored one's costs are not today's."""
        now, session_id, earlier_id = self._clock(), secrets.token_urlsafe(32), current_user.auth_id
        line = AuditLine(audit_id, now, _name_actor(agent), AuditAction.AGENT_SIGN_IN, agent.agent_id)

        async def write(tx: Tx) -> bool:
            await agents.end_sessions(tx, _digest(earlier_id or ""), now)
            if await audit.is_committed(tx, audit_id):
                return True
            if not await agents.begin_session(tx, _digest(session_id), agent, now, now + SESSION_TIME):
                return False
            await audit.write(tx, line)
            if renewed_hash:
                await agents.renew_hash(tx, agent, renewed_hash)
            return True

        has_begun = await self._database.run(write)
        if has_begun:
            login_user(AuthUser(session_id, Action.WRITE))
        return has_begun

    async def end(self, audit_id: int) -> None:
        """Signs out: ends the session of this request, and takes its cookie back."""
        digest, now = _digest(current_user.auth_id or ""), self._clock()
        await self._end(AuditAction.AGENT_SIGN_OUT, audit_id, lambda tx: agents.end_sessions(tx, digest, now))

    async def end_everywhere(self, audit_id: int) -> None:
        """Signs out in every browser: ends all sessions of the agent who makes this request."""
        agent = await self.find_agent()
        if agent is not None:
            agent_id = agent.agent_id
            ending = AuditAction.AGENT_SIGN_OUT_EVERYWHERE
            await self._end(ending, audit_id, lambda tx: agents.end_all_sessions(tx, agent_id))

    async def _end(self, action: AuditAction, audit_id: int, end: Callable[[Tx], Awaitable[object]]) -> None:
        agent = await self.find_agent()

        async def write(tx: Tx) -> None:
            await end(tx)
            if agent is not None and not await audit.is_committed(tx, audit_id):
                await audit.write(tx, AuditLine(audit_id, self._clock(), _name_actor(agent), action, agent.agent_id))

        await self._database.run(write)
        logout_user()

    def make_csrf_token(self) -> str:
        """Makes the CSRF token of this session: an HMAC of its id, which every form of the session carries."""
        return self._make_csrf_token(self._token_keys[0])

    def _make_csrf_token(self, key: bytes) -> str:
        return hmac.new(key, (current_user.auth_id or "").encode(), sha256).hexdigest()

    def has_csrf_proof(self, token: str) -> bool:
        """Whether the request comes from a page of ours and says the CSRF token of its session."""
        given = token.encode("utf-8", "replace")
        matches = [hmac.compare_digest(given, self._make_csrf_token(key).encode()) for key in self._token_keys]
        return self.is_from_our_page() and any(matches)

    def sign(self, text: str) -> str:
        """Signs a text for a form of this session."""
        return self._sign(self._token_keys[0], text)

    def is_signed(self, text: str, signature: str) -> bool:
        """Whether this text was signed for a form of this session."""
        given = signature.encode("utf-8", "replace")
        return any(hmac.compare_digest(given, self._sign(key, text).encode()) for key in self._token_keys)

    def _sign(self, key: bytes, text: str) -> str:
        return hmac.new(key, f"{current_user.auth_id or ''}\n{text}".encode(), sha256).hexdigest()

    def is_from_our_page(self) -> bool:
        """Whether the browser's Origin header names us. Where a proxy hides the address that agents see, PUBLIC_URL has
        it."""
        origin = request.headers.get("Origin", "")
        ours = {f"{scheme}://{request.host}" for scheme in ("http", "https")} | {self._public_origin}
        return bool(origin) and origin in ours

    async def _find_agent(self) -> StoredAgent | None:
        session_id = current_user.auth_id
        if not session_id:
            return None
        async with self._database.reading() as tx:
            agent = await agents.find_by_session(tx, _digest(session_id), self._clock())
        return agent if agent is not None and agent.role in list(Role) else None


def _identify(agent: StoredAgent) -> Principal:
    return Principal(Actor(_name_actor(agent), EventAuthor.AGENT, agent.agent_id), Role(agent.role))


def _name_actor(agent: StoredAgent) -> str:
    """Names the agent as the audit does."""
    return f"{agent.name[:_MAX_NAME_CHARACTERS]} ({agent.email[:_MAX_EMAIL_CHARACTERS]})"


def _derive_key(app_secret: str, purpose: str) -> bytes:
    return hmac.new(app_secret.encode(), f"tick {purpose}".encode(), sha256).digest()


def _digest(session_id: str) -> str:
    """Hashes a session id: what the database keeps lets nobody in."""
    return sha256(session_id.encode()).hexdigest()
