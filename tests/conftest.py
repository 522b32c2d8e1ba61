"""The fixtures that all tests share, servers above all, and the lines at the end that say which suites ran.

A server is started once, when the first test asks for it by its fixture.

Invariants
- What could not run is named. On a developer's machine a missing server is named as not run; with CI=true it is a
  failure.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.support.databases import *  # noqa: F403 - fixtures
from tests.support.openapi import contract
from tests.support.plain_logs import configure_plain_logs
from tests.support.scheduling import *  # noqa: F403 - hooks
from tests.support.scheduling import FIGURES, NOT_RUN, RAN
from tests.support.servers import MariaDBServer, NotHere, RedisServer, program, started
from tests.support.temporary_files import use_memory_for_temporary_files

if TYPE_CHECKING:
    from playwright.async_api import Browser

Found = TypeVar("Found")

SUITES = {
    "sqlite": "SQLite",
    "mariadb": "MariaDB",
    "redis": "Redis server",
    "browser": "browser",
    "curl": "curl",
    "compose": "docker-compose",
    "s3": "S3 store",
    "openapi": "Meta's OpenAPI document",
}


def pytest_configure(config: pytest.Config) -> None:
    configure_plain_logs()
    use_memory_for_temporary_files()
    config.stash[RAN] = Counter()
    config.stash[FIGURES] = []
    config.stash[NOT_RUN] = {} if contract.is_present() else {"openapi": "it is not beside the checkout"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the figures, and one line for each suite: the same in CI's log and on a developer's terminal."""
    for figures in config.stash[FIGURES]:
        terminalreporter.write_line(figures)
    for suite, title in SUITES.items():
        if reason := config.stash[NOT_RUN].get(suite):
            state = f"NOT RUN ({reason})"
        elif tests := config.stash[RAN][suite]:
            state = f"ran ({tests} tests)"
        else:
            state = "no test of it was chosen"
        terminalreporter.write_line(f"suite {title}: {state}")


@pytest.fixture(scope="session")
def at_hand(pytestconfig: pytest.Config) -> Callable[[str, Callable[[], Found]], Found]:
    """Calls a function that finds a suite's program; where the machine has none the test is skipped, or fails in CI."""

    def find(suite: str, finder: Callable[[], Found]) -> Found:
        try:
            return finder()
        except NotHere as missing:
            pytestconfig.stash[NOT_RUN][suite] = str(missing)
            if os.environ.get("CI") == "true":
                pytest.fail(f"{SUITES[suite]} can't run: {missing}", pytrace=False)
            pytest.skip(str(missing))

    return find


@pytest.fixture
def ran(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Counts a test that had what its suite needs."""

    def count(suite: str) -> None:
        pytestconfig.stash[RAN][suite] += 1

    return count


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints figures at the end of the run, under the test's name."""
    return lambda text: request.config.stash[FIGURES].append(f"{request.node.name}: {text}")


@pytest.fixture(autouse=True)
def requests_to_meta(ran: Callable[[str], None]) -> Iterator[None]:
    """Fails a test during which something that plays Meta was asked what Meta's document forbids."""
    yield
    if requests := contract.take_violations():
        ran("openapi")
        assert [wrong for wrong in requests if wrong] == []


@pytest.fixture
def meta_document(pytestconfig: pytest.Config) -> None:
    """Skips tests of the contract itself where Meta's document is absent."""
    if reason := pytestconfig.stash[NOT_RUN].get("openapi"):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_server(at_hand: Callable[[str, Callable[[], RedisServer]], RedisServer]) -> Iterator[RedisServer]:
    """The session's Redis. A test that kills or stops one makes its own `RedisServer`."""
    server = at_hand("redis", RedisServer)
    with started(server):
        yield server


@pytest.fixture(scope="session")
def mariadb_server(at_hand: Callable[[str, Callable[[], MariaDBServer]], MariaDBServer]) -> Iterator[MariaDBServer]:
    """The session's MariaDB. A test that kills or stops one makes its own `MariaDBServer`."""
    server = at_hand("mariadb", MariaDBServer)
    with started(server):
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer, ran: Callable[[str], None]) -> str:
    """An empty Redis: redis://..."""
    redis_server.flush()
    ran("redis")
    return redis_server.url


@pytest.fixture
def mariadb_url(mariadb_server: MariaDBServer, ran: Callable[[str], None]) -> Iterator[str]:
    """A fresh database, utf8mb4: mysql://..."""
    name = mariadb_server.new_database()
    ran("mariadb")
    yield mariadb_server.url(name)
    mariadb_server.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path, ran: Callable[[str], None]) -> str:
    """A file that is not there yet: sqlite:///..."""
    ran("sqlite")
    return f"sqlite://{tmp_path / 'tick.db'}"


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each database in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def chromium(at_hand: Callable[[str, Callable[[], str]], str], ran: Callable[[str], None]) -> str:
    """The browser's program, for playwright's `executable_path`."""
    found = at_hand("browser", lambda: program("chromium", "chromium-browser", "google-chrome"))
    ran("browser")
    return found


@pytest.fixture
async def browser(chromium: str) -> "AsyncIterator[Browser]":
    """A browser without a window."""
    from tests.support.simulator_page import open_browser  # playwright takes its time to import, and few tests want it

    async with open_browser(chromium) as opened:
        yield opened


@pytest.fixture
def docker_compose(at_hand: Callable[[str, Callable[[], str]], str], ran: Callable[[str], None]) -> str:
    """docker-compose's program."""
    found = at_hand("compose", lambda: program("docker-compose"))
    ran("compose")
    return found
