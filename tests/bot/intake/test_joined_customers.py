"""Two customers whom Meta's notice proves to be one person become one: nothing is lost, and nothing is sent twice."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tortoise.models import Model

from bot.delivery.addresses import StartedSend
from bot.delivery.outbox_writer import OutboxWriter, StartRefused, make_move
from bot.intake.joined_state import join_states
from bot.lane_state import LaneState
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.worker.effects import Failure
from bot.worker.poison import Poison
from bot.worker.turns import Turns
from flows import DEFAULT_ISSUE_TYPES, Conversation, Draft, Media, Piece
from storage import customer_join, desk_models, journal, models, replies
from storage.journal import PendingItem
from storage.outbox import OutboxRow
from storage.redis.lanes import ClaimedLane
from storage.statuses import Origin, OutboxReason, OutboxStatus, TicketStatus, Why
from tests.bot.graph import Reply
from tests.bot.intake.test_identity import (
    ANNES,
    NEW,
    alerts,
    change,
    new_number,
    notes,
    notice,
    open_ticket,
    owners,
    play,
    read_state,
    write,
)
from tests.bot.world import AGENT, ANNE, BEN, NUMBER, World
from tests.support.databases import Rival, until_blocked
from tests.support.servers import MariaDBServer

IDS: dict[str, Any] = {"previous_user_id": ANNES, "user_id": NEW}
NOTICE = IDS | {"wa_id": BEN}
NOW = datetime(2026, 3, 1, tzinfo=UTC)
MOVED = (*customer_join.TABLES, "outbox", "alias", "conversation", "file_budget")


def list_tables_of_customers() -> set[str]:
    """Every table with a column that names a customer."""
    tables = [*vars(models).values(), *vars(desk_models).values()]
    found = [table for table in tables if isinstance(table, type) and issubclass(table, Model) and table is not Model]
    return {table._meta.db_table for table in found if "customer_id" in table._meta.fields_map}


async def whose(world: World) -> set[int]:
    """All customers to whom anything belongs."""
    found: set[int] = set()
    for table in MOVED:
        found |= {row[0] for row in await world.rows(f"SELECT customer_id FROM {table}")}  # noqa: S608
    return (found | {row[0] for row in await world.rows("SELECT id FROM customer")}) - {0}


def test_no_table_of_customers_is_forgotten() -> None:
    assert list_tables_of_customers() == set(MOVED)


# who is joined


@pytest.mark.parametrize("together", [False, True])
async def test_a_notice_behind_the_first_message_joins_whom_it_made(world: World, together: bool) -> None:
    annes = await open_ticket(world, ANNE, ANNES)
    message, change = world.message("any news?", phone=BEN, bsuid=NEW), new_number(world, **NOTICE)
    if together:
        await world.receive(message, change)
    else:
        await world.receive(message)
        await play(world, (await owners(world))[-1])
        await world.receive(change)
    assert await whose(world) == {annes}
    assert await world.customers() == {f"p:{BEN}": annes, f"b:{NEW}": annes, f"o:{ANNES}": annes}
    assert await write(world, BEN, NEW) == annes


@pytest.mark.parametrize("kind", ["user_changed_number", "user_changed_user_id"])
@pytest.mark.parametrize("sender", [{}, {"from_user_id": NEW}, {"from": BEN, "from_user_id": NEW}])
async def test_whatever_the_notice_is_sent_under(world: World, kind: str, sender: dict[str, str]) -> None:
    annes = await write(world, ANNE, ANNES, ago=50)
    assert await write(world, BEN, NEW) != annes
    await world.receive(notice(world, kind, sender=sender, **IDS))
    assert await whose(world) == {annes}
    assert await write(world, BEN, NEW) == annes


async def test_a_notice_in_the_field_of_its_own_joins_too(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=50)
    await write(world, "", NEW)
    update = {"user_id": {"previous": ANNES, "current": NEW}, "timestamp": str(int(world.clock().timestamp()))}
    await world.receive({"user_id_update": [update]}, field="user_id_update")
    assert await whose(world) == {annes}


async def test_two_notices_join_once(world: World) -> None:
    annes = await open_ticket(world, ANNE, ANNES)
    await write(world, BEN, NEW)
    first, second = new_number(world, **NOTICE), new_number(world, **NOTICE)
    await world.receive(first, second)
    await world.receive(first)
    assert await whose(world) == {annes}
    assert await world.rows("SELECT action, object_id FROM audit") == [("customer.join", str(annes))]
    assert (await world.counts())["duplicates"] == 1


async def test_a_notice_before_the_first_message_makes_nobody(world: World) -> None:
    annes = await open_ticket(world, ANNE, ANNES)
    await world.receive(new_number(world, **NOTICE), world.message("any news?", phone=BEN, bsuid=NEW))
    assert await whose(world) == {annes}
    assert await world.rows("SELECT 1 FROM audit") == []


async def test_two_changes_whose_notices_come_in_the_wrong_order(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=100)
    await world.receive(new_number(world, ago=40, previous_user_id=NEW, user_id="US.3333", wa_id="15550003333"))
    await world.receive(new_number(world, ago=80, **NOTICE))
    assert await whose(world) == {annes}
    assert await write(world, "15550003333", "US.3333") == annes


async def test_by_the_phone_alone_who_wrote_after_the_change_is_proven(world: World) -> None:
    annes = await write(world, ANNE, ago=50)
    await write(world, BEN, ago=10)
    await world.receive(new_number(world, ago=20, sender={"from": ANNE}, wa_id=BEN))
    assert await whose(world) == {annes}


async def test_by_the_phone_alone_who_wrote_before_the_change_is_another(world: World) -> None:
    annes, bens = await write(world, ANNE, ago=50), await write(world, BEN, ago=30)
    await world.receive(new_number(world, ago=20, sender={"from": ANNE}, wa_id=BEN))
    assert await whose(world) == {annes, bens}
    assert await world.customers() == {f"p:{BEN}": annes}


async def test_who_had_the_new_phone_before_is_never_joined(world: World) -> None:
    """Ben was known by his phone alone, so the new id was taken for his, until Meta's notice says whose it is."""
    annes, bens = await open_ticket(world, ANNE, ANNES), await open_ticket(world, BEN, "", ago=90)
    assert await write(world, BEN, NEW) == bens
    await world.receive(new_number(world, **NOTICE))
    assert await whose(world) == {annes, bens}
    assert await world.customers() == {f"p:{BEN}": annes, f"b:{NEW}": annes, f"o:{ANNES}": annes}
    assert {customer_id for customer_id, _ in await notes(world)} == {bens, annes}
    assert len(await alerts(world)) == 1
    assert await world.rows("SELECT customer_id FROM ticket ORDER BY id") == [(annes,), (bens,)]


