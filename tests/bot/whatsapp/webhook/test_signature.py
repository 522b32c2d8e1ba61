"""Nobody gets in at the webhook without the secret, or without the verify token."""

import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.whatsapp.webhook.signature import answer_verification, find_signing_secret
from tests.support.places import PAYLOADS

SIGNED = json.loads((PAYLOADS / "signatures" / "signatures.json").read_text("utf-8"))
BODY = (PAYLOADS / "signatures" / "as_meta_sends_escaped_unicode_and_slash.raw").read_bytes()
GOOD = SIGNED["valid"]["as_meta_sends_escaped_unicode_and_slash"]["value"].encode()
SECRET = "test-app-secret"


def test_every_recorded_body_and_header_is_looked_at() -> None:
    assert {path.stem for path in (PAYLOADS / "signatures").glob("*.raw")} == set(SIGNED["valid"])
    assert (len(SIGNED["valid"]), len(SIGNED["invalid_for_as_meta_sends"])) == (5, 10)


@pytest.mark.parametrize("name", SIGNED["valid"])
def test_a_signature_over_the_raw_bytes_is_good(name: str) -> None:
    body = (PAYLOADS / "signatures" / f"{name}.raw").read_bytes()
    case = SIGNED["valid"][name]
    assert len(body) == case["bytes"]
    assert find_signing_secret(body, case["value"].encode(), [case["secret"]]) == 0
    assert find_signing_secret(body + b" ", case["value"].encode(), [case["secret"]]) is None


@pytest.mark.parametrize("name", SIGNED["invalid_for_as_meta_sends"])
def test_a_bad_header_is_refused(name: str) -> None:
    header = SIGNED["invalid_for_as_meta_sends"][name]
    assert find_signing_secret(BODY, None if header is None else header.encode(), [SECRET]) is None
    assert header is None or find_signing_secret(BODY, header.encode("latin-1"), [SECRET]) is None


@pytest.mark.parametrize(
    "header", [GOOD[:-1], GOOD + b"0", GOOD + b"," + GOOD, b" " + GOOD, GOOD + b"\n", GOOD.upper()]
)
def test_nothing_but_the_exact_header_will_do(header: bytes) -> None:
    assert find_signing_secret(BODY, header, [SECRET]) is None


def test_one_changed_byte_is_enough() -> None:
    for at in range(0, len(BODY), 17):
        assert find_signing_secret(BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :], GOOD, [SECRET]) is None


def test_while_a_secret_is_replaced_both_are_good() -> None:
    assert find_signing_secret(BODY, GOOD, ["the next one", SECRET]) == 1
    assert find_signing_secret(BODY, GOOD, [SECRET, "the next one"]) == 0
    assert find_signing_secret(BODY, GOOD, [SECRET, SECRET]) == 0
    assert find_signing_secret(BODY, GOOD, ["the next one", "one more"]) is None


def test_without_a_secret_nobody_comes_in() -> None:
    under_an_empty_key = b"sha256=" + hmac.digest(b"", BODY, "sha256").hex().encode()
    assert find_signing_secret(BODY, under_an_empty_key, [""]) is None
    assert find_signing_secret(BODY, GOOD, []) is None


@settings(deadline=None)
@given(st.binary(max_size=50), st.binary(max_size=90), st.lists(st.text(max_size=9), max_size=2))
def test_nothing_makes_it_raise(body: bytes, header: bytes, secrets: list[str]) -> None:
    assert find_signing_secret(body, header, secrets) is None
    assert find_signing_secret(body, b"sha256=" + header, secrets) is None


def query(**values: str) -> list[tuple[str, str]]:
    given = {"mode": "subscribe", "verify_token": "my_verify_token_123", "challenge": "1158201444"} | values
    return [(f"hub.{key}", value) for key, value in given.items()]


def test_the_challenge_comes_back() -> None:
    assert answer_verification(query(), "my_verify_token_123") == "1158201444"
    assert answer_verification(query(challenge="test_challenge"), "my_verify_token_123") == "test_challenge"


@pytest.mark.parametrize(
    "pairs",
    [
        query(verify_token="wrong"),
        query(verify_token=""),
        query(verify_token="my_verify_token_12\u00e9"),
        query(verify_token="\ud800"),
        query(mode="unsubscribe"),
        query(challenge=""),
        query(challenge="<script>alert(1)</script>"),
        query(challenge="1" * 257),
        query(challenge="1\r\n2"),
        query()[:2],
        query()[1:],
        [query()[0], query()[2]],
        [*query(), ("hub.verify_token", "my_verify_token_123")],
        [*query(), ("hub.challenge", "2")],
        [(f"{key}[]", value) for key, value in query()],
        [],
    ],
    ids=repr,
)
def test_any_other_handshake_fails(pairs: list[tuple[str, str]]) -> None:
    assert answer_verification(pairs, "my_verify_token_123") is None


def test_an_empty_token_of_ours_matches_nothing() -> None:
    assert answer_verification(query(verify_token=""), "") is None
