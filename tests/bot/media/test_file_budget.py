"""One customer's files are stored up to their day's budget; the others wait at Meta, and an agent can have them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.views.file_text import describe_file_state
from bot.lane_state import LaneState
from bot.whatsapp.graph.media_download import DownloadLimits
from flows import FILES_WAIT
from storage import customers, fence, file_fetches
from storage.customers import make_phone_alias
from storage.sql.database import Database, Tx
from storage.statuses import FileState
from tests.bot import file_host as host_of
from tests.bot.file_host import BYTES
from tests.bot.media.test_transfer import NOW, Place, fetching, place

PATIENCE_SECONDS = 30.0
MEGABYTES = 0.2
FITTING = int(MEGABYTES * 1024 * 1024) // len(BYTES)  # files
SENT = FITTING + 4
ANNE, BEN = 5, 6
SENTENCE = (
    "Not fetched: The customer has sent more than 0.2 MB within a day. Meta keeps it until 13 Mar, 14:00 UTC: fetch it "
    "if you need it."
)
ENDED = ("stored", "deferred")


@pytest.fixture
async def there(database: Database, tmp_path: Path) -> AsyncIterator[Place]:
    """Two customers, and what fetches their files."""
    async with open_place(database, tmp_path) as made:
        yield made


@pytest.fixture
async def light(sqlite_database: Database, tmp_path: Path) -> AsyncIterator[Place]:
    async with open_place(sqlite_database, tmp_path) as made:
        yield made


@asynccontextmanager
async def open_place(database: Database, folder: Path) -> AsyncIterator[Place]:
    """No file is slow here, so whatever a busy machine takes is waited for."""
    limits = DownloadLimits(max_bytes=1024 * 1024)
    async with place(
        database, folder, limits=limits, megabytes_per_day=MEGABYTES, graph_seconds=PATIENCE_SECONDS
    ) as made:
        await add_customers(made)
        yield made


async def add_customers(there: Place) -> None:
    async def write(tx: Tx) -> None:
        directory = await customers.read_directory(tx, [], NOW, LaneState(last_inbound_at=NOW).to_json())
        for customer_id in (ANNE, BEN):
            directory.add(customer_id, "", [make_phone_alias(f"1555000{customer_id}")])
        await customers.write_directory(tx, directory)

    await there.database.run(write)


async def send(there: Place, *file_ids: int, customer_id: int = ANNE, **more: Any) -> None:
    """A customer sends files."""
    for file_id in file_ids:
        there.host.files.setdefault(f"m{file_id}", host_of.good)
        await there.file(file_id, f"m{file_id}", customer_id=customer_id, due_at=there.clock.now, **more)


async def rows(there: Place, sql: str) -> list[tuple[Any, ...]]:
    async with there.database.reading() as tx:
        return [tuple(row) for row in await tx.fetch(sql)]


async def count(there: Place, state: str) -> int:
    return int((await rows(there, f"SELECT COUNT(*) FROM file WHERE state = '{state}'"))[0][0])  # noqa: S608 - ours


async def test_what_is_beyond_it_waits_and_the_customer_is_told_once(there: Place) -> None:
    """Two processes fetch at the same time, and neither takes what the other has reserved."""
    await send(there, *range(1, SENT + 1))
    await send(there, 100, customer_id=BEN)
    async with fetching(there.media, there.another("b")):
        await there.until(*range(1, SENT + 1), 100, states=ENDED)
    assert (await count(there, "stored"), await count(there, "deferred")) == (FITTING + 1, SENT - FITTING)
    assert (await there.row(100)).state == "stored"
    [deferred, *_] = [row for at in range(1, SENT + 1) if (row := await there.row(at)).state is FileState.DEFERRED]
    assert describe_file_state(deferred) == SENTENCE
    assert (deferred.size, deferred.attempts, deferred.owner) == (len(BYTES), 0, "")
    ((customer_id, version, status, payload),) = await rows(
        there, "SELECT customer_id, version, status, payload FROM outbox"
    )
    assert (customer_id, status) == (ANNE, "queued")
    assert FILES_WAIT in payload
    async with there.database.reading() as tx:
        states = await fence.load_lane_states(tx, [ANNE])
    assert 0 < version <= states[ANNE].version


async def test_an_agent_has_it_all_the_same(light: Place) -> None:
    await send(light, *range(1, FITTING + 2))
    async with fetching(light.media):
        await light.until(*range(1, FITTING + 2), states=ENDED)
        ((left,),) = await rows(light, "SELECT id FROM file WHERE state = 'deferred'")
        assert await light.database.run(lambda tx: file_fetches.retry(tx, left, light.clock.now))
        light.media.ring()
        await light.until(left, states=("stored",))
    assert not await light.database.run(lambda tx: file_fetches.retry(tx, left, light.clock.now))


async def test_the_day_is_the_last_24_hours(light: Place) -> None:
    async with fetching(light.media):
        await send(light, *range(1, SENT + 1))
        await light.until(*range(1, SENT + 1), states=ENDED)
        light.clock.forward(24 * 3600 - 1)
        await send(light, 50)
        await light.until(50, states=ENDED)
        assert (await light.row(50)).state == "deferred"
        assert await count(light, "stored") == FITTING
        light.clock.forward(2)
        await send(light, *range(60, 60 + SENT))
        await light.until(*range(60, 60 + SENT), states=ENDED)
    assert await count(light, "stored") == 2 * FITTING
    assert len(await rows(light, "SELECT id FROM outbox")) == 2


async def test_nobody_is_told_while_a_person_answers(light: Place) -> None:
    async def be_quiet(tx: Tx) -> None:
        state = LaneState.from_json((await fence.raise_version(tx, ANNE)).body)
        await fence.write_body(tx, ANNE, replace(state, quiet_until=NOW + timedelta(minutes=30)).to_json())

    await light.database.run(be_quiet)
    await send(light, *range(1, SENT + 1))
    async with fetching(light.media):
        await light.until(*range(1, SENT + 1), states=ENDED)
        assert await rows(light, "SELECT id FROM outbox") == []
        light.clock.forward(31 * 60)
        await send(light, 50)
        await light.until(50, states=ENDED)
    assert len(await rows(light, "SELECT id FROM outbox")) == 1


async def test_a_size_that_meta_does_not_say_is_taken_to_be_the_largest(light: Place) -> None:
    light.host.facts["m1"] = {"file_size": None}
    await send(light, 1)
    async with fetching(light.media):
        await light.until(1, states=ENDED)
    assert (await light.row(1)).state == "deferred"


async def test_what_failed_or_a_dead_process_had_takes_nothing(light: Place) -> None:
    light.host.files |= dict.fromkeys([f"m{at}" for at in range(1, FITTING + 1)], host_of.cut)
    await send(light, *range(1, FITTING + 1))
    half: dict[str, Any] = {"state": "fetching", "owner": "dead", "attempts": 1, "reserved_bytes": len(BYTES)}
    async with fetching(light.media):
        await light.until(*range(1, FITTING + 1))
        await send(light, *range(10, 10 + FITTING), **half)
        await light.until(*range(10, 10 + FITTING))
    assert await count(light, "failed") == FITTING
    assert await count(light, "stored") == FITTING


async def test_what_nobody_asked_for_expires_with_metas_id(light: Place) -> None:
    await send(light, *range(1, FITTING + 2))
    async with fetching(light.media):
        await light.until(*range(1, FITTING + 2), states=ENDED)
        ((left,),) = await rows(light, "SELECT id FROM file WHERE state = 'deferred'")
        light.clock.forward(7 * 86_400)
        light.media.ring()
        await light.until(left, states=("expired",))


async def test_what_fits_is_stored_beside_what_does_not(light: Place) -> None:
    """A file that is larger than the whole budget takes nothing from the small ones behind it."""
    light.host.facts["m1"] = {"file_size": str(len(BYTES) * (FITTING + 1))}
    await send(light, 1)
    async with fetching(light.media):
        await light.until(1, states=("deferred",))
        await send(light, *range(2, FITTING + 2))
        async with asyncio.timeout(20):
            await light.until(*range(2, FITTING + 2), states=("stored",))
