"""What a customer can do besides writing words and sending files, as Meta's webhooks tell it.

Pure, as bodies.py is.
"""

from typing import Any

from api.simulator.bodies import Attached, Json, Person, attached, message


def sticker(person: Person, wamid: str, timestamp: int, file: Attached, context: Json | None = None) -> Json:
    return message(person, wamid, timestamp, "sticker", attached(file) | {"animated": False}, context)


def place(person: Person, wamid: str, timestamp: int, where: dict[str, Any], context: Json | None = None) -> Json:
    """`where`: latitude, longitude, and name and address where the place has them."""
    return message(person, wamid, timestamp, "location", where, context)


def card(person: Person, wamid: str, timestamp: int, name: str, phone: str, origin: str, context: Json | None) -> Json:
    """Somebody's contact card; `origin` says whether it answers our request for the number."""
    number = {"phone": f"+{phone}", "wa_id": phone, "type": "CELL"}
    named = {"formatted_name": name, "first_name": name}
    return message(
        person, wamid, timestamp, "contacts", [{"name": named, "phones": [number], "origin": origin}], context
    )


def reaction(person: Person, wamid: str, timestamp: int, about: str, emoji: str) -> Json:
    """Without an emoji it is taken back: the key is then missing."""
    content = {"message_id": about} | ({"emoji": emoji} if emoji else {})
    return message(person, wamid, timestamp, "reaction", content)


def edit(person: Person, wamid: str, timestamp: int, about: str, kind: str, content: Json) -> Json:
    whole: Json = {"context": {"id": about}, "type": kind, kind: content}
    return message(person, wamid, timestamp, "edit", {"original_message_id": about, "message": whole})


def revoke(person: Person, wamid: str, timestamp: int, about: str) -> Json:
    return message(person, wamid, timestamp, "revoke", {"original_message_id": about})


def quick_reply(
    person: Person, wamid: str, timestamp: int, payload: str, text: str, context: Json | None = None
) -> Json:
    """A tap on a button of a template."""
    return message(person, wamid, timestamp, "button", {"payload": payload, "text": text}, context)


def moved(person: Person, wamid: str, timestamp: int, name: str, phone: str) -> Json:
    """They have another number: `person` is who they were."""
    body = f"User {name} changed from {person.wa_id} to {phone}"
    content = {"body": body, "type": "user_changed_number", "wa_id": phone}
    return message(person, wamid, timestamp, "system", content)


def renamed(person: Person, wamid: str, timestamp: int, name: str, user_id: str) -> Json:
    """They have another user id: `person` is who they were."""
    content: Json = {"body": f"User {name} changed their user id", "type": "user_changed_user_id", "user_id": user_id}
    return message(person, wamid, timestamp, "system", content | ({"wa_id": person.wa_id} if person.wa_id else {}))
