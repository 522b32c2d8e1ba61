"""The customers: who they are, what they write, and everything else they can do with their phones."""

import dataclasses
import hashlib
import os
from typing import Any, Final

from api.simulator import bodies, message_bodies, views
from api.simulator.meta import Meta
from api.simulator.records import ACTS, Choice, Customer, Media, Message

CAPTIONED: Final = frozenset({"image", "video", "document"})


class CannotDo(ValueError):
    """What this customer's phone would not let them do. The text is one sentence."""


class People:
    def __init__(self, meta: Meta) -> None:
        self._meta = meta
        self._chats = meta.chats

    def add(self, customer: Customer) -> Customer:
        self._chats.add_customer(customer)
        self._meta.publish_customer(customer)
        return customer

    def write_text(self, customer: Customer, text: str, quote: str = "") -> Message:
        draft, person, at = self._draft(customer, "text", text=text, quote=quote)
        return self._meta.hand_in(draft, bodies.text(person, draft.wamid, at, text, self._context(quote)))

    def choose(self, customer: Customer, choice: Choice, offered_wamid: str) -> Message:
        """A tap on a button or a row, of a message of ours or of one that never was."""
        offered = self._chats.messages.get(offered_wamid)
        draft, person, at = self._draft(customer, "option", text=choice.title, quote=offered_wamid, options=[choice])
        wamid, context = draft.wamid, self._context(offered_wamid)
        if offered is not None and offered.kind == "list":
            row = (choice.option_id, choice.title, choice.description)
            return self._meta.hand_in(draft, bodies.list_reply(person, wamid, at, *row, context))
        build = (
            message_bodies.quick_reply if offered is not None and offered.kind == "template" else bodies.button_reply
        )
        return self._meta.hand_in(draft, build(person, wamid, at, choice.option_id, choice.title, context))

    def send_file(
        self, customer: Customer, media: Media, caption: str = "", quote: str = "", kind: str = ""
    ) -> Message:
        """`kind` where the file alone does not tell: voice, sticker."""
        shown = {"voice": "audio"}.get(kind, kind) or views.media_kind(media.mime_type)
        draft, person, at = self._draft(customer, shown, text=caption, quote=quote, media_id=media.media_id)
        file = bodies.Attached(media.media_id, media.mime_type, bytes.fromhex(media.sha256), media.filename)
        wamid, context = draft.wamid, self._context(quote)
        if shown == "audio":
            body = bodies.audio(person, wamid, at, file, kind == "voice", context)
        elif shown == "sticker":
            body = message_bodies.sticker(person, wamid, at, file, context)
        else:
            build = {"image": bodies.image, "video": bodies.video}.get(shown, bodies.document)
            body = build(person, wamid, at, file, caption, context)
        return self._meta.hand_in(draft, body)

    def send_place(self, customer: Customer, where: dict[str, Any], quote: str = "") -> Message:
        draft, person, at = self._draft(customer, "location", quote=quote, extra=where)
        return self._meta.hand_in(draft, message_bodies.place(person, draft.wamid, at, where, self._context(quote)))

    def send_card(self, customer: Customer, name: str, phone: str, quote: str = "") -> Message:
        asked = self._chats.messages.get(quote)
        origin = "contact_request" if asked is not None and asked.kind == "contact_request" else "other"
        draft, person, at = self._draft(customer, "contacts", quote=quote, extra={"name": name, "phone": phone})
        body = message_bodies.card(person, draft.wamid, at, name, phone, origin, self._context(quote))
        return self._meta.hand_in(draft, body)

    def react(self, customer: Customer, about: str, emoji: str) -> Message:
        self._of_chat(customer, about)
        draft, person, at = self._draft(customer, "reaction", text=emoji, quote=about)
        return self._meta.hand_in(draft, message_bodies.reaction(person, draft.wamid, at, about, emoji))

    def edit(self, customer: Customer, about: str, text: str) -> Message:
        original = self._own(customer, about)
        if original.kind not in {"text", *CAPTIONED}:
            raise CannotDo("Only words can be edited.")
        content: bodies.Json = {"body": text}
        media = self._chats.media.get(original.media_id)
        if media is not None:
            file = bodies.Attached(media.media_id, media.mime_type, bytes.fromhex(media.sha256), media.filename)
            content = {"caption": text} | bodies.attached(file)
        draft, person, at = self._draft(customer, "edit", text=text, quote=about)
        return self._meta.hand_in(draft, message_bodies.edit(person, draft.wamid, at, about, original.kind, content))

    def revoke(self, customer: Customer, about: str) -> Message:
        self._own(customer, about)
        draft, person, at = self._draft(customer, "revoke", quote=about)
        return self._meta.hand_in(draft, message_bodies.revoke(person, draft.wamid, at, about))

    def change_number(self, customer: Customer, phone: str) -> Customer:
        """The chat goes on under another number; Meta says so in a system message, from the old one."""
        draft, person, at = self._draft(customer, "system")
        was = bodies.Person(customer.name, customer.phone, person.user_id)
        self._meta.hand_in(draft, message_bodies.moved(was, draft.wamid, at, customer.name, phone))
        self._chats.move_customer(customer.phone, phone)
        now = self._chats.customers[phone]
        self._meta.publish_customer(now, before=customer.phone)
        return now

    def change_user_id(self, customer: Customer) -> Customer:
        if not customer.user_id:
            raise CannotDo("This customer has no user id.")
        now = dataclasses.replace(customer, user_id=make_user_id(customer.user_id))
        draft, person, at = self._draft(customer, "system")
        self._meta.hand_in(draft, message_bodies.renamed(person, draft.wamid, at, customer.name, now.user_id))
        return self.add(now)

    def show(self, customer: Customer, shows: Any) -> Customer:
        """What of them the business gets to see from now on: the phone, the user id, or both."""
        if shows not in {"phone", "user_id", "both"}:
            raise CannotDo("A customer shows phone, user_id or both.")
        user_id = customer.user_id or make_user_id(customer.phone)
        return self.add(dataclasses.replace(customer, shows=shows, user_id=user_id))

    def _draft(self, customer: Customer, kind: str, **content: Any) -> tuple[Message, bodies.Person, int]:
        wamid = bodies.make_wamid(customer.phone, os.urandom(10))
        at = self._meta.clock()
        draft = Message(wamid, customer.phone, "customer", at, kind, "sent", **content)
        return draft, self._meta.person(customer), int(at)

    def _of_chat(self, customer: Customer, wamid: str) -> Message:
        message = self._chats.messages.get(wamid)
        if message is None or message.phone != customer.phone or message.kind in ACTS or message.revoked:
            raise CannotDo("There is no such message in this chat.")
        return message

    def _own(self, customer: Customer, wamid: str) -> Message:
        message = self._of_chat(customer, wamid)
        if message.by != "customer":
            raise CannotDo("This message is somebody else's.")
        return message

    def _context(self, quote: str) -> bodies.Json | None:
        quoted = self._chats.messages.get(quote)
        if not quote:
            return None
        ours = quoted is None or quoted.by == "business"
        display = self._meta.setup.display_phone_number
        return bodies.quote(display if ours or quoted is None else quoted.phone, quote)


def make_user_id(seed: str) -> str:
    """A business-scoped user id; always another one than the seed."""
    return f"US.{int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])}"
