"""Signing in at the desk, and out.

Invariants: what is told of a sign-in that fails is the same whatever was wrong with it; nobody is sent anywhere but to
a page of the desk afterwards.
"""

import math
import re
from collections.abc import Sequence

from quart import Response, request
from werkzeug.wrappers import Response as AnyResponse

from api.desk.guard import form_field
from api.desk.pages import Pages, go_to
from api.desk.passwords import PasswordChecker, TooManyChecks
from api.desk.sessions import Sessions
from api.desk.sign_in_throttle import SignInThrottle
from api.settings_checks import Network
from api.web.auth import GuardedBlueprint, Permission, needs, open_to_all
from api.web.client_address import find_client_network
from bot.ids import IdMaker
from storage import agents
from storage.sql.database import Database

MAX_EMAIL_CHARACTERS = 191  # as the column has it
OURS = re.compile(r"/desk(/tickets/[0-9]{1,18}|/whatsapp(/doctor)?)?(\?[a-z0-9_=&]{1,100})?", re.ASCII)
WRONG = "This e-mail address and this password do not belong together."


def add_sign_in(
    blueprint: GuardedBlueprint,
    sessions: Sessions,
    pages: Pages,
    database: Database,
    ids: IdMaker,
    throttle: SignInThrottle,
    trusted_proxies: Sequence[Network],
) -> None:
    """The routes for who comes and goes."""
    passwords = PasswordChecker()

    async def again(status: int, says: str, email: str, following: str) -> Response:
        return await pages.show("sign_in", status, says=says, email=email, following=following)

    @blueprint.get("/desk/sign-in")
    @open_to_all
    async def ask() -> Response | AnyResponse:
        """The form."""
        following = local(request.args.get("next", ""))
        if await sessions.find_agent():
            return go_to(following)
        return await again(200, "", "", following)

    @blueprint.post("/desk/sign-in")
    @open_to_all
    async def sign_in() -> Response | AnyResponse:
        """Lets an agent in."""
        email, password = form_field("email").strip().lower()[:MAX_EMAIL_CHARACTERS], form_field("password")
        following = local(form_field("next"))
        network = find_client_network(
            request.remote_addr or "", request.headers.getlist("X-Forwarded-For"), trusted_proxies
        )
        if wait := throttle.admit(email, network):
            seconds = math.ceil(wait)
            response = await again(429, f"Too many tries. Wait {seconds} s, and try again.", email, following)
            response.headers["Retry-After"] = str(seconds)
            return response
        async with database.reading() as tx:
            agent = await agents.by_email(tx, email)
        try:
            right = await passwords.is_right(agent.password_hash if agent else None, password)
        except TooManyChecks:
            throttle.take_back(email, network)
            return await again(503, "Many people sign in just now. Try again in a moment.", email, following)
        if agent is None or not right:
            return await again(401, WRONG, email, following)
        throttle.clear(email, network)
        await sessions.begin(agent, ids.next(), await passwords.renew_hash(agent.password_hash, password))
        return go_to(following)

    @blueprint.post("/desk/sign-out")
    @needs(Permission.READ)
    async def sign_out() -> AnyResponse:
        """Lets an agent out."""
        await sessions.end()
        return go_to("/desk/sign-in")


def local(path: str) -> str:
    """`path` if it is a page of the desk, else the first one."""
    return path if OURS.fullmatch(path) else "/desk"
