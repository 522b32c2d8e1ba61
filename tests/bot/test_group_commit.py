"""What meets held rows waits aside, in its order, and nobody else with it."""

import asyncio
from collections.abc import Sequence

import pytest

from bot.group_commit import GroupCommit
from storage.sql.database import RowsHeld
from storage.sql.held_rows import HeldKeys
from storage.sql.lock_waits import LockWait


class Rows:
    """Commits words; those that begin with a letter in `held` are of whom another session holds."""

    def __init__(self) -> None:
        self.held = {"a"}
        self.committed: list[str] = []
        self.tries: list[tuple[list[str], LockWait]] = []

    async def commit(self, words: Sequence[str], lock_wait: LockWait, /) -> Sequence[str]:
        self.tries.append((list(words), lock_wait))
        await asyncio.sleep(0)
        if any(word[0] in self.held for word in words):
            raise RowsHeld
        self.committed += words
        return words


def make_group(rows: Rows, patience_seconds: float = 20.0) -> GroupCommit[str, str]:
    return GroupCommit(
        rows.commit, 100, read_keys=lambda word: (word[0],), held=HeldKeys(), patience_seconds=patience_seconds
    )


async def test_others_are_committed_while_one_is_held_and_it_keeps_its_order() -> None:
    rows = Rows()
    group = make_group(rows)
    first = [asyncio.create_task(group.submit(word)) for word in ("b1", "a1", "c1", "a2")]
    await asyncio.gather(first[0], first[2])
    later = [asyncio.create_task(group.submit(word)) for word in ("a3", "b2", "d1")]
    await asyncio.gather(*later[1:])
    assert not rows.committed.count("a1")
    usual = [words for words, lock_wait in rows.tries if lock_wait is LockWait.USUAL]
    assert usual[0] == ["b1", "a1", "c1", "a2"]
    assert not any(word.startswith("a") for words in usual[1:] for word in words), "nobody waits with them once more"
    rows.held.clear()
    assert list(await asyncio.gather(first[1], first[3], later[0])) == ["a1", "a2", "a3"]
    assert [word for word in rows.committed if word.startswith("a")] == ["a1", "a2", "a3"]
    assert await group.submit("a4") == "a4"
    assert rows.tries[-1] == (["a4"], LockWait.USUAL), "what is got to is like all others again"


async def test_who_is_held_hears_of_it_when_patience_ends() -> None:
    rows = Rows()
    group = make_group(rows, patience_seconds=0.0)
    with pytest.raises(RowsHeld):
        await group.submit("a1")
    outcomes = await asyncio.gather(group.submit("a2"), group.submit("b1"), return_exceptions=True)
    assert isinstance(outcomes[0], RowsHeld)
    assert outcomes[1] == "b1"


async def test_who_gives_up_meanwhile_is_not_tried_again() -> None:
    rows = Rows()
    group = make_group(rows)
    waiting = asyncio.create_task(group.submit("a1"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    rows.held.clear()
    assert await group.submit("a2") == "a2"
    assert rows.committed == ["a2"]
