"""Several processes share the tests, as `make test` has it: what stays together, and what is said in the end.

Invariants: a process starts servers, folders and ports of its own; a file is never torn apart, since its tests may
share what is dear to make; what fills the machine by itself comes first and one after the other, and what judges how
long customers wait has the machine to itself; the closing lines are those of all processes.
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
# Of these files all tests on one database share a running Tick.
STAGED = re.compile(r"(tests/system/end_to_end/[^:]*)::.*\[.*\b(sqlite|mariadb)\b")


def company(test_id: str) -> str:
    """Tests of one company are the work of one process."""
    if test_id.startswith(ALONE):
        return "alone"
    if test_id.startswith(DEMANDING):
        return "demanding"
    if staged := STAGED.match(test_id):
        return f"{staged[1]} {staged[2]}"
    return test_id.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Hands out companies, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Shares(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return company(nodeid)

        def _assign_work_unit(self, node: Any) -> None:
            if self._taken_by() in (None, node):
                super()._assign_work_unit(node)

        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            super().mark_test_complete(node, item_index, duration)
            if self._taken_by() is None:
                for idle in self.nodes:
                    if not self._pending_of(self.assigned_work[idle]):
                        self._reschedule(idle)

        def _taken_by(self) -> Any:
            """The process that has the machine to itself."""
            for node, work in self.assigned_work.items():
                if not all(work.get("alone", {}).values()):
                    return node
            return None

    config.option.loadscopereorder = False
    return Shares(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest is begun first, so that no process is left with it in the end."""
    if hasattr(config, "workerinput"):
        order = {"alone": 0, "demanding": 1}
        items.sort(key=lambda item: order.get(company(item.nodeid), 2))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that has a share tells what ran there."""
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        stash = session.config.stash
        ran = stash[RAN]
        told["closing"] = (dict(ran), stash[NOT_RUN], stash[FIGURES])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Adds what a process told. One that died told nothing, and its tests have failed."""
    ran, not_run, figures = getattr(node, "workeroutput", {}).get("closing", ({}, {}, []))
    node.config.stash[RAN].update(ran)
    node.config.stash[NOT_RUN].update(not_run)
    node.config.stash[FIGURES].extend(figures)