# what becomes of all that is theirs


async def test_nothing_is_lost(world: World) -> None:
    """Tickets, replies, files, rows of the outbox, items: all is there still, of one customer and under its own id."""
    annes = await open_ticket(world, ANNE, ANNES)
    new = await open_ticket(world, BEN, NEW, ago=50)
    photo = world.message("", phone=BEN, bsuid=NEW, ago=40)
    photo["messages"][0] |= {"type": "image", "image": {"id": "1349", "mime_type": "image/png", "sha256": "aa"}}
    await world.receive(photo)
    await play(world, new)
    ticket_ids = [row[0] for row in await world.rows("SELECT id FROM ticket ORDER BY id")]
    for ticket_id in ticket_ids:
        await world.replies.write(AGENT, ticket_id, "We look into it. " * 400)  # two messages
    before = {table: {row[0] for row in await world.rows(f"SELECT * FROM {table}")} for table in MOVED}  # noqa: S608
    said = {
        ticket_id: await replies.find_delivery(tx, outbox_id)
        for ticket_id, outbox_id in await world.rows("SELECT ticket_id, outbox_id FROM reply WHERE outbox_id > 0")
        async for tx in reading(world)
    }
    await write(world, BEN, NEW, ago=30)
    await world.receive(new_number(world, ago=35, **NOTICE))
    assert await whose(world) == {annes}
    for table in ("item", "ticket", "ticket_message", "file", "outbox"):
        assert before[table] <= {row[0] for row in await world.rows(f"SELECT * FROM {table}")}  # noqa: S608
    for ticket_id, outbox_id in await world.rows("SELECT ticket_id, outbox_id FROM reply WHERE outbox_id > 0"):
        async for tx in reading(world):
            assert await replies.find_delivery(tx, outbox_id) == said[ticket_id], "of its own parts alone"
    versions = await world.rows("SELECT version, COUNT(DISTINCT ticket_id) FROM outbox GROUP BY version")
    assert {count for _, count in versions} <= {0, 1}
    ((version,),) = await world.rows("SELECT version FROM conversation")
    assert version > max(version for version, _ in versions)
    assert ticket_ids == [row[0] for row in await world.rows("SELECT id FROM ticket ORDER BY id")]


