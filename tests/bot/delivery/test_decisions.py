"""What an answer or a status of Meta's means for a row: every code, for every kind of row, as it is written down.

decisions.json was recorded before the sender and the matching of statuses shared one decision. It is data: after a
change that is meant, `python -m tests.bot.delivery.test_decisions` writes it anew, and git shows what changed.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.delivery.decision import MAX_REFUSALS, TEMPLATE_CODES, decide_answer, decide_status
from bot.delivery.doubt import end_doubt
from bot.delivery.side_effects import AlertOperator, ResetBreaker, SlowDown, TripBreaker
from bot.media.uploader import UploadFailed
from bot.whatsapp.errors import Action, Scope, classify_error, describe_refusal
from bot.whatsapp.graph.client import Accepted, NotSent, Outcome, Refused, ServerFailed, Unknown
from bot.whatsapp.webhook.events import read_status
from bot.whatsapp.webhook.items import MessageStatus
from storage.outbox import OutboxRow
from storage.outbox_reads import SentRow
from storage.statuses import Origin, OutboxReason, OutboxStatus, Why
from tests.bot.delivery.decision_cases import (
    MARKED_AT,
    MEDIA,
    NOTICE,
    NOW,
    TEMPLATE,
    TEXT,
    group_cases,
    play_answer,
    play_status,
)
from tests.bot.whatsapp.test_errors import CODES as DOCUMENTED
from tests.bot.whatsapp.webhook.reading import parse_items
from tests.support.places import PAYLOADS

RECORDED = Path(__file__).with_name("decisions.json")
EXPECTED = Path(__file__).parents[1] / "whatsapp" / "expected"
DOUBTS = (
    OutboxReason.ANSWER_LOST,
    OutboxReason.SENDER_DIED,
    OutboxReason.SERVER_FAILED,
    OutboxReason.REFUSED,
)
ROW_IN_DOUBT = OutboxRow(7, 4, 1, Origin.PROMPT, "{}", NOW, status=OutboxStatus.UNKNOWN)
UNKNOWN_CODES = {987654, 132099, 132100}
CODES: list[int | None] = [None, *sorted({end for row in DOCUMENTED for end in row[:2]} | UNKNOWN_CODES)]
REFUSALS = range(MAX_REFUSALS + 2)
MESSAGES = {"words": TEXT, "template": TEMPLATE}
Known = dict[str, Any]


async def answers_of(outcome: Outcome) -> dict[str, list[str]]:
    """By who caused the row and what it is."""
    return group_cases(
        {
            (origin.value, name): [
                await play_answer(outcome, message, origin=origin, refusals=refusals) for refusals in REFUSALS
            ]
            for origin in Origin
            for name, message in MESSAGES.items()
        }
    )


def refused(code: int | None, http_status: int = 400, *, is_transient: bool = False) -> Refused:
    verdict = classify_error(code, http_status, is_transient)
    return Refused(code, verdict.action, verdict.wait_seconds, verdict.reason, "no", scope=verdict.scope)


def answered(code: int | None, http_status: int) -> Refused | ServerFailed:
    said = refused(code, http_status)
    return ServerFailed(said) if http_status >= 500 else said


def statuses_of(code: int | None) -> dict[str, list[str]]:
    """By who caused the row and where it is."""
    return group_cases(
        {
            (origin.value, current.value): [
                play_status(OutboxStatus.FAILED, code, origin=origin, refusals=refusals, current=current)
                for refusals in REFUSALS
            ]
            for origin in Origin
            for current in OutboxStatus
        }
    )


def by_code(code: int | None) -> Known:
    return {
        "answer": asyncio.run(answers_of(refused(code))),
        "answer with HTTP 500": asyncio.run(answers_of(answered(code, 500))),
        "status": statuses_of(code),
    }


def recorded_answers() -> dict[str, Outcome]:
    """Those of tests/payloads, as the client reads them."""
    odd = json.loads((EXPECTED / "responses-odd.json").read_text("utf-8"))
    said = json.loads((EXPECTED / "responses.json").read_text("utf-8"))
    sends: dict[str, dict[str, Any]] = {name: {"is": "Refused"} | one for name, one in said.items()}
    sends |= {name: each["send"] for name, each in odd.items()}
    return {name: _outcome(send) for name, send in sends.items()}


def _outcome(send: dict[str, Any]) -> Outcome:
    if send["is"] == "ServerFailed":
        said = _outcome({"is": "Refused"} | send["said"])
        assert isinstance(said, Refused)
        return ServerFailed(said)
    kinds = {kind.__name__: kind for kind in (Accepted, Refused, NotSent, Unknown)}
    values = {name: value for name, value in send.items() if name != "is"}
    if send["is"] == "Refused":
        values |= {"action": Action(values["action"]), "scope": Scope(values["scope"])}
    made: Outcome = kinds[send["is"]](**values)
    return made


async def others() -> dict[str, Any]:
    """What has no code, or one that HTTP says more of, and what is settled before a request."""
    known: dict[str, Any] = {}
    known["accepted"] = await answers_of(Accepted("wamid.new"))
    known["unknown"] = await answers_of(Unknown("The connection broke."))
    known["not sent, by attempts"] = [await play_answer(NotSent("No way."), attempts=tries) for tries in range(13)]
    for status in (0, 400, 429, 500, 503):
        for code in (None, 987654):
            known[f"HTTP {status}, code {code}"] = await answers_of(answered(code, status))
    for code in (131000, 131016, 132069):
        known[f"HTTP 500, code {code}, by resends"] = [
            await play_answer(answered(code, 500), resent=resent) for resent in range(MAX_REFUSALS + 1)
        ]
    known["the end of a doubt, by resends"] = group_cases(
        {
            (origin.value, reason.value): [
                end_doubt(replace(ROW_IN_DOUBT, origin=origin, why=Why(reason), resent=resent)).value
                for resent in range(MAX_REFUSALS + 1)
            ]
            for origin in Origin
            for reason in DOUBTS
        }
    )
    known["transient"] = await answers_of(refused(987654, is_transient=True))
    slow = Refused(131056, Action.RETRY_AFTER, 200.0, "Too many.", scope=Scope.PAIR)
    known["more patience than the table asks for"] = await answers_of(slow)
    for failed in (UploadFailed("Gone.", None), UploadFailed("Full.", 30.0), UploadFailed("No.", 5.0, refused=True)):
        name = f"not uploaded, again in {failed.retry_seconds}, refused {failed.refused}"
        known[name] = group_cases(
            {
                (origin.value, "file"): [
                    await play_answer(failed, MEDIA, origin=origin, refusals=refusals) for refusals in REFUSALS
                ]
                for origin in Origin
            }
        )
    known["window closed"] = group_cases({name: [await case] for name, case in _closed().items()})
    known["statuses"] = group_cases(
        {
            (status.value, current.value): [play_status(status, current=current)]
            for status in (OutboxStatus.SENT, OutboxStatus.DELIVERED, OutboxStatus.READ)
            for current in OutboxStatus
        }
    )
    known["statuses of a send that is over"] = group_cases(
        {
            (status.value, current.value): [play_status(status, 131000, current=current, is_over=True)]
            for status in (OutboxStatus.SENT, OutboxStatus.DELIVERED, OutboxStatus.READ, OutboxStatus.FAILED)
            for current in OutboxStatus
        }
    )
    known["refused as the template that carried it"] = {
        str(code): await play_answer(refused(code), NOTICE, window_open=False) for code in (100, 131047, 132015)
    }
    known["refused without a mark"] = {
        str(code): play_status(OutboxStatus.FAILED, code, marked=False) for code in (131047, 132001)
    }
    return known


def _closed() -> dict[tuple[str, str], Any]:
    kinds: dict[str, Mapping[str, object]] = {
        "words": TEXT,
        "template": TEMPLATE,
        "notice": NOTICE,
        "file": MEDIA,
        "reaction": {"type": "reaction", "wamid": "wamid.x", "emoji": "\N{THUMBS UP SIGN}"},
        "location request": {"type": "location_request", "text": "Where?"},
        "contact request": {"type": "contact_request", "text": "Who?"},
    }
    why = Why(OutboxReason.TEMPLATE_UNFIT, "It is paused.")
    return {
        (origin.value, f"{kind}{' open by now' if by_now else ''}{' carried' if carries else ''}"): play_answer(
            refused(131047) if kind == "template" else Accepted("wamid.new"),
            message,
            origin=origin,
            window_open=False,
            open_by_now=by_now,
            carried=TEMPLATE if carries else why,
        )
        for origin in Origin
        for kind, message in kinds.items()
        for by_now in (False, True)
        for carries in (False, True)
    }


def read_recorded() -> Known:
    known: Known = json.loads(RECORDED.read_text("utf-8"))
    return known


@pytest.mark.parametrize("code", CODES)
def test_a_code_means_what_is_written_down(code: int | None) -> None:
    assert by_code(code) == read_recorded()["codes"][str(code)]


async def test_what_has_no_code_means_what_is_written_down() -> None:
    assert await others() == read_recorded()["others"]


async def test_recorded_answers_mean_what_is_written_down() -> None:
    known = read_recorded()["responses"]
    assert {name: await answers_of(outcome) for name, outcome in recorded_answers().items()} == known


@pytest.mark.parametrize("code", [code for code in CODES if code is not None])
def test_a_code_means_the_same_as_an_answer_and_in_a_status(code: int) -> None:
    """But for what decision.py names: what stops all sending stops nothing when it comes in a status."""
    no = replace(refused(code), detail="")
    row = OutboxRow(7, 4, 1, Origin.AGENT, "{}", NOW)
    is_template = code in TEMPLATE_CODES
    answer = decide_answer(row, no, MARKED_AT, is_template=is_template, doubt_seconds=15)
    sent = SentRow(7, 4, OutboxStatus.ACCEPTED, "wamid.A", Origin.AGENT, marked_at=MARKED_AT)
    failed = MessageStatus("wamid.A", OutboxStatus.FAILED, NOW, error_code=code)
    status = decide_status(sent, failed, OutboxStatus.ACCEPTED)
    assert answer.move is not None
    assert status.move is not None
    if no.action is Action.STOP:
        assert (answer.move.status, answer.effects) == (OutboxStatus.QUEUED, (TripBreaker(no),))
        text = describe_refusal(no.reason, code)
        assert (status.move.status, status.effects) == (OutboxStatus.FAILED, (AlertOperator(code, text),))
        return
    assert answer.move.status is status.move.status
    assert (answer.move.due_seconds or 0) == (status.move.due_seconds or 0)
    of_the_sender = (ResetBreaker, SlowDown)
    assert [effect for effect in answer.effects if not isinstance(effect, of_the_sender)] == [*status.effects]


def test_no_code_is_forgotten() -> None:
    assert list(read_recorded()["codes"]) == [str(code) for code in CODES]
    for path in (PAYLOADS / "statuses-failed").iterdir():
        (item,) = parse_items(path.read_bytes())
        assert read_status(item.payload).error_code in CODES


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def all_responses() -> Known:
        return {name: await answers_of(outcome) for name, outcome in recorded_answers().items()}

    codes = {str(code): by_code(code) for code in CODES}
    known = {"codes": codes, "others": asyncio.run(others()), "responses": asyncio.run(all_responses())}
    RECORDED.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")
