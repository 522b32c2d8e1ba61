"""Finds the readable words in messages of types that Tick does nothing else with.

Invariants
- The text is short whatever was sent, and "" where there is nothing that a person reads.
- Nothing raises, and nothing but words is shown: no ids, no addresses of files.

Source: Meta, messages/interactive messages and templates (what a business sends, and its echoes bring back).
"""

from collections.abc import Iterator
from itertools import islice

from bot.whatsapp.json_access import get_line, get_object, get_objects, get_text
from bot.whatsapp.sanitize import clean, clean_line

_MAX_LINE_CHARACTERS = 500
_MAX_BODY_CHARACTERS = 4096
_MAX_PRODUCTS, _MAX_VALUES, _MAX_WORDS = 5, 20, 20
_MAX_DEPTH = 5  # of objects in objects
_MAX_MEMBERS = 200  # that are looked at in each
_WORD_KEYS = frozenset({"text", "body", "caption", "title", "name", "question", "description", "label"})


def describe_interactive(interactive: dict[str, object]) -> str:
    """Describes an interactive message by the product that it is about and its words."""
    products = list(dict.fromkeys(filter(None, _list_products(interactive))))
    shown = ", ".join(products[:_MAX_PRODUCTS])
    more = f" and {len(products) - _MAX_PRODUCTS} more" if len(products) > _MAX_PRODUCTS else ""
    about = f"[about the product{'s' if len(products) > 1 else ''} {shown}{more}]" if products else ""
    header = get_line(get_object(interactive, "header"), "text", _MAX_LINE_CHARACTERS)
    body = get_text(get_object(interactive, "body"), "text", _MAX_BODY_CHARACTERS)
    words = "\n".join(filter(None, (header, body)))
    return " ".join(filter(None, (about, words)))


def _list_products(interactive: dict[str, object]) -> Iterator[str]:
    action = get_object(interactive, "action")
    single = (action, get_object(interactive, get_text(interactive, "type")))
    listed = [item for section in get_objects(action, "sections") for item in get_objects(section, "product_items")]
    for product in (*single, *listed):
        yield get_line(product, "product_retailer_id", 100)


def describe_template(template: dict[str, object]) -> str:
    """Describes a template by its name, and what was filled into it: its text is at Meta."""
    name = get_line(template, "name", _MAX_LINE_CHARACTERS)
    values = [
        get_line(parameter, "text", _MAX_LINE_CHARACTERS)
        for component in get_objects(template, "components")
        for parameter in get_objects(component, "parameters")
    ]
    filled = ", ".join(list(filter(None, values))[:_MAX_VALUES])
    return clean(" ".join(filter(None, (f"[template {name}]" if name else "", filled))))


def find_words(content: dict[str, object]) -> str:
    """Finds the words in a message of an unknown type, by the names under which Meta puts words elsewhere."""
    found = list(dict.fromkeys(islice(_list_words(content, _MAX_DEPTH), _MAX_WORDS)))
    return clean(" · ".join(found))


def _list_words(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, list) and depth:
        for one in value[:_MAX_MEMBERS]:
            yield from _list_words(one, depth - 1)
    elif isinstance(value, dict) and depth:
        for key, one in islice(value.items(), _MAX_MEMBERS):
            if key in _WORD_KEYS and isinstance(one, str):
                line = clean_line(one, _MAX_LINE_CHARACTERS)
                if any(character.isalnum() for character in line):
                    yield line
            else:
                yield from _list_words(one, depth - 1)
