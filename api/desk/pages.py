"""Answers requests with pages of the desk.

Invariants
- What an operator has to know stands on top of each page, for whoever is signed in.
- A refusal asks the database nothing, which may be the reason for it, and gives back what the agent wrote.
"""

from collections.abc import Mapping
from typing import TypeAlias

from quart import Response, redirect
from werkzeug.wrappers import Response as WerkzeugResponse

from api.desk.forms import form_field
from api.desk.services import desk_services
from api.services import services
from storage import alerts
from storage.agents import StoredAgent

AnyResponse: TypeAlias = Response | WerkzeugResponse
# By HTTP's status: the page's title, and what it says unless the caller knows better.
REFUSALS: Mapping[int, tuple[str, str]] = {
    401: ("You are signed out", "Sign in again, and then repeat what you did."),
    403: ("That is not allowed", "Your role doesn't include it, or the page that it came from is out of date."),
    404: ("There is nothing here", "Perhaps the number has a typing error."),
    413: ("This is too much at once", "Send fewer files, or smaller ones."),
    503: ("Tick can't do this now", "Try again in a moment."),
}
OTHER_REFUSAL = ("This did not work", "Go back, and try again.")


async def show_page(name: str, status: int = 200, /, **values: object) -> Response:
    """Shows the page of this name to whoever makes the request."""
    agent = await desk_services().sessions.find_agent()
    if agent is not None:
        async with services().database.reading() as tx:
            values["alerts"] = await alerts.list_open(tx)
    return _render(agent, name, status, values)


def show_refusal(status: int, sentence: str = "") -> Response:
    """Shows a page that says why there is no other, with what the agent wrote."""
    title, usual_sentence = REFUSALS.get(status, OTHER_REFUSAL)
    values = {"title": title, "sentence": sentence or usual_sentence, "draft": form_field("message")}
    return _render(desk_services().sessions.get_known_agent(), "refusal", status, values)


def go_to(path: str) -> WerkzeugResponse:
    """Answers a form: the browser shows `path`, and reloading that does not send the form again (303)."""
    return redirect(path, 303)


def _render(agent: StoredAgent | None, name: str, status: int, values: Mapping[str, object]) -> Response:
    common: dict[str, object] = {
        "agent_name": agent.name if agent else "",
        "csrf_token": desk_services().sessions.make_csrf_token() if agent else "",
        "alerts": [],
        "section": "",
    }
    return desk_services().renderer.render(name, status, {**common, **values})
