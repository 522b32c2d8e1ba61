"""Authenticates who calls the agents' API, and authorizes them by what the route needs.

Invariants
- Every route says what it needs, and one that doesn't can't be registered.
- PERMISSIONS is the one table of which role may do what.
- A request without a good key gets the same answer whatever was wrong with it. A key in a query string ends up in logs,
  so it is refused.
- A key is looked up at each request, so one that was revoked is no good from then on, in every process.
- That a key was used is written down at most once in USE_INTERVAL, and no request waits for it.
- Who is signed in at the desk needs no key. A change by such a session must come from the desk's own pages and say its
  CSRF token.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar, cast

from quart import Blueprint, Quart, Response, g, request

from api.server.front_door import get_visit
from api.server.shares import Standing
from api.web.credentials import KEY_PREFIX, Role, digest_key
from api.web.deferred_writes import DeferredWrites
from api.web.responses import SEND_FORM, refuse
from bot.agents.actor import Actor
from bot.clock import Clock
from storage import api_keys
from storage.sql.database import Database
from storage.statuses import EventAuthor

USE_INTERVAL = timedelta(minutes=1)  # to know on which day a key was last used, more would be waste
MAX_KEY_LENGTH = 200
KEY_IN_QUERY = re.compile(rf"(?<![0-9A-Za-z]){KEY_PREFIX}[0-9A-Za-z_-]{{20}}")  # a part of one is too much already
MAX_QUERY_MEMBERS = 100  # the longest query has five
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
View = TypeVar("View", bound=Callable[..., Any])


class Permission(StrEnum):
    """What a route may need of its caller."""

    READ = "read"
    CHANGE_TICKETS = "change_tickets"
    WRITE_TO_CUSTOMERS = "write_to_customers"
    MANAGE = "manage"


READS = frozenset({Permission.READ})
ANSWERS = READS | {Permission.CHANGE_TICKETS, Permission.WRITE_TO_CUSTOMERS}
PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: READS,
    Role.AGENT: ANSWERS,
    Role.ADMIN: frozenset(Permission),
}


class Undeclared(Exception):
    """A route doesn't say which permission it needs."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. `actor` is what the audit and the event log say."""

    actor: Actor
    role: Role


class Sessions(Protocol):
    """The sessions of those who are signed in at the desk."""

    async def find_principal(self) -> Principal | None:
        """Finds whose session this request belongs to."""

    def has_csrf_proof(self, token: str) -> bool:
        """Whether the request comes from a page of the desk and says the token of its session."""


def needs(permission: Permission) -> Callable[[View], View]:
    """Declares that the route is for callers with this permission."""
    return _declare(permission)


def open_to_all(view: View) -> View:
    """Declares that the route is for anybody, because of what it tells or because it checks its callers itself."""
    return _declare(None)(view)


def takes_file(view: View) -> View:
    """Lets the route take a file in a form. All others take JSON alone, which no foreign page can send unasked."""
    view._tick_takes_file = True  # type: ignore[attr-defined]
    return view


def read_declaration(view: object) -> Permission | None:
    """Reads what the route needs; raises Undeclared."""
    try:
        needed: Permission | None = view._tick_needs  # type: ignore[attr-defined]
    except AttributeError:
        raise Undeclared(f"{getattr(view, '__qualname__', view)} doesn't say who may call it") from None
    return needed


def _declare(needed: Permission | None) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view._tick_needs = needed  # type: ignore[attr-defined]
        return view

    return mark


class GuardedBlueprint(Blueprint):
    """A blueprint that takes no route without a declaration of what it needs (`needs`, `open_to_all`)."""

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        read_declaration(view_func)
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)


