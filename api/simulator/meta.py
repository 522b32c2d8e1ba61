"""Plays Meta's part: what happens between a customer's phone and the service.

A customer's message is kept together with the webhook that reports it. What the business sends is accepted at once and
then moves as a phone would report it: sent, delivered, read when the chat is open; or failed, when the customer service
window is closed or nobody has that number. Each step is a webhook of its own, and what was under way goes on after a
restart.
"""

import asyncio
import dataclasses
import os
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from api.simulator import bodies, views
from api.simulator.chats import Chats
from api.simulator.error_codes import get_details, get_title
from api.simulator.faults import Faults
from api.simulator.records import SILENT_KINDS, Customer, Message, Webhook
from api.simulator.sent_templates import render_template
from api.simulator.settings import SimulatorSettings
from api.simulator.setup import Setup
from api.simulator.streams import Streams
from api.simulator.webhook_sender import WebhookSender

MAX_CALLS_KEPT: Final = 1000
WINDOW_SECONDS: Final = 24 * 3_600
NOT_VALID: Final = 131009
UNDELIVERABLE: Final = 131026
WINDOW_CLOSED: Final = 131047
NOT_SENDABLE: Final = 131053
NEXT_STATUS: Final = {"accepted": "sent", "sent": "delivered"}


class Meta:
    """What the customers and the business both act on. `calls` has method, target and body of the latest calls to the
    Graph API."""

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        setup: Setup,
        faults: Faults,
        chats: Chats,
        sender: WebhookSender,
        streams: Streams,
        clock: Callable[[], float],
    ) -> None:
        self.setup = setup
        self.faults = faults
        self.chats = chats
        self.clock = clock
        self.calls: deque[dict[str, Any]] = deque(maxlen=MAX_CALLS_KEPT)
        self._settings = settings
        self._sender = sender
        self._streams = streams
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def number(self) -> bodies.BusinessNumber:
        """The business phone number, as webhooks name it."""
        return bodies.BusinessNumber(self.setup.phone_number_id, self.setup.display_phone_number, self.setup.waba_id)

    def start(self) -> None:
        """Goes on where the last process stopped."""
        for webhook in list(self.chats.webhooks.values()):
            self._sender.enqueue(webhook)
        for message in list(self.chats.messages.values()):
            if message.by == "business":
                self._schedule_next_status(message)

    def stop(self) -> None:
        """Reports no more statuses."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # The customer's side

    def receive(self, message: Message, body: bodies.Json) -> Message:
        """Keeps what a customer did, and reports it to the service as the message `body`."""
        person = self.show_person(self.chats.customers[message.phone])
        people = [] if message.kind == "system" else [person]  # a system message has no contacts
        webhook = self._drop_unsubscribed("messages", bodies.build_messages_webhook(self.number, people, [body]))
        self._enqueue(self.chats.add_message(message, lane=f"messages:{message.phone}", webhook=webhook))
        kept = self.chats.messages[message.wamid]
        self.publish(kept)
        return kept

    def open_chat(self, phone: str) -> None:
        """Marks as read what has arrived at this customer: they look at the chat."""
        for message in self.chats.list_messages(phone):
            if message.by == "business" and message.status == "delivered":
                self._report_status(message, "read")

    def forget_customer(self, customer: Customer) -> None:
        """Removes a customer: nothing more is reported of what was sent to them."""
        for message in self.chats.list_messages(customer.phone):
            if timer := self._timers.pop(message.wamid, None):
                timer.cancel()
        self.chats.remove_customer(customer.phone)
        self._streams.publish("gone", {"phone": customer.phone})

    # The business's side

    def accept(self, body: dict[str, Any], phone: str, *, fails_with: int = 0, dropped: bool = False) -> Message:
        """Takes a message that no rule refused. Whether it arrives is reported later."""
        wamid = bodies.make_wamid(phone if body.get("to") else body["recipient"], os.urandom(10))
        message = views.parse_sent_message(body, phone=phone, at=self.clock(), wamid=wamid)
        message.to_user_id = not body.get("to")
        message.dropped = dropped
        if message.kind == "template":
            name, language = body["template"]["name"], body["template"]["language"]["code"]
            template = self.setup.find_template(name, language) or {}
            message.header, message.text, message.footer, message.options = render_template(body["template"], template)
            message.category = str(template.get("category", "utility")).lower()
        message.fails_with = fails_with or self._find_delivery_error(message)
        self.chats.add_message(message)
        kept = self.chats.messages[message.wamid]
        self._schedule_next_status(kept)
        return kept

    def mark_read(self, wamid: str, *, typing: bool) -> bool:
        """Marks this message of a customer, and those before it, as read by the business; False when there is none."""
        marked = self.chats.messages.get(wamid)
        if marked is None or marked.by != "customer":
            return False
        for message in self.chats.list_messages(marked.phone):
            if message.by == "customer" and message.at <= marked.at and message.status != "read":
                self.chats.set_status(message, "read", self.clock())
                self.publish(message)
        if typing:
            self._streams.publish("typing", {"phone": marked.phone})
        return True

    # In between

    def send_webhook(self, field: str, body: bytes, phone: str = "") -> None:
        """Sends a webhook that is about no message, if the app is subscribed to its field."""
        self._enqueue(self.chats.add_webhook(f"{field}:{phone}", self._drop_unsubscribed(field, body), self.clock()))

    def send_raw_webhook(self, body: bytes) -> None:
        """Sends any body at all, subscribed or not."""
        self._enqueue(self.chats.add_webhook("as-is:", body, self.clock()))

    async def verify_callback(self, url: str, verify_token: str) -> str:
        """Returns what keeps this address from getting webhooks; "" when nothing does."""
        return await self._sender.verify_callback(url, verify_token)

    def mark_webhook_answered(self, webhook: Webhook) -> None:
        """Forgets a webhook that the service has answered with 200, and shows its message as delivered."""
        self.chats.mark_webhook_answered(webhook)
        message = self.chats.messages.get(webhook.wamid)
        if message is not None and message.by == "customer":
            self.publish(message)

    def publish(self, message: Message) -> None:
        """Shows a message on every open page; of a silent one, the message that it is about."""
        about = self.chats.messages.get(message.quote) if message.kind in SILENT_KINDS else message
        if about is not None and about.kind not in SILENT_KINDS:
            self._streams.publish("message", views.describe_message(about, self.chats))

    def publish_customer(self, customer: Customer, before: str = "") -> None:
        """Shows a customer who is new, or another than before; `before` is the number that they had."""
        self._streams.publish("customer", views.describe_customer(customer, self.chats) | {"before": before})

    def show_person(self, customer: Customer, *, named: bool = True) -> bodies.Person:
        """Returns what Meta shows of a customer to the business."""
        return bodies.Person(
            name=customer.name,
            wa_id="" if customer.shows == "user_id" else customer.phone,
            user_id=customer.user_id,
            username=customer.username if named else "",
        )

    def _find_delivery_error(self, message: Message) -> int:
        """Returns the code with which this message fails in the end; 0 when it arrives."""
        if message.phone not in self.chats.customers:
            return UNDELIVERABLE
        about = self.chats.messages.get(message.quote)
        if message.kind == "reaction" and (about is None or about.kind in SILENT_KINDS or about.revoked):
            return NOT_VALID
        media = self.chats.media.get(message.media_id)
        if media is not None and media.mime_type == "audio/opus":
            return NOT_SENDABLE
        written_at = self.chats.find_last_written_at(message.phone)
        closed = written_at is None or message.at - written_at > WINDOW_SECONDS
        return WINDOW_CLOSED if closed and message.kind != "template" else 0

    def _schedule_next_status(self, message: Message) -> None:
        status = NEXT_STATUS.get(message.status)
        if status is None or message.dropped or (message.kind == "reaction" and status != "sent"):
            return
        after_seconds = getattr(self._settings, f"{status}_after_seconds")
        name = "failed" if message.fails_with else status
        loop = asyncio.get_running_loop()
        self._timers[message.wamid] = loop.call_later(after_seconds, self._report_status, message, name)

    def _report_status(self, message: Message, name: str) -> None:
        self._timers.pop(message.wamid, None)
        at, error = self.clock(), ""
        errors: list[bodies.Json] = []
        person = self._find_recipient(message, named=name != "sent")
        people = [person] if person.user_id and name != "failed" else []
        if name == "failed":
            code = message.fails_with
            errors = [bodies.build_status_error(code, get_title(code), get_details(code))]
            error = f"{get_title(code)} ({code})"
            people = [bodies.Person(wa_id=message.phone)] if code == UNDELIVERABLE and not message.to_user_id else []
        status = bodies.build_delivery_status(
            person, message.wamid, int(at), name, opaque=message.opaque, errors=errors, category=message.category
        )
        webhook = self._drop_unsubscribed("messages", bodies.build_statuses_webhook(self.number, [status], people))
        lane = f"statuses:{message.phone}"
        self._enqueue(self.chats.set_status(message, name, at, lane=lane, webhook=webhook, error=error))
        self.publish(message)
        self._schedule_next_status(message)

    def _find_recipient(self, message: Message, *, named: bool) -> bodies.Person:
        """Returns whom a status is about: at least by the address that the business used."""
        customer = self.chats.customers.get(message.phone)
        if customer is None:
            return bodies.Person(user_id=message.phone) if message.to_user_id else bodies.Person(wa_id=message.phone)
        person = self.show_person(customer, named=named)
        return person if message.to_user_id else dataclasses.replace(person, wa_id=message.phone)

    def _drop_unsubscribed(self, field: str, body: bytes) -> bytes:
        """Returns the body, or nothing where this field does not reach the service at all."""
        return body if self.setup.is_subscribed_to(field) else b""

    def _enqueue(self, webhook: Webhook | None) -> None:
        if webhook is not None:
            self._sender.enqueue(webhook)
