"""What Meta's answers and statuses come to for a row, played through the sender and through the matching of statuses.

The parts around the sender only write down, in order, what it asks of them; an outcome is one line of text, so that the
thousands in decisions.json can be compared and read.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from bot.delivery.departures import Departures
from bot.delivery.outbox_writer import AcceptedSend
from bot.delivery.sender import Sender
from bot.lane_state import LaneState
from bot.media.uploader import UploadFailed
from bot.metrics import Metrics
from bot.templates.health import TemplateKey
from bot.whatsapp.errors import classify_error
from bot.whatsapp.graph.client import Outcome, Refused
from bot.whatsapp.webhook.items import MessageStatus
from bot.worker.statuses import match_statuses
from storage.journal import PendingItem
from storage.outbox import FOR_A_PERSON, Move, OutboxRow
from storage.outbox_reads import SentRow
from storage.statuses import Origin, OutboxStatus, Why

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARKED_AT = NOW - timedelta(seconds=3)
REPORTED_AT = NOW - timedelta(seconds=1)
CUSTOMER, ROW, FORMER, WAMID = 4, 7, "wamid.former", "wamid.new"
META_SAYS = "in Meta's own words"
TEXT = {"type": "text", "text": "Hello"}
TEMPLATE = {"type": "template", "name": "closed", "language": "en"}
NOTICE = {"type": "text", "text": "Closed", "notice": {"kind": "closed", "language": "en", "values": {}}}
MEDIA = {"type": "media", "kind": "image", "file_id": "9"}


class Parts:
    """Everything around a sender: each thing that it asks for is a line of `asked`."""

    def __init__(
        self, outcome: Outcome | UploadFailed, *, open_by_now: bool, carried: Mapping[str, object] | Why
    ) -> None:
        self.asked: list[str] = []
        self._outcome = outcome
        self._open_by_now = open_by_now
        self._carried = carried
        self.is_tripped = False

    def admit(self) -> float:
        return 0.0

    async def take(self, customer_id: int, *, is_fresh: bool = False) -> float:
        return 0.0

    async def convert_to_template(self, message: Mapping[str, object]) -> Mapping[str, object] | Why:
        return self._carried

    async def ensure_uploaded(self, file_id: int) -> str:
        if isinstance(self._outcome, UploadFailed):
            raise self._outcome
        return "1"

    async def mark_sending(self, outbox_id: int) -> datetime:
        return MARKED_AT

    async def send(self, body: dict[str, object], *, on_leaving: Callable[[], None]) -> Outcome:
        assert not isinstance(self._outcome, UploadFailed)
        return self._outcome

    async def settle(self, mark: AcceptedSend | Move) -> bool:
        if isinstance(mark, Move):
            self.asked.append(self._moved(mark))
        else:
            assert (mark.outbox_id, mark.marked_at) == (ROW, MARKED_AT)
            self.asked.append(f"-> accepted {mark.wamid}")
        return True

    async def move_unless_open(
        self, step: Move, customer_id: int, waits_for: Mapping[str, object] | None = None
    ) -> bool:
        assert customer_id == CUSTOMER
        unless = "open or carried" if waits_for else "open"
        self.asked.append(f"{self._moved(step)}, queued if {unless}")
        return self._open_by_now

    def _moved(self, step: Move) -> str:
        assert step.outbox_id == ROW
        due = ""
        if step.due_at == FOR_A_PERSON:
            due = " for a person"
        elif step.due_at is not None:
            due = f" in {(step.due_at - NOW).total_seconds():g}"
        counted = f", refusals +{step.refusals}" if step.refusals else ""
        assert (step.source, step.resent) in ((OutboxStatus.SENDING, 0), (OutboxStatus.QUEUED, 0))
        return f"{step.source} -> {step.status}{due} {_describe(step.why)}{counted}"

    async def close_window(self, customer_id: int, sent_at: datetime) -> None:
        assert (customer_id, sent_at) == (CUSTOMER, MARKED_AT)
        self.asked.append("close window")

    async def mark_unreachable(self, customer_id: int, reason: str) -> None:
        assert customer_id == CUSTOMER
        self.asked.append(f"mark unreachable {_shorten(reason)}")

    async def trip(self, refused: Refused) -> float:
        self.asked.append(f"trip breaker {refused.wait_seconds:g}")
        return refused.wait_seconds

    async def reset(self) -> None:
        self.asked.append("restore breaker")

    async def slow_down(self, scope: str, customer_id: int, seconds: float) -> None:
        assert customer_id == CUSTOMER
        self.asked.append(f"slow {scope} {seconds:g}")

    async def record_refusal(self, key: TemplateKey, code: int, reason: str) -> None:
        assert key == ("closed", "en")
        self.asked.append(f"blame template {_shorten(f'{code}: {reason}')}")

    def end_typing(self, customer_id: int) -> None:
        assert customer_id == CUSTOMER
        self.asked.append("end typing")


async def play_answer(
    outcome: Outcome | UploadFailed,
    message: Mapping[str, object] = TEXT,
    *,
    origin: Origin = Origin.AGENT,
    refusals: int = 0,
    attempts: int = 0,
    resent: int = 0,
    window_open: bool = True,
    open_by_now: bool = False,
    carried: Mapping[str, object] | Why = TEMPLATE,
) -> str:
    """What the sender does with this row and this outcome."""
    parts: Any = Parts(outcome, open_by_now=open_by_now, carried=carried)
    sender = Sender(
        writer=parts,
        graph=parts,
        breaker=parts,
        rate_limits=parts,
        templates=parts,
        media=parts,
        read_receipts=parts,
        departures=Departures(None, "sender"),
        clock=lambda: NOW,
        metrics=Metrics(),
        doubt_seconds=15.0,
    )
    state = LaneState("15550001111", NOW if window_open else None)
    payload = json.dumps(message)
    row = OutboxRow(ROW, CUSTOMER, 1, origin, payload, NOW, attempts=attempts, refusals=refusals, resent=resent)
    deferred = await sender.send(state, row)
    asked = cast(list[str], parts.asked)
    assert not sender.is_busy_with(ROW)
    return "; ".join([*asked, "next row" if deferred is None else f"lane waits {deferred.seconds:g}"])


def play_status(
    status: OutboxStatus,
    code: int | None = None,
    *,
    origin: Origin = Origin.AGENT,
    refusals: int = 0,
    current: OutboxStatus = OutboxStatus.ACCEPTED,
    marked: bool = True,
    is_over: bool = False,
) -> str:
    """What a round writes for this status of this row; `is_over`: of a send of it that was refused before."""
    text = META_SAYS if status is OutboxStatus.FAILED else ""
    item = PendingItem(1, "s", "status", CUSTOMER, "", NOW, NOW, "", 0, False)
    unsent = current in (OutboxStatus.QUEUED, OutboxStatus.HELD, OutboxStatus.SENDING, OutboxStatus.UNKNOWN)
    row = SentRow(
        outbox_id=ROW,
        customer_id=CUSTOMER,
        status=current,
        wamid=FORMER if unsent or is_over else WAMID,
        origin=origin,
        refusals=refusals,
        marked_at=MARKED_AT if marked else None,
        earlier=frozenset({WAMID} if is_over else ()),
    )
    matched = match_statuses([(item, MessageStatus(WAMID, status, REPORTED_AT, str(ROW), code, text))], [row], NOW)
    lines = [f"close window {_name_instant(at)}" for at in matched.closed_windows.values()]
    lines += [f"mark unreachable {_shorten(why)}" for why in matched.unreachable.values()]
    lines += ["mark reachable" for _ in matched.reached]
    for refused in matched.template_refusals.values():
        times = f"{_name_instant(refused.at)}, sent {_name_instant(refused.sent_at)}"
        lines.append(f"blame template {_shorten(f'{refused.code}: {refused.reason}')}, {times}")
    lines += [f"alert {_shorten(why)}" for why in matched.alerts.values()]
    for status, wamids in matched.advances.items():
        why = f" {_describe(matched.failures[ROW])}" if ROW in matched.failures else ""
        lines += [f"-> {status}{why}" for wamid in wamids.values() if wamid == WAMID]
    for reroute in matched.reroutes.values():
        assert (reroute.customer_id, reroute.wamid) == (CUSTOMER, WAMID)
        lines.append(f"-> {reroute.move.status} in {reroute.move.due_seconds or 0:g} {_describe(reroute.move.why)}")
    lines += ["lane waits 0" for _ in matched.rerouted]
    lines += ["done" for _ in matched.done]
    lines += list(matched.ignored)
    assert matched.settled == {CUSTOMER}
    assert not matched.waiting
    return "; ".join(lines)


def _name_instant(at: datetime) -> str:
    return {MARKED_AT: "when marked", REPORTED_AT: "when reported"}[at]


def _describe(why: Why) -> str:
    return f"({why.reason}{': ' if why.detail else ''}{_shorten(why.detail)})"


def _shorten(said: str) -> str:
    """Our sentence for a code is in the table of errors: here it is only `...`."""
    code = re.search(r"\(Meta's code (\d+)", said)
    reason = classify_error(int(code[1]) if code else None).reason
    return said.replace(reason.rstrip("."), "...")


def group_cases(outcomes: Mapping[tuple[str, str], Sequence[str]]) -> dict[str, list[str]]:
    """Cases with the same outcomes under one name, and outcomes by the number of refusals: "0-4: ..."."""
    same: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for case, by_refusals in outcomes.items():
        same.setdefault(tuple(_group_refusals(by_refusals)), []).append(case)
    every = {first: tuple(second for one, second in outcomes if one == first) for first, _ in outcomes}
    return {_name_group(cases, every): list(runs) for runs, cases in same.items()}


def _name_group(cases: Iterable[tuple[str, str]], every: Mapping[str, tuple[str, ...]]) -> str:
    """ "notice, agent: queued, held | prompt: any"."""
    seconds: dict[str, list[str]] = {}
    for first, second in cases:
        seconds.setdefault(first, []).append(second)
    firsts: dict[str, list[str]] = {}
    for first, found in seconds.items():
        firsts.setdefault("any" if tuple(found) == every[first] else ", ".join(found), []).append(first)
    whole = len(seconds) == len(every)
    return " | ".join(
        f"{'any' if whole and len(found) == len(every) else ', '.join(found)}: {second}"
        for second, found in firsts.items()
    )


def _group_refusals(outcomes: Sequence[str]) -> list[str]:
    if len(outcomes) == 1:
        return [*outcomes]
    runs: list[tuple[int, int, str]] = []
    for at, outcome in enumerate(outcomes):
        if runs and runs[-1][2] == outcome:
            runs[-1] = (runs[-1][0], at, outcome)
        else:
            runs.append((at, at, outcome))
    return [f"{first}-{last}: {outcome}" if last > first else f"{first}: {outcome}" for first, last, outcome in runs]
