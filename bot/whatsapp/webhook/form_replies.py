"""A form that was filled in, and an order that was placed, as text an agent can read.

Invariant: short whatever was sent, and total: a form's answers are JSON inside JSON, and may be anything.
"""

import json

from bot.whatsapp.json_access import line_in, objects_in, text_in
from bot.whatsapp.sanitize import clean, one_line

_FIELDS, _ITEMS = 30, 20
_KEY, _VALUE = 80, 500


def read_form(reply: dict[str, object]) -> str:
    """One line an answer, under the form's name where it has one. `flow_token` is ours, and no answer."""
    name = line_in(reply, "name", _KEY)
    title = f"[form: {name}]\n" if name and name != "flow" else "[form] "
    answers = _answers(text_in(reply, "response_json"))
    lines = [f"{one_line(key, _KEY)}: {_shown(value)}" for key, value in answers.items() if key != "flow_token"]
    more = [f"[{len(lines) - _FIELDS} more answers]"] if len(lines) > _FIELDS else []
    body = line_in(reply, "body", _VALUE)
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
        return one_line(", ".join(map(str, value)), _VALUE)
    try:
        return one_line(json.dumps(value, ensure_ascii=False), _VALUE)
    except (ValueError, RecursionError):
        return "…"


def read_order(order: dict[str, object]) -> str:
    """What they wrote with it, then one line an item."""
    items = objects_in(order, "product_items")
    lines = [f"[order of {len(items)} {'product' if len(items) == 1 else 'products'}]", *map(_item, items[:_ITEMS])]
    if len(items) > _ITEMS:
        lines.append(f"[{len(items) - _ITEMS} more products]")
    return clean("\n".join(filter(None, (text_in(order, "text"), *lines))))


def _item(item: dict[str, object]) -> str:
    product = line_in(item, "product_retailer_id", _KEY) or "a product without a number"
    price = " ".join(filter(None, (line_in(item, "item_price", 30), line_in(item, "currency", 10))))
    return f"{line_in(item, 'quantity', 30) or '1'} × {product}" + (f", {price} each" if price else "")
