"""What happens between a customer's phone and the service: Meta's part of the play.

A customer's message is kept together with the webhook that tells of it. What the business sends is accepted at once
and then moves, as a phone would report it: sent, delivered, read when the chat is open; or failed, when the window
is closed or nobody has that number. Each step is a webhook of its own, and what was under way goes on after a restart.
"""

import asyncio
import dataclasses
import os
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Final

from api.simulator import bodies, views
from api.simulator.chats import Chats
from api.simulator.error_codes import details_of, title_of
from api.simulator.faults import Faults
from api.simulator.file_transfer import take_in
from api.simulator.records import ACTS, Customer, Media, Message, Webhook
from api.simulator.sent_templates import rendered
from api.simulator.settings import SimulatorSettings
from api.simulator.setup import Setup
from api.simulator.streams import Streams
from api.simulator.webhook_sender import Courier

MOST_ASKED: Final = 1000
WINDOW_SECONDS: Final = 24 * 3_600
UPLOAD_LIVES_SECONDS: Final = 30 * 86_400
INBOUND_LIVES_SECONDS: Final = 7 * 86_400
NOT_VALID: Final = 131009
UNDELIVERABLE: Final = 131026
WINDOW_CLOSED: Final = 131047
NOT_SENDABLE: Final = 131053
NEXT_STATUS: Final = {"accepted": "sent", "sent": "delivered"}


