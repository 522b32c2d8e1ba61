"""Every status, severity and kind has its label, in the order of its enum."""

from collections.abc import Iterable

import pytest

from api.views.alert_text import SEVERITY_LABELS
from api.views.delivery_text import DELIVERY_LABELS
from api.views.notice_text import NOTICE_LABELS
from api.views.ticket_text import STATUS_LABELS
from bot.templates.notice_kinds import NoticeKind
from storage.statuses import AlertSeverity, OutboxStatus, TicketStatus


@pytest.mark.parametrize(
    ("labels", "members"),
    [
        (STATUS_LABELS, TicketStatus),
        (NOTICE_LABELS, NoticeKind),
        (SEVERITY_LABELS, AlertSeverity),
        (sorted(DELIVERY_LABELS), sorted(OutboxStatus)),
    ],
)
def test_every_member_has_its_label(labels: Iterable[str], members: Iterable[str]) -> None:
    assert list(labels) == list(members)


def test_a_notice_about_a_status_names_it() -> None:
    assert NOTICE_LABELS[NoticeKind.IN_PROGRESS] == "A ticket becomes in progress"