async def reading(world: World) -> Any:
    async with world.database.reading() as tx:
        yield tx


async def test_the_window_is_that_of_the_last_word(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=90_000)
    new = await write(world, BEN, NEW, ago=50)
    await play(world, annes, new)
    await world.receive(new_number(world, **NOTICE))
    state = await read_state(world, annes)
    assert state.last_inbound_at is not None
    assert world.clock() - state.last_inbound_at < timedelta(seconds=60)
    assert state.address == BEN


async def test_what_was_held_for_the_old_id_is_for_the_one_customer(world: World) -> None:
    """They have written by now: under the new id, before the notice came."""
    annes = await open_ticket(world, ANNE, ANNES, ago=90_000)
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    await change(world, "DELETE FROM outbox")
    await world.tickets.set_status(AGENT, ticket_id, TicketStatus.IN_PROGRESS)
    assert await world.rows("SELECT status FROM outbox") == [("held",)]
    async with world.working():
        await world.write("any news?", phone=BEN, bsuid=NEW)
        await world.at_rest()
        await world.receive(new_number(world, **NOTICE), world.message("hello?", phone=BEN, bsuid=NEW))
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'accepted' AND origin = 'notice'"))
    assert await whose(world) == {annes}
    assert {request.to for request in world.graph.requests} == {f"+{BEN}"}


async def test_a_name_of_the_new_one_is_kept(world: World) -> None:
    await world.write("Hi", phone=ANNE, bsuid=ANNES, name="Ana")
    await world.write("Hi", phone=BEN, bsuid=NEW, name="Ana Example")
    await world.receive(new_number(world, **NOTICE))
    assert await world.rows("SELECT name FROM customer") == [("Ana Example",)]


# while others have one of them in hand


async def test_a_worker_that_has_the_joined_lane_in_hand_drops_out(world: World) -> None:
    """It has read what waits and played it, on a customer who is gone when it comes to write."""
    annes = await open_ticket(world, ANNE, ANNES)
    new = await write(world, BEN, NEW, text="any news?")
    rounds = world.rounds()
    prepared = await rounds._prepare([new], {}, 100)
    await world.receive(new_number(world, **NOTICE))
    assert await rounds._commit(prepared) == {new}
    assert await world.rows("SELECT COUNT(*) FROM item WHERE fate = 'pending' AND customer_id = ?", annes) == [(2,)]
    await play(world, annes)
    said = await world.rows("SELECT COUNT(*) FROM reply WHERE message = ?", "any news?")
    assert said == [(1,)], "on the open ticket"
    assert await whose(world) == {annes}


async def test_a_worker_that_has_the_kept_lane_in_hand_drops_out_too(world: World) -> None:
    annes = await open_ticket(world, ANNE, ANNES)
    await write(world, BEN, NEW)
    await write(world, ANNE, ANNES, text="It smells", ago=1)
    rounds = world.rounds()
    prepared = await rounds._prepare([annes], {}, 100)
    await world.receive(new_number(world, **NOTICE))
    assert await rounds._commit(prepared) == {annes}
    await play(world, annes)
    assert await world.rows("SELECT COUNT(*) FROM reply WHERE message = 'It smells'") == [(1,)]


