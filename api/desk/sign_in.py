"""Serves the sign-in at the desk, and the sign-out.

Invariants
- What is said of a sign-in that fails is the same whatever was wrong with it.
- Nobody is sent anywhere but to a page of the desk afterwards, so a link can't make this an open redirect.
- A try is throttled before its password is checked.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, cast

from quart import Response, request
from werkzeug.wrappers import Response as WerkzeugResponse

from api.desk.forms import form_field
from api.desk.pages import AnyResponse, go_to, show_page
from api.desk.passwords import TooManyChecks
from api.desk.services import desk_services
from api.server.client_address import find_client_network
from api.server.front_door import get_visit
from api.services import services
from api.web.auth import GuardedBlueprint, Permission, needs, open_to_all
from storage import agents
from storage.agents import StoredAgent

MAX_EMAIL_CHARACTERS = 191  # as the column has it
DESK_PATHS = re.compile(r"/desk(/tickets/[0-9]{1,18}|/whatsapp(/doctor)?)?(\?[a-z0-9_=&]{1,100})?", re.ASCII)
FIRST_PATH = "/desk"
WRONG = "This e-mail address and this password do not belong together."
BUSY = "Many people sign in just now. Try again in a moment."

blueprint = GuardedBlueprint("sign_in", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInTry:
    """One try. `network` and `browser`: from where, as the throttle counts; `browser` is "" unless this account has
    signed in with it before. `next_path`: where a sign-in leads."""

    email: str
    password: str = field(repr=False)
    network: str
    browser: str
    next_path: str


@blueprint.get("/desk/sign-in")
@open_to_all
async def show_sign_in() -> AnyResponse:
    """Shows the form to whoever is not signed in."""
    next_path = keep_desk_path(request.args.get("next", ""))
    if await desk_services().sessions.find_agent():
        return go_to(next_path)
    return await _show_form(200, problem="", email="", next_path=next_path)


@blueprint.post("/desk/sign-in")
@open_to_all
async def sign_in() -> AnyResponse:
    """Lets an agent in."""
    tried, desk = _read_try(), desk_services()
    if wait_seconds := desk.throttle.admit(tried.email, tried.network, tried.browser):
        return await _show_throttled(tried, math.ceil(wait_seconds))
    try:
        agent = await _authenticate(tried)
    except TooManyChecks:
        desk.throttle.take_back(tried.email, tried.network, tried.browser)
        return await _show_form(503, problem=BUSY, email=tried.email, next_path=tried.next_path)
    if agent is None:
        return await _show_form(401, problem=WRONG, email=tried.email, next_path=tried.next_path)
    renewed_hash = await desk.passwords.renew_hash(agent.password_hash, tried.password)
    if not await desk.sessions.begin(agent, services().ids.next(), renewed_hash):  # it has just been changed
        return await _show_form(401, problem=WRONG, email=tried.email, next_path=tried.next_path)
    desk.throttle.clear(tried.email, tried.network, tried.browser)
    response = go_to(tried.next_path)
    _remember_place(response, agent, tried)
    return response


@blueprint.post("/desk/sign-out")
@needs(Permission.READ)
async def sign_out() -> AnyResponse:
    """Lets an agent out, in this browser."""
    await desk_services().sessions.end(services().ids.next())
    return go_to("/desk/sign-in")


@blueprint.post("/desk/sign-out-everywhere")
@needs(Permission.READ)
async def sign_out_everywhere() -> AnyResponse:
    """Lets an agent out, in every browser."""
    await desk_services().sessions.end_everywhere(services().ids.next())
    return go_to("/desk/sign-in")


def keep_desk_path(path: str) -> str:
    """Returns `path` if it is a page of the desk, else the first one."""
    return path if DESK_PATHS.fullmatch(path) else FIRST_PATH


def _read_try() -> SignInTry:
    forwarded = request.headers.getlist("X-Forwarded-For")
    email = form_field("email").strip().lower()[:MAX_EMAIL_CHARACTERS]
    return SignInTry(
        email=email,
        password=form_field("password"),
        network=find_client_network(request.remote_addr or "", forwarded, desk_services().trusted_proxies),
        browser=desk_services().known_places.find_browser(email),
        next_path=keep_desk_path(form_field("next")),
    )


def _remember_place(response: WerkzeugResponse, agent: StoredAgent, tried: SignInTry) -> None:
    """Has it known from where an agent has just signed in."""
    places, now = desk_services().known_places, services().clock()
    places.remember_browser(response, tried.email)
    services().deferred.add(lambda tx: places.remember_network(tx, agent, tried.network, now))
    if visit := get_visit(cast(dict[str, Any], request.scope)):
        services().undeclared_proxies.look_at(visit)


async def _authenticate(tried: SignInTry) -> StoredAgent | None:
    """Finds the agent whose password this is; raises TooManyChecks."""
    async with services().database.reading() as tx:
        agent = await agents.find_by_email(tx, tried.email)
        is_known = agent is not None and (
            bool(tried.browser) or await desk_services().known_places.is_known_network(tx, agent, tried.network)
        )
    stored_hash = agent.password_hash if agent else None
    is_right = await desk_services().passwords.is_right(stored_hash, tried.password, is_known_place=is_known)
    if agent is not None and not is_right:
        services().audit_trail.record_refusal(agent, tried.network)
    return agent if is_right else None


async def _show_throttled(tried: SignInTry, seconds: int) -> Response:
    problem = f"Too many tries. Wait {seconds} s, and try again."
    response = await _show_form(429, problem=problem, email=tried.email, next_path=tried.next_path)
    response.headers["Retry-After"] = str(seconds)
    return response


async def _show_form(status: int, *, problem: str, email: str, next_path: str) -> Response:
    return await show_page("sign_in", status, problem=problem, email=email, next_path=next_path)
