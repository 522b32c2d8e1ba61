"""A stranger's first half hour: `tick demo`, two customers in a real browser, an agent with the printed key.

What the lines of transcripts promise, through all of Tick at once: page, webhook, journal, lanes, Graph client, API.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.demo_process import Demo
from tests.support.openapi import contract
from tests.support.plain_http import plain_http
from tests.support.servers import program
from tests.support.simulator_page import attach, bubbles, phone_of, pick, quote, tap, tiny_png, write

OPENED = re.compile(r"Done: your ticket is #(\d+)\.")
ADDED = re.compile(r"Thank you, that is added to your ticket #\d+\.")
PATIENCE_SECONDS = 15
expect.set_options(timeout=PATIENCE_SECONDS * 1_000)


@pytest.fixture
def shell(at_hand: Callable[[str, Callable[[], str]], str], ran: Callable[[str], None]) -> Callable[[str], Any]:
    """Pastes a line into a shell and reads the JSON that comes of it."""
    at_hand("curl", lambda: program("curl"))
    ran("curl")

    def paste(line: str) -> Any:
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return paste


def check_requests(demo: Demo) -> None:
    """Holds what the demo's process asked of its simulator against Meta's OpenAPI document."""
    if not contract.is_present():
        return
    asked = httpx.get(f"{demo.url}/simulator/api/requests", trust_env=False).json()["data"]
    assert asked
    wrong = [contract.find_violations(one["method"], one["target"], one["body"] or contract.NO_BODY) for one in asked]
    assert [problems for problems in wrong if problems] == []


@pytest.fixture
def demo() -> Iterator[Demo]:
    demo = Demo()
    try:
        demo.start()
        yield demo
        check_requests(demo)
    finally:
        demo.close()


class Agent:
    """Works with the key that the demo printed."""

    def __init__(self, demo: Demo) -> None:
        self._base = f"{demo.url}/api"
        self._headers = {"Authorization": f"Bearer {demo.key}"}

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with plain_http() as http:
            answer = await http.request(method, f"{self._base}{path}", json=body, headers=self._headers)
        document = answer.json()
        assert answer.is_success, document
        assert document["success"] is True
        return document["data"]

    async def read_replies(self, ticket_id: int) -> list[tuple[str, str]]:
        return [(reply["author"], reply["message"]) for reply in await self.ask("GET", f"/replies/{ticket_id}")]


def newest(phone: Locator) -> Locator:
    return bubbles(phone, "business").last


async def ticket_of(phone: Locator) -> int:
    opened = bubbles(phone, "business").filter(has_text=OPENED)
    await expect(opened).to_have_count(1)
    found = OPENED.search(await opened.inner_text())
    assert found is not None
    return int(found[1])


async def expect_all_read(phone: Locator, by: str) -> None:
    """Expects the page to mark every message of this side as read."""
    messages = bubbles(phone, by)
    await expect(messages.get_by_role("img", name="Read", exact=True)).to_have_count(await messages.count())


async def chats(page: Page) -> list[str]:
    return [await phone_of(page, name).get_by_role("log").inner_text() for name in ("Ana", "Ben")]


async def two_tickets(ana: Locator, ben: Locator) -> tuple[int, int]:
    """Ana goes by the list and by taps, Ben writes; neither waits for the other."""
    await write(ana, "Hi")
    await ben.get_by_role("textbox", name="Type a message").fill("My laptop does not start any more.")
    await ben.get_by_role("button", name="Send message").click()
    await pick(ana, "Choose a topic", "Hardware")
    await expect(newest(ben)).to_contain_text("Thanks, I have kept that. What is it about?")
    await write(ben, "2")
    await expect(newest(ana)).to_contain_text("Tell us what is happening.")
    await write(ana, "The printer on the second floor only prints black pages.")
    await expect(newest(ben)).to_contain_text("Please check: Software")
    await expect(newest(ben)).to_contain_text("My laptop does not start any more.")
    await write(ben, "send")
    await expect(newest(ana)).to_contain_text("Please check: Hardware")
    await tap(ana, "Send")
    return await ticket_of(ana), await ticket_of(ben)


async def test_two_customers_an_agent_a_reload_and_a_restart(demo: Demo, tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    page = await browser.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    await page.goto(f"{demo.url}/simulator")
    ana, ben = phone_of(page, "Ana"), phone_of(page, "Ben")

    anas, bens = await two_tickets(ana, ben)
    assert {anas, bens} == {1, 2}
    agent = Agent(demo)
    tickets = {ticket["id"]: ticket for ticket in await agent.ask("GET", "/tickets")}
    assert {(t["name"], t["mobile"], t["issue_type"], t["status"], t["description"]) for t in tickets.values()} == {
        ("Ana", "+15550100001", "hardware", "new", "The printer on the second floor only prints black pages."),
        ("Ben", "+15550100002", "software", "new", "My laptop does not start any more."),
    }
    assert (tickets[anas]["name"], tickets[bens]["name"]) == ("Ana", "Ben")

    (tmp_path / "printer.png").write_bytes(tiny_png())
    (tmp_path / "error log.txt").write_text("Disk not found\n")
    await attach(ana, tmp_path / "printer.png")
    await write(ana, "This is the one")
    await attach(ben, tmp_path / "error log.txt")
    await ben.get_by_role("button", name="Send message").click()
    await expect(ana.get_by_role("img", name="printer.png")).to_be_visible()
    await expect(ben.get_by_role("link", name="error log.txt")).to_be_visible()
    for phone in (ana, ben):
        await expect(newest(phone)).to_have_text(ADDED)

    await agent.ask("PUT", f"/tickets/{anas}/status", {"status": "waiting"})
    asking = bubbles(ana, "business").filter(has_text=f"Ticket #{anas} is waiting for word from you.")
    await quote(asking)
    await expect(ana.get_by_role("group", name="Quoted message")).to_contain_text("is waiting for word from you")
    await write(ana, "It is the big one next to the kitchen.")
    answer = bubbles(ana, "customer").last
    await expect(answer.get_by_role("button", name="In reply to Tick Support")).to_be_visible()
    await expect(newest(ana)).to_have_text(ADDED)
    assert (await agent.read_replies(anas))[-1] == ("customer", "It is the big one next to the kitchen.")

    await agent.ask("POST", "/replies", {"ticket_id": bens, "message": "Does it make a sound?"})
    await expect(newest(ben)).to_contain_text("Does it make a sound?")
    for phone in (ana, ben):
        await expect_all_read(phone, "business")

    before = await chats(page)
    await page.reload()
    await expect(bubbles(ana, "customer")).to_have_count(6)
    assert await chats(page) == before

    demo.stop()
    demo.start()
    await page.reload()
    await expect(bubbles(ben, "customer")).to_have_count(4)
    assert await chats(page) == before
    await write(ben, "No, it is silent.")
    await expect(newest(ben)).to_have_text(ADDED)
    await write(ana, "menu")
    await expect(newest(ana)).to_contain_text("What do you need help with?")
    await pick(ana, "Choose a topic", "Network")
    await expect(newest(ana)).to_contain_text("Tell us what is happening.")
    await write(ana, "The Wi-Fi drops every few minutes.")
    await expect(newest(ana)).to_contain_text("Please check: Network")
    await tap(ana, "Send")
    await expect(newest(ana)).to_contain_text("Done: your ticket is #3.")
    assert (await agent.read_replies(bens))[-2:] == [
        ("agent", "Does it make a sound?"),
        ("customer", "No, it is silent."),
    ]
    assert [line for line in complaints if "ERR_" not in line] == []


async def test_the_printed_lines_work_as_printed(demo: Demo, browser: Browser, shell: Callable[[str], Any]) -> None:
    page = await browser.new_page()
    await page.goto(f"{demo.url}/simulator")
    await two_tickets(phone_of(page, "Ana"), phone_of(page, "Ben"))
    listed, moved, replied, read, status = (shell(line) for line in demo.lines_to_paste)
    assert [ticket["id"] for ticket in listed["data"]] == [2, 1]
    assert (moved["data"]["id"], moved["data"]["status"]) == (1, "in_progress")
    assert (replied["success"], replied["data"]["message"]) == (True, "We are on it.")
    for name in ("id", "created_at"):
        assert read["data"][-1][name] == replied["data"][name]
    assert (status["data"]["connected"], status["data"]["journal"]["dead"]) == (True, 0)
    owner = phone_of(page, moved["data"]["name"])
    await expect(owner.get_by_text("we are working on ticket #1 now")).to_be_visible()
    await expect(newest(owner)).to_contain_text("We are on it.")
    headers = {"Origin": demo.url}
    async with httpx.AsyncClient(base_url=demo.url, headers=headers, trust_env=False) as desk:
        email, password = demo.sign_in
        entered = await desk.post("/desk/sign-in", data={"email": email, "password": password})
        assert (entered.status_code, "Free answers until" in (await desk.get("/desk/tickets/1")).text) == (303, True)
        (await desk.post("/simulator/api/clock", json={"advance_seconds": 25 * 3600})).raise_for_status()
        closed = await desk.get("/desk/tickets/1")
        assert "Window closed" in closed.text, "a day has passed for the customer, and not for the agent"
