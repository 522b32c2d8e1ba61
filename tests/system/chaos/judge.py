"""Judges a run by what customers sent and what reached them, and by what an agent can read afterwards.

Pure: logs in, verdict out. It never looks at Tick's tables.

Invariants
- Each thing that may not happen (lost, doubled, out of order, sent twice, stalled) is one named list of cases, so that
  a failure says what was broken and for whom.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Record = Mapping[str, Any]

ANSWER_KINDS = {  # by the kind of the customer's message
    "hi": ("list",),
    "topic": ("text",),
    "describe": ("button",),
    "submit": ("text",),
    "follow_up": ("text",),
}
DOUBT_PHASES = frozenset({"sending", "marking"})
PHASES = ("claimed", "transaction", "sending", "marking")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of a run. `driver` and `standin` are their logs; `tickets` and `replies` (by ticket id, oldest
    first) are what the agents' API gives at the end; `kills` are {"at", "phases"}; `stalls`: how often a worker stood
    still for longer than its lease. `stall_seconds`: how long a customer may wait, on a machine as slow as it was."""

    driver: Sequence[Record]
    standin: Sequence[Record]
    tickets: Sequence[Record]
    replies: Mapping[int, Sequence[Record]]
    kills: Sequence[Record]
    stall_seconds: float
    doubt_seconds: float
    stalls: int = 0


