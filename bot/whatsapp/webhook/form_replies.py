"""Reads a filled-in form (a reply to a WhatsApp Flow) or a placed order, as text that an agent can read.

Invariants
- The text is short whatever was sent, and the files are few.
- Nothing raises: a form's answers are JSON inside JSON, and may be anything.

Sources: Meta, webhooks/overview (messages of the types `interactive`, there `nfm_reply`, and `order`); Flows, media
upload components (PhotoPicker, DocumentPicker); address messages.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from bot.whatsapp.json_access import get_id, get_line, get_objects, get_text
from bot.whatsapp.sanitize import MEDIA_ID, clean, clean_file_name, clean_line, clean_mime_type, clean_sha256
from flows.events import Media, MediaKind

MAX_FORM_FILES = 30  # as many as Meta lets one component of a form take
_MAX_ANSWERS, _MAX_PRODUCTS, _MAX_LISTED = 30, 20, 50
_MAX_DEPTH = 6  # of objects in objects
_ADDRESS_KEY = "values"  # of an address message
_KINDS: Mapping[str, MediaKind] = {"image": "photo", "video": "video", "audio": "audio"}
_MAX_KEY_CHARACTERS, _MAX_VALUE_CHARACTERS = 80, 500


class FormReply(NamedTuple):
    """A filled-in form: as text, and the files that were picked for it."""

    text: str
    files: tuple[Media, ...]


def read_form_reply(reply: dict[str, object]) -> FormReply:
    """Reads an `nfm_reply`: one line an answer, under the form's name where it has one.

    `flow_token` is ours, and no answer.
    """
    name = get_line(reply, "name", _MAX_KEY_CHARACTERS)
    title = f"[form: {name}]\n" if name and name != "flow" else "[form] "
    answers = _load_answers(get_text(reply, "response_json"))
    answers.pop("flow_token", None)
    lines = list(_list_lines("", answers, _MAX_DEPTH)) if answers else []
    more = [f"[{len(lines) - _MAX_ANSWERS} more answers]"] if len(lines) > _MAX_ANSWERS else []
    body = get_line(reply, "body", _MAX_VALUE_CHARACTERS)
    text = (title + "\n".join([*(lines[:_MAX_ANSWERS] or [body]), *more])).strip()
    return FormReply(text, tuple(islice(_list_files(answers, _MAX_DEPTH), MAX_FORM_FILES)))


def _load_answers(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"answer": text} if text.strip() else {}
    if isinstance(value, dict):
        return value
    return {} if value is None else {"answer": value}


def _list_lines(key: str, value: object, depth: int) -> Iterator[str]:
    """Yields a line for each answer; those inside an object under both names, but for the object in which Meta's own
    form of an address has them. Objects in a list have a line each."""
    if isinstance(value, dict) and value and depth and _read_file(value) is None:
        for name, one in value.items():
            inner = clean_line(name, _MAX_KEY_CHARACTERS)
            yield from _list_lines(f"{key}, {inner}" if key and key != _ADDRESS_KEY else inner, one, depth - 1)
    elif isinstance(value, list) and any(isinstance(one, dict) and _read_file(one) is None for one in value):
        for number, one in enumerate(value, 1):
            yield f"{key} {number}: {_describe_answer(one)}"
    else:
        yield f"{key}: {_describe_answer(value)}"


def _describe_answer(value: object, depth: int = 3) -> str:
    """Describes what one line holds."""
    if isinstance(value, str):
        return clean(value, _MAX_VALUE_CHARACTERS)
    if value is None or value == [] or value == {}:
        return "–"
    if isinstance(value, dict) and (file := _read_file(value)):
        return file.filename or file.kind
    if isinstance(value, dict | list) and depth:
        members = value.items() if isinstance(value, dict) else (("", one) for one in value)
        described = ((key, _describe_answer(one, depth - 1)) for key, one in islice(members, _MAX_LISTED))
        words = ", ".join(f"{key}: {one}" if key else one for key, one in described)
        return clean_line(words, _MAX_VALUE_CHARACTERS)
    try:
        return clean_line(json.dumps(value, ensure_ascii=False), _MAX_VALUE_CHARACTERS)
    except (ValueError, RecursionError):
        return "…"


def _list_files(value: object, depth: int) -> Iterator[Media]:
    """Yields the files in the answers, wherever they stand."""
    if isinstance(value, dict) and (file := _read_file(value)):
        yield file
    elif isinstance(value, dict | list) and depth:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _list_files(one, depth - 1)


def _read_file(answer: dict[str, object]) -> Media | None:
    """Reads a photo or a document that was picked: an id at Meta, as in a message, with a name or a type beside it."""
    media_id, filename = get_id(answer, "id"), clean_file_name(get_text(answer, "file_name"))
    mime_type = get_text(answer, "mime_type")
    if not MEDIA_ID.fullmatch(media_id) or not (filename or mime_type):
        return None
    mime_type = clean_mime_type(mime_type)
    kind = _KINDS.get(mime_type.partition("/")[0], "file")
    return Media(media_id, mime_type, filename, kind, clean_sha256(get_id(answer, "sha256")))


def describe_order(order: dict[str, object]) -> str:
    """Describes an order: what they wrote with it, then one line a product."""
    items = get_objects(order, "product_items")
    heading = f"[order of {len(items)} {'product' if len(items) == 1 else 'products'}]"
    lines = [heading, *map(_describe_product, items[:_MAX_PRODUCTS])]
    if len(items) > _MAX_PRODUCTS:
        lines.append(f"[{len(items) - _MAX_PRODUCTS} more products]")
    return clean("\n".join(filter(None, (get_text(order, "text"), *lines))))


def _describe_product(item: dict[str, object]) -> str:
    product = get_line(item, "product_retailer_id", _MAX_KEY_CHARACTERS) or "a product without a number"
    price = " ".join(filter(None, (get_line(item, "item_price", 30), get_line(item, "currency", 10))))
    return f"{get_line(item, 'quantity', 30) or '1'} × {product}" + (f", {price} each" if price else "")
