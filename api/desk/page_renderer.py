"""Renders the desk's pages with Jinja, and sends each with a Content-Security-Policy.

Invariants
- Every value that goes into a page is escaped, whichever page it is.
- A page loads nothing but its own style sheet, its icon and the files of customers that are pictures, runs no script,
  and can't be framed.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from quart import Response

from api.doctor.finding import Outcome
from api.views import alert_text, delivery_text, notice_text, ticket_text
from api.views.file_text import describe_file_state
from bot.delivery import circuit_breaker
from storage import replies
from storage.statuses import AlertSeverity, FileState, ReplyAuthor, ReplyKind

PAGES = Path(__file__).parent / "templates"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# Pictures that a browser shows without running anything in them: what the files' route serves to be shown in place.
PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})


class PageRenderer:
    """Renders pages from the files beside this module, which are read and compiled once."""

    def __init__(self) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(PAGES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters |= {
            "moment": _format_moment,
            "weekday": _format_weekday,
            "bytes": _format_bytes,
            "file_state": describe_file_state,
            "side": replies.find_side,
        }
        self._jinja.globals |= {
            "status_labels": ticket_text.STATUS_LABELS,
            "change_labels": ticket_text.CHANGE_LABELS,
            "request_labels": ticket_text.REQUEST_LABELS,
            "delivery_labels": delivery_text.DELIVERY_LABELS,
            "backlog_labels": delivery_text.BACKLOG_LABELS,
            "notice_labels": notice_text.NOTICE_LABELS,
            "severity_labels": alert_text.SEVERITY_LABELS,
            "AlertSeverity": AlertSeverity,
            "FileState": FileState,
            "Outcome": Outcome,
            "ReplyAuthor": ReplyAuthor,
            "ReplyKind": ReplyKind,
            "picture_types": PICTURE_TYPES,
            "channel": circuit_breaker.SUBJECT,
        }

    def render(self, name: str, status: int, values: Mapping[str, object]) -> Response:
        """Renders the page of this name. What a page reads must be among the values (StrictUndefined)."""
        text = self._jinja.get_template(f"{name}.html").render(values)
        return Response(text, status, {"Content-Security-Policy": POLICY}, content_type="text/html; charset=utf-8")


def _format_moment(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def _format_weekday(at: datetime) -> str:
    """Formats an instant that is at most a day away."""
    return f"{at:%A %H:%M} UTC"


def _format_bytes(size: int) -> str:
    """Formats a size as people say it."""
    if size < 1000:
        return f"{size} bytes"
    for unit in ("kB", "MB", "GB"):
        size_in_unit = size / 1000
        size = round(size_in_unit)
        if size_in_unit < 999.5:
            return f"{size_in_unit:.1f} {unit}" if size_in_unit < 10 else f"{size} {unit}"
    return f"{size} GB"
