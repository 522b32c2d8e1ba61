"""What happens between a customer's phone and the service: Meta's part of the play.

A customer's message is kept together with the webhook that tells of it. What the business sends is accepted at once
and then moves, as a phone would report it: sent, delivered, read when the chat is open; or failed, when the window
is closed or nobody has that number. Each step is a webhook of its own, and what was under way goes on after a restart.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from api.simulator import bodies, views
from api.simulator.chats import Chats, Choice, Customer, Media, Message, Webhook
from api.simulator.courier import Courier
from api.simulator.refusals import DETAILS, TITLES
from api.simulator.settings import SimulatorSettings
from api.simulator.streams import Streams

WINDOW_SECONDS: Final = 24 * 3_600
UNDELIVERABLE: Final = 131026
WINDOW_CLOSED: Final = 131047
NEXT_STATUS: Final = {"accepted": "sent", "sent": "delivered"}


class Meta:
    def __init__(
        self, settings: SimulatorSettings, chats: Chats, courier: Courier, streams: Streams, clock: Callable[[], float]
    ) -> None:
        self.chats = chats
        self.clock = clock
        self._settings = settings
        self._number = bodies.Number(settings.phone_number_id, settings.display_phone_number, settings.waba_id)
        self._courier = courier
        self._streams = streams
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Go on where the last process stopped."""
        for webhook in list(self.chats.webhooks.values()):
            self._courier.carry(webhook)
        for message in list(self.chats.messages.values()):
            if message.by == "business":
                self._expect_next(message)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # The customer's side

    def add_customer(self, phone: str, name: str) -> Customer:
        customer = Customer(phone, name)
        self.chats.add_customer(customer)
        self._streams.publish("customer", views.customer(customer, []))
        return customer

    def write_text(self, customer: Customer, text: str, quote: str = "") -> Message:
        draft = self._draft(customer, "text", text=text, quote=quote)
        return self._hand_in(
            draft, bodies.text(self._person(customer), draft.wamid, int(draft.at), text, self._context(quote))
        )

    def choose(self, customer: Customer, choice: Choice, offered_wamid: str, from_list: bool) -> Message:
        """A tap on a button or a row, of a message of ours or of one that never was."""
        draft = self._draft(customer, "option", text=choice.title, quote=offered_wamid, options=[choice])
        person, context = self._person(customer), self._context(offered_wamid)
        if from_list:
            body = bodies.list_reply(
                person, draft.wamid, int(draft.at), choice.option_id, choice.title, choice.description, context
            )
        else:
            body = bodies.button_reply(person, draft.wamid, int(draft.at), choice.option_id, choice.title, context)
        return self._hand_in(draft, body)

    def send_file(self, customer: Customer, media: Media, caption: str = "", quote: str = "") -> Message:
        kind = views.media_kind(media.mime_type)
        draft = self._draft(customer, kind, text=caption, quote=quote, media_id=media.media_id)
        file = bodies.Attached(media.media_id, media.mime_type, bytes.fromhex(media.sha256), media.filename)
        person, at, context = self._person(customer), int(draft.at), self._context(quote)
        if kind == "audio":
            body = bodies.audio(person, draft.wamid, at, file, context=context)
        else:
            build = {"image": bodies.image, "video": bodies.video}.get(kind, bodies.document)
            body = build(person, draft.wamid, at, file, caption, context)
        return self._hand_in(draft, body)

    def open_chat(self, phone: str) -> None:
        """The customer looks at the chat: what has arrived is read."""
        for message in self.chats.chat(phone):
            if message.by == "business" and message.status == "delivered":
                self._report(message, "read")

    # The business's side

    def accept(self, body: dict[str, Any]) -> Message:
        """Take a message that passed the refusals. Whether it arrives is told later."""
        phone = "".join(filter(str.isdecimal, body.get("to") or "")) or str(body.get("recipient"))
        at = self.clock()
        message = views.message_sent(body, phone=phone, at=at, wamid=bodies.make_wamid(phone, os.urandom(10)))
        written_at = self.chats.last_written_at(phone)
        if phone not in self.chats.customers:
            message.fails_with = UNDELIVERABLE
        elif written_at is None or at - written_at > WINDOW_SECONDS:
            message.fails_with = WINDOW_CLOSED
        self.chats.add_message(message)
        kept = self.chats.messages[message.wamid]
        self._expect_next(kept)
        return kept

    def mark_read(self, wamid: str, typing: bool) -> bool:
        """The business has read this message and those before it; False when there is no such message."""
        marked = self.chats.messages.get(wamid)
        if marked is None or marked.by != "customer":
            return False
        for message in self.chats.chat(marked.phone):
            if message.by == "customer" and message.at <= marked.at and message.status != "read":
                self.chats.set_status(message, "read", self.clock())
                self.publish(message)
        if typing:
            self._streams.publish("typing", {"phone": marked.phone})
        return True

    def keep_file(self, content: bytes, sha256: str, mime_type: str, filename: str) -> Media:
        media_id = str(int.from_bytes(os.urandom(6)) + 10**15)
        media = Media(media_id, mime_type, filename, len(content), sha256, self.clock())
        self.chats.add_media(media, content)
        return media

    # In between

    def answered(self, webhook: Webhook) -> None:
        """The service has answered a webhook with 200."""
        self.chats.webhook_answered(webhook)
        message = self.chats.messages.get(webhook.wamid)
        if message is not None and message.by == "customer":
            self.publish(message)

    def publish(self, message: Message) -> None:
        self._streams.publish("message", views.message(message, self.chats))

    def _draft(self, customer: Customer, kind: str, **content: Any) -> Message:
        wamid = bodies.make_wamid(customer.phone, os.urandom(10))
        return Message(wamid, customer.phone, "customer", self.clock(), kind, "sent", **content)

    def _hand_in(self, message: Message, body: dict[str, Any]) -> Message:
        person = self._person(self.chats.customers[message.phone])
        told = bodies.messages_webhook(self._number, [person], [body])
        self._carry(self.chats.add_message(message, f"messages:{message.phone}", told))
        kept = self.chats.messages[message.wamid]
        self.publish(kept)
        return kept

    def _expect_next(self, message: Message) -> None:
        status = NEXT_STATUS.get(message.status)
        if status is not None:
            after_seconds = getattr(self._settings, f"{status}_after_seconds")
            name = "failed" if message.fails_with else status
            loop = asyncio.get_running_loop()
            self._timers[message.wamid] = loop.call_later(after_seconds, self._report, message, name)

    def _report(self, message: Message, name: str) -> None:
        self._timers.pop(message.wamid, None)
        customer = self.chats.customers.get(message.phone, Customer(message.phone, ""))
        person, at, errors, error = self._person(customer), self.clock(), [], ""
        if name == "failed":
            code = message.fails_with
            errors = [bodies.error(code, TITLES[code], DETAILS[code])]
            error = f"{TITLES[code]} ({code})"
        status = bodies.status(person, message.wamid, int(at), name, message.opaque, errors)
        told = bodies.statuses_webhook(self._number, [status])
        self._carry(self.chats.set_status(message, name, at, f"statuses:{message.phone}", told, error))
        self.publish(message)
        self._expect_next(message)

    def _carry(self, webhook: Webhook | None) -> None:
        if webhook is not None:
            self._courier.carry(webhook)

    def _person(self, customer: Customer) -> bodies.Person:
        return bodies.Person(customer.name, customer.phone)

    def _context(self, quote: str) -> bodies.Json | None:
        quoted = self.chats.messages.get(quote)
        if not quote:
            return None
        ours = quoted is None or quoted.by == "business"
        return bodies.quote(self._settings.display_phone_number if ours or quoted is None else quoted.phone, quote)
