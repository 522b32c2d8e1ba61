"""Tests that a folder and a real S3 store keep the same promises, and that what goes wrong is told in sentences."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from storage.blobs.folder import FolderStore
from storage.blobs.open import open_store
from storage.blobs.store import FileStore, NoFile, S3Access, StoreDown, make_file_key
from tests.storage.blobs.object_store import BUCKET, OWNER, READER, ObjectStore
from tests.support.servers import started

KEY = make_file_key(2**62 + 12345)
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def object_store(at_hand: Callable[[str, Callable[[], ObjectStore]], ObjectStore]) -> Iterator[ObjectStore]:
    server = at_hand("s3", ObjectStore)
    with started(server):
        owner = replace(server.access, access_key_id=OWNER.access_key_id, secret_access_key=OWNER.secret_access_key)
        asyncio.run(open_store(f"s3://{BUCKET}", Path(), owner).put("made", pieces(b"")))
        yield server


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, ran: Callable[[str], None]) -> FileStore:
    if request.param == "folder":
        return open_store("", tmp_path / "files")
    ran("s3")
    server: ObjectStore = request.getfixturevalue("object_store")
    return open_store(f"s3://{BUCKET}/{tmp_path.name}", tmp_path, server.access)


async def pieces(*parts: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if error is not None:
        raise error


async def read(store: FileStore, key: str = KEY, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in await store.open(key, start, end)])


@pytest.mark.parametrize("sizes", [[0], [1], [5, 0, 7], [MEGABYTE] * 12], ids=str)
async def test_what_is_put_is_given_back(store: FileStore, sizes: list[int]) -> None:
    parts = [os.urandom(size) for size in sizes]
    await store.put(KEY, pieces(*parts))
    assert await read(store) == b"".join(parts)
    await store.put(KEY, pieces(b"again"))  # as who takes over from a dead process does
    assert await read(store) == b"again"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, None, b"0123456789"), (3, None, b"3456789"), (2, 5, b"234"), (4, 4, b""), (9, 10, b"9")],
)
async def test_a_part_of_it(store: FileStore, start: int, end: int | None, expected: bytes) -> None:
    await store.put(KEY, pieces(b"01234", b"56789"))
    assert await read(store, KEY, start, end) == expected


@pytest.mark.parametrize("error", [ValueError("ours"), TimeoutError("ours"), ConnectionResetError("ours")], ids=repr)
async def test_what_is_cut_is_not_there(store: FileStore, error: Exception) -> None:
    with pytest.raises(type(error), match="ours"):
        await store.put(KEY, pieces(b"x" * 11 * MEGABYTE, error=error))
    with pytest.raises(NoFile):
        await store.open(KEY)


async def test_deleted_and_never_there(store: FileStore) -> None:
    await store.put(KEY, pieces(b"x"))
    for _ in range(2):
        await store.delete(KEY)
        with pytest.raises(NoFile):
            await store.open(KEY)


async def test_a_good_store_has_nothing_wrong_and_nothing_left_behind(store: FileStore) -> None:
    assert await store.check() == ""
    if isinstance(store, FolderStore):
        assert [path for path in store._folder.rglob("*") if path.is_file()] == []


async def test_only_its_owner_reads_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "files"
    await open_store("", folder).put(KEY, pieces(b"x"))
    [path] = [path for path in folder.rglob("*") if path.is_file()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, folder)] == [0o700, 0o700]
    assert path.relative_to(folder) == Path(KEY)


async def test_what_a_dead_process_left_of_a_file_goes_with_the_next_try(tmp_path: Path) -> None:
    path = tmp_path / KEY
    path.parent.mkdir()
    (path.parent / f"{path.name}.dead.part").write_bytes(b"half")
    await open_store(str(tmp_path), tmp_path / "other").put(KEY, pieces(b"whole"))
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "ab/../../x", "/etc/passwd", "", "AB/0000000000000000", f"{KEY}\n"]
)
async def test_no_other_name_reaches_the_folder(tmp_path: Path, key: str) -> None:
    store = open_store("", tmp_path)
    with pytest.raises(ValueError, match="not the key"):
        await store.put(key, pieces(b"x"))
    with pytest.raises(ValueError, match="not the key"):
        await store.open(key)


def test_names_are_spread_and_never_the_same() -> None:
    keys = [make_file_key(number) for number in (0, 1, 255, 256, 2**62, 2**63 - 1)]
    assert keys[:2] == ["00/0000000000000000", "01/0000000000000001"]
    assert len(set(keys)) == len(keys)


def a_file(path: Path) -> str:
    path.write_text("I am no folder")
    return str(path / "files")


def read_only(path: Path) -> str:
    path.mkdir(mode=0o500)
    return "/proc/files" if os.geteuid() == 0 else str(path / "files")  # root may write anywhere else


@pytest.mark.parametrize(
    ("make", "expected"), [(a_file, "no folder"), (read_only, "FILES_URL"), (lambda _: "/dev/full/x", "no folder")]
)
async def test_a_folder_that_can_not_be_used(tmp_path: Path, make: Callable[[Path], str], expected: str) -> None:
    store = open_store(make(tmp_path / "place"), tmp_path)
    sentence = await store.check()
    assert expected in sentence
    assert sentence.endswith(".")
    with pytest.raises(StoreDown, match=expected):
        await store.put(KEY, pieces(b"x"))


@pytest.mark.parametrize(
    ("bucket", "changes", "expected"),
    [
        ("nobody-made-this", {}, "may not do this|does not exist"),
        (BUCKET, {"access_key_id": "AKIDOFNOBODY"}, "AWS_ACCESS_KEY_ID"),
        (BUCKET, {"secret_access_key": "another"}, "AWS_SECRET_ACCESS_KEY"),
        (
            BUCKET,
            {"access_key_id": READER.access_key_id, "secret_access_key": READER.secret_access_key},
            "may not do this",
        ),
        (BUCKET, {"endpoint": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
async def test_a_bucket_that_can_not_be_used(
    object_store: ObjectStore, bucket: str, changes: dict[str, str], expected: str
) -> None:
    access = replace(object_store.access, **changes)
    store = open_store(f"s3://{bucket}", Path(), access)
    with pytest.raises(StoreDown, match=expected):
        await store.put(KEY, pieces(b"x"))
    sentence = await store.check()
    assert sentence.endswith(".")
    assert not any(value in sentence for value in (access.access_key_id, access.secret_access_key, access.endpoint))
    assert access.secret_access_key not in repr(access)


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        (S3Access("AKIDOFTHETESTS"), "set both"),
        (S3Access(secret_access_key="hush"), "set both"),
        (S3Access("key", "hush", endpoint="nonsense"), "AWS_ENDPOINT_URL"),
        (S3Access("key", "hush", endpoint="https://a b"), "AWS_ENDPOINT_URL"),
    ],
)
def test_settings_of_a_bucket_that_can_not_be(access: S3Access, expected: str) -> None:
    with pytest.raises(StoreDown, match=expected) as down:
        open_store("s3://bucket/prefix", Path(), access)
    assert "hush" not in str(down.value)


def test_no_secret_is_in_what_is_printed() -> None:
    assert "hush" not in repr(S3Access("key", "hush", "hush"))
