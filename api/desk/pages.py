"""How the desk's pages are made.

Invariants: every value that goes into a page is escaped, whichever page it is; a page loads nothing but its own style
sheet, its icon and the files of customers that are pictures, runs no script, and can't be framed; what an operator has
to know stands on top of each.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from quart import Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from api.desk.sessions import Sessions
from api.views import alert_text, delivery_text, ticket_text
from api.views.file_text import describe_file_state
from bot.delivery import circuit_breaker
from storage import alerts
from storage.agents import StoredAgent
from storage.sql.database import Database

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
STATIC = {"desk.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
# Pictures that a browser shows without running anything in them: what the files' route serves to be shown in place.
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
REFUSALS = {
    401: ("You are signed out", "Sign in again, and then repeat what you did."),
    403: ("That is not allowed", "Your role doesn't include it, or the page that it came from is out of date."),
    404: ("There is nothing here", "Perhaps the number has a typing error."),
    413: ("This is too much at once", "Send fewer files, or smaller ones."),
    503: ("Tick can't do this now", "Try again in a moment."),
}


class Pages:
    """The desk's pages, for whoever is signed in."""

    def __init__(self, sessions: Sessions, database: Database) -> None:
        self._sessions = sessions
        self._database = database
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "moment": _moment,
            "weekday": _weekday,
            "bytes": _bytes,
            "file_state": describe_file_state,
        }
        self._templates.globals |= {
            "status_labels": ticket_text.STATUS_LABELS,
            "change_labels": ticket_text.CHANGE_LABELS,
            "request_labels": ticket_text.REQUEST_LABELS,
            "delivery_labels": delivery_text.DELIVERY_LABELS,
            "backlog_labels": delivery_text.BACKLOG_LABELS,
            "severity_labels": alert_text.SEVERITY_LABELS,
            "pictures": PICTURES,
            "channel": circuit_breaker.SUBJECT,
        }
        self._static = {name: (HERE / "static" / name).read_bytes() for name in STATIC}

    async def show(self, name: str, status: int = 200, /, **values: object) -> Response:
        """The page of this name."""
        agent = await self._sessions.find_agent()
        if agent is not None:
            async with self._database.reading() as tx:
                values["alerts"] = await alerts.open_alerts(tx)
        return self._made(agent, name, status, values)

    def refuse(self, status: int, says: str = "", draft: str = "") -> Response:
        """A page that says why there is no other, and gives back what was written. It asks the database nothing, which
        may be the reason."""
        title, why = REFUSALS.get(status, ("This did not work", "Go back, and try again."))
        values = {"title": title, "words": says or why, "draft": draft}
        return self._made(self._sessions.known_agent(), "refusal", status, values)

    def _made(self, agent: StoredAgent | None, name: str, status: int, values: Mapping[str, object]) -> Response:
        known: dict[str, object] = {
            "agent_name": agent.name if agent else "",
            "csrf_token": self._sessions.make_csrf_token() if agent else "",
            "alerts": [],
            "place": "",
        }
        text = self._templates.get_template(f"{name}.html").render({**known, **values})
        return Response(text, status, {"Content-Security-Policy": POLICY}, content_type="text/html; charset=utf-8")

    def file(self, name: str) -> Response | None:
        """A file that the pages load."""
        found = self._static.get(name)
        return None if found is None else Response(found, content_type=STATIC[name])


def go_to(path: str) -> AnyResponse:
    """The answer to a form: the browser shows `path`, and reloading that does not send the form again."""
    return redirect(path, 303)


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def _weekday(at: datetime) -> str:
    """For what is at most a day away."""
    return f"{at:%A %H:%M} UTC"


def _bytes(size: int) -> str:
    """As people say it."""
    if size < 1000:
        return f"{size} bytes"
    for unit in ("kB", "MB", "GB"):
        size_in_unit = size / 1000
        size = round(size_in_unit)
        if size_in_unit < 999.5:
            return f"{size_in_unit:.1f} {unit}" if size_in_unit < 10 else f"{size} {unit}"
    return f"{size} GB"