async def test_a_send_that_is_under_way_is_settled_and_not_sent_again(world: World) -> None:
    await write(world, ANNE, ANNES, ago=50)
    gate = asyncio.Event()
    world.graph.script.append(Reply(held=gate))
    async with world.working():
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'sending'"))
        await world.write("Hi", phone=BEN, bsuid=NEW)
        await world.receive(new_number(world, **NOTICE))
        gate.set()
        await world.at_rest()
    assert len(world.graph.requests) == len(await world.rows("SELECT 1 FROM outbox"))
    assert not world.graph.doubled
    assert {row[0] for row in await world.rows("SELECT status FROM outbox")} == {"accepted"}


async def test_workers_run_against_many_joins(world: World) -> None:
    """Each customer writes under the new id, and the notice comes while that is being worked on."""
    people = [(f"1555000{1000 + at}", f"US.{at}", f"1555000{2000 + at}", f"US.{at}9") for at in range(12)]
    for phone, bsuid, _, _ in people:
        await world.write("My printer is on fire", "hardware", "yes", phone=phone, bsuid=bsuid, ago=9)
    async with world.working(world.worker(), world.worker()):
        await world.at_rest()

        async def move(phone: str, bsuid: str, new_phone: str, new_bsuid: str) -> None:
            process = world.another()
            ids: dict[str, Any] = {"previous_user_id": bsuid, "user_id": new_bsuid, "wa_id": new_phone}
            await process.write("any news?", phone=new_phone, bsuid=new_bsuid, wamid=f"{bsuid}.1")
            later = process.message("and it smells", phone=new_phone, bsuid=new_bsuid, wamid=f"{bsuid}.3")
            change = new_number(process, **ids)
            change["messages"][0]["id"] = f"{bsuid}.2"
            await asyncio.gather(process.receive(change), world.another().receive(later))

        await asyncio.gather(*(move(*person) for person in people))
        await world.at_rest()
    assert len(await world.rows("SELECT 1 FROM customer")) == len(people)
    assert len(await whose(world)) == len(people)
    counts = await world.counts()
    assert (counts["done"], counts["pending"], counts["dead"]) == (6 * len(people), 0, 0)
    rows = await world.rows("SELECT id, status FROM outbox")
    sent = [request.outbox_id for request in world.graph.requests]
    assert sorted(sent) == sorted(outbox_id for outbox_id, status in rows if status != "failed")
    assert not world.graph.doubled


async def test_an_agent_who_has_the_joined_ones_ticket_in_hand_finds_it(world: World) -> None:
    annes = await open_ticket(world, ANNE, ANNES)
    await open_ticket(world, BEN, NEW, ago=50)
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket WHERE customer_id <> ?", annes)
    ticket = await world.agents.read_ticket(ticket_id)
    await world.receive(new_number(world, **NOTICE))
    locked = await world.agents.run_for_ticket(ticket, return_customer)
    assert locked == annes
    sent = await world.replies.write(AGENT, ticket_id, "Here you are.")
    assert await world.rows("SELECT customer_id FROM outbox WHERE id = ?", sent.reply.outbox_id) == [(annes,)]


async def return_customer(_tx: object, customer: Any) -> int:
    return int(customer.customer_id)


async def test_a_status_that_was_matched_for_the_joined_one_is_matched_anew(world: World) -> None:
    """Meta says that the window was closed, of a message that went to the one who is gone by then."""
    annes = await write(world, ANNE, ANNES, ago=50)
    new = await open_ticket(world, BEN, NEW, ago=20)
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    sent = await world.replies.write(AGENT, ticket_id, "Here you are.")
    async with world.working():
        await world.at_rest()
    wamid = next(request.wamid for request in world.graph.requests if request.outbox_id == sent.reply.outbox_id)
    await world.receive(world.status(wamid, "failed", phone=BEN, errors=[{"code": 131047}], recipient_user_id=NEW))
    rounds = world.rounds()
    prepared = await rounds._prepare([new], {}, 100)
    await world.receive(new_number(world, **NOTICE))
    assert await rounds._commit(prepared) == {new}
    await play(world, annes)
    assert await world.rows("SELECT customer_id, status FROM outbox WHERE wamid = ?", wamid) == [(annes, "queued")]
    assert (await read_state(world, annes)).last_inbound_at is None


