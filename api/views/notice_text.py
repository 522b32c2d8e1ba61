"""Names what customers are told by a notice, in words for agents and operators. Pure."""

from collections.abc import Mapping

from bot.templates.notice_kinds import NoticeKind

NOTICE_LABELS: Mapping[NoticeKind, str] = {
    NoticeKind.OPENED: "An agent opens a ticket",
    NoticeKind.NEW: "A ticket is back in line",
    NoticeKind.IN_PROGRESS: "A ticket becomes in progress",
    NoticeKind.WAITING: "A ticket becomes waiting",
    NoticeKind.RESOLVED: "A ticket becomes resolved",
    NoticeKind.CLOSED: "A ticket becomes closed",
    NoticeKind.REPLY: "An agent's own words",
}