class KeyRing:
    """Finds out whose an API key is, and has its use written down by and by."""

    def __init__(self, database: Database, clock: Clock, deferred: DeferredWrites) -> None:
        self._database = database
        self._clock = clock
        self._deferred = deferred
        self._use_recorded_at: dict[int, datetime] = {}  # by the ids of keys, of which there are few

    async def find_principal(self, key: str) -> Principal | None:
        """Finds who holds this key; None when it is no good."""
        now = self._clock()
        async with self._database.reading() as tx:
            found = await api_keys.find(tx, digest_key(key))
        if found is None or (found.expires_at is not None and found.expires_at <= now) or found.role not in list(Role):
            return None
        self._record_use(found.key_id, now)
        actor = Actor(f"key {found.name} ({found.prefix})", EventAuthor.API_KEY, found.key_id)
        return Principal(actor, Role(found.role))

    def _record_use(self, key_id: int, now: datetime) -> None:
        recorded_at = self._use_recorded_at.get(key_id)
        if recorded_at is not None and now - recorded_at < USE_INTERVAL:
            return
        self._use_recorded_at[key_id] = now
        self._deferred.add(lambda tx: api_keys.record_use(tx, key_id, now, now - USE_INTERVAL))


def guard(app: Quart, keys: KeyRing, own_doors: Collection[str], sessions: Sessions | None = None) -> None:
    """Lets callers in by what their routes need. `own_doors`: the blueprints that check their callers themselves."""

    @app.before_request
    async def let_in() -> Response | None:
        endpoint = request.endpoint
        if endpoint is None or endpoint.partition(".")[0] in own_doors:
            return None  # no such route, which is answered in its own way; or not ours to guard
        if request.query_string.count(b"&") > MAX_QUERY_MEMBERS:
            return refuse(422)
        view = app.view_functions[endpoint]
        permission = read_declaration(view)
        if permission is None:
            return None
        session = sessions if "Authorization" not in request.headers else None
        principal = await _identify(keys, session)
        if principal is None:
            response = refuse(401)
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        if permission not in PERMISSIONS[principal.role]:
            return refuse(403)
        token = request.headers.get(CSRF_HEADER, "")
        if session is not None and request.method not in SAFE_METHODS and not session.has_csrf_proof(token):
            return refuse(403)
        if request.method in ("POST", "PUT", "PATCH") and _has_body() and not _is_body_taken(view):
            return refuse(415, SEND_FORM if _is_form_wanted(view) else "")
        g.principal = principal
        vouch_for_caller()
        return None

    @app.before_serving
    async def check_routes() -> None:
        for endpoint, view in app.view_functions.items():
            if endpoint.partition(".")[0] not in own_doors:
                read_declaration(view)


def vouch_for_caller() -> None:
    """Tells the front door that somebody of ours calls from where this request comes from."""
    if visit := get_visit(cast(dict[str, Any], request.scope)):
        visit.vouch(Standing.AGENTS)


def caller() -> Principal:
    """Returns who makes this request."""
    principal: Principal = g.principal
    return principal


async def _identify(keys: KeyRing, session: Sessions | None) -> Principal | None:
    if any(KEY_IN_QUERY.search(value) for value in request.args.values()):
        return None  # this key is in somebody's log now
    if session is not None:
        return await session.find_principal()
    if len(request.headers.getlist("Authorization")) != 1:
        return None
    scheme, _, key = request.headers["Authorization"].partition(" ")
    if scheme.lower() != "bearer" or not key.startswith(KEY_PREFIX) or len(key) > MAX_KEY_LENGTH:
        return None
    return await keys.find_principal(key)


def _has_body() -> bool:
    """`curl -X POST` alone sends none, and no type of one; `curl -d ''` sends the type of a form, and nothing in it."""
    if request.content_length == 0:
        return False
    return bool(request.mimetype or request.content_length or "Transfer-Encoding" in request.headers)


def _is_body_taken(view: object) -> bool:
    """Whether the body is of a type that the route takes."""
    is_form = request.mimetype == "multipart/form-data"
    return request.is_json or (is_form and _is_form_wanted(view))


def _is_form_wanted(view: object) -> bool:
    return bool(getattr(view, "_tick_takes_file", False))
