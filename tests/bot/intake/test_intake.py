"""The intake: who is who, and many webhooks in few commits."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from bot.group_commit import GroupCommit
from bot.intake.intake import Intake
from bot.metrics import Metrics
from bot.whatsapp.webhook.items import Item
from storage import journal, kept_counts
from storage.journal import NewItem
from storage.redis.client import RedisSettings, open_redis
from storage.redis.lanes import Lanes
from storage.sql.database import Clash, Tx
from storage.sql.lock_waits import LockWait
from tests.bot.world import ANNE, BEN, NUMBER, World
from tests.support.servers import MariaDBServer

ANNES, BENS = "US.1349", "US.7777"


async def owners(world: World) -> list[int]:
    """Whose each item is, in the order of arrival."""
    return [row[0] for row in await world.rows("SELECT customer_id FROM item ORDER BY id")]


async def test_a_phone_and_a_user_id_are_one_customer_whichever_vanishes(world: World) -> None:
    await world.write("by phone", phone=ANNE)
    await world.write("both", phone=ANNE, bsuid=ANNES)
    await world.write("by user id", phone="", bsuid=ANNES)
    await world.write("phone again", phone=ANNE)
    assert len(set(await owners(world))) == 1
    assert await world.customers() == dict.fromkeys((f"p:{ANNE}", f"b:{ANNES}"), (await owners(world))[0])
    addresses = [row[0] for row in await world.rows("SELECT address FROM item ORDER BY id")]
    assert addresses == [ANNE, ANNE, ANNES, ANNE]


async def test_all_of_it_in_one_webhook(world: World) -> None:
    await world.receive(
        world.message("user id", phone="", bsuid=ANNES),
        world.message("both", phone=ANNE, bsuid=ANNES),
        world.message("phone", phone=ANNE),
        world.message("somebody else", phone=BEN),
    )
    first, second, third, other = await owners(world)
    assert first == second == third != other
    assert len(await world.rows("SELECT 1 FROM customer")) == len(await world.rows("SELECT 1 FROM conversation")) == 2


async def test_names_are_kept_and_never_compared(world: World) -> None:
    await world.write("Hi", phone=ANNE, name="Same 😀 Name")
    await world.write("Hi", phone=BEN, name="Same 😀 Name")
    assert await world.rows("SELECT name FROM customer") == [("Same 😀 Name",)] * 2


def make_number_change(world: World, old: str, new: str, **more: str) -> dict[str, Any]:
    """Meta's word that a customer has a new number."""
    value = world.message(phone=old)
    del value["contacts"]
    (message,) = value["messages"]
    del message["text"]
    message |= {"type": "system", "system": {"body": "…", "type": "user_changed_number", "wa_id": new} | more}
    return value


async def test_a_new_number_is_the_same_customer_and_the_old_one_is_free(world: World) -> None:
    await world.write("Hi", phone=ANNE)
    annes = (await owners(world))[0]
    await world.receive(make_number_change(world, ANNE, BEN))
    assert await world.customers() == {f"p:{BEN}": annes}
    await world.write("It is me", phone=BEN)
    await world.write("I have this number now", phone=ANNE)
    me, somebody = (await owners(world))[2:]
    assert me == annes != somebody


async def test_a_change_that_comes_again_changes_nothing(world: World) -> None:
    """Meanwhile the number has a new owner, who must not lose it."""
    change = make_number_change(world, ANNE, BEN)
    await world.write("Hi", phone=ANNE)
    await world.receive(change)
    await world.write("I have this number now", phone=ANNE)
    before = await world.customers()
    await world.receive(change)
    assert await world.customers() == before
    assert (await world.counts())["duplicates"] == 1


async def test_a_message_that_comes_again_gives_nobody_a_number_back(world: World) -> None:
    first = world.message("Hi", phone=ANNE, bsuid=ANNES)
    await world.receive(first)
    await world.receive(make_number_change(world, ANNE, BEN))
    before = await world.customers()
    await world.receive(first)
    assert await world.customers() == before
    assert len(await world.rows("SELECT 1 FROM customer")) == 1


def new_user_id(world: World, phone: str) -> dict[str, Any]:
    at = str(int(world.clock().timestamp()))
    update = {"wa_id": phone, "detail": "…", "timestamp": at, "user_id": {"previous": ANNES, "current": "US.2222"}}
    if not phone:
        del update["wa_id"]
    return {"user_id_update": [update]}


@pytest.mark.parametrize("phone", [ANNE, ""])
async def test_a_new_user_id_is_attached_and_the_customer_hears_nothing_of_it(world: World, phone: str) -> None:
    await world.write("Hi", phone=phone, bsuid=ANNES)
    async with world.working():
        await world.at_rest()
        await world.receive(new_user_id(world, phone), field="user_id_update")
        await world.at_rest()
    assert len(world.graph.requests) == 1
    assert await world.fates() == [("done", "")] * 2
    assert "b:US.2222" in await world.customers()
    await world.write("It is me", phone="", bsuid="US.2222")
    assert len(set(await owners(world))) == 1


async def test_who_has_a_phone_is_answered_there_after_a_new_user_id(world: World) -> None:
    await world.write("Hi", phone=ANNE, bsuid=ANNES)
    await world.play()
    await world.receive(new_user_id(world, ANNE), field="user_id_update")
    await world.play()
    ((body,),) = await world.rows("SELECT body FROM conversation")
    assert json.loads(body)[0] == ANNE


