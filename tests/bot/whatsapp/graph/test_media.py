"""Files are fetched only from where the token may be shown, and what Meta says of one is read."""

from pathlib import Path
from typing import Any

import pytest

from bot.whatsapp.graph.media import to_sha256_hex
from bot.whatsapp.graph.media_hosts import MediaRefused, check_url, is_public, parse_origin, resolve_redirect

OWN = parse_origin("https://graph.example.org/v25.0")
LINES = (Path(__file__).parent / "media_urls.txt").read_text("utf-8").splitlines()
URLS = [tuple(line.split(" ", 1)) for line in LINES if not line.startswith("#")]
HEX = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
BASE64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="


@pytest.mark.parametrize(("answer", "url"), URLS)
def test_the_token_is_shown_to_these_addresses_alone(answer: str, url: str) -> None:
    if answer == "yes":
        assert check_url(url, OWN).scheme == "https"
        assert resolve_redirect("https://lookaside.fbsbx.com/a", url, OWN) == url
    else:
        with pytest.raises(MediaRefused) as refusal:
            check_url(url, OWN)
        assert str(refusal.value).endswith(".")
        assert url not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["", "https://x/" + "a" * 4001, "https://lookaside.fbsbx.com/\r\nX: y", "https://lookaside.fbsbx.com/\x00"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(MediaRefused):
        check_url(url, OWN)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b?c=d", "https://lookaside.fbsbx.com/b?c=d"),
        ("b", "https://lookaside.fbsbx.com/b"),
        ("//cdn.fbsbx.com/b", "https://cdn.fbsbx.com/b"),
        ("https://graph.example.org/b", "https://graph.example.org/b"),
    ],
)
def test_redirects_that_are_followed(location: str, target: str) -> None:
    assert resolve_redirect("https://lookaside.fbsbx.com/a", location, OWN) == target


@pytest.mark.parametrize(
    "location",
    ["", "//169.254.169.254/x", "http://lookaside.fbsbx.com/a", "https://[::1]/", "//[", "//example.org/b", "a b"],
)
def test_redirects_that_are_not(location: str) -> None:
    with pytest.raises(MediaRefused):
        resolve_redirect("https://lookaside.fbsbx.com/a", location, OWN)


def test_our_own_origin_is_the_only_one_without_tls() -> None:
    own = parse_origin("http://127.0.0.1:5000/simulator/graph/v25.0")
    assert check_url("http://127.0.0.1:5000/x", own) == own
    for url in ("http://127.0.0.1:5001/x", "https://127.0.0.1:5000/x", "http://localhost:5000/x", "http://127.0.0.1/x"):
        with pytest.raises(MediaRefused):
            check_url(url, own)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2a03:2880:f12f:83:face:b00c:0:25de", True), ("64:ff9b::808:808", True),
        ("::ffff:8.8.8.8", True), ("127.0.0.1", False), ("127.8.9.1", False), ("10.1.2.3", False),
        ("172.31.255.255", False), ("172.16.0.1", False), ("192.168.0.1", False), ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False), ("0.0.0.0", False), ("255.255.255.255", False), ("224.0.0.1", False),
        ("198.18.0.1", False), ("192.0.0.192", False), ("192.88.99.1", False), ("168.63.129.16", False),
        ("240.0.0.1", False), ("::", False), ("::1", False), ("::7f00:1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False), ("2001:0:7f00:1::", False), ("fe80::1", False), ("fe80::1%eth0", False),
        ("fc00::1", False), ("fd00:ec2::254", False), ("ff02::1", False), ("2001:db8::1", False), ("", False),
        ("localhost", False), ("127.1", False),
    ],
)  # fmt: skip
def test_addresses_of_the_internet_at_large(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEX, HEX), (HEX.upper(), HEX), (f" {HEX}\n", HEX), (BASE64, HEX), (BASE64.rstrip("="), HEX),
        (BASE64.replace("+", "-").replace("/", "_"), HEX), ("", ""), ("abc", ""), (HEX[:-1], ""), (HEX + "00", ""),
        ("g" * 64, ""), (BASE64[:-4], ""), ("é" * 44, ""), ("=" * 44, ""),
    ],
)  # fmt: skip
def test_a_hash_in_either_writing(text: str, expected: Any) -> None:
    assert to_sha256_hex(text) == expected
