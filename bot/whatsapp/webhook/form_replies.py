"""Describes a filled-in form (a reply to a WhatsApp Flow) or a placed order as text that an agent can read.

Invariants
- The text is short whatever was sent.
- Nothing raises: a form's answers are JSON inside JSON, and may be anything.

Source: Meta, webhooks/overview (messages of the types `interactive`, there `nfm_reply`, and `order`).
"""

import json

from bot.whatsapp.json_access import get_line, get_objects, get_text
from bot.whatsapp.sanitize import clean, clean_line

_MAX_ANSWERS, _MAX_PRODUCTS = 30, 20
_MAX_KEY_CHARACTERS, _MAX_VALUE_CHARACTERS = 80, 500


def describe_form_reply(reply: dict[str, object]) -> str:
    """Describes an `nfm_reply`: one line an answer, under the form's name where it has one.

    `flow_token` is ours, and no answer.
    """
    name = get_line(reply, "name", _MAX_KEY_CHARACTERS)
    title = f"[form: {name}]\n" if name and name != "flow" else "[form] "
    answers = _load_answers(get_text(reply, "response_json"))
    lines = [
        f"{clean_line(key, _MAX_KEY_CHARACTERS)}: {_describe_answer(value)}"
        for key, value in answers.items()
        if key != "flow_token"
    ]
    more = [f"[{len(lines) - _MAX_ANSWERS} more answers]"] if len(lines) > _MAX_ANSWERS else []
    body = get_line(reply, "body", _MAX_VALUE_CHARACTERS)
    return (title + "\n".join([*(lines[:_MAX_ANSWERS] or [body]), *more])).strip()


def _load_answers(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"answer": text} if text.strip() else {}
    if isinstance(value, dict):
        return value
    return {} if value is None else {"answer": value}


def _describe_answer(value: object) -> str:
    if isinstance(value, str):
        return clean(value, _MAX_VALUE_CHARACTERS)
    if isinstance(value, list) and all(isinstance(one, (str, int)) for one in value):
        return clean_line(", ".join(map(str, value)), _MAX_VALUE_CHARACTERS)
    try:
        return clean_line(json.dumps(value, ensure_ascii=False), _MAX_VALUE_CHARACTERS)
    except (ValueError, RecursionError):
        return "…"


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
