"""The judge notices each thing that may not happen, and nothing where nothing happened."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.system.chaos.judge import Evidence, judge

ANN, BOB = "12025550001", "12025550002"
SCRIPT = (
    ("hi", "Hi", "list"),
    ("topic", "Topic", "text"),
    ("describe", "The printer of {customer} does not print", "button"),
    ("submit", "Send", "text"),
    ("follow_up", "Follow-up 1 of {customer}", "text"),
    ("follow_up", "Follow-up 2 of {customer}", "text"),
)


@dataclass
class Run:
    """What a good run leaves, to be spoiled by the tests."""

    driver: list[dict[str, Any]] = field(default_factory=list)
    standin: list[dict[str, Any]] = field(default_factory=list)
    tickets: list[dict[str, Any]] = field(default_factory=list)
    replies: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    kills: list[dict[str, Any]] = field(default_factory=list)

    def verdict(self) -> Any:
        return judge(
            Evidence(self.driver, self.standin, self.tickets, self.replies, self.kills,
                     stall_seconds=6.0, doubt_seconds=8.0)
        )  # fmt: skip

    def answer(self, customer: str, n: int) -> dict[str, Any]:
        return [send for send in self.standin if send["customer"] == customer][n - 1]


@pytest.fixture
def run() -> Run:
    """Two customers, each from "Hi" to two replies, a second a step."""
    good = Run()
    for ticket_id, customer in enumerate((ANN, BOB), 1):
        for n, (kind, text, answer) in enumerate(SCRIPT, 1):
            words = text.format(customer=customer)
            at = 1000.0 + n
            message = {"event": "sent", "customer": customer, "n": n, "kind": kind, "text": words, "acked_at": at}
            accepted = {"customer": customer, "outbox_id": f"{ticket_id}00{n}", "kind": answer, "at": at + 0.2}
            good.driver.append(message | {"wamid": f"wamid.{customer}.{n}", "tries": 1})
            good.standin.append(accepted | {"wamid": f"wamid.out.{customer}.{n}", "text": "", "options": []})
        ticket = {"id": ticket_id, "mobile": f"+{customer}"}
        good.tickets.append(ticket | {"description": f"The printer of {customer} does not print"})
        good.replies[ticket_id] = [
            {"author": "bot", "message": "Done"},
            {"author": "customer", "message": f"Follow-up 1 of {customer}"},
            {"author": "customer", "message": f"Follow-up 2 of {customer}"},
        ]
    return good


def test_a_good_run_has_nothing_broken(run: Run) -> None:
    verdict = run.verdict()
    assert verdict.broken == []
    assert verdict.figures["messages"] == 12
    assert verdict.figures["tickets"] == 2
    assert verdict.figures["wait_most"] == 0.2


def a_message_without_an_answer(run: Run) -> None:
    run.standin.remove(run.answer(ANN, 6))


def a_message_never_acknowledged(run: Run) -> None:
    run.driver.append({"event": "gave_up", "customer": ANN, "problem": "no answer to message 7"})


def a_ticket_missing(run: Run) -> None:
    del run.tickets[0]


def a_ticket_without_its_description(run: Run) -> None:
    run.tickets[0]["description"] = "Send"


def a_reply_missing(run: Run) -> None:
    del run.replies[1][1]


def a_ticket_twice(run: Run) -> None:
    run.tickets.append(run.tickets[0] | {"id": 9})


def a_ticket_of_nobody(run: Run) -> None:
    run.tickets.append(run.tickets[0] | {"id": 9, "mobile": "+12025550099"})


def a_reply_twice(run: Run) -> None:
    run.replies[1].append(copy.copy(run.replies[1][1]))


def a_reply_twice_in_two_tickets(run: Run) -> None:
    a_ticket_twice(run)
    run.replies[9] = [copy.copy(run.replies[1][1])]


def a_reply_in_the_ticket_of_another(run: Run) -> None:
    run.replies[2].append(run.replies[1].pop())


def an_answer_too_many(run: Run) -> None:
    run.standin.append(run.answer(ANN, 6) | {"outbox_id": "777"})


def replies_swapped(run: Run) -> None:
    run.replies[1][1:] = reversed(run.replies[1][1:])


def answers_swapped(run: Run) -> None:
    first, second = run.answer(ANN, 1), run.answer(ANN, 2)
    first["at"], second["at"] = second["at"], first["at"]


def a_send_accepted_twice(run: Run) -> None:
    run.standin.append(run.answer(ANN, 6) | {"wamid": "wamid.again", "at": 1009.0})


def a_send_without_an_id(run: Run) -> None:
    run.answer(ANN, 6)["outbox_id"] = ""


def late(run: Run, seconds: float, committed: bool | None) -> None:
    run.answer(ANN, 6)["at"] = 1006.0 + seconds
    run.driver.append({"event": "stalled", "customer": ANN, "n": 6, "committed": committed, "at": 1012.0})


def killed(run: Run, at: float, *phases: str) -> None:
    run.kills.append({"at": at, "phases": list(phases)})


def a_wait_without_a_kill(run: Run) -> None:
    late(run, 7.0, True)


def a_wait_after_a_kill_that_sent_nothing(run: Run) -> None:
    late(run, 7.0, None)
    killed(run, 1006.5, "claimed", "transaction")


def a_turn_not_committed_in_time(run: Run) -> None:
    late(run, 7.0, False)
    killed(run, 1006.5, "sending")


def a_doubt_that_lasts_too_long(run: Run) -> None:
    late(run, 14.5, True)
    killed(run, 1006.5, "sending")


@pytest.mark.parametrize(
    ("spoil", "seen"),
    [
        (a_message_without_an_answer, "lost"),
        (a_message_never_acknowledged, "lost"),
        (a_ticket_missing, "lost"),
        (a_ticket_without_its_description, "lost"),
        (a_reply_missing, "lost"),
        (a_ticket_twice, "doubled"),
        (a_ticket_of_nobody, "doubled"),
        (a_reply_twice, "doubled"),
        (a_reply_twice_in_two_tickets, "doubled"),
        (a_reply_in_the_ticket_of_another, "doubled"),
        (an_answer_too_many, "doubled"),
        (replies_swapped, "out_of_order"),
        (answers_swapped, "out_of_order"),
        (a_send_accepted_twice, "sent_twice"),
        (a_send_without_an_id, "sent_twice"),
        (a_wait_without_a_kill, "stalled"),
        (a_wait_after_a_kill_that_sent_nothing, "stalled"),
        (a_turn_not_committed_in_time, "stalled"),
        (a_doubt_that_lasts_too_long, "stalled"),
    ],
)
def test_what_is_broken_is_named(run: Run, spoil: Callable[[Run], None], seen: str) -> None:
    spoil(run)
    verdict = run.verdict()
    assert getattr(verdict, seen)
    assert verdict.figures[seen] == len(getattr(verdict, seen))


def test_a_send_in_doubt_may_take_longer(run: Run) -> None:
    late(run, 12.0, True)
    killed(run, 1006.5, "sending")
    verdict = run.verdict()
    assert verdict.broken == []
    assert verdict.figures["in_doubt"] == 1


def test_a_kill_counts_for_each_phase_that_was_open(run: Run) -> None:
    killed(run, 1001.0, "transaction", "sending")
    killed(run, 1002.0, "sending")
    killed(run, 1003.0)
    figures = run.verdict().figures
    assert figures["kills_by_phase"] == {"claimed": 0, "transaction": 1, "sending": 2, "marking": 0}
    assert figures["kills_by_name"] == {"transaction+sending": 1, "sending": 1, "idle": 1}
