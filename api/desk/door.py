"""The desk's own door: who sees a page, and whose form is believed.

Invariants: a page needs what its route declares, by the same table as the API; a form that is not of the session it
comes with, or not from a page of ours, changes nothing; whatever goes wrong is answered with a page.
"""

from urllib.parse import parse_qsl, urlencode

from quart import Response, current_app, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from api.auth import PERMISSIONS, SAFE_METHODS, GuardedBlueprint, declaration
from api.desk.pages import Pages, go_to
from api.desk.sessions import Sessions
from bot.changes import NoTicket
from storage.database import DatabaseDown

MOST_FIELDS = 20
FORM = "application/x-www-form-urlencoded"
NOT_FROM_HERE = (
    "The form did not come from a page of this desk, as your browser sees it. "
    "If Tick is behind a proxy, PUBLIC_URL must be the address in your browser."
)


def keep_door(blueprint: GuardedBlueprint, sessions: Sessions, pages: Pages) -> None:
    """Puts the door in front of every route of the desk."""

    @blueprint.before_request
    async def let_in() -> AnyResponse | Response | None:
        needed = declaration(current_app.view_functions[request.endpoint or ""])
        changes = request.method not in SAFE_METHODS
        if changes:
            if not sessions.from_our_page():
                return pages.refuse(403, NOT_FROM_HERE)
            g.form = await _read_form()
        if needed is None:
            return None
        principal = await sessions.principal()
        if principal is None:
            return pages.refuse(401, draft=form_field("message")) if changes else go_to(f"/desk/sign-in?{_from_here()}")
        if needed not in PERMISSIONS[principal.role]:
            return pages.refuse(403)
        if changes and not sessions.genuine(form_field("csrf_token")):
            return pages.refuse(403, draft=form_field("message"))
        g.principal = principal
        return None

    async def no_ticket(_error: NoTicket) -> Response:
        return pages.refuse(404)

    async def refused(error: HTTPException) -> Response:
        return pages.refuse(error.code or 500)

    async def database_down(_error: DatabaseDown) -> Response:
        return pages.refuse(503)

    blueprint.register_error_handler(NoTicket, no_ticket)
    blueprint.register_error_handler(HTTPException, refused)
    blueprint.register_error_handler(DatabaseDown, database_down)


def form_field(name: str) -> str:
    """A field of the form that was sent."""
    form: dict[str, str] = g.form
    return form.get(name, "")


async def _read_form() -> dict[str, str]:
    """Any bytes make a form, if only an empty one."""
    if request.mimetype != FORM:
        return {}
    body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]  # bytes, when not asked for text
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        return {}


def _from_here() -> str:
    query = request.query_string.decode("ascii", "replace")
    return urlencode({"next": f"{request.path}?{query}" if query else request.path})
