"""Gives the forms of a ticket's page their idempotency ids, and takes back only those that it gave.

A form that is sent twice acts once: its id becomes that of the change's line in the audit, so the line of the first
time tells the second. An id that somebody made up could be that of another change, which then would never be made.

Invariants
- An id is made here, and signed for the session and the ticket of its page; any other counts as none, and the change
  gets an id of its own.
- A form that is sent once more with something else in it, from a page that the browser kept, is another change: nothing
  that an agent wrote is taken for a repetition. It is the process that took it the first time that knows.
"""

import hashlib

from quart import request

from api.desk.forms import form_field, sent_form
from api.desk.services import desk_services
from api.services import services
from api.web.fields import read_id

NOT_CONTENT = frozenset({"csrf_token", "idempotency_id", "ask_idempotency_id"})


def make_form_id(ticket_id: int) -> str:
    """Makes the idempotency id of a form on this ticket's page."""
    form_id = services().ids.next()
    return f"{form_id}.{desk_services().sessions.sign(_describe(ticket_id, form_id))}"


def read_form_id(ticket_id: int, field: str = "idempotency_id") -> int | None:
    """Reads the idempotency id of the form that was sent; None where it has none that counts."""
    id_text, _, signature = form_field(field).partition(".")
    form_id, desk = read_id(id_text), desk_services()
    if form_id is None or not desk.sessions.is_signed(_describe(ticket_id, form_id), signature):
        return None
    return desk.form_memory.find_id(form_id, _digest_content(), services().ids.next)


def _describe(ticket_id: int, form_id: int) -> str:
    return f"form {ticket_id} {form_id}"


def _digest_content() -> str:
    form = sent_form()
    fields = sorted((name, value) for name, value in form.fields.items() if name not in NOT_CONTENT)
    content = repr((request.path, fields, [row.sha256 for row in form.files]))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
