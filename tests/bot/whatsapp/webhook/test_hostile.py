"""No bytes make the parser raise, lose a neighbour, or hand on what can't be stored."""

import copy
import gzip
import json
import re
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.whatsapp.webhook import fields
from bot.whatsapp.webhook.account_updates import read_account_updates
from bot.whatsapp.webhook.events import read_event, read_status
from bot.whatsapp.webhook.items import IgnoredReason, Item, ItemKind
from tests.bot.whatsapp.webhook.reading import OUR_NUMBER, RECEIVED_AT, parse_items
from tests.support.places import PAYLOADS

MESSAGE: dict[str, Any] = {
    "from": "15550001111",
    "id": "wamid.A",
    "timestamp": "1749416383",
    "type": "text",
    "text": {"body": "hello"},
}
CONTACT: dict[str, Any] = {"profile": {"name": "Ann"}, "wa_id": "15550001111"}
RECORDED = [json.loads(path.read_text("utf-8")) for path in sorted((PAYLOADS / "webhooks").glob("[c-z]*.json"))]


def webhook(*messages: object, field: str = "messages", **value: object) -> bytes:
    value = {"metadata": {"phone_number_id": OUR_NUMBER}, "contacts": [CONTACT], "messages": list(messages)} | value
    changes = [{"field": field, "value": value}]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}).encode()


UNSAFE = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"


def check(items: list[Item]) -> None:
    """Asserts what holds for the items of any body."""
    assert items
    for item in items:
        assert re.fullmatch(r"[!-~]{1,200}", item.key)
        assert item.payload.encode("utf-8").count(b"\0") == 0
        assert len(item.payload) <= 300_000
        assert item.meta_at.tzinfo is not None
        assert item.meta_at <= RECEIVED_AT
        assert item.ignored is None or (item.customer is None and item.address_change is None)
        known = item.address_change is not None or (item.customer is not None and item.customer.address)
        assert item.ignored is not None or known or item.kind in (ItemKind.ACCOUNT, ItemKind.STATUS)
        assert item.kind is not ItemKind.ACCOUNT or item.customer is None
        for kind in ItemKind:
            event = read_event(item.payload, item_id=1, at=item.meta_at, late=True, kind=kind)
            assert max(len(event.text), len(event.shown), len(event.edited)) <= 65_536
            for text in (event.text, event.shown, event.edited, event.wamid, event.option_id, event.quoted_wamid):
                assert not re.search(UNSAFE, text)
        for update in read_account_updates(item.payload):
            assert re.fullmatch(r"[!-~]{1,200}", update.subject)
            assert 0 < len(update.message) <= 500
            for text in (update.message, *(astuple(update.template) if update.template else ())):
                assert not re.search(UNSAFE, text)
        read_status(item.payload)


def one(body: bytes) -> Item:
    check(items := parse_items(body))
    (item,) = items
    return item


def read(message: dict[str, Any]) -> Any:
    item = one(webhook(message))
    assert item.ignored is None
    return read_event(item.payload, item_id=1, at=item.meta_at, late=False)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(body: bytes) -> None:
    check(parse_items(body))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", "\0", "messages"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(ANY_JSON)
def test_any_json(value: object) -> None:
    check(parse_items(json.dumps(value).encode()))


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every part of a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, held in pairs for place in places(held, (*path, key)))]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_recorded_body_with_one_part_replaced_or_missing(data: st.DataObject) -> None:
    body = copy.deepcopy(data.draw(st.sampled_from([body for body in RECORDED if isinstance(body, dict)])))
    *parents, last = data.draw(st.sampled_from(places(body)[1:]))
    holder = body
    for key in parents:
        holder = holder[key]
    if data.draw(st.booleans()):
        del holder[last]
    else:
        holder[last] = data.draw(ANY_JSON)
    check(parse_items(json.dumps(body).encode()))


KNOWN = json.loads((Path(__file__).parents[1] / "expected" / "messages.json").read_text("utf-8"))
KINDS = sorted({message["type"] for message, _ in KNOWN.values()})
KEYS = st.sampled_from(sorted({place[-1] for place in places(KNOWN) if len(place) > 3 and isinstance(place[-1], str)}))
PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), PARTS, PARTS, PARTS)
def test_a_message_of_any_kind_with_anything_in_it(kind: str, held: object, context: object, errors: object) -> None:
    message = MESSAGE | {"type": kind, kind: held, "context": context, "errors": errors}
    check(parse_items(webhook(message)))
    event = read_event(json.dumps({"message": message}), item_id=1, at=RECEIVED_AT, late=False)
    assert event.kind != "media" or event.media is not None


