"""What public reports of people who run WhatsApp desks brought: each case from the socket to the answer, with one exact
outcome each.

Invariants
- Only what comes of the bodies and of `after` stands in `items` and `outbox`: `before` has its own tests.
- "…" in an outcome is any text that is not empty: nothing is promised about its words. With `notes_on`, neither is
  anything about the words of notes and alerts, only which tickets have notes ("any": not even that).
"""

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from api.simulator.bodies import sign
from tests.system.end_to_end.cases import BODIES, EXPECTED, Player, find_person, list_tries, load_case
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.scripted_graph import ScriptedFile
from tests.system.end_to_end.tick import SECRET, VERIFY_TOKEN, WEBHOOK, Tick

BEGINNING = 1795899900  # a minute before most of the bodies
ARRIVAL = 1795900500
ANY_TEXT = "…"


@pytest.fixture(scope="module", params=[Variant("sqlite", "guided")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


async def deliver(tick: Tick, player: Player, bodies: list[dict[str, Any]], expected: dict[str, Any]) -> list[int]:
    """Posts the bodies, one after the other or at once; returns the statuses of the answers."""
    filled = [player.fill_in(body) for body in bodies]
    twins = [body.replace(old.encode(), new.encode()) for body in filled for old, new in expected.get("twins", ())]
    if expected.get("at_once"):
        return await post_all(tick, filled + twins, expected)
    statuses = []
    for at, body in enumerate(filled + twins):
        statuses += await post_all(tick, [body], expected)
        await tick.wait_until_settled()
        for step in expected.get("between", ()) if at == 0 else ():
            await player.take(step)
    return statuses


async def post_all(tick: Tick, bodies: list[bytes], expected: dict[str, Any]) -> list[int]:
    """Posts the bodies at once, each under all of the case's content types; returns the statuses of the answers."""

    async def post(body: bytes, content_type: str) -> int:
        headers = {"X-Hub-Signature-256": sign(body, SECRET), "Content-Type": content_type}
        return (await tick.http.post(expected.get("path", WEBHOOK), content=body, headers=headers)).status_code

    types = expected.get("content_types", ["application/json"])
    return list(await asyncio.gather(*(post(body, each) for body in bodies for each in types)))


async def shake_hands(tick: Tick, path: str) -> list[Any]:
    """Asks as Meta does when a callback is saved; returns the status and the text of the answer."""
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1158201444"}
    response = await tick.http.get(path, params=asked)
    return [response.status_code, response.text]


async def read_files(tick: Tick, rows: list[list[Any]]) -> list[list[Any]]:
    """Waits until the files of the newest ticket are these rows of name, state and reason; returns what they are."""
    found: list[list[Any]] = []

    async def are_they() -> bool:
        ticket_id = await tick.tables.fetch_value("SELECT MAX(id) FROM ticket")
        replies = await tick.read_as_agent(f"/api/replies/{ticket_id}")
        found[:] = [[one["name"], one["state"], one["reason"]] for reply in replies for one in reply["files"]]
        return is_same(found, rows)

    with contextlib.suppress(AssertionError):  # what they are instead says more
        await tick.wait_until("the files are as expected", are_they)
    return found


async def read_outcome(tick: Tick, right: dict[str, Any], skip_items: int, skip_rows: int) -> dict[str, Any]:
    """Reads what became of the case, apart from what was there before; `right` says in which of the details."""
    outcome = await tick.read_outcome(skip_items=skip_items, skip_rows=skip_rows)
    if "names" in right:
        outcome["names"] = [name for (name,) in await tick.tables.fetch("SELECT name FROM customer ORDER BY name")]
    if "late" in right:
        late = await tick.tables.fetch("SELECT late FROM item ORDER BY id")
        outcome["late"] = [bool(value) for (value,) in late[skip_items:]]
    if "notes_on" in right:
        outcome.pop("alerts", None)
        notes = {row[0] for row in outcome["replies"] if row[1] == "system"}
        outcome["replies"] = [row for row in outcome["replies"] if row[1] != "system"]
        outcome["notes_on"] = right["notes_on"] if right["notes_on"] == "any" else sorted(notes)
    return outcome


def is_same(found: Any, expected: Any) -> bool:
    """Whether it is what is expected; ANY_TEXT stands for any text that is not empty."""
    if expected == ANY_TEXT:
        return isinstance(found, str) and bool(found)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(is_same(*pair) for pair in zip(found, expected, strict=True))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(is_same(found[key], expected[key]) for key in found)
    return bool(found == expected)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "number"), list_tries())
async def test_a_case(tick: Tick, name: str, number: int | None) -> None:
    posts, expected = load_case(name)
    right = expected["outcome"] if number is None else expected["outcomes"][number]
    player = Player(tick, find_person(posts, expected))
    tick.clock.set(datetime.fromtimestamp(BEGINNING, UTC))
    for step in expected.get("before", ()):
        await player.take(step)
    tick.graph.media.update({key: ScriptedFile(**file) for key, file in expected.get("media", {}).items()})
    seen = len(await tick.read_items()), len(await tick.read_outbox())

    tick.clock.set(datetime.fromtimestamp(ARRIVAL, UTC))
    outcome: dict[str, Any] = {}
    outcome["status"] = await deliver(tick, player, posts if number is None else [posts[number]], expected)
    await tick.wait_until_at_rest()
    for step in expected.get("after", ()):
        await player.take(step)
    if "handshake" in right:
        outcome["handshake"] = await shake_hands(tick, expected["path"])
    for seconds, rows in right.get("files_later", ()):
        await player.take(["seconds", seconds])
        outcome.setdefault("files_later", []).append([seconds, await read_files(tick, rows)])
    outcome |= await read_outcome(tick, right, *seen)
    assert is_same(outcome, right), json.dumps(outcome, ensure_ascii=False, indent=1)


def test_every_case_has_its_outcome() -> None:
    assert {path.stem for path in EXPECTED.iterdir()} == {path.stem for path in BODIES.iterdir()}
