"""Describes what a body is parsed into, in the words of the expected outcomes: only what is not empty."""

from dataclasses import asdict
from datetime import UTC, datetime

from bot.whatsapp.webhook.account_updates import read_account_updates
from bot.whatsapp.webhook.events import read_event, read_status
from bot.whatsapp.webhook.items import Item, ItemKind
from bot.whatsapp.webhook.parse import parse_webhook

OUR_NUMBER = "106540352242922"
RECEIVED_AT = datetime(2026, 11, 22, 12, 0, 0, 250_000, UTC)


def parse_items(body: bytes) -> list[Item]:
    """Parses a body that came to OUR_NUMBER at RECEIVED_AT."""
    return parse_webhook(body, phone_number_id=OUR_NUMBER, received_at=RECEIVED_AT)


def describe_outcome(body: bytes) -> list[dict[str, object]]:
    """Describes each item of a body, with the event, the status or the updates that it becomes."""
    return [_describe(item) for item in parse_items(body)]


def _describe(item: Item) -> dict[str, object]:
    described: dict[str, object] = {
        "key": item.key,
        "kind": item.kind.value,
        "ignored": item.ignored and item.ignored.value,
        "meta_at": "received" if item.meta_at == RECEIVED_AT else item.meta_at.isoformat(),
        "customer": item.customer and _filled(asdict(item.customer)),
        "address_change": item.address_change and _filled(asdict(item.address_change)),
        "given_phone": item.given_phone,
    }
    if item.ignored is None and item.kind in (ItemKind.MESSAGE, ItemKind.ECHO, ItemKind.HANDOVER):
        event = asdict(read_event(item.payload, item_id=7, at=item.meta_at, late=False, kind=item.kind))
        del event["at"], event["item_id"]
        if event["author"] == "customer":
            del event["author"]
        if event["opens_window"] == (event["kind"] not in ("silent", "echo", "handover")):
            del event["opens_window"]  # as everybody would expect
        if len(event["text"]) > 200 and len(set(event["text"])) == 1:
            event["text"] = f"{len(event['text'])} times {event['text'][0]}"
        more = [_filled(media) for media in event["more_media"]] or None
        files = {"media": event["media"] and _filled(event["media"]), "more_media": more}
        described["event"] = _filled(event | files, keep=("text",))
    if item.ignored is None and item.kind is ItemKind.ACCOUNT:
        described["updates"] = [asdict(update) for update in read_account_updates(item.payload)]
    if item.ignored is None and item.kind is ItemKind.STATUS:
        described["status"] = _filled(asdict(read_status(item.payload)) | {"at": ""})
    return _filled(described)


def _filled(values: dict[str, object], keep: tuple[str, ...] = ()) -> dict[str, object]:
    return {key: value for key, value in values.items() if key in keep or value not in (None, "", False)}