FIELDS = sorted((*fields.CHATS, fields.HANDOVERS, fields.USER_IDS, *fields.ACCOUNT))
NEW_KEYS = ("standby", "message_echoes", "to", "sender", "recipient", "event", "control_passed", "restriction_info")
SEEN_KEYS = {place[-1] for body in RECORDED for place in places(body)[1:] if isinstance(place[-1], str)} - {"field"}
VALUE_KEYS = st.sampled_from(sorted(SEEN_KEYS.union(NEW_KEYS)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | VALUE_KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(VALUE_KEYS, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FIELDS), st.dictionaries(VALUE_KEYS, VALUES, max_size=6))
def test_a_field_of_any_kind_with_anything_in_it(field: str, value: dict[str, Any]) -> None:
    check(parse_items(webhook(field=field, **value)))


HEAD = b'{"object": "whatsapp_business_account"'
WITHOUT_EFFECT = {
    "no bytes": (b"", IgnoredReason.NOT_JSON),
    "white space": (b" \n", IgnoredReason.NOT_JSON),
    "null": (b"null", IgnoredReason.NOT_WHATSAPP),
    "a list": (b"[]", IgnoredReason.NOT_WHATSAPP),
    "a string": (b'"x"', IgnoredReason.NOT_WHATSAPP),
    "a number": (b"123", IgnoredReason.NOT_WHATSAPP),
    "a number over all bounds": (b"1e999999", IgnoredReason.NOT_WHATSAPP),
    "a million digits": (b"9" * 1_000_000, IgnoredReason.NOT_WHATSAPP),
    "NaN": (b"NaN", IgnoredReason.NOT_JSON),
    "infinity": (b'{"object": -Infinity}', IgnoredReason.NOT_JSON),
    "lists a hundred thousand deep": (b"[" * 100_000, IgnoredReason.NOT_JSON),
    "objects a hundred thousand deep": (b'{"a":' * 100_000, IgnoredReason.NOT_JSON),
    "a byte order mark": (b"\xef\xbb\xbf" + webhook(MESSAGE), IgnoredReason.NOT_JSON),
    "UTF-16": (webhook(MESSAGE).decode().encode("utf-16"), IgnoredReason.NOT_JSON),
    "UTF-16 without a mark": (webhook(MESSAGE).decode().encode("utf-16-le"), IgnoredReason.NOT_JSON),
    "gzip": (gzip.compress(webhook(MESSAGE), mtime=0), IgnoredReason.NOT_JSON),
    "not UTF-8": (webhook(MESSAGE).replace(b"hello", b"\xff\xfe"), IgnoredReason.NOT_JSON),
    "a surrogate in UTF-8": (webhook(MESSAGE).replace(b"hello", b"\xed\xa0\x80"), IgnoredReason.NOT_JSON),
    "Instagram": (b'{"object": "instagram", "entry": []}', IgnoredReason.NOT_WHATSAPP),
    "no entry": (HEAD + b"}", IgnoredReason.EMPTY),
    "entry is an object": (HEAD + b', "entry": {"id": 1}}', IgnoredReason.MALFORMED),
    "an entry is a number": (HEAD + b', "entry": [7]}', IgnoredReason.MALFORMED),
    "changes is a number": (HEAD + b', "entry": [{"changes": 7}]}', IgnoredReason.MALFORMED),
    "a change is a number": (HEAD + b', "entry": [{"changes": [7]}]}', IgnoredReason.MALFORMED),
    "field history": (webhook(MESSAGE, field="history"), IgnoredReason.NOT_USED),
    "a field to come": (webhook(MESSAGE, field="messages_v2"), IgnoredReason.UNKNOWN_FIELD),
    "a field that is a list": (
        webhook(MESSAGE).replace(b'"messages"', b'["messages"]', 1),
        IgnoredReason.UNKNOWN_FIELD,
    ),
    "standby with nothing in it": (webhook(field="standby", standby={"messages": []}), IgnoredReason.EMPTY),
    "standby that is a list": (webhook(field="standby", standby=[MESSAGE]), IgnoredReason.EMPTY),
    "no echoes": (webhook(MESSAGE, field="smb_message_echoes"), IgnoredReason.EMPTY),
    "echoes that are an object": (webhook(field="smb_message_echoes", message_echoes=MESSAGE), IgnoredReason.MALFORMED),
    "an echo to nobody": (
        webhook(field="smb_message_echoes", message_echoes=[MESSAGE], contacts=[]),
        IgnoredReason.NO_SENDER,
    ),
    "an echo of another number": (
        webhook(field="smb_message_echoes", message_echoes=[MESSAGE], metadata={"phone_number_id": "999"}),
        IgnoredReason.FOREIGN_NUMBER,
    ),
    "a handover of nobody": (webhook(field="messaging_handovers", contacts=[]), IgnoredReason.NO_SENDER),
    "a handover at another number": (
        webhook(field="messaging_handovers", recipient={"phone_number_id": "999"}),
        IgnoredReason.FOREIGN_NUMBER,
    ),
    "account news without a value": (
        webhook(field="security").replace(b'"value": {', b'"was": {'),
        IgnoredReason.EMPTY,
    ),
    "account news that are a list": (
        b'{"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "security", "value": [1]}]}]}',
        IgnoredReason.MALFORMED,
    ),
    "errors alone, of another number": (
        webhook(errors=[{"code": 130429}], metadata={"phone_number_id": "999"}),
        IgnoredReason.EMPTY,
    ),
    "no messages": (webhook(), IgnoredReason.EMPTY),
    "no updates of user ids": (webhook(field="user_id_update"), IgnoredReason.EMPTY),
    "half an update": (webhook(field="user_id_update", user_id_update=[{"user_id": "US.1"}]), IgnoredReason.MALFORMED),
    "a message is a string": (webhook("not a message"), IgnoredReason.MALFORMED),
    "another number": (webhook(MESSAGE, metadata={"phone_number_id": "999"}), IgnoredReason.FOREIGN_NUMBER),
    "no number": (webhook(MESSAGE, metadata=7), IgnoredReason.NO_NUMBER),
    "an empty id": (webhook(MESSAGE | {"id": ""}), IgnoredReason.NO_ID),
    "an id that is true": (webhook(MESSAGE | {"id": True}), IgnoredReason.NO_ID),
    "a group": (webhook(MESSAGE | {"group_id": "Y2FwaV9n"}), IgnoredReason.GROUP),
    "no sender": (webhook(MESSAGE | {"from": None}, contacts=None), IgnoredReason.NO_SENDER),
    "not a sender": (webhook(MESSAGE | {"from": "<b>", "from_user_id": "a b"}, contacts=[]), IgnoredReason.NO_SENDER),
}


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_has_no_effect_says_why(name: str) -> None:
    body, reason = WITHOUT_EFFECT[name]
    assert one(body).ignored is reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, None),
        ({"status": "played"}, None),
        ({"status": "deleted"}, IgnoredReason.UNKNOWN_STATUS),
        ({"status": ["sent"]}, IgnoredReason.UNKNOWN_STATUS),
        ({"status": None}, IgnoredReason.UNKNOWN_STATUS),
        ({"id": None}, IgnoredReason.NO_ID),
        ({"recipient_id": None}, None),
        ({"id": True}, IgnoredReason.NO_ID),
        ({"id": 7}, None),
        ({"recipient_id": "", "recipient_user_id": "US.1"}, None),
        ({"recipient_type": "group"}, IgnoredReason.GROUP),
    ],
)
def test_statuses(status: dict[str, object], reason: IgnoredReason | None) -> None:
    whole = {"id": "wamid.O", "status": "sent", "timestamp": "1749416383", "recipient_id": "15550001111"} | status
    item = one(webhook(messages=None, statuses=[whole], contacts=None))
    assert (item.kind, item.ignored) == (ItemKind.STATUS, reason)
    if status.get("status") == "played":
        assert (read_status(item.payload).status, ":played:" in item.key) == ("read", True)


