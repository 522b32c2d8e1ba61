"""Media transfer against servers that are slow, cut, lying or somebody else's: no file holds up another, and each ends
in a state that an agent can read."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from api.views.file_text import describe_file_state
from bot.media.transfer import MAX_NEW_FETCHES, MediaTransfer
from bot.media.uploader import UploadFailed
from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from bot.whatsapp.graph.media import to_sha256_hex
from bot.whatsapp.graph.media_download import DownloadLimits, open_downloads
from storage import file_fetches, files
from storage.blobs.disk_room import RESERVE, Reserve
from storage.blobs.folder import FolderStore
from storage.blobs.store import FileStore, NoFile, StoreDown, make_file_key
from storage.files import FileRow
from storage.sql.database import Database
from tests.bot import file_host as host_of
from tests.bot.file_budgets import make_budget
from tests.bot.file_host import BYTES, Behaviour, FileHost, base64_hash, listening

NOW = datetime(2026, 3, 6, 14, tzinfo=UTC)  # a Friday
TOKEN = "the token of the tests"
NUMBER = "106540352242922"
LIMITS = DownloadLimits(
    max_bytes=1024 * 1024, answer_seconds=0.6, idle_seconds=0.6, grace_seconds=0.5, total_seconds=5.0
)
HASH = hashlib.sha256(BYTES).hexdigest()
AGAIN = "It is tried again until 13 Mar, 14:00 UTC."


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Names(AbstractResolver):
    """A name server that answers as an attacker's would: each time the next."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        self.asked.append(host)
        address = self.addresses.pop(0)
        return [ResolveResult(hostname=host, host=address, port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        pass


@dataclass
class Place:
    """A MediaTransfer and all around it."""

    database: Database
    host: FileHost
    store: FileStore
    clock: Clock
    media: MediaTransfer
    another: Callable[[str], MediaTransfer]
    folder: Path

    async def file(self, file_id: int, media_id: str, **more: Any) -> None:
        given: dict[str, Any] = {"media_until": NOW + timedelta(days=7), "filename": "a.png", "customer_id": 5} | more
        row = FileRow(file_id, given.pop("direction", "in"), "image", given.pop("state", "waiting"),
                      given.pop("due_at", NOW), NOW, media_id=media_id, **given)  # fmt: skip
        await self.database.run(lambda tx: files.insert(tx, [row]))

    async def row(self, file_id: int) -> FileRow:
        async with self.database.reading() as tx:
            found = await files.find(tx, file_id)
        assert found is not None
        return found

    async def bytes_of(self, file_id: int) -> bytes:
        return b"".join([piece async for piece in await self.store.open(make_file_key(file_id))])

    async def until(self, *file_ids: int, states: tuple[str, ...] = ("stored", "failed", "refused", "expired")) -> None:
        """Each of these files is in one of these states."""
        async with asyncio.timeout(30):
            while not all([(await self.row(each)).state in states for each in file_ids]):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def place(
    database: Database,
    folder: Path,
    resolver: AbstractResolver | None = None,
    api_url: str = "",
    limits: DownloadLimits = LIMITS,
    megabytes_per_day: float = 500.0,
    graph_seconds: float = 2.0,
    reserve: Reserve = RESERVE,
) -> AsyncIterator[Place]:
    async with listening(FileHost()) as host, open_http() as http:
        url = api_url or host.api_url
        async with open_downloads(url, limits, resolver) as downloads:
            graph = GraphClient(
                GraphSettings(host.api_url, NUMBER, TOKEN, "secret", graph_seconds, graph_seconds), http
            )
            clock, store = Clock(), FolderStore(folder / "files", reserve)

            def make_transfer(owner: str) -> MediaTransfer:
                return MediaTransfer(
                    database=database,
                    store=store,
                    graph=graph,
                    downloads=downloads,
                    clock=clock,
                    budget=make_budget(database, clock, megabytes_per_day),
                    owner=owner,
                )

            yield Place(database, host, store, clock, make_transfer("a"), make_transfer, folder / "files")


@asynccontextmanager
async def fetching(*transfers: MediaTransfer) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = [asyncio.create_task(transfer.run(stop)) for transfer in transfers]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)


@pytest.fixture
async def there(database: Database, tmp_path: Path) -> AsyncIterator[Place]:
    async with place(database, tmp_path) as made:
        yield made


@pytest.fixture
async def light(sqlite_database: Database, tmp_path: Path) -> AsyncIterator[Place]:
    async with place(sqlite_database, tmp_path) as made:
        yield made


def left_over(folder: Path) -> list[str]:
    """Halves of files."""
    return [path.name for path in folder.rglob("*.part")]


def spoil(folder: Path) -> None:
    folder.write_text("something that is no folder")


def refusal(code: int, status: int = 400, subcode: int | None = None) -> tuple[int, dict[str, Any]]:
    error: dict[str, Any] = {"code": code, "message": "no", "type": "OAuthException"}
    return status, {"error": error | ({"error_subcode": subcode} if subcode else {})}


# name: (how the server of files behaves, what the Graph API says, the hash of the webhook, state, what an agent reads)
TABLE: dict[str, tuple[Behaviour, dict[str, Any], str, str, str]] = {
    "good": (host_of.good, {}, base64_hash(BYTES), "stored", ""),
    "without-any-hash": (host_of.good, {"sha256": None}, "", "stored", ""),
    "hash-in-base64": (host_of.good, {"sha256": base64_hash(BYTES)}, "", "stored", ""),
    "size-as-a-number": (host_of.in_chunks, {"file_size": len(BYTES)}, "", "stored", ""),
    "size-that-lies": (host_of.good, {"file_size": "5"}, "", "stored", ""),
    "no-size": (host_of.good, {"file_size": "many", "sha256": 5}, "", "stored", ""),
    "empty": (host_of.empty, {"sha256": "", "file_size": 0}, "", "stored", ""),
    "redirected-within": (host_of.sends_to("/files/good"), {}, "", "stored", ""),
    "redirected-at-last": (host_of.sends_to("{origin}/files/redirected-within"), {}, "", "stored", ""),
    "old-address": (host_of.old_address_once, {}, "", "stored", ""),
    "silent": (host_of.silent, {}, "", "failed", "Nothing came from Meta's servers for too long."),
    "slow-head": (host_of.slow_head, {}, "", "failed", "Nothing came from Meta's servers for too long."),
    "stalled": (host_of.stalled, {}, "", "failed", "Nothing came from Meta's servers for too long."),
    "dripping": (host_of.dripping, {}, "", "failed", "It came too slowly, and was given up."),
    "cut": (host_of.cut, {}, "", "failed", "The connection broke before all of it was here (ClientPayloadError)."),
    "cut-in-chunks": (
        host_of.cut_in_chunks, {}, "", "failed",
        "The connection broke before all of it was here (ClientPayloadError).",
    ),
    "cut-without-a-length": (
        host_of.cut_without_a_length, {}, "", "failed", "What came is not what the customer sent: its hash is another.",
    ),
    "cut-and-no-hash": (
        host_of.cut_without_a_length, {"sha256": ""}, "", "failed", "What came is not as long as Meta said.",
    ),
    "no-answer": (
        host_of.no_answer, {}, "", "failed",
        "The connection broke before all of it was here (ServerDisconnectedError).",
    ),
    "not-http": (
        host_of.not_http, {}, "", "failed", "The connection broke before all of it was here (ClientResponseError).",
    ),
    "wrong-hash": (
        host_of.another_file, {}, "", "failed", "What came is not what the customer sent: its hash is another.",
    ),
    "wrong-hash-by-the-webhook": (
        host_of.good, {}, base64_hash(b"else"), "failed",
        "What came is not what the customer sent: its hash is another.",
    ),
    "packed": (host_of.packed, {}, "", "failed", "Meta's servers sent it packed, which was not asked for."),
    "broken": (host_of.answers(500), {}, "", "failed", "Meta's servers could not give it just now (HTTP 500)."),
    "a-part": (host_of.answers(206), {}, "", "failed", "Meta's servers could not give it just now (HTTP 206)."),
    "gone": (
        host_of.answers(404), {}, "", "failed", "Meta's servers no longer have it where Meta says it is (HTTP 404).",
    ),
    "in-circles": (
        host_of.sends_to("{origin}/files/in-circles"), {}, "", "failed",
        "Meta's servers sent us round in circles for it.",
    ),
    "oversized-and-said": (host_of.claims_too_much, {}, "", "refused", "Larger than 1 MB."),
    "oversized-by-its-facts": (host_of.good, {"file_size": "1048577"}, "", "refused", "Larger than 1 MB."),
    "endless": (host_of.endless, {}, "", "refused", "Larger than 1 MB."),
    "redirected-to-metadata": (
        host_of.sends_to("http://169.254.169.254/latest/meta-data/"), {}, "", "refused",
        "Its address is not on Meta's servers, and nothing else is asked for it.",
    ),
    "redirected-to-loopback": (
        host_of.sends_to("http://127.0.0.1:1/x"), {}, "", "refused",
        "Its address is not on Meta's servers, and nothing else is asked for it.",
    ),
    "redirected-nowhere": (
        host_of.sends_to(""), {}, "", "refused", "Meta named an address for it that can't be read.",
    ),
    "elsewhere": (
        host_of.good, {"url": "https://example.org/x"}, "", "refused",
        "Its address is not on Meta's servers, and nothing else is asked for it.",
    ),
    "no-address": (host_of.good, {"url": None}, "", "failed", "Meta answered without saying where it is."),
    "unknown-id": (
        host_of.good, {"answers": [refusal(100, 400, 33)]}, "", "failed",
        "Meta says that it has no such file.",
    ),
    "graph-broken": (
        host_of.good, {"answers": [refusal(131000, 500)]}, "", "failed", "Something went wrong on Meta's side.",
    ),
    "not-an-id-at-all/..": (
        host_of.good, {}, "", "refused", "The message named no file that Meta could have.",
    ),
}  # fmt: skip


async def test_each_ends_in_a_state_that_an_agent_can_read_and_none_holds_up_another(there: Place) -> None:
    """All of them at once, the bad ones first, and good ones after them."""
    in_order = sorted(TABLE.items(), key=lambda each: each[1][3] == "stored")
    for at, (media_id, (behaviour, facts, announced, _, _)) in enumerate(in_order, 1):
        there.host.files[media_id] = behaviour
        there.host.facts[media_id] = deepcopy(facts)
        await there.file(at, media_id, sha256=to_sha256_hex(announced), due_at=NOW + timedelta(milliseconds=at))
    there.clock.forward(1)
    async with fetching(there.media):
        await there.until(*range(1, len(TABLE) + 1))
    for at, (media_id, (_, _, _, state, sentence)) in enumerate(in_order, 1):
        row = await there.row(at)
        reads = {"stored": "", "failed": f"Could not be fetched: {sentence} {AGAIN}", "refused": f"Refused: {sentence}"}
        assert (media_id, row.state, row.reason, describe_file_state(row)) == (media_id, state, sentence, reads[state])
        assert (row.owner, row.attempts) == ("", 1)
        assert row.due_at == (NOW + timedelta(seconds=11) if state == "failed" else row.due_at)
        if state == "stored":
            expected = b"" if media_id == "empty" else BYTES
            assert await there.bytes_of(at) == expected
            assert (row.size, row.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())
            assert (row.mime_type, row.stored_at) == ("image/png", there.clock.now)
        else:
            with pytest.raises(NoFile):
                await there.store.open(make_file_key(at))
    assert left_over(there.folder) == []
    assert {asked.headers["authorization"] for asked in there.host.asked} == {f"Bearer {TOKEN}"}
    assert {asked.headers["accept-encoding"] for asked in there.host.asked} == {"identity"}
    assert there.host.of("phone_number_id") == []


async def test_files_that_hang_leave_the_others_their_turn(light: Place) -> None:
    count = MAX_NEW_FETCHES * 2
    for at in range(1, count + 6):
        name = f"m{at}"
        light.host.files[name] = host_of.silent if at <= count else host_of.good
        await light.file(at, name, due_at=NOW + timedelta(milliseconds=at))
    light.clock.forward(1)
    async with fetching(light.media):
        await light.until(*range(count + 1, count + 6), states=("stored",))


async def test_a_cut_download_is_made_again_and_waits_longer_each_time(there: Place) -> None:
    there.host.files |= {"cut": host_of.cut, "once": host_of.cut_once}
    await there.file(1, "cut", media_until=NOW + timedelta(hours=2))
    await there.file(2, "once")
    waits = []
    async with fetching(there.media):
        await there.until(1, 2)
        while (row := await there.row(1)).state == "failed" and row.due_at < row.media_until:  # type: ignore[operator]
            waits.append((row.due_at - there.clock.now).total_seconds())
            there.clock.now = row.due_at
            there.media.ring()
            await there.until(2, states=("stored",))
            async with asyncio.timeout(10):  # while it is fetched, its due_at is the end of a lease, and later too
                while (seen := await there.row(1)).state == "fetching" or seen.attempts == row.attempts:
                    await asyncio.sleep(0.02)
        there.clock.now = NOW + timedelta(hours=2)
    assert waits == [10, 60, 300, 1800, 3600]
    assert (await there.row(2)).attempts == 2
    async with fetching(there.another("b")):
        await there.until(1, states=("expired",))
    assert describe_file_state(await there.row(1)) == "Expired: ask the customer to send it again."


async def test_the_last_try_is_the_last(light: Place) -> None:
    light.host.files["cut"] = host_of.cut
    await light.file(1, "cut", media_until=NOW + timedelta(seconds=20))
    async with fetching(light.media):
        await light.until(1)
        asked = len(light.host.asked)
        light.clock.forward(20)
        light.media.ring()
        await light.until(1, states=("expired",))
    assert len(light.host.asked) == asked * 2, "after Meta's id has run out nobody asks again and again"


async def test_an_agent_has_it_tried_at_once(light: Place) -> None:
    light.host.files["once"] = host_of.cut_once
    await light.file(1, "once")
    async with fetching(light.media):
        await light.until(1)
        assert await light.database.run(lambda tx: file_fetches.retry(tx, 1, light.clock.now))
        assert describe_file_state(await light.row(1)) == (
            "Still to be fetched: The connection broke before all of it was here (ClientPayloadError)."
        )
        light.media.ring()
        await light.until(1, states=("stored",))
    assert describe_file_state(await light.row(1)) == ""


async def test_a_token_that_expired_is_held_against_no_file(there: Place) -> None:
    """Three files; the token is refused four times, and then it is good again."""
    no = refusal(190, 401)
    for at in (1, 2, 3):
        there.host.files[f"m{at}"] = host_of.good
        await there.file(at, f"m{at}")
    there.host.facts = {"m1": {"answers": [no, no]}, "m2": {"answers": [no]}, "m3": {"answers": [no]}}
    async with fetching(there.media):
        await there.until(1, states=("waiting",))
        async with asyncio.timeout(10):
            while not (await there.row(1)).reason:
                await asyncio.sleep(0.02)
        row = await there.row(1)
        sentence = "Still to be fetched: The access token is missing, expired or revoked."
        assert describe_file_state(row).startswith(sentence)
        assert row.attempts == 0
        async with asyncio.timeout(30):
            while not all([(await there.row(at)).state == "stored" for at in (1, 2, 3)]):
                there.clock.forward(5)
                there.media.ring()
                await asyncio.sleep(0.02)
    assert [((await there.row(at)).state, (await there.row(at)).attempts) for at in (1, 2, 3)] == [("stored", 1)] * 3


async def test_a_store_that_is_full_or_away_is_held_against_no_file(light: Place) -> None:
    light.host.files["m1"] = host_of.good
    await light.file(1, "m1")
    spoil(light.folder)
    async with fetching(light.media):
        async with asyncio.timeout(10):
            while not (await light.row(1)).reason:
                await asyncio.sleep(0.02)
    row = await light.row(1)
    assert (row.state, row.attempts) == ("waiting", 0)
    assert describe_file_state(row) == "Still to be fetched: FILES_URL or DATA_DIR names something that is no folder."
    light.folder.unlink()
    light.clock.forward(60)
    async with fetching(light.another("b")):
        await light.until(1, states=("stored",))


async def test_what_a_dead_process_was_fetching_is_taken_over(there: Place) -> None:
    there.host.files["m1"] = host_of.good
    await there.file(1, "m1", state="fetching", owner="dead", attempts=1, due_at=NOW + timedelta(seconds=20))
    async with fetching(there.media, there.another("b")):
        await there.file(2, "m1")
        there.media.ring()
        await there.until(2)
        assert (await there.row(1)).state == "fetching"
        there.clock.forward(20)
        there.media.ring()
        await there.until(1)
    assert ((await there.row(1)).state, (await there.row(1)).attempts) == ("stored", 2)


async def test_a_stop_gives_back_what_was_under_way(light: Place) -> None:
    light.host.files["m1"] = host_of.silent
    await light.file(1, "m1")
    async with fetching(light.media):
        async with asyncio.timeout(10):
            while not light.host.of("/files/"):
                await asyncio.sleep(0.02)
    row = await light.row(1)
    assert (row.state, row.attempts, row.owner, row.due_at) == ("waiting", 0, "", NOW)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
async def test_a_name_that_leads_into_a_private_network(
    sqlite_database: Database, tmp_path: Path, address: str
) -> None:
    """DNS rebinding: the name is Meta's, what it stands for is not, and it is asked once for each connection."""
    names = Names(address)
    async with place(sqlite_database, tmp_path, names, "https://graph.example.org/v25.0") as made:
        made.host.facts["m1"] = {"url": "https://lookaside.fbsbx.com/x"}
        await made.file(1, "m1")
        async with fetching(made.media):
            await made.until(1)
        state = describe_file_state(await made.row(1))
        assert state == "Refused: Its address leads into a private network, where nothing is asked for it."
        assert names.asked == ["lookaside.fbsbx.com"]


async def test_an_upload_is_made_once_and_again_when_meta_forgets_it(there: Place) -> None:
    await there.file(1, "", direction="out", state="stored", size=len(BYTES), mime_type="image/png", media_until=None)

    async def pieces() -> AsyncIterator[bytes]:
        yield BYTES

    await there.store.put(make_file_key(1), pieces())
    there.host.uploads = [(200, {"id": "4711"}), (200, {"id": "4712"})]
    assert [await there.media.ensure_uploaded(1) for _ in range(3)] == ["4711"] * 3
    [asked] = there.host.of("/media")
    assert BYTES in asked.body
    assert b'filename="a.png"' in asked.body
    there.clock.forward(29 * 86_400)
    assert await there.media.ensure_uploaded(1) == "4712"


@pytest.mark.parametrize(
    ("answer", "reason", "again"),
    [
        (refusal(131053), "Meta could not take our file: check its type and size.", False),
        (refusal(100), "Meta could not take our file: check its type and size.", False),
        (refusal(190, 401), "The access token is missing, expired or revoked.", True),
        (refusal(131000, 500), "Something went wrong on Meta's side.", True),
        ((502, {}), "Meta answered HTTP 502", True),
        ((200, {"id": ""}), "Meta took the file and gave no id for it.", True),
    ],
    ids=str,
)
async def test_an_upload_that_meta_refuses(light: Place, answer: Any, reason: str, again: bool) -> None:
    await light.file(1, "", direction="out", state="stored", size=len(BYTES), mime_type="image/png", media_until=None)

    async def pieces() -> AsyncIterator[bytes]:
        yield BYTES

    await light.store.put(make_file_key(1), pieces())
    light.host.uploads = [answer]
    with pytest.raises(UploadFailed) as failed:
        await light.media.ensure_uploaded(1)
    assert failed.value.reason.startswith(reason)
    assert (failed.value.retry_seconds is not None) == again


async def test_what_can_not_be_uploaded(light: Place) -> None:
    await light.file(1, "", direction="out", state="stored", size=5, mime_type="image/png", media_until=None)
    await light.file(2, "m2", state="stored", size=5)
    for file_id, reason in ((1, "Its bytes are no longer"), (2, "There is no such file"), (3, "There is no such file")):
        with pytest.raises(UploadFailed, match=reason) as failed:
            await light.media.ensure_uploaded(file_id)
        assert failed.value.retry_seconds is None
    spoil(light.folder)
    with pytest.raises(UploadFailed, match="no folder") as failed:
        await light.media.ensure_uploaded(1)
    assert failed.value.retry_seconds is not None
    with pytest.raises(StoreDown):
        await light.store.delete(make_file_key(1))
