"""Parses one webhook body into items, before anything is stored.

Invariants
- Any bytes give at least one item and never an exception, and an item that can't be read costs no other item anything.
- Nothing is dropped. The answer to Meta is 200 once the items are durable, so whatever is lost here is lost for good:
  what is not understood becomes an item too, ignored for a reason that can be counted and looked at.

Source: Meta, webhooks/overview (with a page for each field).
"""

from collections.abc import Iterator
from datetime import datetime

from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean
from bot.whatsapp.webhook import fields
from bot.whatsapp.webhook.contacts import Contacts, read_user_id_update
from bot.whatsapp.webhook.decoding import decode_json
from bot.whatsapp.webhook.item_maker import Change, ItemMaker, read_our_phone, read_phone_number_id
from bot.whatsapp.webhook.items import IgnoredReason, Item, ItemKind

_KINDS = {"messages": ItemKind.MESSAGE, "statuses": ItemKind.STATUS, "message_echoes": ItemKind.ECHO}
_KNOWN = frozenset((*fields.CHATS, fields.HANDOVERS, fields.USER_IDS, *fields.ACCOUNT, *fields.NOT_USED))


def parse_webhook(body: bytes, *, phone_number_id: str, received_at: datetime) -> list[Item]:
    """Returns an item for everything in the body, in its order.

    `phone_number_id` is ours: what is for another number is ignored.
    """
    maker = ItemMaker(body, phone_number_id, received_at)
    try:
        value = decode_json(body)
    except (ValueError, RecursionError):
        text = body[: 4 * MAX_TEXT_CHARACTERS].decode("utf-8", "replace")
        return [maker.make_ignored(IgnoredReason.NOT_JSON, "", clean(text))]
    return list(_parse_body(value, maker))


def _parse_body(value: object, maker: ItemMaker) -> Iterator[Item]:
    if not isinstance(value, dict) or value.get("object") != "whatsapp_business_account":
        yield maker.make_ignored(IgnoredReason.NOT_WHATSAPP, "", value)
        return
    entries = value.get("entry")
    if not isinstance(entries, list) or not entries:
        yield maker.make_ignored(IgnoredReason.MALFORMED if entries else IgnoredReason.EMPTY, "", value)
        return
    for at, entry in enumerate(entries):
        yield from _parse_entry(entry, f"entry.{at}", maker)


def _parse_entry(entry: object, path: str, maker: ItemMaker) -> Iterator[Item]:
    changes = entry.get("changes") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(changes, list) or not changes:
        malformed = not isinstance(entry, dict) or changes
        yield maker.make_ignored(IgnoredReason.MALFORMED if malformed else IgnoredReason.EMPTY, path, entry)
        return
    for at, change in enumerate(changes):
        where = f"{path}.changes.{at}"
        if isinstance(change, dict):
            yield from _parse_change(change, where, maker, entry=entry)
        else:
            yield maker.make_ignored(IgnoredReason.MALFORMED, where, change)


def _parse_change(
    change: dict[str, object], path: str, maker: ItemMaker, *, entry: dict[str, object]
) -> Iterator[Item]:
    field, value = change.get("field"), change.get("value")
    if not isinstance(field, str) or field not in _KNOWN:
        yield maker.make_ignored(IgnoredReason.UNKNOWN_FIELD, path, change)
    elif field in fields.NOT_USED:
        yield maker.make_ignored(IgnoredReason.NOT_USED, path, change)
    elif not isinstance(value, dict):
        yield maker.make_ignored(IgnoredReason.EMPTY if value is None else IgnoredReason.MALFORMED, path, change)
    elif field in fields.CHATS:
        yield from _parse_chats(value, path, maker, change=change, field=field)
    elif field == fields.HANDOVERS:
        yield maker.make_handover(value, path)
    elif field == fields.USER_IDS:
        yield from _parse_user_id_updates(value, path, maker, change=change)
    else:
        update = {"waba_id": entry.get("id"), "field": field, "value": value}
        yield maker.make_account_update(update, path, timestamp=entry.get("time"))


def _parse_chats(
    outer: dict[str, object], path: str, maker: ItemMaker, *, change: object, field: str
) -> Iterator[Item]:
    """Parses what customers, Meta's agent and people of ours wrote, and what became of our messages."""
    inner = outer.get("standby") if field == "standby" else None
    value = outer | inner if isinstance(inner, dict) else outer
    number = read_phone_number_id(value)
    ignored = maker.check_number(number)
    names = [name for name in fields.CHATS[field] if value.get(name)]
    if not names and value.get("errors") and ignored is not IgnoredReason.FOREIGN_NUMBER:
        yield maker.make_account_update(change, path)
    elif not names:
        yield maker.make_ignored(IgnoredReason.EMPTY, path, change)
    shared = Change(
        number=number,
        our_phone=read_our_phone(value),
        ignored=ignored,
        contacts=Contacts(value),
        is_standby=field == "standby",
        context=value.get("conversation_context"),
    )
    for name in names:
        entries, kind = value[name], _KINDS[name]
        where = f"{path}.standby.{name}" if inner else f"{path}.{name}"
        if not isinstance(entries, list):
            yield maker.make_ignored(IgnoredReason.MALFORMED, where, entries, kind=kind)
            continue
        for at, one in enumerate(entries):
            place = f"{where}.{at}"
            if not isinstance(one, dict):
                yield maker.make_ignored(IgnoredReason.MALFORMED, place, one, kind=kind)
            elif kind is ItemKind.STATUS:
                yield maker.make_status(one, shared, place)
            else:
                yield maker.make_message(one, shared, place, kind=kind, first=at == 0)


def _parse_user_id_updates(value: dict[str, object], path: str, maker: ItemMaker, *, change: object) -> Iterator[Item]:
    """Parses changes of user ids. They are a business's, not a number's: one without a number is for us."""
    updates = value.get("user_id_update")
    if maker.check_number(read_phone_number_id(value)) is IgnoredReason.FOREIGN_NUMBER:
        yield maker.make_ignored(IgnoredReason.FOREIGN_NUMBER, path, change)
        return
    if not isinstance(updates, list) or not updates:
        yield maker.make_ignored(IgnoredReason.MALFORMED if updates else IgnoredReason.EMPTY, path, change)
        return
    for at, update in enumerate(updates):
        where = f"{path}.user_id_update.{at}"
        address_change = read_user_id_update(update) if isinstance(update, dict) else None
        if address_change is None:
            yield maker.make_ignored(IgnoredReason.MALFORMED, where, update)
        else:
            yield maker.make_user_id_update(update, address_change, where)