def test_one_bad_item_among_fifty_harms_no_other() -> None:
    deep: dict[str, object] = {}
    for _ in range(400):
        deep = {"deep": deep}
    bad: list[object] = [
        None,
        7,
        "x",
        [],
        {},
        {"id": None},
        MESSAGE | {"id": []},
        MESSAGE | {"id": "wamid.D", "text": deep},
    ]
    good = [MESSAGE | {"id": f"wamid.{number}"} for number in range(50)]
    items = parse_items(webhook(*good[:25], *bad, *good[25:]))
    check(items)
    assert len(items) == 58
    assert [item.key for item in items if item.ignored is None and "wamid.D" not in item.key] == [
        f"m:{OUR_NUMBER}:wamid.{number}" for number in range(50)
    ]


def test_a_number_out_of_bounds_costs_only_itself() -> None:
    body = webhook(MESSAGE | {"huge": 7777}, MESSAGE | {"id": "wamid.B"})
    for huge in (b"9" * 5000, b"1e999999", b"-1e999999"):
        items = parse_items(body.replace(b"7777", huge))
        check(items)
        assert [item.ignored for item in items] == [None, None]


@pytest.mark.parametrize(
    "message_id", ["x" * 10_000, "with space", "d\u00e9j\u00e0", "\ud800", "a:b", "nul\0", "x" * 183]
)
def test_a_strange_id_becomes_a_hash_of_its_own(message_id: str) -> None:
    item = one(webhook(MESSAGE | {"id": message_id}))
    assert re.fullmatch(r"m:~[0-9a-f]{64}", item.key)
    assert item.ignored is None
    assert item.key != one(webhook(MESSAGE | {"id": message_id + "x"})).key