async def test_a_change_for_a_stranger_is_ignored(world: World) -> None:
    await world.receive(new_user_id(world, ANNE), field="user_id_update")
    assert await world.fates() == [("ignored", "no_sender")]
    assert await world.customers() == {}


async def test_many_webhooks_share_few_commits(world: World) -> None:
    sizes: list[int] = []

    async def commit(numbers: Sequence[int], _: LockWait) -> Sequence[int]:
        sizes.append(len(numbers))
        await world.database.run(
            lambda tx: tx.insert("alias", ("alias", "customer_id"), [(f"p:{n}", n) for n in numbers])
        )
        return numbers

    group: GroupCommit[int, int] = GroupCommit(commit, 64)
    assert await asyncio.gather(*(group.submit(at) for at in range(200))) == list(range(200))
    assert sizes == [64, 64, 64, 8]
    assert await group.submit(200) == 200
    assert sizes[-1] == 1, "who is alone waits for nobody"


async def test_two_hundred_webhooks_cost_a_few_commits(mariadb_world: World, mariadb_server: MariaDBServer) -> None:
    def commits() -> int:
        return int(mariadb_server.execute("SHOW GLOBAL STATUS LIKE 'Com_commit'")[0][1])

    before = commits()
    await asyncio.gather(*(mariadb_world.write(f"word {at}", phone=f"1555000{1000 + at % 20}") for at in range(200)))
    assert (await mariadb_world.counts())["received"] == 200
    assert commits() - before <= 5


async def test_a_webhook_that_fails_fails_alone(world: World) -> None:
    """A commit of many that fails is tried one by one: here the clash is of keys that are taken for good."""

    async def commit(item_ids: Any, _: LockWait) -> list[int]:
        async def work(tx: Tx) -> None:
            at = world.clock()
            items = [NewItem(item_id, f"m:{item_id}", "message", 1, "", at, at, "") for item_id in item_ids]
            await tx.insert("alias", ("alias", "customer_id"), [(f"p:{abs(item_id)}", 1) for item_id in item_ids])
            await journal.store(tx, items)

        await world.database.run(work, clash=Clash.RUN_AGAIN)
        return list(item_ids)

    group: GroupCommit[int, int] = GroupCommit(commit, 100)
    outcomes = await asyncio.gather(*(group.submit(at) for at in (1, 2, 3, -3, 4)), return_exceptions=True)
    assert [outcome if isinstance(outcome, int) else "clash" for outcome in outcomes] == [1, 2, 3, "clash", 4]
    assert len(await world.rows("SELECT 1 FROM item")) == 4


async def test_who_stops_waiting_takes_nobody_along(world: World) -> None:
    waiting = [asyncio.create_task(world.write(f"word {at}")) for at in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[3].cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        asyncio.CancelledError, type(None), type(None), asyncio.CancelledError, type(None),
    ]  # fmt: skip
    await world.write("and on")
    assert (await world.counts())["received"] >= 4


async def test_two_processes_meet_the_same_stranger_at_once(world: World) -> None:
    others = [world.another() for _ in range(6)]
    await asyncio.gather(*(other.write("Hi", phone=ANNE, wamid=f"w{at}") for at, other in enumerate(others)))
    assert len(set(await owners(world))) == 1
    assert len(await world.rows("SELECT 1 FROM customer")) == 1


async def test_the_same_webhook_at_two_processes_at_once_is_one(world: World) -> None:
    others = [world.another() for _ in range(6)]
    value = world.message("Hi")
    await asyncio.gather(*(other.receive(value) for other in others))
    assert await world.counts() == {
        "received": 1, "done": 0, "ignored": 0, "dead": 0, "pending": 1, "duplicates": 5
    }  # fmt: skip


async def test_redis_down_costs_the_webhook_nothing(world: World) -> None:
    nowhere = open_redis(RedisSettings("redis://127.0.0.1:9/0"))
    intake = Intake(
        database=world.database,
        lanes=Lanes(nowhere, "x"),
        ids=world.ids,
        clock=world.clock,
        phone_number_id=NUMBER,
        metrics=Metrics(),
    )
    items: Any = await intake.receive(world.body(world.message("Hi")))
    assert [type(item) for item in items] == [Item]
    async with world.database.reading() as tx:
        assert (await kept_counts.count_items(tx)).pending == 1
    await nowhere.aclose()


async def test_what_is_large_shares_no_commit_and_what_was_given_up_has_none() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def commit(things: Sequence[int], _: LockWait) -> Sequence[int]:
        batches.append(list(things))
        await gate.wait()
        return things

    group: GroupCommit[int, int] = GroupCommit(commit, 100)
    first, given_up, *others = [
        asyncio.create_task(group.submit(thing, size)) for thing, size in enumerate((1, 1, 60, 40, 60, 500, 1))
    ]
    await asyncio.sleep(0.01)
    assert batches == [[0, 1, 2]]
    given_up.cancel()
    others[2].cancel()
    await asyncio.sleep(0)
    gate.set()
    assert list(await asyncio.gather(first, *others[:2], *others[3:])) == [0, 2, 3, 5, 6]
    assert batches == [[0, 1, 2], [3], [5], [6]]
