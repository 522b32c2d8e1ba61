"""The log of the chats: what a start keeps, and what it drops."""

from pathlib import Path
from typing import Any

from api.simulator.chats import FILE_KEPT_SECONDS, MAX_MESSAGES_PER_CHAT, Chats
from api.simulator.records import Customer, Media, Message


def message(number: int, **changes: Any) -> Message:
    return Message(f"wamid.{number}", "15550100001", "customer", float(number), "text", "sent", **changes)


def open_chats(folder: Path, now: float = 0.0) -> Chats:
    chats = Chats(folder)
    chats.open(now)
    return chats


def test_a_start_keeps_the_newest_messages_and_every_webhook(tmp_path: Path) -> None:
    chats = open_chats(tmp_path)
    chats.save_customer(Customer("15550100001", "Ana"))
    for number in range(MAX_MESSAGES_PER_CHAT + 5):
        chats.add_message(message(number, text=f"é {number}"), lane="lane", webhook=b"{}")
    chats.close()

    again = open_chats(tmp_path)
    assert [m.wamid for m in again.list_messages("15550100001")][:1] == ["wamid.5"]
    assert len(again.messages) == MAX_MESSAGES_PER_CHAT
    assert len(again.webhooks) == MAX_MESSAGES_PER_CHAT + 5
    for webhook in list(again.webhooks.values()):
        again.mark_webhook_answered(webhook)
    again.close()

    last = open_chats(tmp_path)
    assert last.webhooks == {}
    assert {m.status for m in last.messages.values()} == {"delivered"}
    assert last.customers == chats.customers
    last.close()
    assert len((tmp_path / "chats.jsonl").read_text().splitlines()) == 1 + MAX_MESSAGES_PER_CHAT


def test_a_status_only_moves_forward(tmp_path: Path) -> None:
    chats = open_chats(tmp_path)
    chats.add_message(message(1))
    kept = chats.messages["wamid.1"]
    for status in ("read", "delivered", "sent"):
        chats.set_status(kept, status, 2.0)
    chats.close()
    again = open_chats(tmp_path)
    assert again.messages["wamid.1"].status == "read"
    again.close()


def test_a_file_goes_when_it_is_old_and_nobody_shows_it(tmp_path: Path) -> None:
    chats = open_chats(tmp_path)
    for media_id in ("shown", "loose"):
        chats.get_file_path(media_id).write_bytes(b"x")
        chats.add_media(Media(media_id, "text/plain", "a.txt", 1, "00", 0.0))
    chats.add_message(message(1, media_id="shown"))
    chats.close()

    open_chats(tmp_path, FILE_KEPT_SECONDS).close()
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"shown", "loose"}
    open_chats(tmp_path, FILE_KEPT_SECONDS + 1).close()
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"shown"}