async def test_a_sender_whose_customer_is_gone_leaves_the_row_to_the_other(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=50)
    new = await open_ticket(world, BEN, NEW, ago=20)
    await world.receive(new_number(world, **NOTICE))
    writer = OutboxWriter(
        database=world.database, lanes=world.lanes, ids=world.ids, clock=world.clock, phone_number_id=NUMBER
    )
    (row_id,) = (await world.rows("SELECT id FROM outbox ORDER BY version DESC, id DESC LIMIT 1"))[0]
    assert await writer.mark_sending(StartedSend(row_id, new, BEN)) is StartRefused.NOT_THEIR_ADDRESS
    assert await writer.find_address(new) == ""
    row = OutboxRow(row_id, new, 0, Origin.PROMPT, "{}", world.clock())
    queued = make_move(row, OutboxStatus.FAILED, Why(OutboxReason.NO_ADDRESS))
    await writer.fail_without_address(queued, new)
    await writer.close_window(new, world.clock())
    assert await writer.move_unless_open(replace(queued, status=OutboxStatus.HELD), new)
    assert await world.rows("SELECT customer_id, status FROM outbox WHERE id = ?", row_id) == [(annes, "queued")]
    assert (await read_state(world, annes)).last_inbound_at is not None
    assert isinstance(await writer.mark_sending(StartedSend(row_id, annes, BEN)), datetime)


async def test_an_item_that_dies_for_the_joined_one_dies_for_the_other(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=50)
    new = await write(world, BEN, NEW)
    ((item_id,),) = await world.rows("SELECT id FROM item WHERE customer_id = ?", new)
    await world.receive(new_number(world, **NOTICE))
    turns = Turns(BotSettings(NUMBER, issue_types=DEFAULT_ISSUE_TYPES), world.ids, world.numbers)
    poison = Poison(database=world.database, turns=turns, clock=world.clock, metrics=Metrics())
    for customer_id, fate in ((new, "pending"), (annes, "dead")):
        await change(world, "UPDATE item SET attempts = 4 WHERE id = ?", item_id)
        (item,) = [item for item in await load_pending(world, annes) if item.item_id == item_id]
        await poison.count_failure(customer_id, Failure(item, "no"))
        assert await world.rows("SELECT fate FROM item WHERE id = ?", item_id) == [(fate,)]


async def load_pending(world: World, customer_id: int) -> list[PendingItem]:
    async with world.database.reading() as tx:
        return await journal.load_pending(tx, [customer_id], 100)


