"""Builds each type of message that a customer can send; the functions are named as Meta's webhooks name the types.

Pure, as bodies.py is: ids and timestamps are handed in. `bodies.build_messages_webhook` puts a message into a webhook.
Source: Meta's webhook reference, "messages".
"""

import base64
from dataclasses import dataclass
from typing import Any, NamedTuple

from api.simulator.bodies import Json, Person


class MessageHead(NamedTuple):
    """What a message of any type has: who wrote it, its id, when (whole seconds), and what it quotes (`quote`)."""

    person: Person
    wamid: str
    timestamp: int
    context: Json | None = None


@dataclass(frozen=True, slots=True)
class Attached:
    """A file as a webhook names it: by its id and digest (the 32 bytes of SHA-256), and by a link that soon expires."""

    media_id: str
    mime_type: str
    sha256: bytes
    filename: str = ""
    url: str = ""


def message(head: MessageHead, kind: str, content: Json | list[Json]) -> Json:
    """Builds a message of any type: what all have in common, and `content` under the name of its type."""
    whole: Json = {"context": head.context} if head.context else {}
    if head.person.wa_id:
        whole["from"] = head.person.wa_id
    if head.person.user_id:
        whole["from_user_id"] = head.person.user_id
    return whole | {"id": head.wamid, "timestamp": str(head.timestamp), "type": kind, kind: content}


def quote(author: Person, wamid: str) -> Json:
    """Builds the `context` of an answer to a message; `author` is whoever wrote the quoted one."""
    known = {"from": author.wa_id} if author.wa_id else {}
    return known | ({"from_user_id": author.user_id} if author.user_id else {}) | {"id": wamid}


def text(head: MessageHead, body: str) -> Json:
    """Builds a message of words."""
    return message(head, "text", {"body": body})


def button_reply(head: MessageHead, option_id: str, title: str) -> Json:
    """Builds a tap on a button of an interactive message."""
    reply = {"type": "button_reply", "button_reply": {"id": option_id, "title": title}}
    return message(head, "interactive", reply)


def list_reply(head: MessageHead, option_id: str, title: str, description: str = "") -> Json:
    """Builds the choice of a row of a list."""
    row = {"id": option_id, "title": title} | ({"description": description} if description else {})
    return message(head, "interactive", {"type": "list_reply", "list_reply": row})


def template_button(head: MessageHead, payload: str, title: str) -> Json:
    """Builds a tap on a quick-reply button of a template; Meta calls the type `button`."""
    return message(head, "button", {"payload": payload, "text": title})


def image(head: MessageHead, file: Attached, caption: str = "") -> Json:
    """Builds a picture."""
    return message(head, "image", _caption(caption) | attached_file(file))


def video(head: MessageHead, file: Attached, caption: str = "") -> Json:
    """Builds a video."""
    return message(head, "video", _caption(caption) | attached_file(file))


def audio(head: MessageHead, file: Attached, *, voice: bool = False) -> Json:
    """Builds a sound: a voice note, or a file of audio."""
    return message(head, "audio", attached_file(file) | {"voice": voice})


def document(head: MessageHead, file: Attached, caption: str = "") -> Json:
    """Builds a file of any other kind; it alone carries its name."""
    return message(head, "document", _caption(caption) | {"filename": file.filename} | attached_file(file))


def sticker(head: MessageHead, file: Attached) -> Json:
    """Builds a sticker that does not move."""
    return message(head, "sticker", attached_file(file) | {"animated": False})


def location(head: MessageHead, where: dict[str, Any]) -> Json:
    """Builds a place on the map; `where` has latitude and longitude, and may have name and address."""
    return message(head, "location", where)


def contact_card(head: MessageHead, name: str, phone: str, *, origin: str) -> Json:
    """Builds somebody's contact card; `origin` says whether it answers our request for the number."""
    number = {"phone": f"+{phone}", "wa_id": phone, "type": "CELL"}
    named = {"formatted_name": name, "first_name": name}
    return message(head, "contacts", [{"name": named, "phones": [number], "origin": origin}])


def reaction(head: MessageHead, about: str, emoji: str) -> Json:
    """Builds a reaction to the message `about`; without an emoji it is taken back, and the key is missing."""
    return message(head, "reaction", {"message_id": about} | ({"emoji": emoji} if emoji else {}))


def edit(head: MessageHead, about: str, *, kind: str, content: Json) -> Json:
    """Builds an edit of the message `about`, with the whole new content of its type."""
    whole: Json = {"context": {"id": about}, "type": kind, kind: content}
    return message(head, "edit", {"original_message_id": about, "message": whole})


def revoke(head: MessageHead, about: str) -> Json:
    """Builds the deletion of the message `about` for everybody."""
    return message(head, "revoke", {"original_message_id": about})


def number_change(head: MessageHead, now: Person) -> Json:
    """Builds the system message that a customer has another number, and with it another user id; the head's person is
    who they were."""
    before = head.person
    body = f"User {now.name} changed from {before.wa_id} to {now.wa_id}"
    ids = {"user_id": now.user_id, "previous_user_id": before.user_id}
    return message(head, "system", {"body": body, "type": "user_changed_number", "wa_id": now.wa_id} | ids)


def user_id_change(head: MessageHead, now: Person) -> Json:
    """Builds the system message that a customer whose number is hidden has another user id. `from_user_id` is the new
    one already: who they were is said by `previous_user_id` alone."""
    before, hidden = head.person, Person(user_id=now.user_id)
    body = f"User {now.name} changed from {before.user_id} to {now.user_id}"
    ids = {"user_id": now.user_id, "previous_user_id": before.user_id}
    return message(head._replace(person=hidden), "system", {"body": body, "type": "user_changed_user_id"} | ids)


def attached_file(file: Attached) -> Json:
    """Builds the part of a message that names its file."""
    digest = base64.b64encode(file.sha256).decode()
    named = {"mime_type": file.mime_type, "sha256": digest, "id": file.media_id}
    return named | ({"url": file.url} if file.url else {})


def _caption(caption: str) -> Json:
    return {"caption": caption} if caption else {}
