"""Keeps customers, their chats, their files and the webhooks not acknowledged yet over a restart, in an event log.

Invariants
- What is in memory is what the log says: each change is one record, applied by the same function when it happens and
  when it is replayed.
- A message and the webhook that reports it are one record, so a kill between the two can't lose either.
- At a start the log is rewritten to what is still worth keeping.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from api.simulator.record_log import Record, RecordLog
from api.simulator.records import SILENT_KINDS, Choice, Customer, Media, Message, Webhook

MAX_MESSAGES_PER_CHAT: Final = 500  # what is older is dropped at a start
FILE_KEPT_SECONDS: Final = 30 * 86_400  # as long as Meta keeps an upload
STATUS_RANK: Final = {"accepted": 0, "sent": 1, "delivered": 2, "read": 3, "failed": 4}


class Chats:
    """Everything that the simulator remembers. Read the dictionaries freely; change them by the methods alone."""

    def __init__(self, folder: Path) -> None:
        self.customers: dict[str, Customer] = {}
        self.messages: dict[str, Message] = {}
        self.media: dict[str, Media] = {}
        self.webhooks: dict[int, Webhook] = {}
        self._files = folder / "files"
        self._log = RecordLog(folder / "chats.jsonl")
        self._next_webhook_id = 1

    def open(self, now: float) -> None:
        """Replays the log of an earlier process, without what is too old to matter."""
        self._files.mkdir(parents=True, exist_ok=True)
        for record in self._log.read():
            self._apply(record)
        self._forget_old(now)
        self._log.rewrite(self._list_records())

    def close(self) -> None:
        """Closes the log."""
        self._log.close()

    def save_customer(self, customer: Customer) -> None:
        """Adds a customer, or replaces what is known of the one with this phone."""
        self._append({"put": "customer", **asdict(customer)})

    def move_customer(self, phone: str, to: str) -> None:
        """Gives a customer another number; the chat goes with them."""
        self._append({"put": "moved", "phone": phone, "to": to})

    def remove_customer(self, phone: str) -> None:
        """Forgets a customer, their chat and their files. What is to be posted yet is posted all the same."""
        media_ids = {message.media_id for message in self.list_messages(phone) if message.media_id}
        self._append({"put": "customer_removed", "phone": phone})
        for media_id in media_ids:
            self.remove_media(media_id)

    def clear(self) -> None:
        """Forgets everything."""
        for media_id in list(self.media):
            self.get_file_path(media_id).unlink(missing_ok=True)
        for held in (self.customers, self.messages, self.media, self.webhooks):
            held.clear()
        self._log.rewrite([])

    def find_by_user_id(self, user_id: str) -> Customer | None:
        """Returns whose business-scoped user id this is."""
        return next((one for one in self.customers.values() if user_id and one.user_id == user_id), None)

    def add_media(self, media: Media) -> None:
        """Records a file that lies under `get_file_path` already: a record without its file would promise too much."""
        self._append({"put": "media", "media": asdict(media)})

    def remove_media(self, media_id: str) -> None:
        """Forgets a file and deletes it."""
        self._append({"put": "media_removed", "media_id": media_id})
        self.get_file_path(media_id).unlink(missing_ok=True)

    def add_message(self, message: Message, *, lane: str = "", webhook: bytes = b"") -> Webhook | None:
        """Keeps a copy of this message, and the webhook that reports it unless that is empty.

        The copy in `messages` is the one that changes from now on.
        """
        record = {"put": "message", "message": asdict(message)}
        return self._append_with_webhook(record, lane, webhook, wamid=message.wamid, at=message.at)

    def add_webhook(self, lane: str, body: bytes, at: float) -> Webhook | None:
        """Keeps a webhook that is about no message; None when the body is empty."""
        return self._append_with_webhook({"put": "webhook"}, lane, body, wamid="", at=at)

    def set_status(
        self, message: Message, status: str, at: float, *, lane: str = "", webhook: bytes = b"", error: str = ""
    ) -> Webhook | None:
        """Moves the status of a message forward, never back, and keeps the webhook that reports it."""
        record = {"put": "status", "wamid": message.wamid, "status": status, "at": at, "error": error}
        return self._append_with_webhook(record, lane, webhook, wamid=message.wamid, at=at)

    def mark_webhook_answered(self, webhook: Webhook) -> None:
        """Forgets a webhook that the service has acknowledged; a customer's message in it counts as delivered."""
        self._append({"put": "answered", "webhook_id": webhook.webhook_id})

    def get_file_path(self, media_id: str) -> Path:
        """Returns where the content of a file lies."""
        return self._files / media_id

    def list_messages(self, phone: str) -> list[Message]:
        """Returns the chat of one customer, oldest first."""
        return [message for message in self.messages.values() if message.phone == phone]

    def find_last_written_at(self, phone: str) -> float | None:
        """Returns when this customer last wrote, which opens the 24-hour window; None when they never have."""
        written = (m.at for m in self.list_messages(phone) if m.by == "customer" and m.kind not in SILENT_KINDS)
        return max(written, default=None)

    def _append_with_webhook(self, record: Record, lane: str, body: bytes, *, wamid: str, at: float) -> Webhook | None:
        if not body:
            self._append(record)
            return None
        webhook = Webhook(self._next_webhook_id, lane, body.decode("ascii"), wamid, at)
        self._append(record | {"webhook": asdict(webhook)})
        return webhook

    def _append(self, record: Record) -> None:
        self._log.append(record)
        self._apply(record)

    def _apply(self, record: Record) -> None:
        match record:
            case {"put": "customer", "phone": phone, **who}:
                if phone not in self.customers:
                    self._forget_messages(phone)  # they were sent to whoever had the number before, or to nobody
                self.customers[phone] = Customer(phone, **who)
            case {"put": "moved", "phone": phone, "to": to}:
                self._apply_move(phone, to)
            case {"put": "customer_removed", "phone": phone}:
                self.customers.pop(phone, None)
                self._forget_messages(phone)
            case {"put": "media", "media": fields}:
                self.media[fields["media_id"]] = Media(**fields)
            case {"put": "media_removed", "media_id": media_id}:
                self.media.pop(media_id, None)
            case {"put": "message", "message": fields}:
                options = [Choice(**option) for option in fields["options"]]
                self._apply_message(Message(**(fields | {"options": options})))
            case {"put": "status", "wamid": wamid, "status": status, "error": error}:
                self._apply_status(wamid, status, error)
            case {"put": "answered", "webhook_id": webhook_id}:
                self._apply_answered(webhook_id)
        self._apply_webhook(record.get("webhook"))

    def _apply_message(self, message: Message) -> None:
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

    def _forget_messages(self, phone: str) -> None:
        for message in self.list_messages(phone):
            del self.messages[message.wamid]

    def _apply_move(self, phone: str, to: str) -> None:
        self._forget_messages(to)
        # Rebuilt, so that the customers stay in their order on the page.
        moved = {
            one.phone: dataclasses.replace(one, phone=to) if one.phone == phone else one
            for one in self.customers.values()
        }
        self.customers = {one.phone: one for one in moved.values()}
        for message in self.list_messages(phone):
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
            self._apply_status(message.wamid, "delivered", "")

    def _apply_status(self, wamid: str, status: str, error: str) -> None:
        message = self.messages.get(wamid)
        if message is not None and STATUS_RANK[status] > STATUS_RANK[message.status]:
            message.status, message.error = status, error

    def _forget_old(self, now: float) -> None:
        for phone in {message.phone for message in self.messages.values()}:
            for message in self.list_messages(phone)[:-MAX_MESSAGES_PER_CHAT]:
                del self.messages[message.wamid]
        shown = {message.media_id for message in self.messages.values()}
        for media in list(self.media.values()):
            if media.media_id not in shown and now - media.at > FILE_KEPT_SECONDS:
                del self.media[media.media_id]
        for path in self._files.iterdir():
            if path.name not in self.media:
                path.unlink()

    def _list_records(self) -> Iterator[Record]:
        yield from ({"put": "customer", **asdict(customer)} for customer in self.customers.values())
        yield from ({"put": "media", "media": asdict(media)} for media in self.media.values())
        yield from ({"put": "message", "message": asdict(message)} for message in self.messages.values())
        yield from ({"put": "webhook", "webhook": asdict(webhook)} for webhook in self.webhooks.values())