async def test_an_intake_that_writes_for_the_joined_one_is_waited_for(
    mariadb_world: World, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    """Else its item would be of a customer who is gone, and nobody would ever play it."""
    world, other = mariadb_world, Rival(migrated_mariadb_url)
    annes = await write(world, ANNE, ANNES, ago=50)
    new = await write(world, BEN, NEW)
    other.begin()
    other.execute("SELECT alias FROM alias WHERE alias = ? LOCK IN SHARE MODE", [f"b:{NEW}"])  # as the intake reads it
    columns = "id, `key`, kind, customer_id, address, meta_at, received_at, payload, fate, reason, attempts, late"
    values = "1, 'm:1', 'message', ?, '', 1, 1, '{}', 'pending', '', 0, 0"
    joining = asyncio.create_task(world.receive(new_number(world, **NOTICE)))
    await until_blocked(mariadb_server)
    other.execute(f"INSERT INTO item ({columns}, duplicates) VALUES ({values}, 0)", [new])  # noqa: S608
    other.execute(
        "INSERT INTO kept_count (id, counted, state, topic, total) VALUES ('item.x', 'item', 'pending', '', 1)"
    )
    other.commit()
    other.close()
    await joining
    assert await whose(world) == {annes}


async def test_an_intake_waits_for_a_join_that_is_under_way(
    mariadb_world: World, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    world, other = mariadb_world, Rival(migrated_mariadb_url)
    annes = await write(world, ANNE, ANNES, ago=50)
    await write(world, BEN, NEW)
    other.begin()
    other.execute("UPDATE alias SET customer_id = ? WHERE alias IN (?, ?)", [annes, f"b:{NEW}", f"p:{BEN}"])
    writing = asyncio.create_task(world.write("any news?", phone=BEN, bsuid=NEW))
    await until_blocked(mariadb_server)
    other.commit()
    other.close()
    await writing
    assert (await owners(world))[-1] == annes


# the conversation


def state(text: str, at: int, *, number: int = 0, ticket_id: int = 0, words: str = "", **more: Any) -> LaneState:
    draft = Draft(number=number, pieces=(Piece(words),) if words else ())
    conversation = Conversation("open_ticket", text, draft, ticket_id)
    return LaneState("1", NOW + timedelta(seconds=at), NOW + timedelta(seconds=at), conversation.to_json(), **more)


def read(joined: LaneState) -> Conversation:
    return Conversation.from_json(joined.flow)


def test_the_later_conversation_goes_on_with_the_words_of_both() -> None:
    earlier, later = state("confirm", 1, number=7, words="It burns"), state("pick_type", 2, number=8, words="any news?")
    for joined in (join_states(earlier, later), join_states(later, earlier)):
        assert (read(joined).state, read(joined).draft.number) == ("pick_type", 8)
        assert [piece.text for piece in read(joined).draft.pieces] == ["It burns", "any news?"]


def test_files_of_an_earlier_draft_are_kept() -> None:
    photo = Piece(media=Media("1349", kind="photo"), wamid="wamid.1")
    earlier = state("confirm", 1, number=7)
    told = replace(read(earlier), draft=Draft(number=7, issue_type="hardware", pieces=(photo,)))
    joined = read(join_states(replace(earlier, flow=told.to_json()), state("pick_type", 2, number=8, words="x")))
    assert joined.draft.pieces[0] == photo
    assert joined.draft.issue_type == "hardware"


@pytest.mark.parametrize(
    ("earlier", "later", "goes_on"),
    [
        (state("confirm", 1, number=7, words="x"), state("new_issue", 2), "confirm"),
        (state("confirm", 1, number=7, words="x"), state("follow_up", 2, ticket_id=9), "confirm"),
        (state("follow_up", 1, ticket_id=9), state("new_issue", 2), "follow_up"),
        (state("follow_up", 1, ticket_id=9), state("pick_type", 2, number=8, words="x"), "pick_type"),
        (state("new_issue", 1), state("follow_up", 2, ticket_id=9), "follow_up"),
        (state("cancelled", 1, number=7, words="x"), state("pick_type", 2, number=8, words="y"), "pick_type"),
        (state("cancelled", 1, number=7, words="x"), state("new_issue", 2), "cancelled"),
        (LaneState(), state("pick_type", 2, number=8, words="x"), "pick_type"),
    ],
)
def test_which_conversation_goes_on(earlier: LaneState, later: LaneState, goes_on: str) -> None:
    joined = read(join_states(earlier, later))
    assert joined.state == goes_on
    assert len(joined.draft.pieces) <= 1, "what was cancelled stays so"


def test_the_newest_of_each_instant_counts() -> None:
    one = LaneState("1", NOW, NOW + timedelta(2), "", NOW + timedelta(5), "a")
    other = LaneState("2", NOW + timedelta(1), NOW + timedelta(3), "", None, "b")
    joined = join_states(one, other)
    assert joined == LaneState("2", NOW + timedelta(1), NOW + timedelta(3), "", NOW + timedelta(5), "a\nb")


def test_a_note_is_kept_with_the_state() -> None:
    kept = LaneState("1", NOW, NOW, "{}", None, "said")
    assert LaneState.from_json(kept.to_json()) == kept
    assert LaneState.from_json(replace(kept, note="").to_json()) == replace(kept, note="")
    assert LaneState.from_json('["1","",null,null,null,7]') == LaneState()


async def test_a_turn_goes_on_after_a_join(world: World) -> None:
    annes = await write(world, ANNE, ANNES, ago=50, text="It burns")
    await play(world, annes)
    new = await write(world, BEN, NEW, text="any news?")
    await play(world, new)
    await world.receive(new_number(world, **NOTICE))
    await write(world, BEN, NEW, text="hardware")
    await write(world, BEN, NEW, text="yes")
    await world.play([ClaimedLane(annes, None, None)])
    assert await world.rows("SELECT description FROM ticket") == [("It burns\nany news?",)]