class Meta:
    def __init__(
        self,
        settings: SimulatorSettings,
        setup: Setup,
        faults: Faults,
        chats: Chats,
        courier: Courier,
        streams: Streams,
        clock: Callable[[], float],
    ) -> None:
        self.setup = setup
        self.faults = faults
        self.chats = chats
        self.clock = clock
        self.asked: deque[dict[str, Any]] = deque(maxlen=MOST_ASKED)  # method, target and body of the latest calls
        self._settings = settings
        self._courier = courier
        self._streams = streams
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def number(self) -> bodies.Number:
        setup = self.setup
        return bodies.Number(setup.phone_number_id, setup.display_phone_number, setup.waba_id)

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

    def hand_in(self, message: Message, body: bodies.Json) -> Message:
        """Keep what a customer did, and tell the service of it."""
        person = self.person(self.chats.customers[message.phone])
        # A system message has no contacts.
        people = [] if message.kind == "system" else [person]
        told = self._heard("messages", bodies.messages_webhook(self.number, people, [body]))
        self._carry(self.chats.add_message(message, f"messages:{message.phone}", told))
        kept = self.chats.messages[message.wamid]
        self.publish(kept)
        return kept

    def open_chat(self, phone: str) -> None:
        """The customer looks at the chat: what has arrived is read."""
        for message in self.chats.chat(phone):
            if message.by == "business" and message.status == "delivered":
                self._report(message, "read")

    # The business's side

    def accept(self, body: dict[str, Any], phone: str, *, fails_with: int = 0, dropped: bool = False) -> Message:
        """Take a message that passed the refusals. Whether it arrives is told later."""
        message = views.message_sent(body, phone=phone, at=self.clock(), wamid=bodies.make_wamid(phone, os.urandom(10)))
        message.to_user_id = not body.get("to")
        message.dropped = dropped
        if message.kind == "template":
            template = self.setup.template(body["template"]["name"], body["template"]["language"]["code"]) or {}
            message.header, message.text, message.footer, message.options = rendered(body["template"], template)
            message.category = str(template.get("category", "utility")).lower()
        message.fails_with = fails_with or self._fate(message)
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

    # Files

    async def keep_file(self, content: IO[bytes], mime_type: str, filename: str, *, inbound: bool) -> Media:
        """Put this on the disk, piece by piece, and remember it."""
        media_id = str(int.from_bytes(os.urandom(6)) + 10**15)
        size, sha256 = await asyncio.to_thread(take_in, content, self.chats.file_path(media_id))
        media = Media(media_id, mime_type, filename, size, sha256, self.clock(), inbound)
        self.chats.add_media(media)
        return media

    def find_media(self, media_id: str) -> Media | None:
        """A file whose id is still worth something."""
        media = self.chats.media.get(media_id)
        if media is None:
            return None
        lives_seconds = INBOUND_LIVES_SECONDS if media.inbound else UPLOAD_LIVES_SECONDS
        return media if self.clock() <= media.at + lives_seconds else None

    def knows_media(self, media_id: str) -> bool:
        return self.find_media(media_id) is not None

    # In between

    def tell(self, field: str, body: bytes, phone: str = "") -> None:
        """A webhook that is about no message."""
        self._carry(self.chats.add_webhook(f"{field}:{phone}", self._heard(field, body), self.clock()))

    def tell_as_is(self, body: bytes) -> None:
        """Whatever it is, and whether or not the service wants to hear of it."""
        self._carry(self.chats.add_webhook("as-is:", body, self.clock()))

    async def verify(self, url: str, verify_token: str) -> str:
        """What keeps this address from getting webhooks; "" when nothing does."""
        return await self._courier.verify(url, verify_token)

    def answered(self, webhook: Webhook) -> None:
        """The service has answered a webhook with 200."""
        self.chats.webhook_answered(webhook)
        message = self.chats.messages.get(webhook.wamid)
        if message is not None and message.by == "customer":
            self.publish(message)

    def publish(self, message: Message) -> None:
        about = self.chats.messages.get(message.quote) if message.kind in ACTS else message
        if about is not None and about.kind not in ACTS:
            self._streams.publish("message", views.message(about, self.chats))

    def publish_customer(self, customer: Customer, before: str = "") -> None:
        """Somebody is new, or another than before; `before` is the number that they had."""
        self._streams.publish("customer", views.customer(customer, self.chats) | {"before": before})

    def person(self, customer: Customer, *, named: bool = True) -> bodies.Person:
        """As Meta shows them to the business."""
        hidden = customer.shows == "user_id"
        return bodies.Person(
            customer.name,
            "" if hidden else customer.phone,
            "" if customer.shows == "phone" else customer.user_id,
            customer.username if named else "",
        )

    def _fate(self, message: Message) -> int:
        """The error with which it fails in the end; 0: it arrives."""
        if message.phone not in self.chats.customers:
            return UNDELIVERABLE
        about = self.chats.messages.get(message.quote)
        if message.kind == "reaction" and (about is None or about.kind in ACTS or about.revoked):
            return NOT_VALID
        media = self.chats.media.get(message.media_id)
        if media is not None and media.mime_type == "audio/opus":
            return NOT_SENDABLE
        written_at = self.chats.last_written_at(message.phone)
        closed = written_at is None or message.at - written_at > WINDOW_SECONDS
        return WINDOW_CLOSED if closed and message.kind != "template" else 0

    def _expect_next(self, message: Message) -> None:
        status = NEXT_STATUS.get(message.status)
        if status is None or message.dropped or (message.kind == "reaction" and status != "sent"):
            return
        after_seconds = getattr(self._settings, f"{status}_after_seconds")
        name = "failed" if message.fails_with else status
        self._timers[message.wamid] = asyncio.get_running_loop().call_later(after_seconds, self._report, message, name)

    def _report(self, message: Message, name: str) -> None:
        self._timers.pop(message.wamid, None)
        at, error = self.clock(), ""
        errors: list[bodies.Json] = []
        person = self._recipient(message, named=name != "sent")
        people = [person] if person.user_id and name != "failed" else []
        if name == "failed":
            code = message.fails_with
            errors = [bodies.error(code, title_of(code), details_of(code))]
            error = f"{title_of(code)} ({code})"
            people = [bodies.Person(wa_id=message.phone)] if code == UNDELIVERABLE and not message.to_user_id else []
        status = bodies.status(person, message.wamid, int(at), name, message.opaque, errors, message.category)
        told = self._heard("messages", bodies.statuses_webhook(self.number, [status], people))
        self._carry(self.chats.set_status(message, name, at, f"statuses:{message.phone}", told, error))
        self.publish(message)
        self._expect_next(message)

    def _recipient(self, message: Message, *, named: bool) -> bodies.Person:
        """Whom a status is about: at least by the address that the business used."""
        customer = self.chats.customers.get(message.phone)
        if customer is None:
            return bodies.Person(user_id=message.phone) if message.to_user_id else bodies.Person(wa_id=message.phone)
        shown = self.person(customer, named=named)
        if message.to_user_id:
            return dataclasses.replace(shown, user_id=customer.user_id)
        return dataclasses.replace(shown, wa_id=message.phone)

    def _heard(self, field: str, body: bytes) -> bytes:
        """Nothing, when this field does not reach the service at all."""
        return body if self.setup.hears(field) else b""

    def _carry(self, webhook: Webhook | None) -> None:
        if webhook is not None:
            self._courier.carry(webhook)
