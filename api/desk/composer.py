"""Reads the composer, the form with which an agent answers on a ticket's page.

Invariants
- A composer draft comes back into the composer whatever goes wrong, so nothing is written twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from api.desk.forms import FormRefused, form_field, sent_form
from api.web.fields import MAX_IDS, Text, read_id
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS

TOO_LONG = "The answer is too long."
NOTHING_TO_READ = "There is nothing to read in the answer yet."
_TEXT: TypeAdapter[str] = TypeAdapter(Text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposerDraft:
    """What an agent has typed and not sent. `quoted_id`: the reply that it answers; `file_ids`: stored files."""

    text: str = ""
    quoted_id: int | None = None
    file_ids: Sequence[int] = ()


def read_composer_draft() -> ComposerDraft:
    """Reads the composer as it was sent: files that an earlier try has stored are named in it, and new ones are in
    it."""
    earlier = [file_id for part in form_field("attached").split(",") if (file_id := read_id(part))]
    file_ids = dict.fromkeys([*earlier, *(row.file_id for row in sent_form().files)])
    return ComposerDraft(
        text=form_field("message"), quoted_id=read_id(form_field("quote")), file_ids=list(file_ids)[:MAX_IDS]
    )


def check_message(text: str) -> str:
    """Checks a text as the API does, and returns it cleaned; raises FormRefused."""
    try:
        return _TEXT.validate_python(text)
    except ValidationError:
        raise FormRefused(TOO_LONG if len(text) > MAX_TEXT_CHARACTERS else NOTHING_TO_READ) from None
