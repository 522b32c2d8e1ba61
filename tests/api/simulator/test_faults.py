"""Faults on demand over real HTTP: what the client sees, what was accepted all the same, and how long it lasts."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.simulator.faults import Fault, Faults, parse_fault
from tests.api.simulator.echo_service import NUMBER_ID, TOKEN, EchoService, run_echo_service

ANA, BEN = "15550100001", "15550100002"
HELLO: dict[str, Any] = {"text": {"body": "Hello"}}
Outcome = tuple[int, Any] | str
READ_SECONDS = 3.0  # long for a busy machine to answer in, and short of what a fault holds back


async def outcome(service: EchoService, phone: str = ANA) -> Outcome:
    """Sends a message; returns (status, Meta's code or the body), or the name of what went wrong on the way."""
    body = {"messaging_product": "whatsapp", "to": f"+{phone}", **HELLO}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        answer = await service.http.post(
            f"{service.graph}/{NUMBER_ID}/messages",
            json=body,
            headers=headers,
            timeout=httpx.Timeout(5, read=READ_SECONDS),
        )
    except httpx.HTTPError as error:
        return type(error).__name__
    try:
        return answer.status_code, answer.json().get("error", {}).get("code")
    except ValueError:
        return answer.status_code, answer.text[:6]


@pytest.mark.parametrize(
    ("fault", "seen", "accepted"),
    [
        (Fault("code", code=131056), (429, 131056), False),
        (Fault("code", code=131056, status=400), (400, 131056), False),
        (Fault("code", code=190), (401, 190), False),
        (Fault("code", code=777777), (400, 777777), False),
        (Fault("status", status=429), (429, 4), False),
        (Fault("status", status=500), (500, 2), False),
        (Fault("empty", status=503), (503, ""), False),
        (Fault("empty"), (200, ""), False),
        (Fault("html"), (502, "<html>"), False),
        (Fault("redirect"), (302, ""), False),
        (Fault("timeout_before"), "ReadTimeout", False),
        (Fault("timeout_after"), "ReadTimeout", True),
        (Fault("cut"), "RemoteProtocolError", False),
        (Fault("cut_after"), "RemoteProtocolError", True),
        (Fault("slow", delay_seconds=0.01), (200, None), True),
        (Fault("truncated"), (200, '{"cont'), True),
        (Fault("no_id"), (200, None), True),
        (Fault("huge"), (200, None), True),
        (Fault("code_after", code=131000, status=500), (500, 131000), True),
        (Fault("code_after", code=131000), (500, 131000), True),
        (Fault("status_after", status=503), (503, ""), True),
    ],
    ids=lambda value: f"{value.then} {value.code} {value.status}" if isinstance(value, Fault) else "",
)
async def test_a_fault_strikes_once_and_says_whether_the_message_was_accepted(
    tmp_path: Path, fault: Fault, seen: Outcome, accepted: bool
) -> None:
    async with run_echo_service(tmp_path) as service:
        await service.write(ANA, text="silence")
        service.simulator.faults.add(fault)
        assert await outcome(service) == seen
        sent = [m for m in service.simulator.meta.chats.list_messages(ANA) if m.by == "business"]
        assert len(sent) == accepted
        for message in sent:
            await service.until(lambda wamid=message.wamid: service.statuses(wamid) == ["sent", "delivered"])  # type: ignore[misc]
        assert service.simulator.faults.list_all() == []
        assert await outcome(service) == (200, None)


async def test_a_fault_is_for_one_customer_a_number_of_times_or_until_it_is_removed(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        faults = service.simulator.faults
        faults.add(Fault("code", "send", phone=ANA, times=2, code=131056))
        assert await outcome(service, BEN) == (200, None)
        assert [await outcome(service) for _ in range(3)] == [(429, 131056), (429, 131056), (200, None)]
        lasting = faults.add(Fault("status", "send", times=0, status=503))
        assert {await outcome(service) for _ in range(5)} == {(503, 2)}
        read = {"status": "read", "message_id": "wamid.x"}
        assert (await service.send(**read)).json()["error"]["code"] == 131009
        assert faults.remove(lasting.fault_id)
        assert not faults.remove(lasting.fault_id)
        assert await outcome(service) == (200, None)


async def test_a_message_can_be_accepted_and_fail_with_any_code(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        await service.write(ANA, text="silence")
        service.simulator.faults.add(Fault("fails", "send", code=131049))
        wamid = (await service.send(to=f"+{ANA}", **HELLO)).json()["messages"][0]["id"]
        await service.until(lambda: service.statuses(wamid) == ["failed"])
        failed = next(one for one in service.values("statuses") if one["id"] == wamid)
        assert failed["errors"][0]["code"] == 131049
        assert (await service.chat(ANA))[-1]["error"].endswith("(131049)")


async def test_a_wait_says_how_long(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        service.simulator.faults.add(Fault("code", code=80007, retry_after_seconds=7))
        assert (await service.send(to=f"+{ANA}", **HELLO)).headers["Retry-After"] == "7"


async def test_the_pair_limit_and_the_numbers_limit_hold_when_switched_on(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path, clock=lambda: 1_800_000_000.0) as service:
        setup = service.simulator.setup
        setup.pair_limit = True
        seen = [await outcome(service) for _ in range(46)]
        assert seen == [(200, None)] * 45 + [(429, 131056)]
        assert await outcome(service, BEN) == (200, None)
        service.simulator.advance(6)
        assert [await outcome(service), await outcome(service)] == [(200, None), (429, 131056)]
        setup.pair_limit, setup.messages_per_second = False, 3
        service.simulator.advance(1)
        assert [await outcome(service, BEN) for _ in range(4)] == [(200, None)] * 3 + [(429, 130429)]


async def write_two(service: EchoService) -> None:
    await service.write(ANA, text="silence 1")
    await service.write(ANA, text="silence 2")


def texts(*wanted: str) -> Callable[[EchoService], bool]:
    return lambda service: service.texts() == list(wanted)


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        (Fault("duplicate", "webhook"), texts("silence 1", "silence 1", "silence 2")),
        (Fault("reorder", "webhook", delay_seconds=20), texts("silence 2", "silence 1")),
        (Fault("reorder", "webhook", phone=BEN), texts("silence 1", "silence 2")),
        (Fault("late", "webhook", delay_seconds=0.3), texts("silence 2", "silence 1")),
        (Fault("lost", "webhook", delay_seconds=0.2), texts("silence 1", "silence 2")),
    ],
    ids=["duplicate", "reorder", "another customer's", "late", "lost for a while"],
)
async def test_webhooks_come_twice_late_or_in_another_order(
    tmp_path: Path, fault: Fault, arrived: Callable[[EchoService], bool]
) -> None:
    async with run_echo_service(tmp_path) as service:
        service.simulator.faults.add(fault)
        await write_two(service)
        await service.until(lambda: arrived(service))


async def test_lost_webhooks_come_when_the_fault_is_taken_away(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        lost = service.simulator.faults.add(Fault("lost", "webhook", phone=ANA))
        await write_two(service)
        await service.write(BEN, text="silence of Ben")
        await service.until(lambda: service.texts() == ["silence of Ben"])
        service.simulator.faults.remove(lost.fault_id)
        await service.until(lambda: service.texts()[1:] == ["silence 1", "silence 2"])


async def test_statuses_alone_may_be_lost_and_messages_alone_late(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        faults = service.simulator.faults
        lost = faults.add(Fault("lost", "statuses"))
        await service.write(ANA, text="silence 1")
        wamid = (await service.send(to=f"+{ANA}", **HELLO)).json()["messages"][0]["id"]
        await service.until(lambda: service.texts() == ["silence 1"])
        await service.write(ANA, text="silence 2")
        await service.until(lambda: service.texts() == ["silence 1", "silence 2"])
        assert service.statuses(wamid) == []
        faults.add(Fault("late", "messages", delay_seconds=3_600))
        faults.remove(lost.fault_id)
        await service.until(lambda: service.statuses(wamid) == ["sent", "delivered"])
        assert len(faults.list_all()) == 1


async def test_webhooks_that_a_fault_held_back_survive_a_restart(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        service.simulator.faults.add(Fault("late", "webhook", delay_seconds=3_600))
        await write_two(service)
        await service.until(lambda: service.texts() == ["silence 2"])
    async with run_echo_service(tmp_path) as service:
        await service.until(lambda: service.texts() == ["silence 1"])


async def test_faults_are_set_listed_and_removed_over_http(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        url = f"{service.url}/simulator/api/faults"
        made = await service.http.post(url, json={"then": "code", "code": 131000, "times": 2, "where": "send"})
        assert made.status_code == 201
        await service.http.post(url, json={"then": "late", "delay_seconds": 5})
        listed = (await service.http.get(url)).json()["data"]
        assert [(one["then"], one["where"]) for one in listed] == [("code", "send"), ("late", "webhook")]
        assert await outcome(service) == (500, 131000)
        gone = await service.http.delete(f"{url}/{made.json()['data']['fault_id']}")
        assert gone.json() == {"success": True}
        assert (await service.http.delete(f"{url}/999")).status_code == 404
        assert (await service.http.delete(url)).status_code == 200
        assert (await service.http.get(url)).json()["data"] == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"then": "explode"},
        {"then": "code"},
        {"then": "code", "code": "131000"},
        {"then": "code", "code": True},
        {"then": "status", "status": 200},
        {"then": "html", "where": "nowhere"},
        {"then": "html", "where": "webhook"},
        {"then": "late", "where": "send"},
        {"then": "html", "times": -1},
        {"then": "html", "colour": "red"},
        {"then": 5},
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        parse_fault(document)


async def test_what_waits_because_of_a_fault_ends_with_the_simulator() -> None:
    faults = Faults()
    waiting = asyncio.create_task(faults.wait(3_600))
    await asyncio.sleep(0)
    faults.end()
    async with asyncio.timeout(20):
        await waiting


async def test_time_passes_when_it_is_told_to(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        await service.write(ANA, text="silence")
        url = f"{service.url}/simulator/api/clock"
        moved = await service.http.post(url, json={"advance_seconds": 25 * 3_600})
        assert moved.json()["data"]["now"] > time.time() + 24 * 3_600
        wamid = (await service.send(to=f"+{ANA}", **HELLO)).json()["messages"][0]["id"]
        await service.until(lambda: service.statuses(wamid) == ["failed"])
        assert service.values("statuses")[0]["errors"][0]["code"] == 131047
        for wrong in ({}, {"advance_seconds": -1}, {"advance_seconds": "1"}, {"advance_seconds": True}):
            assert (await service.http.post(url, json=wrong)).status_code == 400
