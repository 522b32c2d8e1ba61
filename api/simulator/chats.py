"""Customers, their chats, their files, and the webhooks that nobody has answered yet, kept over a restart.

What is in memory is what the log says: each change is one record, applied by the same function when it happens
and when it is replayed. A message and the webhook that tells of it are one record, so a kill between the two
can't lose either. At a start the log is rewritten to what is still worth keeping.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from api.simulator.record_log import Record, RecordLog
from api.simulator.records import ACTS, Choice, Customer, Media, Message, Webhook

MESSAGES_KEPT: Final = 500  # a chat, at a start
FILE_KEPT_SECONDS: Final = 30 * 86_400  # as long as Meta keeps an upload
STATUS_RANK: Final = {"accepted": 0, "sent": 1, "delivered": 2, "read": 3, "failed": 4}


class Chats:
    def __init__(self, folder: Path) -> None:
        self.customers: dict[str, Customer] = {}
        self.messages: dict[str, Message] = {}
        self.media: dict[str, Media] = {}
        self.webhooks: dict[int, Webhook] = {}
        self._files = folder / "files"
        self._log = RecordLog(folder / "chats.jsonl")
        self._next_webhook_id = 1

    def open(self, now: float) -> None:
        """Bring back what was, without what is too old to matter."""
        self._files.mkdir(parents=True, exist_ok=True)
        for record in self._log.read():
            self._apply(record)
        self._forget(now)
        self._log.rewrite(self._records())

    def close(self) -> None:
        self._log.close()

    def add_customer(self, customer: Customer) -> None:
        self._keep({"put": "customer", **asdict(customer)})

    def move_customer(self, phone: str, to: str) -> None:
        """They have another number now; the chat goes with them."""
        self._keep({"put": "moved", "phone": phone, "to": to})

    def by_user_id(self, user_id: str) -> Customer | None:
        return next((one for one in self.customers.values() if user_id and one.user_id == user_id), None)

    def add_media(self, media: Media) -> None:
        """Its file is there already: a record without its file would be a promise that can't be kept."""
        self._keep({"put": "media", "media": asdict(media)})

    def remove_media(self, media_id: str) -> None:
        self._keep({"put": "media_removed", "media_id": media_id})
        self.file_path(media_id).unlink(missing_ok=True)

    def add_message(self, message: Message, lane: str = "", webhook: bytes = b"") -> Webhook | None:
        """Keep a copy of this message; the one that moves on is then in `messages`."""
        return self._keep_told({"put": "message", "message": asdict(message)}, lane, webhook, message.wamid, message.at)

    def add_webhook(self, lane: str, body: bytes, at: float) -> Webhook | None:
        """One that is about no message."""
        return self._keep_told({"put": "webhook"}, lane, body, "", at)

    def set_status(
        self, message: Message, status: str, at: float, lane: str = "", webhook: bytes = b"", error: str = ""
    ) -> Webhook | None:
        record = {"put": "status", "wamid": message.wamid, "status": status, "at": at, "error": error}
        return self._keep_told(record, lane, webhook, message.wamid, at)

    def webhook_answered(self, webhook: Webhook) -> None:
        self._keep({"put": "answered", "webhook_id": webhook.webhook_id})

    def file_path(self, media_id: str) -> Path:
        return self._files / media_id

    def chat(self, phone: str) -> list[Message]:
        return [message for message in self.messages.values() if message.phone == phone]

    def last_written_at(self, phone: str) -> float | None:
        """When this customer last wrote: what opens the 24-hour window."""
        written = (m.at for m in self.chat(phone) if m.by == "customer" and m.kind not in ACTS)
        return max(written, default=None)

    def _keep_told(self, record: Record, lane: str, body: bytes, wamid: str, at: float) -> Webhook | None:
        if not body:
            self._keep(record)
            return None
        webhook = Webhook(self._next_webhook_id, lane, body.decode("ascii"), wamid, at)
        self._keep(record | {"webhook": asdict(webhook)})
        return webhook

    def _keep(self, record: Record) -> None:
        self._log.append(record)
        self._apply(record)

    def _apply(self, record: Record) -> None:
        match record:
            case {"put": "customer", "phone": phone, **who}:
                self.customers[phone] = Customer(phone, **who)
            case {"put": "moved", "phone": phone, "to": to}:
                self._move(phone, to)
            case {"put": "media", "media": fields}:
                self.media[fields["media_id"]] = Media(**fields)
            case {"put": "media_removed", "media_id": media_id}:
                self.media.pop(media_id, None)
            case {"put": "message", "message": fields}:
                options = [Choice(**option) for option in fields["options"]]
                self._put_message(Message(**(fields | {"options": options})))
            case {"put": "status", "wamid": wamid, "status": status, "error": error}:
                self._raise_status(wamid, status, error)
            case {"put": "answered", "webhook_id": webhook_id}:
                self._apply_answered(webhook_id)
        self._apply_webhook(record.get("webhook"))

    def _put_message(self, message: Message) -> None:
        self.messages[message.wamid] = message
        about = self.messages.get(message.quote)
        if about is None:
            return
        if message.kind == "reaction" and message.text:
            about.reactions[message.by] = message.text
        elif message.kind == "reaction":
            about.reactions.pop(message.by, None)
        elif message.kind == "edit":
            about.text, about.edited = message.text, True
        elif message.kind == "revoke":
            about.revoked = True

    def _move(self, phone: str, to: str) -> None:
        # Rebuilt, so that the customers stay in their order on the page.
        moved = {
            one.phone: dataclasses.replace(one, phone=to) if one.phone == phone else one
            for one in self.customers.values()
        }
        self.customers = {one.phone: one for one in moved.values()}
        for message in self.chat(phone):
            message.phone = to

    def _apply_webhook(self, fields: dict[str, Any] | None) -> None:
        if fields is not None:
            webhook = Webhook(**fields)
            self.webhooks[webhook.webhook_id] = webhook
            self._next_webhook_id = max(self._next_webhook_id, webhook.webhook_id + 1)

    def _apply_answered(self, webhook_id: int) -> None:
        webhook = self.webhooks.pop(webhook_id, None)
        message = self.messages.get(webhook.wamid) if webhook is not None else None
        if message is not None and message.by == "customer":
            self._raise_status(message.wamid, "delivered", "")

    def _raise_status(self, wamid: str, status: str, error: str) -> None:
        message = self.messages.get(wamid)
        if message is not None and STATUS_RANK[status] > STATUS_RANK[message.status]:
            message.status, message.error = status, error

    def _forget(self, now: float) -> None:
        for phone in {message.phone for message in self.messages.values()}:
            for message in self.chat(phone)[:-MESSAGES_KEPT]:
                del self.messages[message.wamid]
        shown = {message.media_id for message in self.messages.values()}
        for media in list(self.media.values()):
            if media.media_id not in shown and now - media.at > FILE_KEPT_SECONDS:
                del self.media[media.media_id]
        for path in self._files.iterdir():
            if path.name not in self.media:
                path.unlink()

    def _records(self) -> Iterator[Record]:
        yield from ({"put": "customer", **asdict(customer)} for customer in self.customers.values())
        yield from ({"put": "media", "media": asdict(media)} for media in self.media.values())
        yield from ({"put": "message", "message": asdict(message)} for message in self.messages.values())
        yield from ({"put": "webhook", "webhook": asdict(webhook)} for webhook in self.webhooks.values())
