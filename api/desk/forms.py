"""Reads the form of a request, and stores the files in it once the sender is believed.

Invariants
- No file is kept before `is_believed` has looked at the fields in front of the first one.
- Any bytes make a form, if only an empty one: it has no CSRF token, so it changes nothing.
- Who may send no files has no longer for a form with files than for any other.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from quart import current_app, g, request
from werkzeug.exceptions import BadRequest

from api.services import services
from api.web.multipart import UploadRefused
from api.web.uploads import MAX_UPLOAD_SECONDS
from storage.blobs.store import StoreDown
from storage.files import FileRow

MAX_KEPT_FORMS = 1000  # nobody sends a form once more after so many others
MAX_CONTENTS_OF_FORM = 20
MAX_FORM_FIELDS = 20  # the longest form of the desk has half as many
URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class SentForm:
    """A form as it was sent. `files`: those that came with it, which are stored; `upload_problem`: a sentence that says
    why they were not taken, "" when they were."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[FileRow] = ()
    upload_problem: str = ""


class FormMemory:
    """Remembers what the forms had in them that one process took lately, and with which ids they acted."""

    def __init__(self) -> None:
        self._ids_by_content: OrderedDict[int, dict[str, int]] = OrderedDict()

    def find_id(self, form_id: int, content: str, make_id: Callable[[], int]) -> int:
        """Finds the id with which a form acts that has this content: its own the first time, and another one where it
        was sent before with something else in it."""
        while len(self._ids_by_content) >= MAX_KEPT_FORMS and form_id not in self._ids_by_content:
            self._ids_by_content.popitem(last=False)
        ids = self._ids_by_content.setdefault(form_id, {})
        if content not in ids and len(ids) < MAX_CONTENTS_OF_FORM:
            ids[content] = make_id() if ids else form_id
        return ids.get(content) or make_id()


class FormRefused(Exception):
    """What a form asks for can't be done. `sentence` says why on the ticket's page, which has HTTP's `status`."""

    def __init__(self, sentence: str, status: int = 422) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


class _NotBelieved(Exception):
    """No file of this form is kept."""


async def receive_form(actor: str, is_believed: Callable[[], bool], *, may_send_files: bool) -> None:
    """Reads the form of this request, for `sent_form`.

    Files are stored in the name of `actor` if `is_believed` says so, once the fields in front of them are read; the
    sender has the time that they take if they `may_send_files`. Raises HTTP's errors for what is too long or too slow,
    and DatabaseDown.
    """
    if request.mimetype != MULTIPART:
        g.sent_form = SentForm(await _read_fields())
        return

    def admit(fields: Mapping[str, str]) -> None:
        g.sent_form = SentForm(fields)
        if not is_believed():
            raise _NotBelieved

    max_seconds = MAX_UPLOAD_SECONDS if may_send_files else float(current_app.config["BODY_TIMEOUT"])
    try:
        received = await services().uploads.receive(actor, admit, max_seconds=max_seconds)
        g.sent_form = SentForm(received.fields, received.files)
    except (UploadRefused, StoreDown) as error:
        g.sent_form = replace(sent_form(), upload_problem=str(error))
    except _NotBelieved:
        pass
    except BadRequest:
        g.sent_form = SentForm()


def sent_form() -> SentForm:
    """Returns the form of this request; an empty one as long as none was read."""
    form: SentForm = g.get("sent_form") or SentForm()
    return form


def form_field(name: str) -> str:
    """Returns a field of the form that was sent, "" when it has none of this name."""
    return sent_form().fields.get(name, "")


async def _read_fields() -> dict[str, str]:
    if request.mimetype != URL_ENCODED:
        return {}
    body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]  # bytes, when not asked for text
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS))
    except ValueError:
        return {}
