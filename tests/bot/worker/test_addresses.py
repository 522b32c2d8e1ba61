"""Where we answer to: the address that they last wrote from, and before they ever did, the one that we were told."""

from typing import Any

import pytest

from bot.lane_state import LaneState
from tests.bot.world import ANNE, NUMBER, World

BSUID = "US.13491208655302741918"


def echo(world: World) -> tuple[str, dict[str, Any]]:
    """A person of ours has written to them in the Business app."""
    message = world.message("We will look into it.")["messages"][0]
    return "smb_message_echoes", {"message_echoes": [message | {"from": "15550783881", "to": ANNE}]}


def handover(world: World) -> tuple[str, dict[str, Any]]:
    """Meta's agent passes them on to us."""
    told = {"type": "control_passed", "timestamp": str(int(world.clock().timestamp())), "control_passed": {}}
    ours = {"phone_number_id": NUMBER}
    return "messaging_handovers", {"sender": {"phone_number": ANNE}, "recipient": ours, **told}


@pytest.mark.parametrize("first", [echo, handover])
async def test_who_never_wrote_to_us_can_be_written_to(world: World, first: Any) -> None:
    field, value = first(world)
    await world.receive(value, field=field)
    async with world.working():
        await world.until(lambda: has_nothing_pending(world))
    assert await read_address(world) == ANNE


@pytest.mark.parametrize("then", [echo, handover])
async def test_only_what_they_write_changes_it(world: World, then: Any) -> None:
    await world.receive(world.message("Hi", phone=ANNE, bsuid=BSUID))
    await world.receive(world.message("Hi again", phone="", bsuid=BSUID))
    field, value = then(world)
    await world.receive(value, field=field)
    async with world.working():
        await world.until(lambda: has_nothing_pending(world))
    assert await read_address(world) == BSUID


@pytest.mark.parametrize(
    ("told", "named", "name"),
    [
        ("Ann", "", "Ann"),
        ("Ann", "Ann Sample", "Ann Sample"),
        ("", "", ""),
    ],
)
async def test_who_is_handed_over_has_the_name_that_we_know(world: World, told: str, named: str, name: str) -> None:
    """The one on their last ticket, else the first they wrote under: a handover itself has none."""
    await world.write("My printer is on fire", "hardware", "yes", name=told)
    await world.play()
    world.is_written_by_hand = True
    await world.database.run(lambda tx: tx.execute("UPDATE ticket SET status = 'closed', name = ?", [named]))
    field, value = handover(world)
    await world.receive(value, field=field)
    await world.play()
    assert await world.rows("SELECT name FROM ticket ORDER BY id") == [(named,), (name,)]


async def test_who_is_handed_over_under_a_name_has_that(world: World) -> None:
    field, value = handover(world)
    await world.receive(value | {"contacts": [{"profile": {"name": "Ann"}, "wa_id": ANNE}]}, field=field)
    await world.play()
    assert await world.rows("SELECT name FROM ticket") == [("Ann",)]


async def test_a_number_that_is_longer_than_any_keeps_no_ticket_from_being_opened(world: World) -> None:
    await world.write("My printer is on fire", "hardware", "yes", phone="9" * 20)
    async with world.working():
        await world.until(lambda: has_nothing_pending(world))
    assert await world.rows("SELECT mobile FROM ticket") == [(None,)]


async def read_address(world: World) -> str:
    ((body,),) = await world.rows("SELECT body FROM conversation")
    return LaneState.from_json(body).address


async def has_nothing_pending(world: World) -> bool:
    return not await world.rows("SELECT 1 FROM item WHERE fate = 'pending'")
