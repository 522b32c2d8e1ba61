"""Rounds and turns: the order of a lane, stragglers, and messages that can't be handled."""

import asyncio
import json
from dataclasses import replace

import pytest

from bot.settings import BotSettings
from flows import DEFAULT_ISSUE_TYPES, IssueType
from storage import journal
from storage.journal import MAX_ATTEMPTS
from storage.redis.lanes import Lanes
from storage.sql.database import Tx
from tests.bot.world import ANNE, BEN, NUMBER, World

# A topic without a label, as a faulty release might have: every turn that lists the topics raises.
FAULTY = BotSettings(NUMBER, issue_types=(*DEFAULT_ISSUE_TYPES[:2], IssueType("odd", None)))  # type: ignore[arg-type]
OPENED = ("My printer is on fire", "hardware", "yes")


async def test_a_lane_is_played_by_metas_time_and_then_by_arrival(world: World) -> None:
    await world.write("yes", ago=10)
    await world.write("My printer is on fire", ago=30)
    await world.write("hardware", ago=20)
    await world.play()
    tickets = await world.rows("SELECT description, issue_type, status FROM ticket")
    assert tickets == [("My printer is on fire", "hardware", "new")]
    items = await world.rows("SELECT item_id FROM outbox ORDER BY version, id")
    assert items == await world.rows("SELECT id FROM item ORDER BY meta_at, id")
    assert await world.rows("SELECT version FROM conversation") == [(1,)], "one round"
    assert await world.rows("SELECT DISTINCT late FROM item") == [(0,)]


async def test_messages_of_the_same_second_go_by_arrival(world: World) -> None:
    words = ["My printer is on fire", "hardware", "yes", "one", "two", "three"]
    values = [world.message(word, ago=5) for word in words]
    for value in values:
        value["messages"][0]["timestamp"] = values[0]["messages"][0]["timestamp"]
    await world.receive(*values)
    await world.play()
    replies = await world.rows("SELECT message, late FROM reply ORDER BY id")
    assert replies == [("one", 0), ("two", 0), ("three", 0)]


async def test_a_straggler_is_handled_when_it_comes_and_marked_late(world: World) -> None:
    await world.write(*OPENED, ago=30)
    await world.write("It still burns", ago=10)
    await world.play()
    await world.write("Before that it smoked", ago=20)
    await world.write("Now it is ash", ago=5)
    await world.play()
    replies = await world.rows("SELECT message, late FROM reply ORDER BY written_at, id")
    assert replies == [("Before that it smoked", 1), ("It still burns", 0), ("Now it is ash", 0)]
    assert [row[0] for row in await world.rows("SELECT late FROM item ORDER BY id")] == [0, 0, 0, 0, 1, 0]


async def test_customers_share_a_round_and_nothing_else(world: World) -> None:
    for phone in (ANNE, BEN):
        await world.write(*OPENED, phone=phone)
    await world.play([await world.lane(ANNE), await world.lane(BEN)])
    tickets = await world.rows("SELECT id, customer_id, mobile FROM ticket ORDER BY id")
    assert [mobile for _, _, mobile in tickets] in ([f"+{ANNE}", f"+{BEN}"], [f"+{BEN}", f"+{ANNE}"])
    assert len({customer for _, customer, _ in tickets}) == len({number for number, _, _ in tickets}) == 2
    customers = await world.customers()
    assert dict(await world.rows("SELECT customer_id, COUNT(*) FROM outbox GROUP BY customer_id")) == {
        customers[f"p:{ANNE}"]: 3,
        customers[f"p:{BEN}"]: 3,
    }


async def test_more_than_one_round_holds(world: World) -> None:
    await world.write(*OPENED)
    await world.receive(*(world.message(f"word {at}") for at in range(250)))
    async with world.working():
        await world.until(lambda: _none(world))
    assert len(await world.rows("SELECT 1 FROM reply")) == 250
    numbers = [int(row[0].split()[1]) for row in await world.rows("SELECT message FROM reply ORDER BY id")]
    assert numbers == sorted(numbers)


async def _none(world: World) -> bool:
    return not await world.rows("SELECT 1 FROM item WHERE fate = 'pending'")


async def test_a_message_that_fails_five_times_is_dead_and_the_lane_goes_on(world: World) -> None:
    await world.write(*OPENED, ago=60)
    await world.play()
    await world.write("menu", ago=30)
    await world.write("It still burns", ago=10)
    async with world.working(world.worker(FAULTY)):
        await world.at_rest()
    assert (await world.fates())[3:] == [("dead", ""), ("done", "")]
    ((attempts, error),) = await world.rows("SELECT attempts, error FROM item WHERE fate = 'dead'")
    assert attempts == MAX_ATTEMPTS
    assert error
    assert "something went wrong" in world.graph.texts()[3]
    assert len(world.graph.requests) == 5
    assert await world.rows("SELECT message FROM reply") == [("It still burns",)]
    assert (await world.counts())["dead"] == 1

    ((item_id,),) = await world.rows("SELECT id FROM item WHERE fate = 'dead'")
    assert await world.database.run(lambda tx: journal.replay(tx, item_id))
    async with world.working():  # fixed
        await world.at_rest()
    assert await world.rows("SELECT fate, late, attempts FROM item WHERE id = ?", item_id) == [("done", 1, 0)]
    assert len(world.graph.requests) == 6


