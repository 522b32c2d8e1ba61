"""Tests what DATABASE_URL may say of a MySQL server."""

from pathlib import Path

import pytest

from storage.errors import WrongDatabase
from storage.sql.mysql_url import Encryption, MysqlAddress, Tls, make_tls_context, parse_mysql_url, parse_tls

BASE = "mysql://tick:pw@db.example:3306/tick"


def test_what_is_percent_encoded_is_read_as_it_was_meant() -> None:
    address = parse_mysql_url("mysql://ti%40ck:p%C3%A4%2F%3F%25@db.example/ti%20ck?ssl=true")
    assert address == MysqlAddress("db.example", 3306, "ti@ck", "pä/?%", "ti ck")


@pytest.mark.parametrize(
    ("query", "tls"),
    [
        ("", Tls()),
        ("?", Tls()),
        ("?ssl=true", Tls(Encryption.UNVERIFIED)),
        ("?ssl=verify", Tls(Encryption.VERIFIED)),
        ("?ssl=verify&ssl_ca=%2Fetc%2Fca%20s.pem", Tls(Encryption.VERIFIED, "/etc/ca s.pem")),
        ("?ssl_ca=/etc/ca.pem&ssl=verify", Tls(Encryption.VERIFIED, "/etc/ca.pem")),
    ],
)
def test_how_it_is_encrypted(query: str, tls: Tls) -> None:
    assert parse_tls(BASE + query) == tls


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?charset=latin1", "only ssl and ssl_ca"),
        ("?ssl=verify&ssl_ca=/ca.pem&ssl_cert=/c.pem", "only ssl and ssl_ca"),
        ("?sll=true", "only ssl and ssl_ca"),
        ("?SSL=true", "only ssl and ssl_ca"),
        ("?canary", "only ssl and ssl_ca"),
        ("?&", "only ssl and ssl_ca"),
        ("?ssl=verify#canary", "has to be %23"),
        ("#ssl=verify", "has to be %23"),
        ("?ssl", "neither true nor verify"),
        ("?ssl=", "neither true nor verify"),
        ("?ssl=false", "neither true nor verify"),
        ("?ssl=True", "neither true nor verify"),
        ("?ssl=true&ssl=verify", "twice"),
        ("?ssl_ca=/ca.pem", "ssl=verify beside it"),
        ("?ssl=true&ssl_ca=/ca.pem", "ssl=verify beside it"),
        ("?ssl=verify&ssl_ca=", "the path of a file"),
    ],
)
def test_what_it_does_not_know_is_refused(query: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        parse_tls(BASE + query)
    assert "canary" not in str(raised.value)


def test_a_file_of_authorities_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongDatabase, match=r"nowhere\.pem, the ssl_ca of DATABASE_URL, can't be read: No such file"):
        make_tls_context(Tls(Encryption.VERIFIED, str(tmp_path / "nowhere.pem")))
    (tmp_path / "notes.pem").write_text("no certificate")
    with pytest.raises(WrongDatabase, match="has no certificate in it"):
        make_tls_context(Tls(Encryption.VERIFIED, str(tmp_path / "notes.pem")))
