"""Creates, lists and deletes Meta's own QR codes for our number; they are kept at Meta and not here.

Invariants
- What Meta refuses (MetaRefused) and what Meta could not be asked (MetaUnavailable) are two different errors.
- Neither holds anything that the caller sent.

Source: Meta, qr-codes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from bot.whatsapp.errors import Action
from bot.whatsapp.graph.client import GraphClient, GraphError, GraphResponse
from bot.whatsapp.sanitize import clean

MAX_TEXT_CHARACTERS = 140  # Meta's limit
MAX_LISTED_TEXT_CHARACTERS = 1000  # whatever Meta's limit is by then
MAX_PAGES = 25  # more is a list that never ends: a number has 2,000 codes at most
CODE_PATTERN = re.compile(r"[A-Za-z0-9]{1,64}")
LINK_PREFIX = "https://wa.me/message/"
UNKNOWN_OBJECT_CODE = 33  # of the Graph API
log = structlog.get_logger(__name__)


class MetaRefused(Exception):
    """Meta said no. The text is a sentence for whoever asked."""


class MetaUnavailable(Exception):
    """Meta could not be asked, or is busy: try again later. The text is a sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class QrCode:
    """A code that opens a chat with our number, with this text typed in."""

    code: str
    text: str

    @property
    def link(self) -> str:
        """The link that the picture of the code holds."""
        return LINK_PREFIX + self.code


class QrCodes:
    """The codes of our number. Each method raises MetaRefused and MetaUnavailable."""

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def create(self, text: str) -> QrCode:
        """Creates a code; `text` has at most MAX_TEXT_CHARACTERS."""
        body: dict[str, object] = {"prefilled_message": text, "generate_qr_image": "SVG"}
        answer = await self._graph.post(self._get_path(), body)
        _raise_for_error(answer)
        created = _parse_entry(answer.value)
        if created is None:
            raise MetaUnavailable("Meta answered without a code. Check the list: it may be there all the same.")
        return created

    async def list_codes(self) -> list[QrCode]:
        """Lists all codes, in Meta's order: the newest first."""
        found: list[QrCode] = []
        params: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            answer = await self._graph.get(self._get_path(), params)
            _raise_for_error(answer)
            data, after = answer.value.get("data"), answer.next_cursor
            entries = data if isinstance(data, list) else []
            found += [code for entry in entries if (code := _parse_entry(entry)) is not None]
            if not entries or not after or after == params.get("after"):
                break
            params = {"after": after}
        return found

    async def delete(self, code: str) -> None:
        """Deletes a code: what is printed stops working."""
        answer = await self._graph.delete(f"{self._get_path()}/{code}")
        _raise_for_error(answer)
        if answer.value.get("success") is not True:
            raise MetaUnavailable("Meta did not confirm that the code is gone. Check the list.")

    def _get_path(self) -> str:
        return f"{self._graph.settings.phone_number_id}/message_qrdls"


def _parse_entry(entry: object) -> QrCode | None:
    if not isinstance(entry, Mapping):
        return None
    code, text = entry.get("code"), entry.get("prefilled_message")
    if not isinstance(code, str) or not CODE_PATTERN.fullmatch(code):
        return None
    return QrCode(code, clean(text, MAX_LISTED_TEXT_CHARACTERS) if isinstance(text, str) else "")


def _raise_for_error(answer: GraphResponse) -> None:
    if answer.error is not None:
        error = answer.error
        log.warning("qr_code_refused", code=error.code, detail=error.detail, trace_id=error.trace_id)
        raise _to_exception(error)
    if answer.failure:
        raise MetaUnavailable(answer.failure)


def _to_exception(error: GraphError) -> Exception:
    if error.action in (Action.RETRY, Action.RETRY_AFTER):
        return MetaUnavailable(error.reason)
    if error.code == UNKNOWN_OBJECT_CODE:
        return MetaRefused("Meta knows no such code, or does not let this number have codes of its own.")
    if error.action is Action.STOP:
        return MetaRefused(f"Meta does not let this account have codes of its own. {error.reason}")
    code = "" if error.code is None else f" (error {error.code})"
    return MetaRefused(f"Meta did not accept this{code}. This account may not have codes of its own.")
