"""The desk's own door: who sees a page, and whose form is believed.

Invariants: a page needs what its route declares, by the same table as the API; a form that is not of the session it
comes with, or not from a page of ours, changes nothing, and no file in it is kept; whatever goes wrong is answered with
a page.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

from quart import Response, current_app, g, request
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Response as AnyResponse

from api.desk.pages import Pages, go_to
from api.desk.sessions import Sessions
from api.web.auth import PERMISSIONS, SAFE_METHODS, GuardedBlueprint, Principal, declaration
from api.web.multipart import UploadRefused
from api.web.uploads import Uploads
from storage.blobs.store import StoreDown
from storage.files import FileRow
from storage.sql.database import DatabaseDown

MAX_FORM_FIELDS = 20
FORM = "application/x-www-form-urlencoded"
WITH_FILES = "multipart/form-data"
NOT_FROM_HERE = (
    "The form did not come from a page of this desk, as your browser sees it. "
    "If Tick is behind a proxy, PUBLIC_URL must be the address in your browser."
)


class _NotAdmitted(Exception):
    """Nothing of this form is kept. What was written so far goes back with the refusal."""


def keep_door(blueprint: GuardedBlueprint, sessions: Sessions, pages: Pages, uploads: Uploads) -> None:
    """Puts the door in front of every route of the desk."""

    async def read_form(principal: Principal | None, allowed: bool) -> None:
        g.form, g.uploaded, g.upload_refused = {}, [], ""
        if request.mimetype != WITH_FILES:
            g.form = await _read_form()
            return

        def admit(fields: Mapping[str, str]) -> None:
            g.form = fields
            if not allowed or not sessions.has_csrf_proof(form_field("csrf_token")):
                raise _NotAdmitted

        try:
            g.uploaded = (await uploads.receive(principal.actor if principal else "", admit)).files
        except (UploadRefused, StoreDown) as error:
            g.upload_refused = str(error)
        except _NotAdmitted:
            pass
        except BadRequest:
            g.form = {}  # as of any bytes that make no form: without a token it changes nothing

    @blueprint.before_request
    async def let_in() -> AnyResponse | Response | None:
        needed = declaration(current_app.view_functions[request.endpoint or ""])
        changes = request.method not in SAFE_METHODS
        principal = None if needed is None else await sessions.principal()
        allowed = principal is not None and needed in PERMISSIONS[principal.role]
        if changes:
            if not sessions.is_from_our_page():
                return pages.refuse(403, NOT_FROM_HERE)
            await read_form(principal, allowed)
        if needed is None:
            return None
        if principal is None:
            return pages.refuse(401, draft=form_field("message")) if changes else go_to(f"/desk/sign-in?{_from_here()}")
        if not allowed:
            return pages.refuse(403)
        if changes and not sessions.has_csrf_proof(form_field("csrf_token")):
            return pages.refuse(403, draft=form_field("message"))
        g.principal = principal
        return None

    async def refused(error: HTTPException) -> Response:
        return pages.refuse(error.code or 500)

    async def database_down(_error: DatabaseDown) -> Response:
        return pages.refuse(503)

    blueprint.register_error_handler(HTTPException, refused)
    blueprint.register_error_handler(DatabaseDown, database_down)


def form_field(name: str) -> str:
    """A field of the form that was sent."""
    form: Mapping[str, str] = g.form
    return form.get(name, "")


def uploaded() -> Sequence[FileRow]:
    """The files that came with the form, which are stored."""
    rows: Sequence[FileRow] = g.uploaded
    return rows


def upload_refused() -> str:
    """Why the files of the form were not taken, "" when they were."""
    says: str = g.upload_refused
    return says


async def _read_form() -> dict[str, str]:
    """Any bytes make a form, if only an empty one."""
    if request.mimetype != FORM:
        return {}
    body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]  # bytes, when not asked for text
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS))
    except ValueError:
        return {}


def _from_here() -> str:
    query = request.query_string.decode("ascii", "replace")
    return urlencode({"next": f"{request.path}?{query}" if query else request.path})
