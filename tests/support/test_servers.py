"""The tests' own servers are private, empty, durable as in production, and end with the run."""

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.places import ROOT
from tests.support.servers import MariaDBServer, RedisServer


def test_each_database_is_its_own(mariadb_server: MariaDBServer, mariadb_url: str) -> None:
    assert mariadb_url.startswith("mysql://tick:")
    name = mariadb_url.rpartition("/")[2]
    assert (
        mariadb_server.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", name) == ()
    )
    assert mariadb_server.execute("SELECT @@innodb_flush_log_at_trx_commit, @@character_set_server") == (
        (1, "utf8mb4"),
    )


def test_redis_starts_empty(redis_server: RedisServer, redis_url: str) -> None:
    assert redis_url == redis_server.url
    assert redis_server.ask("DBSIZE") == b":0\r\n"
    redis_server.ask("SET left behind")


def test_redis_is_emptied_between_tests(redis_server: RedisServer, redis_url: str) -> None:
    assert redis_server.ask("EXISTS left") == b":0\r\n"


def test_a_redis_may_be_killed_and_started_again() -> None:
    server = RedisServer()
    try:
        server.start()
        server.ask("SET kept 1")
        server.stop()
        assert server.ask("PING") == b""
        server.start()
        assert server.ask("EXISTS kept") == b":1\r\n"
    finally:
        server.close()
    assert not server.folder.exists()


if sys.platform == "linux":

    def test_a_server_that_is_made_to_hang_does_so_from_then_on(mariadb_server: MariaDBServer) -> None:
        """While one of its threads still ran, what was asked afterwards got through now and then."""
        for _ in range(20):
            mariadb_server.send(signal.SIGSTOP)
            threads = [path.read_text() for path in Path(f"/proc/{mariadb_server.pid}/task").glob("*/stat")]
            mariadb_server.send(signal.SIGCONT)
            assert {thread.rpartition(") ")[2][0] for thread in threads} == {"T"}

    def test_a_server_dies_with_whoever_started_it() -> None:
        """The run is killed, nothing of it is left to clean up, and still no server stays."""
        script = (
            "from tests.support.servers import RedisServer as R; r = R(); r.start(); print(r.pid, r.folder); input()"
        )
        run = subprocess.Popen(
            [sys.executable, "-u", "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        ended = os.pidfd_open(int(pid))
        run.kill()
        run.communicate()
        assert select.select([ended], [], [], 10)[0], "the server outlived the run"
        os.close(ended)
        shutil.rmtree(folder)
