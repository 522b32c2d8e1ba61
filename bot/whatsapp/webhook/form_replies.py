"""A form that was filled in, and an order that was placed, as text an agent can read.

Invariant: short whatever was sent, and total: a form's answers are JSON inside JSON, and may be anything.
"""

import json

from bot.whatsapp.json_access import get_line, get_objects, get_text
from bot.whatsapp.sanitize import clean, clean_line

_FIELDS, _ITEMS = 30, 20
_KEY, _VALUE = 80, 500


def describe_form_reply(reply: dict[str, object]) -> str:
    """One line an answer, under the form's name where it has one. `flow_token` is ours, and no answer."""
    name = get_line(reply, "name", _KEY)
    title = f"[form: {name}]\n" if name and name != "flow" else "[form] "
    answers = _answers(get_text(reply, "response_json"))
    lines = [f"{clean_line(key, _KEY)}: {_shown(value)}" for key, value in answers.items() if key != "flow_token"]
    more = [f"[{len(lines) - _FIELDS} more answers]"] if len(lines) > _FIELDS else []
    body = get_line(reply, "body", _VALUE)
    return (title + "\n".join([*(lines[:_FIELDS] or [body]), *more])).strip()


def _answers(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"answer": text} if text.strip() else {}
    if isinstance(value, dict):
        return value
    return {} if value is None else {"answer": value}


def _shown(value: object) -> str:
    if isinstance(value, str):
        return clean(value, _VALUE)
    if isinstance(value, list) and all(isinstance(one, (str, int)) for one in value):
        return clean_line(", ".join(map(str, value)), _VALUE)
    try:
        return clean_line(json.dumps(value, ensure_ascii=False), _VALUE)
    except (ValueError, RecursionError):
        return "…"


def describe_order(order: dict[str, object]) -> str:
    """What they wrote with it, then one line an item."""
    items = get_objects(order, "product_items")
    lines = [f"[order of {len(items)} {'product' if len(items) == 1 else 'products'}]", *map(_item, items[:_ITEMS])]
    if len(items) > _ITEMS:
        lines.append(f"[{len(items) - _ITEMS} more products]")
    return clean("\n".join(filter(None, (get_text(order, "text"), *lines))))


def _item(item: dict[str, object]) -> str:
    product = get_line(item, "product_retailer_id", _KEY) or "a product without a number"
    price = " ".join(filter(None, (get_line(item, "item_price", 30), get_line(item, "currency", 10))))
    return f"{get_line(item, 'quantity', 30) or '1'} × {product}" + (f", {price} each" if price else "")
