"""Acts for customers on their phones, and reports each action by its webhook.

An action returns the record that is kept of it, and raises CannotDo for what a phone would not allow.
"""

import dataclasses
import os
from typing import Any, Final, NamedTuple, get_args

from api.simulator import bodies, message_bodies, views
from api.simulator.media_links import MediaLinks
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

    def __init__(self, meta: Meta, links: MediaLinks) -> None:
        self._meta = meta
        self._chats = meta.chats
        self._links = links

    def save(self, customer: Customer) -> Customer:
        """Adds a customer, or replaces who they were, and shows them on the page."""
        customer = dataclasses.replace(customer, user_id=customer.user_id or make_user_id())
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
        file = self._attach(media)
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
            content = {"caption": text} | message_bodies.attached_file(self._attach(media))
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
        """Moves the chat to another number, and to another user id, as Meta does. A system message says so: of the
        numbers where they are shown, else of the user ids alone."""
        moved = dataclasses.replace(customer, phone=phone, user_id=make_user_id())
        self._announce_change(customer, moved)
        self._chats.move_customer(customer.phone, phone)
        self._chats.save_customer(moved)
        self._meta.publish_customer(moved, before=customer.phone)
        return moved

    def change_user_id(self, customer: Customer) -> Customer:
        """Gives a customer whose number is hidden another user id; Meta says so in a system message."""
        if customer.shows != "user_id":
            raise CannotDo("While their number is shown, only another number brings another user id.")
        changed = dataclasses.replace(customer, user_id=make_user_id())
        self._announce_change(customer, changed)
        return self.save(changed)

    def change_visibility(self, customer: Customer, shows: Any) -> Customer:
        """Decides whether the business gets to see their number from now on."""
        if shows not in get_args(Visibility):
            raise CannotDo("A customer shows phone or user_id.")
        return self.save(dataclasses.replace(customer, shows=shows))

    def remove(self, customer: Customer) -> None:
        """Removes a customer with their chat. Who gets their number later is somebody else."""
        self._meta.forget_customer(customer)

    def _announce_change(self, before: Customer, now: Customer) -> None:
        draft = self._draft(before, "system")
        build = message_bodies.number_change if now.shows == "phone" else message_bodies.user_id_change
        self._meta.receive(draft.record, build(draft.head, self._meta.show_person(now)))

    def _draft(self, customer: Customer, kind: str, **content: Any) -> Draft:
        person, at = self._meta.show_person(customer), self._meta.clock()
        wamid = bodies.make_wamid(person.wa_id or person.user_id, os.urandom(10))
        record = Message(wamid, customer.phone, "customer", at, kind, "sent", **content)
        context = None if kind in SILENT_KINDS else self._quote_context(person, record.quote)
        return Draft(record, MessageHead(person, wamid, int(at), context))

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

    def _quote_context(self, person: bodies.Person, quote: str) -> bodies.Json | None:
        """`person`: the customer, whose own words may be quoted."""
        if not quote:
            return None
        quoted = self._chats.messages.get(quote)
        business = bodies.Person(wa_id=self._meta.setup.display_phone_number)
        is_own = quoted is not None and quoted.by == "customer"
        return message_bodies.quote(person if is_own else business, quote)

    def _attach(self, media: Media) -> Attached:
        digest, url = bytes.fromhex(media.sha256), self._links.make_for_webhook(media.media_id)
        return Attached(media.media_id, media.mime_type, digest, media.filename, url)


def make_user_id() -> str:
    """Makes a business-scoped user id, of somebody who was nobody so far."""
    return f"US.{int.from_bytes(os.urandom(8))}"
