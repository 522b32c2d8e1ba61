"""A server that can't skip locked rows is refused, in a sentence."""

import pytest

from storage.sql.server_checks import Server, find_version_problem


def make_server(version: str) -> Server:
    return Server(
        name="tick",
        version=version,
        charset="utf8mb4",
        first_names=["utf8mb4"],
        init_connect="",
        packet_bytes=2**26,
        flush=1,
        forced_engine="",
        lossy=[],
        not_innodb=[],
    )


@pytest.mark.parametrize("version", ["10.6.0-MariaDB", "11.4.2-MariaDB-ubu2404", "8.0.11", "8.4.0", "9.1.0-log"])
def test_new_enough(version: str) -> None:
    assert find_version_problem(make_server(version)) is None


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("10.5.29-MariaDB-0+deb11u1", "Upgrade it to MariaDB 10.6 or newer."),
        ("5.7.44-log", "Upgrade it to MySQL 8 or newer."),
    ],
)
def test_too_old(version: str, sentence: str) -> None:
    problem = find_version_problem(make_server(version))
    assert problem is not None
    assert problem.fix == sentence
    assert "one locked row would stop every customer" in problem.reason
