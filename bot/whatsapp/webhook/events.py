"""Turns a stored item back into what the conversation and the outbox work with: an event, or a message's status.

Invariants
- Nothing raises, whatever is in the journal: it may have been written by an older version, or by a Meta that has
  changed.
- What was said to Meta's own agent, or by a person of ours in the Business app, is nothing for the bot to answer: its
  event is only shown.

What a message says is read by its type in message_types.py.
"""

from datetime import UTC, datetime

from bot.whatsapp.json_access import (
    get_id,
    get_instant,
    get_line,
    get_object,
    get_objects,
    get_text,
    get_wamid,
    load_object,
)
from bot.whatsapp.sanitize import clean, clean_line
from bot.whatsapp.webhook.handovers import read_handover, read_summary
from bot.whatsapp.webhook.items import ItemKind, MessageStatus
from bot.whatsapp.webhook.message_types import read_message
from flows.events import Author, Event, EventKind

FROM_BUSINESS_APP = "[in the Business app]"
FROM_META_AGENT, TO_META_AGENT = "[by Meta's agent]", "[to Meta's agent]"
META_AGENT_SUMMARY = "[what Meta's agent noted]"


def read_event(payload: str, *, item_id: int, at: datetime, late: bool, kind: ItemKind = ItemKind.MESSAGE) -> Event:
    """Returns the event of a message, an echo or a handover, from its item's payload."""
    stored = load_object(payload)
    if kind is ItemKind.HANDOVER:
        return read_handover(get_object(stored, "handover"), item_id=item_id, at=at, late=late)
    message = get_object(stored, "message")
    read, context = read_message(message), _describe_context(stored, message)
    standby = stored.get("standby") is True
    quoted = read.about or get_wamid(get_object(message, "context"), "id")
    event_kind: EventKind = read.kind
    author: Author = read.author
    text, shown = read.text, clean("\n".join(filter(None, (read.shown, context))))
    if standby or kind is ItemKind.ECHO:
        words = "\n".join(filter(None, (text, shown)))
        mark = FROM_BUSINESS_APP if not standby else FROM_META_AGENT if kind is ItemKind.ECHO else TO_META_AGENT
        text, shown = "", clean(f"{mark} {words}" if words else mark)
        event_kind = "silent" if standby else "echo"
        author = author if kind is ItemKind.MESSAGE else "meta" if standby else "agent"
    return Event(
        kind=event_kind,
        at=at,
        item_id=item_id,
        wamid=get_wamid(message, "id"),
        text=text,
        option_id=read.option_id if event_kind == "option" else "",
        quoted_wamid=quoted,
        media=read.media,
        more_media=read.more_media,
        late=late,
        shown=shown,
        author=author,
        opens_window=kind is ItemKind.MESSAGE and read.kind != "silent",
        about=bool(quoted and (read.about or read.change)),
        change=read.change,
        edited=read.edited,
        lost=read.lost,
    )


def read_profile_name(payload: str) -> str:
    """Returns what the customer calls themselves, from an item's payload: untrusted, for display only."""
    return clean_line(get_text(get_object(load_object(payload), "contact"), "name"), 200)


def read_status(payload: str) -> MessageStatus:
    """Returns the status of a status item, from its payload.

    One without a time of its own is as old as can be, so that the item's time counts.
    """
    status = load_object(payload)
    name = get_text(status, "status")
    errors = get_objects(status, "errors")
    error = errors[0] if errors else {}
    code = error.get("code")
    return MessageStatus(
        wamid=get_wamid(status, "id"),
        status="read" if name == "played" else name,
        at=get_instant(status, "timestamp") or datetime.fromtimestamp(0, UTC),
        opaque=get_id(status, "biz_opaque_callback_data"),
        error_code=code if type(code) is int else None,
        error_text=get_text(get_object(error, "error_data"), "details", 300) or get_text(error, "title", 300),
    )


def _describe_context(stored: dict[str, object], message: dict[str, object]) -> str:
    """Describes, a line each, what may stand beside a message of any type: where it came from, what it is about."""
    context, referral = get_object(message, "context"), get_object(message, "referral")
    lines = []
    if context.get("frequently_forwarded") is True:
        lines.append("[forwarded many times]")
    elif context.get("forwarded") is True:
        lines.append("[forwarded]")
    product = get_line(get_object(context, "referred_product"), "product_retailer_id", 100)
    if product:
        lines.append(f"[about the product {product}]")
    if referral:
        source = "a post" if get_text(referral, "source_type") == "post" else "an ad"
        title = get_line(referral, "headline", 200) or get_line(referral, "body", 200)
        words = ", ".join(filter(None, (title, get_line(referral, "source_url", 300))))
        lines.append(f"[came by {source}: {words}]" if words else f"[came by {source}]")
    if summary := read_summary(stored):
        lines.append(f"{META_AGENT_SUMMARY} {summary}")
    return "\n".join(lines)
