"""Read marks and the typing indicator, at a Graph API of a real socket that does as it is told."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.delivery import read_receipts as tuning
from bot.delivery.read_receipts import ReadReceipts
from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from tests.support.openapi import contract

ANNE, BEN = 2**62 + 1, 2**62 + 2
SUCCESS = (200, {"success": True})


@dataclass
class Marked:
    wamid: str
    typing: bool
    at: float


@dataclass
class Meta:
    """`script`: what the next calls are answered, "lost" being a broken connection. `gate`: closed, nobody is."""

    script: deque[Any] = field(default_factory=deque)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    marks: list[Marked] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                contract.record_raw_request(head, body)
                asked = json.loads(body)
                assert asked["messaging_product"] == "whatsapp"
                assert asked["status"] == "read"
                typing = asked.get("typing_indicator") == {"type": "text"}
                self.marks.append(Marked(asked["message_id"], typing, time.monotonic()))
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                await self.gate.wait()
                self.under_way -= 1
                answer = self.script.popleft() if self.script else SUCCESS
                if answer == "lost":
                    return
                status, value = answer
                said = json.dumps(value).encode()
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(said), said))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def wamids(self) -> list[str]:
        return [mark.wamid for mark in self.marks]

    async def until(self, marks: int) -> None:
        async with asyncio.timeout(60):
            while len(self.marks) < marks or self.under_way:
                await asyncio.sleep(0.005)


@dataclass
class Place:
    meta: Meta
    receipts: ReadReceipts
    open: bool = True


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    meta = Meta()
    meta.gate.set()
    server = await asyncio.start_server(meta.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v25.0"
    async with open_http() as http:
        graph = GraphClient(GraphSettings(url, "555000000000001", "token", "secret"), http)
        here = Place(meta, ReadReceipts(graph, may_send=lambda: here.open))
        yield here
        await here.receipts.close()
    server.close()


async def test_a_message_is_marked_once_its_turn_is_done(place: Place) -> None:
    place.receipts.mark_read(ANNE, "wamid.1")
    await place.meta.until(1)
    assert [(mark.wamid, mark.typing) for mark in place.meta.marks] == [("wamid.1", False)]


async def test_a_customer_gets_one_mark_a_second_and_it_is_the_newest(place: Place) -> None:
    place.receipts.mark_read(BEN, "wamid.b")
    for number in range(50):
        place.receipts.mark_read(ANNE, f"wamid.{number}")
        await asyncio.sleep(0.005)
    await place.meta.until(3)
    assert sorted(place.meta.wamids) == ["wamid.0", "wamid.49", "wamid.b"]
    at = {mark.wamid: mark.at for mark in place.meta.marks}
    assert at["wamid.49"] - at["wamid.0"] > 0.9 * tuning.PACE_SECONDS


async def test_what_is_heard_twice_is_marked_once(place: Place) -> None:
    place.receipts.mark_read(ANNE, "wamid.1")
    await place.meta.until(1)
    place.receipts.mark_read(ANNE, "wamid.1")
    place.receipts.mark_read(BEN, "wamid.2")
    await place.meta.until(2)
    await asyncio.sleep(1.1 * tuning.PACE_SECONDS)
    assert place.meta.wamids == ["wamid.1", "wamid.2"]


async def test_who_has_to_wait_sees_us_typing_and_only_once(place: Place) -> None:
    place.receipts.show_typing(ANNE)  # nothing was heard from her
    place.receipts.mark_read(ANNE, "wamid.1")
    place.receipts.show_typing(ANNE)
    await place.meta.until(1)
    for _ in range(10):
        place.receipts.show_typing(ANNE)
    place.receipts.mark_read(ANNE, "wamid.2")
    await place.meta.until(2)
    assert [(mark.wamid, mark.typing) for mark in place.meta.marks] == [("wamid.1", True), ("wamid.2", False)]


async def test_the_wait_may_begin_after_the_mark(place: Place) -> None:
    place.receipts.mark_read(ANNE, "wamid.1")
    await place.meta.until(1)
    place.receipts.show_typing(ANNE)
    await place.meta.until(2)
    assert [(mark.wamid, mark.typing) for mark in place.meta.marks] == [("wamid.1", False), ("wamid.1", True)]


async def test_nobody_is_shown_typing_after_the_answer(place: Place) -> None:
    place.receipts.mark_read(ANNE, "wamid.1")
    await place.meta.until(1)
    place.receipts.show_typing(ANNE)  # not before a second has passed
    place.receipts.end_typing(ANNE)
    place.receipts.mark_read(ANNE, "wamid.2")
    await place.meta.until(2)
    assert [mark.typing for mark in place.meta.marks] == [False, False]


async def test_few_calls_are_under_way_and_few_customers_remembered(place: Place) -> None:
    place.meta.gate.clear()
    many = 3 * tuning.MAX_CUSTOMERS
    for number in range(many):
        place.receipts.mark_read(number, f"wamid.{number}")
    async with asyncio.timeout(60):
        while place.meta.under_way < tuning.MAX_CALLS_AT_ONCE:
            await asyncio.sleep(0.005)
    place.meta.gate.set()
    await place.meta.until(tuning.MAX_CUSTOMERS)
    assert sorted(place.meta.wamids) == sorted(f"wamid.{number}" for number in range(many)[-tuning.MAX_CUSTOMERS :])
    assert place.meta.most_under_way == tuning.MAX_CALLS_AT_ONCE


@pytest.mark.parametrize(
    ("answer", "silent"),
    [
        ("lost", True),
        ((502, {}), True),
        ((200, {}), True),
        ((401, {"error": {"code": 190, "message": "no"}}), True),
        ((429, {"error": {"code": 130429, "message": "no"}}), True),
        ((400, {"error": {"code": 131009, "message": "too old"}}), False),
        ((400, {"error": {"code": 131056, "message": "this pair"}}), False),
    ],
    ids=["lost", "html", "odd", "token", "limit", "too_old", "pair"],
)
async def test_while_meta_says_no_nobody_asks(place: Place, answer: Any, silent: bool) -> None:
    place.meta.script.append(answer)
    place.receipts.mark_read(ANNE, "wamid.1")
    await place.meta.until(1)
    async with asyncio.timeout(60):
        while place.meta.script:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)  # the answer has been read
    place.receipts.mark_read(BEN, "wamid.2")
    if not silent:
        await place.meta.until(2)
    await asyncio.sleep(0.1)
    assert place.meta.wamids == (["wamid.1"] if silent else ["wamid.1", "wamid.2"])


async def test_while_the_channel_is_stopped_nobody_asks(place: Place) -> None:
    place.open = False
    place.receipts.mark_read(ANNE, "wamid.1")
    place.receipts.show_typing(ANNE)
    place.open = True
    place.receipts.mark_read(ANNE, "wamid.2")
    await place.meta.until(1)
    assert place.meta.wamids == ["wamid.2"]


async def test_no_meta_at_all_is_nobodys_trouble() -> None:
    async with open_http() as http:
        receipts = ReadReceipts(GraphClient(GraphSettings("http://127.0.0.1:1", "1", "token", "secret"), http))
        for number in range(20):
            receipts.mark_read(number, f"wamid.{number}")
            receipts.show_typing(number)
            await asyncio.sleep(0.01)
        await receipts.close()
        receipts.mark_read(ANNE, "wamid.1")
        receipts.show_typing(ANNE)


async def test_the_end_waits_for_nobody(place: Place) -> None:
    place.meta.gate.clear()
    place.receipts.mark_read(ANNE, "wamid.1")
    place.receipts.mark_read(BEN, "wamid.2")
    async with asyncio.timeout(60):
        while place.meta.under_way < 2:
            await asyncio.sleep(0.005)
    place.receipts.mark_read(ANNE, "wamid.3")
    async with asyncio.timeout(20):
        await place.receipts.close()
    place.meta.gate.set()
    assert sorted(place.meta.wamids) == ["wamid.1", "wamid.2"]