@dataclass(slots=True)
class Verdict:
    """What was broken, a sentence for each case, and the figures of the run."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    sent_twice: list[str] = field(default_factory=list)
    stalled: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def broken(self) -> list[str]:
        """Every case, with the name of its list."""
        names = ("lost", "doubled", "out_of_order", "sent_twice", "stalled")
        return [f"{name}: {case}" for name in names for case in getattr(self, name)]


def judge(evidence: Evidence) -> Verdict:
    """Decides what was broken in a run."""
    verdict = Verdict()
    sent = _group_by_customer(event for event in evidence.driver if event["event"] == "sent")
    sends = _group_by_customer(sorted(evidence.standin, key=lambda send: float(send["at"])))
    for event in evidence.driver:
        if event["event"] == "gave_up":
            verdict.lost.append(f"{event['customer']}: {event['problem']}")
    _check_sent_twice(evidence.standin, verdict)
    waits: list[float] = []
    doubts: list[float] = []
    for customer in sorted(sent.keys() | sends.keys()):
        theirs = sorted(sent.get(customer, []), key=lambda event: int(event["n"]))
        # What was sent twice is counted there, and hides nothing else here.
        answers = _drop_repeats(sends.get(customer, []))
        _check_answers(customer, theirs, answers, verdict)
        _check_waits(customer, theirs, answers, evidence, verdict, waits, doubts)
    _check_tickets(sent, evidence, verdict)
    hits = Counter(phase for kill in evidence.kills for phase in kill["phases"])
    names = Counter("+".join(kill["phases"]) or "idle" for kill in evidence.kills)
    verdict.figures = {
        "customers": len(sent),
        "messages": sum(map(len, sent.values())),
        "sends": len(evidence.standin),
        "tickets": len(evidence.tickets),
        "replies": sum(map(len, evidence.replies.values())),
        "kills": len(evidence.kills),
        "stalls": evidence.stalls,
        "kills_by_phase": {phase: hits[phase] for phase in PHASES},
        "kills_by_name": dict(names.most_common()),
        "wait_median": round(median(waits), 3) if waits else 0.0,
        "wait_p99": round(sorted(waits)[int(len(waits) * 0.99)], 3) if waits else 0.0,
        "wait_most": round(max(waits, default=0.0), 3),
        "wait_allowed": round(evidence.stall_seconds, 1),
        "in_doubt": len(doubts),
        "in_doubt_most": round(max(doubts, default=0.0), 3),
    } | {name: len(getattr(verdict, name)) for name in ("lost", "doubled", "out_of_order", "sent_twice", "stalled")}
    return verdict


def _group_by_customer(records: Iterable[Record]) -> dict[str, list[Record]]:
    grouped: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        grouped[str(record["customer"])].append(record)
    return dict(grouped)


def _drop_repeats(sends: Sequence[Record]) -> list[Record]:
    first: dict[str, Record] = {}
    for send in sends:
        first.setdefault(str(send["outbox_id"] or send["wamid"]), send)
    return list(first.values())


def _check_sent_twice(standin: Sequence[Record], verdict: Verdict) -> None:
    times = Counter(str(send["outbox_id"]) for send in standin)
    for send in _drop_repeats(standin):
        if not send["outbox_id"]:
            verdict.sent_twice.append(f"{send['customer']}: {send['wamid']} carries no id, so nobody can tell")
        elif (count := times[str(send["outbox_id"])]) > 1:
            verdict.sent_twice.append(f"{send['customer']}: {send['outbox_id']} was accepted {count} times")


def _check_answers(customer: str, sent: Sequence[Record], answers: Sequence[Record], verdict: Verdict) -> None:
    """Notes where a message has not exactly one answer, of the kind that its place in the conversation asks for."""
    if len(answers) < len(sent):
        verdict.lost.append(f"{customer}: {len(sent)} messages, {len(answers)} answers")
    elif len(answers) > len(sent):
        verdict.doubled.append(f"{customer}: {len(sent)} messages, {len(answers)} answers")
    else:
        for event, answer in zip(sent, answers, strict=True):
            if answer["kind"] not in ANSWER_KINDS[event["kind"]]:
                verdict.out_of_order.append(
                    f"{customer}: message {event['n']} ({event['kind']}) was answered by a {answer['kind']}"
                )


def _check_waits(
    customer: str,
    sent: Sequence[Record],
    answers: Sequence[Record],
    evidence: Evidence,
    verdict: Verdict,
    waits: list[float],
    doubts: list[float],
) -> None:
    """Notes the waits from acknowledgement to answer, and those that were longer than allowed: they may be only when
    the turn was committed in time and the send was in doubt, because a worker died while it sent."""
    probes = {
        int(event["n"]): event["committed"]
        for event in evidence.driver
        if event["event"] == "stalled" and event["customer"] == customer
    }
    for event, answer in zip(sent, answers, strict=False):
        acked_at, answered_at = float(event["acked_at"]), float(answer["at"])
        wait = max(0.0, answered_at - acked_at)
        if wait <= evidence.stall_seconds:
            waits.append(wait)
            continue
        where = f"{customer}: message {event['n']} ({event['kind']}) waited {wait:.1f} s"
        doubts.append(wait)
        if probes.get(int(event["n"])) is False:
            verdict.stalled.append(f"{where}, and its turn was not committed after {evidence.stall_seconds} s")
            continue
        deaths = [
            float(kill["at"])
            for kill in evidence.kills
            if acked_at - evidence.doubt_seconds <= kill["at"] <= answered_at and DOUBT_PHASES & set(kill["phases"])
        ]
        if not deaths:
            verdict.stalled.append(f"{where}, and no worker died while it sent")
            continue
        # Whoever sends it again may die too; that is another doubt only when it has waited for the first to pass.
        times = 2 if deaths[-1] - deaths[0] >= evidence.doubt_seconds else 1
        if wait > times * evidence.doubt_seconds + evidence.stall_seconds:
            verdict.stalled.append(f"{where}, longer than a send in doubt may")


def _check_tickets(sent: Mapping[str, Sequence[Record]], evidence: Evidence, verdict: Verdict) -> None:
    """Notes where a description is not one ticket, a follow-up is not one reply in its customer's ticket, in the order
    in which they were sent, or where there is anything that nobody sent."""
    owned: dict[str, list[Record]] = defaultdict(list)
    for ticket in evidence.tickets:
        owned[str(ticket["mobile"]).removeprefix("+")].append(ticket)
    for customer in owned.keys() - sent.keys():
        verdict.doubled.append(f"{customer}: a ticket of somebody who never wrote")
    for customer, events in sent.items():
        submitted = [event for event in events if event["kind"] == "submit"]
        tickets = owned.get(customer, [])
        if len(tickets) < len(submitted):
            verdict.lost.append(f"{customer}: Send was tapped, there is no ticket")
        elif len(tickets) > len(submitted):
            verdict.doubled.append(f"{customer}: Send was tapped {len(submitted)} times, {len(tickets)} tickets")
        described = [event["text"] for event in events if event["kind"] == "describe"]
        for ticket in tickets:
            if described and described[-1] not in str(ticket["description"]):
                verdict.lost.append(f"{customer}: ticket {ticket['id']} lacks the description")
        _check_replies(customer, events, tickets, evidence, verdict)


def _check_replies(
    customer: str, events: Sequence[Record], tickets: Sequence[Record], evidence: Evidence, verdict: Verdict
) -> None:
    added = [str(event["text"]) for event in events if event["kind"] == "follow_up"]
    kept = [
        str(reply["message"])
        for ticket in tickets
        for reply in evidence.replies.get(int(ticket["id"]), [])
        if reply["author"] == "customer"
    ]
    times = Counter(kept)
    verdict.lost += [f"{customer}: no reply {text!r}" for text in added if not times[text]]
    verdict.doubled += [f"{customer}: {count} replies {text!r}" for text, count in times.items() if count > 1]
    verdict.doubled += [f"{customer}: a reply that nobody wrote: {text!r}" for text in times.keys() - set(added)]
    places = {text: place for place, text in enumerate(added)}
    seen = [places[text] for text in dict.fromkeys(kept) if text in places]
    if seen != sorted(seen):
        verdict.out_of_order.append(f"{customer}: replies in the order {seen}")


def read_log(text: str) -> list[dict[str, Any]]:
    """Parses a log of JSON lines."""
    return [json.loads(line) for line in text.splitlines() if line]
