"""Guards the desk's routes: who sees a page, and whose form is believed.

Invariants
- A page needs the permission that its route declares, by the same table as the API (PERMISSIONS).
- A form that does not carry the CSRF token of its session, or does not come from a page of ours, changes nothing, and
  no file in it is kept.
- Whoever is refused gets a page, and back what they wrote.
"""

from urllib.parse import urlencode

from quart import current_app, g, request

from api.desk.forms import form_field, receive_form
from api.desk.pages import AnyResponse, go_to, show_refusal
from api.desk.services import desk_services
from api.web.auth import PERMISSIONS, SAFE_METHODS, read_declaration, vouch_for_caller

NOT_FROM_HERE = (
    "The form did not come from a page of this desk, as your browser sees it. "
    "If Tick is behind a proxy, PUBLIC_URL must be the address in your browser."
)


async def let_in() -> AnyResponse | None:
    """Lets a request through to its view, or answers it: with the way to the sign-in, or with a refusal."""
    sessions = desk_services().sessions
    needed = read_declaration(current_app.view_functions[request.endpoint or ""])
    is_change = request.method not in SAFE_METHODS
    principal = None if needed is None else await sessions.find_principal()
    is_allowed = principal is not None and needed in PERMISSIONS[principal.role]
    if is_change:
        if not sessions.is_from_our_page():
            return show_refusal(403, NOT_FROM_HERE)
        actor = principal.actor.name if principal else ""
        await receive_form(
            actor,
            lambda: is_allowed and sessions.has_csrf_proof(form_field("csrf_token")),
            may_send_files=is_allowed,
        )
    if needed is None:
        return None
    if principal is None:
        return show_refusal(401) if is_change else go_to(f"/desk/sign-in?{_encode_this_address()}")
    if not is_allowed or (is_change and not sessions.has_csrf_proof(form_field("csrf_token"))):
        return show_refusal(403)
    g.principal = principal
    vouch_for_caller()
    return None


def _encode_this_address() -> str:
    query = request.query_string.decode("ascii", "replace")
    return urlencode({"next": f"{request.path}?{query}" if query else request.path})
