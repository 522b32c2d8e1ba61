"""Shares the tests among several processes (pytest-xdist), as `make test` runs them, and sums up what ran.

Invariants
- A process starts servers, folders and ports of its own.
- A file is never torn apart, since its tests may share what is dear to make.
- What fills the machine by itself comes first, one after the other; what judges how long customers wait has the machine
  to itself.
- The closing lines are those of all processes.
"""

import re
from collections import Counter
from typing import Any

import pytest

RAN = pytest.StashKey[Counter[str]]()
NOT_RUN = pytest.StashKey[dict[str, str]]()
FIGURES = pytest.StashKey[list[str]]()

ALONE = "tests/system/chaos/test_kill.py"
DEMANDING = (
    "tests/system/browser/test_browser.py",
    "tests/api/bench/test_storm.py",
    "tests/api/simulator/test_page.py",
    "tests/storage/redis/test_lanes_trouble.py",
    "tests/storage/redis/test_limits_crowds.py",
)
# In these files all tests on one database share a running Tick.
SHARING = re.compile(r"(tests/system/end_to_end/[^:]*)::.*\[.*\b(sqlite|mariadb)\b")


def get_group(test_id: str) -> str:
    """Returns the group of a test; the tests of one group run in one process."""
    if test_id.startswith(ALONE):
        return "alone"
    if test_id.startswith(DEMANDING):
        return "demanding"
    if shared := SHARING.match(test_id):
        return f"{shared[1]} {shared[2]}"
    return test_id.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Makes the scheduler, which hands groups to the processes in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return get_group(nodeid)

        def _assign_work_unit(self, node: Any) -> None:
            if self._find_lone_process() in (None, node):
                super()._assign_work_unit(node)

        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            super().mark_test_complete(node, item_index, duration)
            if self._find_lone_process() is None:
                for idle in self.nodes:
                    if not self._pending_of(self.assigned_work[idle]):
                        self._reschedule(idle)

        def _find_lone_process(self) -> Any:
            """Returns the process that has the machine to itself; None when none has."""
            for node, work in self.assigned_work.items():
                if not all(work.get("alone", {}).values()):
                    return node
            return None

    config.option.loadscopereorder = False
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts what takes longest first, so that no process is left with it in the end."""
    if hasattr(config, "workerinput"):
        order = {"alone": 0, "demanding": 1}
        items.sort(key=lambda item: order.get(get_group(item.nodeid), 2))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Reports what ran in this process to the one that collects."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        stash = session.config.stash
        ran = stash[RAN]
        output["closing"] = (dict(ran), stash[NOT_RUN], stash[FIGURES])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Adds what a process reported. One that died reported nothing, and its tests have failed."""
    ran, not_run, figures = getattr(node, "workeroutput", {}).get("closing", ({}, {}, []))
    node.config.stash[RAN].update(ran)
    node.config.stash[NOT_RUN].update(not_run)
    node.config.stash[FIGURES].extend(figures)
