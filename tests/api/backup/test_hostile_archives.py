"""What is no backup of Tick's, or not a whole one, is refused with a sentence, and leaves nothing behind."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.backup.archive import PIECE_BYTES, WrongArchive
from storage.blobs.store import make_file_key
from storage.errors import OperatorError
from tests.api.backup.stocked_tick import back_up, list_all, restore, stock

KEY = f"files/{make_file_key(0x77)}"
LAST = f"files/{make_file_key(0x7FFFFFFFFFFFFFFF)}"


@pytest.fixture
def archive(tmp_path: Path, sqlite_template: Path) -> Path:
    places = stock(tmp_path / "data", sqlite_template, {0x77: b"photo" * 300})
    back_up(places, tmp_path / "b.tar")
    return tmp_path / "b.tar"


def rewrite(archive: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> None:
    """Writes the archive anew, with its members changed."""
    with tarfile.open(archive) as tar:
        members = [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    change(members)
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def insert(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", at: int = 2) -> Callable[[Any], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        members.insert(at, (info, b""))

    return change


def change_manifest(**values: object) -> Callable[[Any], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        head, _, rest = members[-1][1].partition(b"\n")
        members[-1] = (members[-1][0], json.dumps(json.loads(head) | values).encode() + b"\n" + rest)

    return change


def replace_member(at: int, content: bytes) -> Callable[[Any], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[at] = (members[at][0], content)

    return change


STRANGE = "something in this archive that no backup of Tick's has"
CASES: dict[str, tuple[Callable[[Any], None], str]] = {
    "above the folder": (insert("files/../../../evil"), STRANGE),
    "an absolute name": (insert("/etc/evil"), STRANGE),
    "a link": (insert(KEY.replace("77", "78"), tarfile.SYMTYPE, "/etc/passwd"), STRANGE),
    "a hard link": (insert(LAST, tarfile.LNKTYPE, "tick.db"), STRANGE),
    "a device": (insert(LAST, tarfile.CHRTYPE), STRANGE),
    "a pipe": (insert(LAST, tarfile.FIFOTYPE), STRANGE),
    "a folder": (insert("files", tarfile.DIRTYPE), STRANGE),
    "a name without end": (insert("files/" + "a" * 100_000), STRANGE),
    "another file": (insert("config.env"), STRANGE),
    "a file twice": (insert(KEY), "in an order that Tick does not write"),
    "a second database": (insert("tick.db"), "in an order that Tick does not write"),
    "a file before the database": (insert(KEY, at=0), "in an order that Tick does not write"),
    "a file that nobody knows": (insert(LAST), "more or fewer parts than it says"),
    "a part that is missing": (lambda members: members.pop(1), "more or fewer parts than it says"),
    "no manifest": (lambda members: members.pop(), "is cut off"),
    "another photo": (replace_member(1, b"PHOTO" * 300), f"{KEY} is not as it was"),
    "a longer photo": (replace_member(1, b"photo" * 301), f"{KEY} is not as it was"),
    "another database": (replace_member(0, b"x" * 8192), "tick.db is not as it was"),
    "a manifest of nothing": (replace_member(-1, b""), "manifest can't be read"),
    "a manifest of brackets": (replace_member(-1, b"[" * 90_000), "manifest can't be read"),
    "a manifest without an end": (replace_member(-1, b'{"format": 1, ' + b" " * 200_000), "manifest can't be read"),
    "words for numbers": (change_manifest(members="all"), "manifest can't be read"),
    "no instant": (change_manifest(made_at="yesterday"), "manifest can't be read"),
    "an instant of nowhere": (change_manifest(made_at="2026-03-04T05:06:07"), "manifest can't be read"),
    "something more": (change_manifest(more=1), "manifest can't be read"),
    "a newer format": (change_manifest(format=2, more=1), r"newer version of Tick \(1.2.3\): install that one first"),
    "a newer database": (
        change_manifest(migration="9999_tomorrow"),
        r"newer version of Tick \(1.2.3, with the migration 9999_tomorrow\): install that version",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_belong_there_is_refused(archive: Path, tmp_path: Path, case: str) -> None:
    change, said = CASES[case]
    rewrite(archive, change)
    assert_refused(archive, tmp_path, said)


def assert_refused(archive: Path, tmp_path: Path, said: str) -> None:
    before = list_all(tmp_path)
    with pytest.raises(WrongArchive, match=said) as refused:
        restore(archive, tmp_path / "new" / "data")
    assert "\n" not in str(refused.value)
    assert [name for name in list_all(tmp_path) if name != "new"] == before


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_what_is_cut_off_is_refused(archive: Path, tmp_path: Path, part: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * part)])
    assert_refused(archive, tmp_path, "is cut off")


@pytest.mark.parametrize("content", [b"", b"photo" * 1000, bytes(10_240), b"\x1f\x8b" + bytes(3000)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(content)
    assert_refused(tmp_path / "b.tar", tmp_path, "This is no backup of Tick's")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="is not there, or is no file"):
        restore(tmp_path, tmp_path / "new")


def test_a_flipped_bit_anywhere_is_refused(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    for at in range(700, len(content) - 2048, len(content) // 12):
        archive.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(WrongArchive):
            restore(archive, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_large_member_is_never_in_memory_whole(archive: Path, tmp_path: Path) -> None:
    """A header may claim any size: it is compared with the archive's before a byte is read."""
    content = bytearray(archive.read_bytes())
    info = tarfile.TarInfo("tick.db")
    info.size = 1 << 50
    content[:512] = info.tobuf(tarfile.GNU_FORMAT)
    archive.write_bytes(content)
    assert_refused(archive, tmp_path, "is cut off")
    assert PIECE_BYTES < 1 << 22
