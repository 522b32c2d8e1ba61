"""An agent's files on their way to Meta: one upload, however long it takes, and an end to what Meta never takes."""

import asyncio
from collections.abc import AsyncIterator

from storage import files
from storage.blobs.store import make_file_key
from storage.files import FileRow
from storage.statuses import FileState
from tests.bot.graph import Reply, refuse
from tests.bot.test_service_window import last_is, ticket
from tests.bot.world import AGENT, World

BYTES = b"%PDF-1.4 ..."


async def pieces() -> AsyncIterator[bytes]:
    yield BYTES


async def uploaded(world: World) -> int:
    """An agent's file, in our store."""
    now, file_id = world.clock(), world.ids.next()
    await world.store.put(make_file_key(file_id), pieces())
    row = FileRow(
        file_id,
        "out",
        "document",
        FileState.STORED,
        now,
        now,
        size=len(BYTES),
        mime_type="application/pdf",
        filename="a.pdf",
    )
    await world.database.run(lambda tx: files.insert(tx, [row]))
    return file_id


async def test_a_slow_upload_is_made_once(world: World) -> None:
    ticket_id, file_id = await ticket(world), await uploaded(world)
    slow = asyncio.Event()
    world.graph.upload_script.append(Reply(held=slow))
    async with world.working():
        await world.replies.write(AGENT, ticket_id, "", file_ids=[file_id])
        await world.until(lambda: begun(world))
        for text in ("Hello?", "Are you there?"):  # each is a round, and a look at what is still to be sent
            await world.write(text)
            await world.until(lambda: nothing_pending(world))
        slow.set()
        await world.at_rest()
    assert world.graph.uploads == 1
    assert [request.body["type"] for request in world.graph.requests].count("document") == 1


async def begun(world: World) -> bool:
    return world.graph.uploads > 0


async def nothing_pending(world: World) -> bool:
    return not await world.rows("SELECT 1 FROM item WHERE fate = 'pending'")


async def test_a_file_that_meta_never_takes_keeps_nothing_behind_it_for_ever(world: World) -> None:
    ticket_id, file_id = await ticket(world), await uploaded(world)
    world.graph.upload_script.extend([refuse(131000, 500)] * 50)
    async with world.working():
        await world.replies.write(AGENT, ticket_id, "", file_ids=[file_id])
        await world.replies.write(AGENT, ticket_id, "See above")

        async def second_went() -> bool:
            await world.later(30)
            return await last_is(world, "accepted")

        await world.until(second_went)
    assert [status for status, _ in await world.sends()][-2:] == ["failed", "accepted"]
