"""Tests the connections to a MariaDB: encryption, character sets, engines, and what is said when one fails."""

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from storage.errors import WrongDatabase
from storage.sql.database import Database, DatabaseDown, DatabaseSettings
from storage.sql.driver_errors import explain_down
from storage.sql.migrate import migrate
from storage.sql.server_checks import check_server
from tests.storage.sql.certificates import Authority
from tests.support.places import ROOT
from tests.support.servers import MariaDBServer, started

EMOJI = "Grüße 👍🏽 اهلا"
CLIENT_SSL = 0x800
ON_UVLOOP = """
import asyncio, sys, uvloop
from storage.sql.database import Database, DatabaseSettings

async def ask():
    database = await Database.open(DatabaseSettings(sys.argv[1]))
    ((text,),) = await database.run(lambda tx: tx.fetch("SELECT REPEAT('a', 300000)"))
    await database.close()
    return len(text)

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    sys.stdout.write(str(runner.run(ask())))
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificate of the encrypted server."""
    made = Authority(tmp_path_factory.mktemp("certificates"), "authority")
    made.write_certificate()
    return made


@pytest.fixture(scope="module")
def encrypted(
    authority: Authority, at_hand: Callable[[str, Callable[[], MariaDBServer]], MariaDBServer]
) -> Iterator[MariaDBServer]:
    """A MariaDB with a certificate, which takes no character set from those who connect."""
    folder = authority.file.parent
    options = (f"--ssl-cert={folder}/server.pem", f"--ssl-key={folder}/server.key")
    server = at_hand("mariadb", lambda: MariaDBServer(*options, "--skip-character-set-client-handshake"))
    with started(server):
        server.execute("CREATE USER secretive@'127.0.0.1' IDENTIFIED BY 'canary' REQUIRE SSL")
        server.execute("GRANT ALL ON `tick\\_%%`.* TO secretive@'127.0.0.1'", ())
        yield server


@pytest.fixture
def encrypted_url(encrypted: MariaDBServer, ran: Callable[[str], None]) -> Iterator[str]:
    """A fresh database on it, for a user who has to come encrypted."""
    name = encrypted.new_database()
    ran("mariadb")
    yield f"mysql://secretive:canary@127.0.0.1:{encrypted.port}/{name}"
    encrypted.drop_database(name)


