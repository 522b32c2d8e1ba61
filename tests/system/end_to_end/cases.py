"""The cases that public reports brought, as data, and who plays one against a running Tick.

A case is the bodies in payloads/cases/ and an outcome in expected_cases/. Its keys:
- `before`, `between` (behind the first body), `after`: steps, each a verb and its values: `write` and `tap` are the
  customer's, `answer` and `move` an agent's, `seconds` puts the clock forward; `other` is somebody else who writes, and
  `become` makes the customer of the next steps another person.
- `each`: every body is tried by itself from the same beginning, and `outcomes` are theirs, in order.
- `media`: files that Meta has; `files_later` of the outcome: what an agent reads about them, seconds later.
- `person`: who takes the steps, where it is not who writes the first message.
- `twins`: the bodies come once more with this text replaced; `at_once`: none waits for what comes of the one before.
- `content_types`, `path`: how and where the bodies are posted; at a `path` the handshake is tried too.
- `waits_for`: the outcome is right, and what it waits for is not there yet: the test fails strictly until it is.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.simulator import message_bodies
from api.simulator.bodies import Person
from api.simulator.message_bodies import MessageHead
from tests.support.places import PAYLOADS
from tests.system.end_to_end.tick import API_KEY, BEN, Tick

BODIES = PAYLOADS / "cases"
EXPECTED = Path(__file__).parent / "expected_cases"


def load_case(name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Loads the bodies of a case, and what is expected of them."""
    bodies = json.loads((BODIES / f"{name}.json").read_text("utf-8"))
    return bodies.get("posts", [bodies]), json.loads((EXPECTED / f"{name}.json").read_text("utf-8"))


def list_tries() -> list[Any]:
    """Lists the tests: a case and, where each of its bodies is tried by itself, which of them."""
    found = []
    for path in sorted(EXPECTED.iterdir()):
        posts, expected = load_case(path.stem)
        waits_for = expected.get("waits_for")
        marks = [pytest.mark.xfail(strict=True, reason=waits_for)] if waits_for else []
        for number in range(len(posts)) if expected.get("each") else [None]:
            name = path.stem if number is None else f"{path.stem}-{number + 1}"
            found.append(pytest.param(path.stem, number, id=name, marks=marks))
    return found


class Player:
    """Plays a case: takes its steps, and knows the ids that its bodies have to name."""

    def __init__(self, tick: Tick, person: Person) -> None:
        self.tick = tick
        self.person = person
        self.agents_wamid = ""
        self.others_wamid = ""
        self._count = 0

    async def take(self, step: list[Any]) -> None:
        """Takes a step that leads to the case or away from it."""
        verb, *values = step
        await getattr(self, f"_{verb}")(*values)

    async def _write(self, text: str) -> None:
        await self.tick.deliver_messages(message_bodies.text(self._head(self.person), text), person=self.person)

    async def _other(self, text: str) -> None:
        await self.tick.deliver_messages(message_bodies.text(self._head(BEN), text), person=BEN)
        self.others_wamid = self.tick.graph.wamids[-1]

    async def _tap(self, title: str) -> None:
        head, option_id = self._head(self.person), self.find_option(title)
        is_button = self.tick.graph.sends[-1]["interactive"]["type"] == "button"
        build = message_bodies.button_reply if is_button else message_bodies.list_reply
        await self.tick.deliver_messages(build(head, option_id, title), person=self.person)

    async def _become(self, person: dict[str, str]) -> None:
        self.person = Person(**person)

    async def _answer(self, text: str) -> None:
        await self._call("POST", "/api/replies", {"ticket_id": await self._ticket_id(), "message": text})
        await self.tick.wait_until_settled()
        self.agents_wamid = self.tick.graph.wamids[-1]

    async def _move(self, status: str) -> None:
        await self._call("PUT", f"/api/tickets/{await self._ticket_id()}/status", {"status": status})
        await self.tick.wait_until_settled()

    async def _seconds(self, seconds: float) -> None:
        self.tick.clock.set(datetime.fromtimestamp(self.tick.now + seconds, UTC))
        await self.tick.wait_until_settled()

    async def _call(self, method: str, path: str, body: object) -> None:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        response = await self.tick.http.request(method, path, json=body, headers=headers)
        assert response.status_code in (200, 201), response.text

    async def _ticket_id(self) -> int:
        return int(await self.tick.tables.fetch_value("SELECT MAX(id) FROM ticket"))

    def _head(self, person: Person) -> MessageHead:
        self._count += 1
        return MessageHead(person, f"wamid.STEP{self._count}", self.tick.now)

    def find_option(self, title: str) -> str:
        """Finds the id of an option by its title, in the last message that offers one of this title."""
        for sent in reversed(self.tick.graph.sends):
            action = sent.get("interactive", {}).get("action", {})
            buttons = [one["reply"] for one in action.get("buttons", ())]
            rows = [row for section in action.get("sections", ()) for row in section["rows"]]
            for option in buttons + rows:
                if option["title"] == title:
                    return str(option["id"])
        raise AssertionError(f"{title!r} was never offered")

    def fill_in(self, body: dict[str, Any]) -> bytes:
        """Fills in the ids that only a running Tick knows; returns the body's bytes."""
        text = json.dumps(body)
        if "<id of Send>" in text:
            text = text.replace("<id of Send>", self.find_option("Send"))
        text = text.replace("<wamid of another customer>", self.others_wamid)
        return text.replace("<wamid of the agent's answer>", self.agents_wamid).encode()


def find_person(posts: list[dict[str, Any]], expected: dict[str, Any]) -> Person:
    """Finds who writes: the `person` of the expectation, else who stands in the first body."""
    if "person" in expected:
        return Person(**expected["person"])
    value = posts[0]["entry"][0]["changes"][0]["value"]
    contact = (value.get("contacts") or [{}])[0]
    return Person("Ana Example", str(contact.get("wa_id", "")), contact.get("user_id", ""))