def test_ids_that_differ_in_case_are_two() -> None:
    assert one(webhook(MESSAGE | {"id": "wamid.AbC"})).key != one(webhook(MESSAGE | {"id": "wamid.aBc"})).key


def test_one_id_on_two_numbers_is_two_items() -> None:
    foreign = one(webhook(MESSAGE, metadata={"phone_number_id": "222"}))
    assert {foreign.key, one(webhook(MESSAGE)).key} == {"m:222:wamid.A", f"m:{OUR_NUMBER}:wamid.A"}


@pytest.mark.parametrize(
    "timestamp", [None, "", "abc", "-5", 0, -1, "4102444800", 10**15, 1.5, True, [], "\u0661", "1" * 40]
)
def test_a_time_that_can_not_be_is_the_time_of_arrival(timestamp: object) -> None:
    assert one(webhook(MESSAGE | {"timestamp": timestamp})).meta_at == RECEIVED_AT


def test_an_old_time_is_kept() -> None:
    assert one(webhook(MESSAGE | {"timestamp": "1447416383"})).meta_at.year == 2015


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("a\0b\x01\x08c", "abc"),
        ("one\ntwo\tthree", "one\ntwo\tthree"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07done \x9b31m", "red done 31m"),
        ("lone \ud83d here", "lone \ufffd here"),
        ("C:\\bin\\u0041", "C:\\bin\\u0041"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e7\U0001f1f7 \U0001f469\U0001f3fd\u200d\U0001f692", None),
        ("z" + "\u0301" * 500, None),
        ("\u202egnp.exe\u2066 \u200b\ufeff", None),
        ("", None),
        ("   ", None),
        ("<script>alert(1)</script> <img onerror=x> javascript:x {{7*7}} ${7*7} {% raw %} '; DROP TABLE x", None),
        ("*bold* _it_ ~no~ ```code``` > quote", None),
        ("=HYPERLINK()", None),
        ("__proto__ constructor", None),
        ("x" * 65_536, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_text_is_kept_but_for_what_could_hurt(typed: str, kept: str | None) -> None:
    assert read(MESSAGE | {"text": {"body": typed}}).text == (typed if kept is None else kept)


@pytest.mark.parametrize("length", [65_537, 1_000_000])
def test_a_text_over_the_cap_is_cut_with_a_mark(length: int) -> None:
    text = read(MESSAGE | {"text": {"body": "\U0001f600" * length}}).text
    assert len(text) == 65_536
    assert text.endswith("\U0001f600\u2026 [cut]")


def test_of_two_equal_keys_the_last_counts() -> None:
    body = webhook(MESSAGE).replace(b'"hello"', b'"first", "body": "last", "__proto__": {"body": "no"}')
    item = one(body)
    assert read_event(item.payload, item_id=1, at=RECEIVED_AT, late=False).text == "last"


def test_a_profile_name_is_one_short_line() -> None:
    contact = CONTACT | {"profile": {"name": "Ad\nmin\0 " + "x" * 10_000, "username": "u" * 300}}
    sender = one(webhook(MESSAGE, contacts=[contact])).customer
    assert sender is not None
    assert sender.name.startswith("Ad min xxx")
    assert (len(sender.name), len(sender.username)) == (128, 64)


def test_a_contact_is_not_repeated_at_full_length_for_each_message() -> None:
    contact = CONTACT | {"junk": "x" * 1_000_000}
    items = parse_items(webhook(*(MESSAGE | {"id": f"wamid.{number}"} for number in range(100)), contacts=[contact]))
    assert sum(len(item.payload) for item in items) < 100_000


def test_a_stored_payload_that_can_not_be_read_is_unreadable() -> None:
    for payload in ("", "null", "[]", '"cut"', "{", "[" * 100_000, '{"message": 7}'):
        assert read_event(payload, item_id=1, at=RECEIVED_AT, late=False).kind == "unreadable"
        assert read_status(payload).wamid == ""
