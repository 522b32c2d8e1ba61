"""A message's customer is found with any of their addresses missing, and a change of address is read."""

import json
from dataclasses import replace

import pytest

from bot.whatsapp.webhook.events import read_event
from bot.whatsapp.webhook.items import AddressChange, IgnoredReason, Item, ItemKind, WhatsAppUser
from tests.bot.whatsapp.webhook.reading import OUR_NUMBER, parse_items


def item_of(field: str = "messages", **value: object) -> Item:
    value = {"metadata": {"phone_number_id": OUR_NUMBER}} | value
    changes = [{"field": field, "value": value}]
    (item,) = parse_items(json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": changes}]}).encode())
    assert item.ignored is None
    return item


def sender_of(message: dict[str, object], *contacts: dict[str, object]) -> WhatsAppUser | None:
    text = {"id": "wamid.A", "type": "text", "text": {"body": "x"}}
    return item_of(messages=[text | message], contacts=list(contacts)).customer


PHONE, BSUID = "15550001111", "US.13491208655302741918"
ANN = {"profile": {"name": "Ann", "username": "ann"}, "wa_id": PHONE, "user_id": BSUID}
KNOWN = WhatsAppUser(PHONE, BSUID, "Ann", "ann")


@pytest.mark.parametrize(
    ("message", "contact", "sender"),
    [
        ({"from": PHONE, "from_user_id": BSUID}, ANN, KNOWN),
        ({"from": PHONE}, ANN, KNOWN),
        ({"from_user_id": BSUID}, ANN, KNOWN),
        ({"from": None, "from_user_id": BSUID}, ANN | {"wa_id": ""}, WhatsAppUser("", BSUID, "Ann", "ann")),
        ({"from": "", "from_user_id": ""}, ANN, KNOWN),
        ({"from": BSUID}, {}, WhatsAppUser("", BSUID)),
        ({"from": BSUID}, {"wa_id": BSUID}, WhatsAppUser("", BSUID)),
        ({"from": "US.ENT.11815799212886844830"}, {}, WhatsAppUser("", "US.ENT.11815799212886844830")),
        ({"from": "+15550001111"}, {}, WhatsAppUser(PHONE)),
        (
            {"from": "5541988887777"},
            {"wa_id": "554188887777", "user_id": "BR.1"},
            WhatsAppUser("5541988887777", "BR.1"),
        ),
        (
            {"from": PHONE, "from_user_id": "US.1"},
            {"wa_id": "15550002222", "user_id": "US.2"},
            WhatsAppUser(PHONE, "US.1"),
        ),
        ({"from": PHONE}, {"profile": "Ann", "wa_id": PHONE}, WhatsAppUser(PHONE)),
        ({"from": int(PHONE)}, ANN | {"wa_id": int(PHONE)}, KNOWN),
        ({"from": PHONE, "from_user_id": "US.1"}, ANN, WhatsAppUser(PHONE, "US.1")),
        ({"from": PHONE, "from_user_id": "US.1"}, ANN | {"user_id": ""}, WhatsAppUser(PHONE, "US.1", "Ann", "ann")),
    ],
)
def test_senders(message: dict[str, object], contact: dict[str, object], sender: WhatsAppUser) -> None:
    assert sender_of(message, contact) == sender


@pytest.mark.parametrize(
    ("echo", "contacts", "sender"),
    [
        ({"to": PHONE}, [], WhatsAppUser(PHONE)),
        ({"to": PHONE}, [ANN], KNOWN),
        ({"to_user_id": BSUID}, [ANN], KNOWN),
        ({"to": BSUID}, [], WhatsAppUser("", BSUID)),
        ({"to": None, "to_user_id": BSUID}, [], WhatsAppUser("", BSUID)),
        (
            {"to": "5541988887777"},
            [{"wa_id": "554188887777", "user_id": "BR.1"}],
            WhatsAppUser("5541988887777", "BR.1"),
        ),
    ],
)
def test_an_echo_is_about_whom_it_went_to(
    echo: dict[str, object], contacts: list[object], sender: WhatsAppUser
) -> None:
    held = {"id": "wamid.E", "from": "15550783881", "type": "text", "text": {"body": "x"}} | echo
    item = item_of("smb_message_echoes", message_echoes=[held], contacts=contacts)
    assert (item.kind, item.customer, item.address_change) == (ItemKind.ECHO, sender, None)


@pytest.mark.parametrize(
    ("person", "sender"),
    [
        ({"phone_number": PHONE}, WhatsAppUser(PHONE)),
        ({"phone_number": f"+{PHONE}", "user_id": BSUID}, WhatsAppUser(PHONE, BSUID)),
        ({"user_id": BSUID}, WhatsAppUser("", BSUID)),
        ({"wa_id": PHONE}, WhatsAppUser(PHONE)),
    ],
)
def test_a_handover_is_about_its_sender(person: dict[str, object], sender: WhatsAppUser) -> None:
    item = item_of("messaging_handovers", metadata=None, sender=person, type="control_passed", timestamp="1749416383")
    assert (item.kind, item.customer) == (ItemKind.HANDOVER, sender)


CARD: dict[str, object] = {
    "origin": "contact_request",
    "phones": [{"phone": f"+{PHONE}", "wa_id": PHONE, "user_id": BSUID}],
}


def with_phones(*phones: object, **more: object) -> dict[str, object]:
    return CARD | {"phones": list(phones)} | more


@pytest.mark.parametrize(
    ("cards", "given"),
    [
        ([CARD], PHONE),
        ([with_phones({"wa_id": PHONE})], PHONE),
        ([with_phones({"wa_id": int(PHONE)})], PHONE),
        ([with_phones({"phone": "+1 (555) 000-1111"})], PHONE),
        ([with_phones({"phone": "+52 55 1234 5678", "wa_id": "5215512345678"})], "5215512345678"),
        ([with_phones({"phone": PHONE})], ""),  # of which country?
        ([with_phones({"phone": "+1 555 000 2222", "wa_id": PHONE})], ""),
        ([with_phones({"wa_id": PHONE}, user_id=BSUID)], PHONE),
        ([with_phones({"wa_id": PHONE}, user_id="US.99")], ""),
        ([with_phones({"wa_id": PHONE, "user_id": "US.99"})], ""),
        ([with_phones({"wa_id": PHONE, "user_id": [BSUID]})], ""),
        ([with_phones({"wa_id": PHONE}, {"wa_id": PHONE})], ""),
        ([with_phones({"wa_id": BSUID})], ""),
        ([with_phones({"wa_id": None, "phone": None})], ""),
        ([with_phones("+15550001111")], ""),
        ([with_phones()], ""),
        ([CARD | {"phones": {"wa_id": PHONE}}], ""),
        ([CARD | {"origin": "other"}], ""),
        ([{"phones": CARD["phones"]}], ""),
        ([CARD, CARD], ""),
        (["card"], ""),
        ([], ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_number_is_given_by_one_plain_answer_to_a_request(cards: object, given: str) -> None:
    message = {"id": "wamid.C", "from_user_id": BSUID, "type": "contacts", "contacts": cards}
    assert item_of("messages", messages=[message]).given_phone == given
    assert item_of("messages", messages=[message | {"from": PHONE}]).given_phone == "", "their phone is known already"
    assert item_of("messages", messages=[message | {"type": "text", "text": {"body": "x"}}]).given_phone == ""
    assert item_of("standby", standby={"messages": [message]}).given_phone == "", "Meta's agent has asked for it"


def test_a_handover_that_comes_again_in_another_body_is_the_same() -> None:
    value = {"sender": {"phone_number": PHONE}, "type": "control_passed", "timestamp": "1749416383"}
    one = item_of("messaging_handovers", **value)
    again = item_of("messaging_handovers", **value, more="of it")
    other = item_of("messaging_handovers", **value | {"timestamp": "1749416384"})
    assert one.key == again.key != other.key


def test_the_phone_is_answered_when_there_is_one() -> None:
    assert KNOWN.address == PHONE
    assert WhatsAppUser("", BSUID).address == BSUID


def test_a_second_person_keeps_another_form_of_the_number_to_themselves() -> None:
    messages = [{"id": f"wamid.{phone}", "from": phone, "type": "text"} for phone in ("5541988887777", PHONE)]
    value = {"metadata": {"phone_number_id": OUR_NUMBER}, "messages": messages, "contacts": [{"wa_id": "554188887777"}]}
    changes = [{"field": "messages", "value": value}]
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": changes}]}).encode()
    assert [item.customer for item in parse_items(body)] == [WhatsAppUser("5541988887777"), WhatsAppUser(PHONE)]


NEW_PHONE, NEW_BSUID = "15550002222", "US.99"


CHANGED = "user_changed_number"
NEW_NUMBER = AddressChange(PHONE, NEW_PHONE, BSUID, is_new_number=True)
NEW_ID = AddressChange(PHONE, "", BSUID, NEW_BSUID)


@pytest.mark.parametrize(
    ("system", "change"),
    [
        ({"type": CHANGED, "wa_id": NEW_PHONE}, NEW_NUMBER),
        ({"type": CHANGED, "new_wa_id": NEW_PHONE}, NEW_NUMBER),
        ({"type": CHANGED, "new_wa_id": int(NEW_PHONE)}, NEW_NUMBER),
        ({"type": "customer_changed_number", "new_wa_id": NEW_PHONE}, NEW_NUMBER),
        ({"type": CHANGED, "wa_id": NEW_PHONE, "user_id": NEW_BSUID}, replace(NEW_NUMBER, new_bsuid=NEW_BSUID)),
        ({"type": CHANGED, "user_id": NEW_BSUID}, replace(NEW_ID, is_new_number=True)),
        ({"type": CHANGED, "wa_id": NEW_BSUID}, replace(NEW_ID, is_new_number=True)),
        ({"type": CHANGED, "wa_id": PHONE}, AddressChange("", PHONE, BSUID, is_new_number=True)),
        ({"type": CHANGED, "wa_id": NEW_PHONE, "previous_user_id": "US.1"}, replace(NEW_NUMBER, old_bsuid="US.1")),
        ({"type": "user_changed_user_id", "user_id": NEW_BSUID}, NEW_ID),
        ({"type": "user_changed_user_id", "user_id": NEW_BSUID, "wa_id": PHONE}, NEW_ID),
        ({"type": "user_changed_user_id", "user_id": NEW_BSUID, "wa_id": NEW_PHONE},
         replace(NEW_NUMBER, new_bsuid=NEW_BSUID)),
        ({"type": CHANGED}, None),
        ({"type": CHANGED, "wa_id": "<b>"}, None),
        ({"type": "customer_identity_changed", "wa_id": NEW_PHONE}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_a_system_message_renames_its_sender(system: dict[str, object], change: AddressChange | None) -> None:
    message = {"id": "wamid.S", "type": "system", "from": PHONE, "from_user_id": BSUID, "system": system}
    item = item_of(messages=[message])
    assert (item.address_change, item.customer) == (change, WhatsAppUser(PHONE, BSUID))


@pytest.mark.parametrize(
    ("sender", "system", "change"),
    [
        (
            {},
            {"type": CHANGED, "wa_id": NEW_PHONE, "user_id": NEW_BSUID, "previous_user_id": BSUID},
            AddressChange("", NEW_PHONE, BSUID, NEW_BSUID, is_new_number=True),
        ),
        (
            {"from": NEW_PHONE, "from_user_id": NEW_BSUID},
            {"type": CHANGED, "wa_id": NEW_PHONE, "user_id": NEW_BSUID, "previous_user_id": BSUID},
            AddressChange("", NEW_PHONE, BSUID, NEW_BSUID, is_new_number=True),
        ),
        (
            {"from_user_id": NEW_BSUID},
            {"type": "user_changed_user_id", "user_id": NEW_BSUID, "previous_user_id": BSUID},
            AddressChange("", "", BSUID, NEW_BSUID),
        ),
        (
            {},
            {"type": "user_changed_user_id", "user_id": NEW_BSUID, "previous_user_id": BSUID},
            AddressChange("", "", BSUID, NEW_BSUID),
        ),
    ],
)
def test_a_notice_of_2026_names_whom_it_is_about_by_the_former_user_id(
    sender: dict[str, object], system: dict[str, object], change: AddressChange
) -> None:
    """`from` may be missing or the new number already, and `from_user_id` the new id."""
    item = item_of(messages=[{"id": "wamid.S", "type": "system", "system": system} | sender])
    assert item.address_change == change


def test_only_a_system_message_renames() -> None:
    text = {"id": "wamid.S", "type": "text", "from": PHONE, "system": {"type": "user_changed_number", "wa_id": "155"}}
    assert item_of(messages=[text]).address_change is None


@pytest.mark.parametrize("metadata", [{"phone_number_id": OUR_NUMBER}, None])
def test_an_update_of_user_ids_renames(metadata: object) -> None:
    update = {"wa_id": PHONE, "user_id": {"previous": BSUID, "current": NEW_BSUID}, "timestamp": "1749416383"}
    item = item_of("user_id_update", metadata=metadata, user_id_update=[update])
    assert item.kind is ItemKind.OTHER
    assert (item.address_change, item.customer) == (AddressChange(PHONE, "", BSUID, NEW_BSUID), None)
    assert item.meta_at.year == 2025
    assert item.key.endswith(":entry.0.changes.0.user_id_update.0")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", {"messages": [{"id": "wamid.A", "from": "15550783881", "type": "text", "text": {"body": "x"}}]}),
        ("messages", {"messages": [{"id": "wamid.A", "type": "text"}], "contacts": [{"wa_id": "15550783881"}]}),
        ("smb_message_echoes", {"message_echoes": [{"id": "wamid.A", "to": 15550783881, "type": "text"}]}),
    ],
)
@pytest.mark.parametrize("ours", ["15550783881", "+1 555-078-3881", 15550783881], ids=repr)
def test_nobody_has_our_own_number(field: str, value: dict[str, object], ours: object) -> None:
    metadata = {"phone_number_id": OUR_NUMBER, "display_phone_number": ours}
    changes = [{"field": field, "value": {"metadata": metadata} | value}]
    (item,) = parse_items(json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": changes}]}).encode())
    assert (item.ignored, item.customer) == (IgnoredReason.OWN_NUMBER, None)


def test_an_id_that_is_a_number_is_read_as_its_digits() -> None:
    message = {"from": PHONE, "type": "text", "text": {"body": "x"}}
    one, other = item_of(messages=[message | {"id": 1349}]), item_of(messages=[message | {"id": "1349"}])
    assert one.key == other.key
    assert read_event(one.payload, item_id=1, at=one.meta_at, late=False).wamid == "1349"
