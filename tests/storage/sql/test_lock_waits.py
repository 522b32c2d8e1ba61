"""MySQL has no limit of its own for a session that is idle in a transaction: it is given its other one for so long."""

from collections.abc import Iterator

import pytest

from storage.sql.lock_waits import LockWait, begin_statement, end_statement, list_session_variables
from tests.support.databases import Rival

MYSQL, MARIADB = "8.0.36", "5.5.5-10.11.6-MariaDB"


@pytest.fixture
def pair(migrated_mariadb_url: str) -> Iterator[tuple[Rival, Rival]]:
    both = Rival(migrated_mariadb_url), Rival(migrated_mariadb_url)
    yield both
    for one in both:
        one.close()


def test_what_mysql_is_sent_ends_a_session_that_is_idle_in_a_transaction(pair: tuple[Rival, Rival]) -> None:
    """MariaDB knows these statements too."""
    frozen, other = pair
    frozen.execute("INSERT INTO counter VALUES ('a', 0)")
    ((usual,),) = frozen.execute("SELECT @@wait_timeout")
    frozen.execute(begin_statement(LockWait.USUAL, MYSQL))
    frozen.begin()
    frozen.commit()
    frozen.execute(end_statement(LockWait.USUAL, MYSQL))
    assert frozen.execute("SELECT @@wait_timeout") == [(usual,)]
    frozen.execute(begin_statement(LockWait.USUAL, MYSQL))
    frozen.begin()
    frozen.execute("UPDATE counter SET value = 1")
    other.execute("SET innodb_lock_wait_timeout = 60")
    other.execute("UPDATE counter SET value = 2")
    assert other.execute("SELECT value FROM counter") == [(2,)]
    with pytest.raises(Exception, match="Lost connection|gone away|timeout"):
        frozen.commit()


def test_what_costs_nothing_where_nothing_is_to_be_set() -> None:
    assert begin_statement(LockWait.USUAL, MARIADB) == end_statement(LockWait.USUAL, MARIADB) == ""
    assert begin_statement(LockWait.HASTY, MARIADB) != ""
    assert "wait_timeout = 2" not in list_session_variables(is_patient=False).split("/*M!")[0]
