"""Meta's own QR codes for our number: made, listed and deleted there, never kept here.

Invariant: what Meta says no to, and what could not be asked, are two different sentences; neither holds anything that
the caller sent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from bot.whatsapp.errors import Action
from bot.whatsapp.graph.client import Answer, GraphClient, GraphError
from bot.whatsapp.sanitize import clean

LONGEST_TEXT = 140
MOST_PAGES = 25
CODE = re.compile(r"[A-Za-z0-9]{1,64}")
LINK = "https://wa.me/message/"
log = structlog.get_logger(__name__)


class MetaRefused(Exception):
    """Meta said no. The text is a sentence for whoever asked."""


class MetaAway(Exception):
    """Meta could not be asked, or is busy: try again later. The text is a sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class QrCode:
    """A code, which leads to our number with this text typed in."""

    code: str
    text: str

    @property
    def link(self) -> str:
        """What the code says."""
        return LINK + self.code


class QrCodes:
    """The codes of our number."""

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def make(self, text: str) -> QrCode:
        """A new code; `text` has at most LONGEST_TEXT characters."""
        body: dict[str, object] = {"prefilled_message": text, "generate_qr_image": "SVG"}
        answer = _checked(await self._graph.post(self._path(), body))
        made = _read(answer.value)
        if made is None:
            raise MetaAway("Meta answered without a code. Look at the list: it may have been made.")
        return made

    async def listed(self) -> list[QrCode]:
        """All of them, the newest first, as Meta has it."""
        found: list[QrCode] = []
        params: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            value = _checked(await self._graph.get(self._path(), params)).value
            data, paging = value.get("data"), value.get("paging")
            entries = data if isinstance(data, list) else []
            found += [code for entry in entries if (code := _read(entry)) is not None]
            cursors = paging.get("cursors") if isinstance(paging, Mapping) and paging.get("next") else None
            after = cursors.get("after") if isinstance(cursors, Mapping) else None
            if not entries or not isinstance(after, str) or not after or after == params.get("after"):
                break
            params = {"after": after}
        return found

    async def delete(self, code: str) -> None:
        """What is printed stops working."""
        answer = _checked(await self._graph.delete(f"{self._path()}/{code}"))
        if answer.value.get("success") is not True:
            raise MetaAway("Meta did not say that the code is gone. Look at the list.")

    def _path(self) -> str:
        return f"{self._graph.settings.phone_number_id}/message_qrdls"


def _read(entry: object) -> QrCode | None:
    if not isinstance(entry, Mapping):
        return None
    code, text = entry.get("code"), entry.get("prefilled_message")
    if not isinstance(code, str) or not CODE.fullmatch(code):
        return None
    return QrCode(code, clean(text, 1000) if isinstance(text, str) else "")


def _checked(answer: Answer) -> Answer:
    if answer.error is not None:
        error = answer.error
        log.warning("qr_code_refused", code=error.code, detail=error.detail, trace_id=error.trace_id)
        raise _as_told(error)
    if answer.failure:
        raise MetaAway(answer.failure)
    return answer


def _as_told(error: GraphError) -> Exception:
    if error.action in (Action.RETRY, Action.RETRY_AFTER):
        return MetaAway(error.reason)
    if error.code == 33:
        return MetaRefused("Meta knows no such code, or does not let this number have codes of its own.")
    if error.action is Action.STOP:
        return MetaRefused(f"Meta does not let this account have codes of its own. {error.reason}")
    return MetaRefused(f"Meta did not accept this (error {error.code}). This account may not have codes of its own.")