@contextmanager
def variable(server: MariaDBServer, name: str, value: str) -> Iterator[None]:
    """Sets a global variable of the server until the block ends."""
    ((kept,),) = server.execute(f"SELECT @@global.{name}")
    server.execute(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        server.execute(f"SET GLOBAL {name} = %s", (kept,))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = await Database.open(DatabaseSettings(url, pool_size=2))
    try:
        yield database
    finally:
        await database.close()
        await asyncio.sleep(0.1)  # an encrypted connection says goodbye in turns of the loop of its own


async def connect_in_vain(url: str) -> str:
    """Returns what an operator is told of a database that can't be reached."""
    async with opened(url) as database:
        with pytest.raises(DatabaseDown) as raised:
            async with database.reading(1.0) as tx:
                await tx.fetch("SELECT 1")
    await asyncio.sleep(0.1)  # the loop closes what was aborted in a turn of its own
    return explain_down(raised.value)


@pytest.mark.parametrize("query", ["ssl=true", "ssl=verify&ssl_ca={ca}"])
async def test_an_encrypted_connection_carries_large_rows(encrypted_url: str, authority: Authority, query: str) -> None:
    url = f"{encrypted_url}?{query.format(ca=authority.file)}"
    async with opened(url) as database, database.reading(20.0) as tx:
        ((_, cipher),) = await tx.fetch("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cipher
        ((held,),) = await tx.fetch("SELECT REPEAT(?, 5000000)", ["abcd"])
        assert held == "abcd" * 5_000_000


async def test_what_is_to_be_encrypted_is_not_sent_in_the_clear(mariadb_server: MariaDBServer) -> None:
    """A stranger in between takes the server's offer to encrypt out of its greeting."""
    heard = asyncio.get_running_loop().create_future()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", mariadb_server.port)
        greeting = bytearray(await theirs.read(4096))
        flags = greeting.index(0, 5) + 1 + 4 + 8 + 1  # behind the version, the connection's id and the first salt
        (offered,) = struct.unpack_from("<H", greeting, flags)
        struct.pack_into("<H", greeting, flags, offered & ~CLIENT_SSL)
        writer.write(greeting)
        said = await reader.read()
        for each in (writer, ours):
            each.close()
            with contextlib.suppress(ConnectionError):
                await each.wait_closed()
        heard.set_result(said)

    async with await asyncio.start_server(pass_on, "127.0.0.1", 0) as between:
        port = between.sockets[0].getsockname()[1]
        for query in ("ssl=true", "ssl=verify"):
            heard = asyncio.get_running_loop().create_future()
            said = await connect_in_vain(f"mysql://tick:canary@127.0.0.1:{port}/tick_1?{query}")
            assert said.startswith("The database server offers no encryption, and DATABASE_URL asks for it")
            assert await heard == b""


async def test_a_certificate_of_nobody_we_trust_is_refused(encrypted_url: str, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    for query in ("ssl=verify", f"ssl=verify&ssl_ca={stranger.file}"):
        said = await connect_in_vain(f"{encrypted_url}?{query}")
        assert said.startswith("The database server's certificate is signed by nobody whom this machine trusts")
        assert "ssl_ca" in said


async def test_a_certificate_for_another_host_is_refused(encrypted_url: str, authority: Authority) -> None:
    elsewhere = encrypted_url.replace("127.0.0.1", "localhost")
    assert "is for another host" in await connect_in_vain(f"{elsewhere}?ssl=verify&ssl_ca={authority.file}")


async def test_a_certificate_that_has_expired_is_refused(
    encrypted: MariaDBServer, encrypted_url: str, authority: Authority
) -> None:
    authority.write_certificate(days=-1)
    encrypted.execute("FLUSH SSL")
    try:
        said = await connect_in_vain(f"{encrypted_url}?ssl=verify&ssl_ca={authority.file}")
    finally:
        authority.write_certificate()
        encrypted.execute("FLUSH SSL")
    assert "has expired" in said


async def test_who_has_to_come_encrypted_and_does_not_is_told(encrypted_url: str) -> None:
    assert "wants encrypted" in await connect_in_vain(encrypted_url)


async def test_a_cancellation_while_it_encrypts_is_heeded(encrypted_url: str) -> None:
    async with opened(f"{encrypted_url}?ssl=true") as database:
        for steps in range(30):
            asking = asyncio.create_task(database.run(lambda tx: tx.fetch("SELECT 1")))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait((asking,), timeout=5)
            assert asking.done()
        assert await database.run(lambda tx: tx.fetch("SELECT 1")) == ((1,),)


def test_the_loop_that_the_program_runs_on_encrypts_too(encrypted_url: str, authority: Authority) -> None:
    url = f"{encrypted_url}?ssl=verify&ssl_ca={authority.file}"
    done = subprocess.run([sys.executable, "-c", ON_UVLOOP, url], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "300000")


async def test_every_session_sets_its_character_set_itself(encrypted: MariaDBServer, encrypted_url: str) -> None:
    url = f"{encrypted_url}?ssl=true"
    await migrate(DatabaseSettings(url))
    with ExitStack() as latin1:  # as with character_set_server=latin1 from the server's start on
        for name in ("character_set_client", "collation_connection", "character_set_results"):
            latin1.enter_context(variable(encrypted, name, "latin1" + "_swedish_ci" * name.startswith("collation")))
        async with opened(url) as database:
            with pytest.raises(WrongDatabase, match="skip-character-set-client-handshake"):
                await check_server(database)
            await database.run(lambda tx: tx.insert("customer", ("id", "name", "created_at"), [(1, EMOJI, 0)]))
            async with database.reading() as tx:
                rows = await tx.fetch("SELECT name, HEX(name) FROM customer")
    assert rows == ((EMOJI, EMOJI.encode().hex().upper()),)


@pytest.mark.parametrize("statement", ["SET NAMES latin1", "SET character_set_results = NULL", "SET NAMES binary"])
async def test_an_init_connect_that_would_garble_is_refused(
    mariadb_server: MariaDBServer, migrated_mariadb_url: str, statement: str
) -> None:
    with variable(mariadb_server, "init_connect", f"'{statement}'"):
        async with opened(migrated_mariadb_url) as database:
            with pytest.raises(WrongDatabase, match="init_connect"):
                await check_server(database)


@pytest.mark.parametrize("statement", ["SET NAMES utf8mb4", "SET @seen = 1"])
async def test_an_init_connect_that_harms_nothing_is_left_alone(
    mariadb_server: MariaDBServer, migrated_mariadb_url: str, statement: str
) -> None:
    with variable(mariadb_server, "init_connect", f"'{statement}'"):
        async with opened(migrated_mariadb_url) as database:
            assert await check_server(database) == []


async def test_an_init_connect_that_fails_is_named(mariadb_server: MariaDBServer, mariadb_url: str) -> None:
    with variable(mariadb_server, "init_connect", "'SELECT nonsense'"):
        assert "init_connect" in await connect_in_vain(mariadb_url)


async def test_every_table_is_innodb_whatever_the_server_prefers(
    mariadb_server: MariaDBServer, mariadb_url: str
) -> None:
    name = mariadb_url.rpartition("/")[2]
    with variable(mariadb_server, "default_storage_engine", "Aria"):
        await migrate(DatabaseSettings(mariadb_url))
    engines = mariadb_server.execute(
        "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = %s", (name,)
    )
    assert engines == (("InnoDB",),)
    mariadb_server.execute(f"ALTER TABLE `{name}`.`item` ENGINE=MyISAM")
    async with opened(mariadb_url) as database:
        with pytest.raises(WrongDatabase, match="Not in the engine InnoDB: item.* ALTER TABLE `item` ENGINE=InnoDB"):
            await check_server(database)
    with pytest.raises(WrongDatabase, match="Not in the engine InnoDB"):
        await migrate(DatabaseSettings(mariadb_url))


async def test_a_server_that_makes_every_table_in_another_engine_is_refused(
    mariadb_server: MariaDBServer, mariadb_url: str
) -> None:
    mariadb_server.execute("SET GLOBAL enforce_storage_engine = Aria")
    try:
        with pytest.raises(WrongDatabase, match="enforce_storage_engine is Aria"):
            await migrate(DatabaseSettings(mariadb_url))
    finally:
        mariadb_server.execute("SET GLOBAL enforce_storage_engine = NULL")


async def test_columns_that_lose_characters_stop_the_start(
    mariadb_server: MariaDBServer, migrated_mariadb_url: str
) -> None:
    table = f"`{migrated_mariadb_url.rpartition('/')[2]}`.ticket"
    mariadb_server.execute(f"ALTER TABLE {table} ADD COLUMN spare VARCHAR(9) CHARACTER SET latin1")
    try:
        async with opened(migrated_mariadb_url) as database:
            with pytest.raises(WrongDatabase, match="Columns of ticket are not utf8mb4"):
                await check_server(database)
    finally:
        mariadb_server.execute(f"ALTER TABLE {table} DROP COLUMN spare")


async def test_a_password_in_any_script_lets_in(mariadb_server: MariaDBServer, mariadb_url: str) -> None:
    password = "pä€/?%😀"
    mariadb_server.execute("CREATE USER worldly@'127.0.0.1' IDENTIFIED BY %s", (password,))
    mariadb_server.execute("GRANT ALL ON `tick\\_%%`.* TO worldly@'127.0.0.1'", ())
    at = mariadb_url.partition("@")[2]
    async with opened(f"mysql://worldly:{quote(password, safe='')}@{at}") as database:
        assert await database.run(lambda tx: tx.fetch("SELECT 1")) == ((1,),)


USERS = {
    "locked": ("IDENTIFIED BY 'canary' ACCOUNT LOCK", "is locked"),
    "by_socket": ("IDENTIFIED VIA unix_socket", "IDENTIFIED BY a password"),
    "by_ed25519": (
        "IDENTIFIED VIA ed25519 USING 'ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY'",
        "IDENTIFIED BY a password",
    ),
    "powerless": ("IDENTIFIED BY 'canary'", "may not use this database"),
    "elsewhere": ("IDENTIFIED BY 'other'", "from another machine"),
}


@pytest.mark.parametrize("user", USERS)
async def test_who_is_not_let_in_is_told_why(mariadb_server: MariaDBServer, mariadb_url: str, user: str) -> None:
    how, words = USERS[user]
    with contextlib.suppress(Exception):
        mariadb_server.execute("INSTALL SONAME 'auth_ed25519'")
    mariadb_server.execute(f"CREATE USER {user}@'127.0.0.1' {how}")
    said = await connect_in_vain(f"mysql://{user}:canary@{mariadb_url.partition('@')[2]}")
    assert words in said
    assert "DATABASE_URL" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nowhere.invalid", "host of DATABASE_URL is not known"),
        ("a..b", "no name that a host can have"),
        (f"{'x' * 70}.example", "no name that a host can have"),
        ("127.0.0.1:9", "running at that host and port"),
    ],
)
async def test_a_host_that_is_none_is_said(host: str, words: str) -> None:
    assert words in await connect_in_vain(f"mysql://tick:canary@{host}/tick")


GREETINGS = {
    "garbage": b"\x05\x00\x00\x00hello",
    "numbered wrongly": b"\x05\x00\x00\x07hello",
    "without a version": b"\x02\x00\x00\x00\x0a\x00",
    "a letter server": b"220 mail.example ESMTP\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("greeting", GREETINGS)
async def test_another_kind_of_server_is_said(greeting: str) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETINGS[greeting])
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        said = await connect_in_vain(f"mysql://tick:canary@127.0.0.1:{other.sockets[0].getsockname()[1]}/tick")
    assert "host and port of DATABASE_URL" in said


async def test_a_server_that_hangs_up_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as full:
        asking = asyncio.create_task(connect_in_vain(f"mysql://tick:x@127.0.0.1:{full.getsockname()[1]}/tick"))
        taken, _ = await asyncio.to_thread(full.accept)
        taken.close()
        assert "The database can't be reached" in await asking
