"""An edit, a deletion or a reaction that comes before its message: attached when that comes, else shown by itself."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.worker.parking import MAX_PARKED_PER_LANE, park
from bot.worker.played_lane import PlayedLane
from flows import Event
from flows.events import EventKind
from storage.journal import PendingItem
from tests.bot.world import ANNE, World

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OPENED = ("My printer is on fire", "hardware", "yes")
ACTS: dict[str, dict[str, Any]] = {
    "edit": {"edit": {"original_message_id": "w1", "message": {"type": "text", "text": {"body": "It still burns"}}}},
    "revoke": {"revoke": {"original_message_id": "w1"}},
    "reaction": {"reaction": {"message_id": "w1", "emoji": "👍"}},
}
SHOWN = {"edit": "[edited] It still burns", "revoke": "[deleted this message]", "reaction": "[reaction 👍]"}
CHANGED = {"edit": "edited", "revoke": "revoked", "reaction": ""}


def act(world: World, kind: str, *, about: str = "w1", wamid: str = "", ago: float = 0) -> dict[str, Any]:
    """What a customer does to a message of theirs."""
    value = world.message(wamid=wamid, ago=ago)
    (message,) = value["messages"]
    del message["text"]
    message |= {"type": kind} | json.loads(json.dumps(ACTS[kind]).replace("w1", about))
    return value


async def said(world: World) -> list[tuple[Any, ...]]:
    """What is on tickets besides their descriptions, as an agent sees it."""
    return await world.rows("SELECT kind, message, changed FROM reply ORDER BY written_at, id")


async def played(world: World) -> PlayedLane:
    """One round of one more process, which knows nothing but what is in SQL."""
    (lane,) = await world.rounds().play([await world.lane()])
    return lane


@pytest.mark.parametrize("kind", ACTS)
async def test_it_waits_for_its_message_and_keeps_nothing_else_waiting(world: World, kind: str) -> None:
    await world.write(*OPENED, ago=60)
    await world.receive(act(world, kind, ago=20))
    await world.write("Please hurry", ago=10)
    assert (await played(world)).again_seconds == 0, "what it waits for may have been in this very round"
    assert 5 < ((await played(world)).again_seconds or 0) <= 15
    assert await said(world) == [("message", "Please hurry", "")]
    assert await world.fates() == [("done", "")] * 3 + [("pending", ""), ("done", "")]

    await world.write("It stil burns", wamid="w1", ago=30)
    await played(world)
    label = "before" if kind == "edit" else "about"
    assert await said(world) == [
        ("message", "It stil burns", CHANGED[kind]),
        ("note", f"{SHOWN[kind]}\n{label}: “It stil burns”", ""),
        ("message", "Please hurry", ""),
    ]
    assert await world.counts() | {"duplicates": 0} == {
        "received": 6, "done": 6, "ignored": 0, "dead": 0, "pending": 0, "duplicates": 0
    }  # fmt: skip


@pytest.mark.parametrize("kind", ACTS)
async def test_one_whose_message_never_comes_is_shown_on_the_ticket(world: World, kind: str) -> None:
    await world.write(*OPENED, ago=60)
    await world.play()
    await world.receive(act(world, kind))
    again = (await played(world)).again_seconds
    assert again is not None
    assert 13 < again <= 15
    assert await said(world) == []
    world.clock.forward(15)
    assert (await played(world)).again_seconds is None
    assert await said(world) == [("note", SHOWN[kind], "")]
    assert (await world.fates())[-1] == ("done", "")


async def test_it_changes_the_draft_that_its_message_becomes_a_part_of(world: World) -> None:
    await world.receive(act(world, "edit", ago=20))
    await world.write("It stil burns", wamid="w1", ago=30)
    await world.play()
    await world.write("hardware", "yes")
    await world.play()
    assert await world.rows("SELECT description FROM ticket") == [("It still burns",)]


async def test_workers_see_to_it_that_it_meets_a_message_of_the_same_second(world: World) -> None:
    """Such a message is played after it, as the journal's order has it."""
    await world.write(*OPENED, ago=60)
    await world.play()
    edit, message = act(world, "edit", ago=10), world.message("It stil burns", wamid="w1", ago=10)
    message["messages"][0]["timestamp"] = edit["messages"][0]["timestamp"]
    await world.receive(edit, message)
    async with world.working():
        await world.at_rest()
    assert await said(world) == [
        ("message", "It stil burns", "edited"),
        ("note", "[edited] It still burns\nbefore: “It stil burns”", ""),
    ]


