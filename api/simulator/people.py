"""Acts for customers on their phones, and reports each action by its webhook.

An action returns the record that is kept of it, and raises CannotDo for what a phone would not allow.
"""

import dataclasses
import hashlib
import os
from typing import Any, Final, NamedTuple, get_args

from api.simulator import bodies, message_bodies, views
from api.simulator.message_bodies import Attached, MessageHead
from api.simulator.meta import Meta
from api.simulator.records import SILENT_KINDS, Choice, Customer, Media, Message, Visibility

CAPTIONED: Final = frozenset({"image", "video", "document"})


class CannotDo(ValueError):
    """This customer's phone would not let them do that. The text is one sentence."""


class Draft(NamedTuple):
    """A message that is about to be handed to Meta: its record, and the head of its body."""

    record: Message
    head: MessageHead


class People:
    """Does what customers do with their phones, each action as a record of the chat and a webhook."""

    def __init__(self, meta: Meta) -> None:
        self._meta = meta
        self._chats = meta.chats

    def save(self, customer: Customer) -> Customer:
        """Adds a customer, or replaces who they were, and shows them on the page."""
        self._chats.save_customer(customer)
        self._meta.publish_customer(customer)
        return customer

    def write_text(self, customer: Customer, text: str, quote: str = "") -> Message:
        """Sends words. `quote`: the id of the message that they answer."""
        draft = self._draft(customer, "text", text=text, quote=quote)
        return self._meta.receive(draft.record, message_bodies.text(draft.head, text))

    def choose_option(self, customer: Customer, choice: Choice, offered_wamid: str) -> Message:
        """Taps on a button or a row, of a message that was sent or, as a forger would, of one that never was."""
        offered = self._chats.messages.get(offered_wamid)
        kind = "" if offered is None else offered.kind
        draft = self._draft(customer, "option", text=choice.title, quote=offered_wamid, options=[choice])
        if kind == "list":
            body = message_bodies.list_reply(draft.head, choice.option_id, choice.title, choice.description)
        else:
            build = message_bodies.template_button if kind == "template" else message_bodies.button_reply
            body = build(draft.head, choice.option_id, choice.title)
        return self._meta.receive(draft.record, body)

    def send_file(
        self, customer: Customer, media: Media, *, caption: str = "", quote: str = "", kind: str = ""
    ) -> Message:
        """Sends a file that was saved before. `kind`, where the file alone does not tell: voice, sticker."""
        message_kind = {"voice": "audio"}.get(kind, kind) or views.get_media_kind(media.mime_type)
        draft = self._draft(customer, message_kind, text=caption, quote=quote, media_id=media.media_id)
        file = _attach(media)
        if message_kind == "audio":
            body = message_bodies.audio(draft.head, file, voice=kind == "voice")
        elif message_kind == "sticker":
            body = message_bodies.sticker(draft.head, file)
        else:
            build = {"image": message_bodies.image, "video": message_bodies.video}.get(
                message_kind, message_bodies.document
            )
            body = build(draft.head, file, caption)
        return self._meta.receive(draft.record, body)

    def send_location(self, customer: Customer, where: dict[str, Any], quote: str = "") -> Message:
        """Sends a place on the map: latitude, longitude, and name and address where it has them."""
        draft = self._draft(customer, "location", quote=quote, extra=where)
        return self._meta.receive(draft.record, message_bodies.location(draft.head, where))

    def send_contact_card(self, customer: Customer, name: str, phone: str, quote: str = "") -> Message:
        """Sends a contact card; in answer to a request for their number, it says so."""
        request = self._chats.messages.get(quote)
        origin = "contact_request" if request is not None and request.kind == "contact_request" else "other"
        draft = self._draft(customer, "contacts", quote=quote, extra={"name": name, "phone": phone})
        return self._meta.receive(draft.record, message_bodies.contact_card(draft.head, name, phone, origin=origin))

    def react(self, customer: Customer, about: str, emoji: str) -> Message:
        """Reacts to a message of their chat; an empty emoji takes the reaction back."""
        self._find_in_chat(customer, about)
        draft = self._draft(customer, "reaction", text=emoji, quote=about)
        return self._meta.receive(draft.record, message_bodies.reaction(draft.head, about, emoji))

    def edit(self, customer: Customer, about: str, text: str) -> Message:
        """Edits the words of a message of their own; those of a file are its caption."""
        original = self._find_own(customer, about)
        if original.kind not in {"text", *CAPTIONED}:
            raise CannotDo("Only words can be edited.")
        content: bodies.Json = {"body": text}
        media = self._chats.media.get(original.media_id)
        if media is not None:
            content = {"caption": text} | message_bodies.attached_file(_attach(media))
        draft = self._draft(customer, "edit", text=text, quote=about)
        return self._meta.receive(
            draft.record, message_bodies.edit(draft.head, about, kind=original.kind, content=content)
        )

    def revoke(self, customer: Customer, about: str) -> Message:
        """Deletes a message of their own for everybody."""
        self._find_own(customer, about)
        draft = self._draft(customer, "revoke", quote=about)
        return self._meta.receive(draft.record, message_bodies.revoke(draft.head, about))

    def change_number(self, customer: Customer, phone: str) -> Customer:
        """Moves the chat to another number; Meta says so in a system message, from the old one."""
        draft = self._draft(customer, "system")
        before = bodies.Person(customer.name, customer.phone, draft.head.person.user_id)
        head = draft.head._replace(person=before)
        self._meta.receive(draft.record, message_bodies.number_change(head, customer.name, phone))
        self._chats.move_customer(customer.phone, phone)
        moved = self._chats.customers[phone]
        self._meta.publish_customer(moved, before=customer.phone)
        return moved

    def change_user_id(self, customer: Customer) -> Customer:
        """Gives them another business-scoped user id; Meta says so in a system message."""
        if not customer.user_id:
            raise CannotDo("This customer has no user id.")
        changed = dataclasses.replace(customer, user_id=make_user_id(customer.user_id))
        draft = self._draft(customer, "system")
        body = message_bodies.user_id_change(draft.head, customer.name, changed.user_id)
        self._meta.receive(draft.record, body)
        return self.save(changed)

    def change_visibility(self, customer: Customer, shows: Any) -> Customer:
        """Decides what of them the business gets to see from now on: the phone, the user id, or both."""
        if shows not in get_args(Visibility):
            raise CannotDo("A customer shows phone, user_id or both.")
        user_id = customer.user_id or make_user_id(customer.phone)
        return self.save(dataclasses.replace(customer, shows=shows, user_id=user_id))

    def _draft(self, customer: Customer, kind: str, **content: Any) -> Draft:
        wamid = bodies.make_wamid(customer.phone, os.urandom(10))
        at = self._meta.clock()
        record = Message(wamid, customer.phone, "customer", at, kind, "sent", **content)
        context = None if kind in SILENT_KINDS else self._quote_context(record.quote)
        return Draft(record, MessageHead(self._meta.show_person(customer), wamid, int(at), context))

    def _find_in_chat(self, customer: Customer, wamid: str) -> Message:
        message = self._chats.messages.get(wamid)
        if message is None or message.phone != customer.phone or message.kind in SILENT_KINDS or message.revoked:
            raise CannotDo("There is no such message in this chat.")
        return message

    def _find_own(self, customer: Customer, wamid: str) -> Message:
        message = self._find_in_chat(customer, wamid)
        if message.by != "customer":
            raise CannotDo("This message is somebody else's.")
        return message

    def _quote_context(self, quote: str) -> bodies.Json | None:
        if not quote:
            return None
        quoted = self._chats.messages.get(quote)
        business = self._meta.setup.display_phone_number
        author = business if quoted is None or quoted.by == "business" else quoted.phone
        return message_bodies.quote(author, quote)


def make_user_id(seed: str) -> str:
    """Makes a business-scoped user id; always another one than the seed."""
    return f"US.{int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])}"


def _attach(media: Media) -> Attached:
    return Attached(media.media_id, media.mime_type, bytes.fromhex(media.sha256), media.filename)