async def test_what_came_before_the_message_that_fails_counts(world: World) -> None:
    await world.write(*OPENED, ago=60)
    await world.play()
    await world.write("It still burns", ago=30)
    await world.write("menu", ago=20)
    await world.write("Hello?", ago=10)
    (played,) = await world.rounds(FAULTY).play([await world.lane()])
    assert played.failure is not None
    assert (await world.fates())[3:] == [("done", ""), ("pending", ""), ("pending", "")]
    assert await world.rows("SELECT message FROM reply") == [("It still burns",)]


async def test_only_the_lane_that_fails_fails(world: World) -> None:
    await world.write(*OPENED, ago=60)
    await world.write(*OPENED, phone=BEN, ago=60)
    await world.play([await world.lane(), await world.lane(BEN)])
    await world.write("menu")
    await world.write("It still burns", phone=BEN)
    await world.rounds(FAULTY).play([await world.lane(), await world.lane(BEN)])
    assert (await world.fates())[6:] == [("pending", ""), ("done", "")]


@pytest.mark.parametrize(
    "body", ['["15550001111",null,null,7]', "[]", "{}", "null", "not json", "", '["a","b","c","d"]']
)
async def test_a_conversation_that_cannot_be_read_starts_again(world: World, body: str) -> None:
    """An older version wrote it, or a hand did: the lane goes on, and the customer is answered."""
    await world.write("Hi")
    await world.play()

    async def damage(tx: Tx) -> None:
        await tx.execute("UPDATE conversation SET body = ?", [body])

    await world.database.run(damage)
    await world.write("Hello?")
    await world.play()
    assert await world.fates() == [("done", "")] * 2
    assert len(await world.sends()) == 2
    ((place,),) = await world.rows("SELECT body FROM conversation")
    assert json.loads(place)[0] == ANNE


async def test_a_payload_that_cannot_be_read_is_answered_kindly(world: World) -> None:
    await world.write("Hi")

    async def damage(tx: Tx) -> None:
        await tx.execute("UPDATE item SET payload = 'not json'")

    await world.database.run(damage)
    await world.play()
    assert await world.fates() == [("done", "")]
    ((payload,),) = await world.rows("SELECT payload FROM outbox")
    assert "cannot read" in json.loads(payload)["text"]


async def test_a_death_counts_and_the_fifth_buries(world: World) -> None:
    """Processes claim the lane for a round and are never heard of again."""
    await world.write("Hi", ago=20, wamid="one")
    await world.write("Hello?", ago=10)
    customer_id = (await world.customers())[f"p:{ANNE}"]

    async def died(tx: Tx) -> None:
        await tx.execute("UPDATE item SET attempts = ? WHERE `key` LIKE '%one'", [MAX_ATTEMPTS - 1])

    await world.database.run(died)
    dead = Lanes(world.redis, "dead")
    await dead.ring({customer_id: 0})
    assert [lane.customer_id for lane in (await dead.claim(1)).lanes] == [customer_id]
    async with world.working():
        await world.at_rest()
    assert await world.fates() == [("dead", ""), ("done", "")]
    assert len(world.graph.requests) == 2
    assert "something went wrong" in world.graph.texts()[0]


async def test_a_lane_of_a_dead_process_is_taken_over_within_seconds(world: World) -> None:
    await world.write("Hi")
    customer_id = (await world.customers())[f"p:{ANNE}"]
    dead = Lanes(world.redis, "dead")
    await dead.ring({customer_id: 0})
    await dead.claim(1)
    began = asyncio.get_running_loop().time()
    async with world.working():
        await world.at_rest()
    assert asyncio.get_running_loop().time() - began < 6
    assert await world.rows("SELECT fate, attempts FROM item") == [("done", 1)]


async def test_a_number_is_given_once_to_many_workers(world: World) -> None:
    phones = [f"1555000{number}" for number in range(1000, 1012)]
    for phone in phones:
        await world.write(*OPENED, phone=phone)
    instant = replace(BotSettings(NUMBER, issue_types=DEFAULT_ISSUE_TYPES), flow="guided")
    async with world.working(*(world.worker(instant) for _ in range(3))):
        await world.at_rest()
    numbers = [row[0] for row in await world.rows("SELECT id FROM ticket")]
    assert len(numbers) == len(set(numbers)) == 12
    assert max(numbers) <= 4 * 50
    for request in world.graph.requests:
        if "#" in request.text:
            phone = request.to.removeprefix("+")
            ((number,),) = await world.rows("SELECT id FROM ticket WHERE mobile = ?", f"+{phone}")
            assert f"#{number}" in request.text
