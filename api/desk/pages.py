"""How the desk's pages are made.

Invariants: every value that goes into a page is escaped, whichever page it is; a page loads nothing but its own style
sheet and icon, runs no script, and can't be framed.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from quart import Response, g, redirect
from werkzeug.wrappers import Response as AnyResponse

from api.desk.sessions import Sessions
from storage.agents import StoredAgent

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
STATIC = {"desk.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
STATUS_WORDS = {
    "new": "New",
    "in_progress": "In progress",
    "waiting": "Waiting",
    "resolved": "Resolved",
    "closed": "Closed",
}
DELIVERY_WORDS = {
    "failed": "Not delivered",
    "held": "Held until they write",
    "unknown": "In doubt",
    "queued": "Queued",
    "sending": "Sending",
    "accepted": "On its way",
    "sent": "Sent",
    "delivered": "Delivered",
    "read": "Read",
}
REFUSALS = {
    401: ("You are signed out", "Sign in again, and then repeat what you did."),
    403: ("That is not allowed", "Your role doesn't include it, or the page that it came from is out of date."),
    404: ("There is nothing here", "Perhaps the number has a typing error."),
    503: ("Tick can't do this now", "Try again in a moment."),
}


class Pages:
    """The desk's pages, for whoever is signed in."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"minute": _minute, "moment": _moment}
        self._templates.globals |= {"status_words": STATUS_WORDS, "delivery_words": DELIVERY_WORDS}
        self._static = {name: (HERE / "static" / name).read_bytes() for name in STATIC}

    async def show(self, name: str, status: int = 200, /, **values: object) -> Response:
        """The page of this name."""
        return self._made(await self._sessions.agent(), name, status, values)

    def refuse(self, status: int, says: str = "", draft: str = "") -> Response:
        """A page that says why there is no other, and gives back what was written. It asks the database nothing, which
        may be the reason."""
        title, words = REFUSALS.get(status, ("This did not work", "Go back, and try again."))
        values = {"title": title, "words": says or words, "draft": draft}
        return self._made(g.get("desk_agent"), "refusal", status, values)

    def _made(self, agent: StoredAgent | None, name: str, status: int, values: Mapping[str, object]) -> Response:
        known = {"agent_name": agent.name if agent else "", "csrf_token": self._sessions.token() if agent else ""}
        text = self._templates.get_template(f"{name}.html").render({**known, **values})
        return Response(text, status, {"Content-Security-Policy": POLICY}, content_type="text/html; charset=utf-8")

    def file(self, name: str) -> Response | None:
        """A file that the pages load."""
        found = self._static.get(name)
        return None if found is None else Response(found, content_type=STATIC[name])


def go_to(path: str) -> AnyResponse:
    """The answer to a form: the browser shows `path`, and reloading that does not send the form again."""
    return redirect(path, 303)


def _minute(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M}"


def _moment(at: datetime) -> str:
    return f"{_minute(at)} UTC"