async def test_what_is_about_a_message_on_no_ticket_does_not_wait(world: World) -> None:
    await world.write("Hi", wamid="w1", ago=60)
    async with world.working():
        await world.at_rest()
        ((prompt,),) = await world.rows("SELECT wamid FROM outbox")
        await world.receive(act(world, "reaction"), act(world, "reaction", about=prompt), act(world, "edit"))
        await world.at_rest()
    assert await world.fates() == [("done", "")] * 4


@pytest.mark.parametrize("said_by", ["customer", "Meta's agent"])
async def test_what_is_said_in_a_chat_that_metas_agent_leads_waits_for_nothing_that_it_quotes(
    world: World, said_by: str
) -> None:
    await world.write(*OPENED, ago=60)
    await world.play()
    answer = world.message("The blue one", ago=5)
    answer["messages"][0]["context"] = {"id": "wamid.of.no.webhook", "from": "1"}
    if said_by != "customer":
        (message,) = answer.pop("messages")
        answer["message_echoes"] = [message | {"to": message.pop("from")}]
    await world.receive(answer, field="standby")
    assert (await played(world)).again_seconds is None
    ((kind, message, _),) = await said(world)
    assert (kind, message.partition("] ")[2]) == ("note", "The blue one")


async def test_a_heap_of_them_keeps_nobody_waiting(world: World) -> None:
    await world.write(*OPENED, ago=90)
    await world.play()
    await world.receive(*(act(world, "edit", about=f"w{at}", ago=60) for at in range(MAX_PARKED_PER_LANE + 3)))
    await world.write("It still burns", ago=30)
    await played(world)
    assert await said(world) == [("note", SHOWN["edit"], "")] * 3 + [("message", "It still burns", "")]
    assert (await world.counts())["pending"] == MAX_PARKED_PER_LANE


def lane(*wamids: str, kind: EventKind = "silent") -> tuple[list[PendingItem], dict[int, Event | Exception]]:
    """Items that are about these messages; one that begins with `=` is that message itself."""
    items = [
        PendingItem(at, str(at), "message", 1, ANNE, NOW, NOW - timedelta(seconds=at), "", 0, False)
        for at, _ in enumerate(wamids)
    ]
    events: dict[int, Event | Exception] = {}
    for at, wamid in enumerate(wamids):
        if wamid.startswith("="):
            events[at] = Event("text", NOW, at, wamid=wamid[1:])
        else:
            events[at] = Event(kind, NOW, at, wamid=f"act {at}", quoted_wamid=wamid, about=bool(wamid))
    return items, events


@pytest.mark.parametrize(
    ("wamids", "come", "most_items", "parked"),
    [
        (["a"], [], 100, {0: 15.0}),
        (["a"], ["a"], 100, {}),
        ([""], [], 100, {}),
        (["a", "=b", "a"], [], 100, {0: 15.0, 2: 13.0}),
        (["=a", "a", "b"], [], 100, {2: 13.0}),
        (["a", "=a"], [], 100, {0: 15.0}),
        (["x"] * 20, [], 100, {at: 15.0 - at for at in range(15)}),  # the last have waited for long enough
        (["a", "b", "c"], [], 3, {0: 15.0, 1: 14.0}),  # one is played, so that the lane moves
        (["a"], [], 1, {}),
    ],
)
def test_who_waits(wamids: Sequence[str], come: Sequence[str], most_items: int, parked: dict[int, float]) -> None:
    assert park(*lane(*wamids), come, NOW, most_items) == parked


@pytest.mark.parametrize("kind", ["text", "option", "media", "echo", "handover", "unreadable"])
def test_what_says_something_by_itself_waits_for_nothing(kind: EventKind) -> None:
    assert park(*lane("a", kind=kind), [], NOW, 100) == {}
