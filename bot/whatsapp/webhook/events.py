"""A stored message, echo, handover or status becomes what the conversation and the outbox can work with.

Invariant: never an exception, whatever is in the journal: it may have been written by an older version, or by a Meta
that has changed. What a message says is read by its type in `message_types.py`; here it becomes an event. What was said
to Meta's own agent, or by a person of ours in the Business app, is nothing for the bot to answer: it is only shown.
"""

from datetime import UTC, datetime

from bot.whatsapp.json_access import id_in, instant_in, line_in, load, object_in, objects_in, text_in, wamid_in
from bot.whatsapp.sanitize import clean, one_line
from bot.whatsapp.webhook.handovers import read_handover, read_summary
from bot.whatsapp.webhook.items import Kind, Status
from bot.whatsapp.webhook.message_types import read_message
from flows.events import Author, Event, EventKind

BY_APP = "[in the Business app]"
BY_META, TO_META = "[by Meta's agent]", "[to Meta's agent]"
SUMMARY = "[what Meta's agent noted]"


def read_event(payload: str, *, item_id: int, at: datetime, late: bool, kind: Kind = Kind.MESSAGE) -> Event:
    """The event of a message, an echo or a handover, from its payload as `read_webhook` wrote it."""
    held = load(payload)
    if kind is Kind.HANDOVER:
        return read_handover(object_in(held, "handover"), item_id, at, late)
    message = object_in(held, "message")
    read, extra = read_message(message), _extra(held, message)
    standby = held.get("standby") is True
    quoted = read.about or wamid_in(object_in(message, "context"), "id")
    event_kind: EventKind = read.kind
    author: Author = read.author
    text, shown = read.text, clean("\n".join(filter(None, (read.shown, extra))))
    if standby or kind is Kind.ECHO:
        said = "\n".join(filter(None, (text, shown)))
        mark = BY_APP if not standby else BY_META if kind is Kind.ECHO else TO_META
        text, shown = "", clean(f"{mark} {said}" if said else mark)
        event_kind = "silent" if standby else "echo"
        author = author if kind is Kind.MESSAGE else "meta" if standby else "agent"
    return Event(
        kind=event_kind,
        at=at,
        item_id=item_id,
        wamid=wamid_in(message, "id"),
        text=text,
        option_id=read.option_id if event_kind == "option" else "",
        quoted_wamid=quoted,
        media=read.media,
        late=late,
        shown=shown,
        author=author,
        opens_window=kind is Kind.MESSAGE and read.kind != "silent",
        about=bool(quoted and (read.about or read.change)),
        change=read.change,
        edited=read.edited,
        lost=read.lost,
    )


def read_name(payload: str) -> str:
    """What the customer calls themselves: untrusted, for display only."""
    return one_line(text_in(object_in(load(payload), "contact"), "name"), 200)


def read_status(payload: str) -> Status:
    """The status of a status item; without a time of its own it is as old as can be, and the item's time counts."""
    status = load(payload)
    name = text_in(status, "status")
    errors = objects_in(status, "errors")
    error = errors[0] if errors else {}
    code = error.get("code")
    return Status(
        wamid=wamid_in(status, "id"),
        status="read" if name == "played" else name,
        at=instant_in(status, "timestamp") or datetime.fromtimestamp(0, UTC),
        opaque=id_in(status, "biz_opaque_callback_data"),
        error_code=code if type(code) is int else None,
        error_text=text_in(object_in(error, "error_data"), "details", 300) or text_in(error, "title", 300),
    )


def _extra(held: dict[str, object], message: dict[str, object]) -> str:
    """What stands beside any message: where it came from, what it is about."""
    context, referral = object_in(message, "context"), object_in(message, "referral")
    lines = []
    if context.get("frequently_forwarded") is True:
        lines.append("[forwarded many times]")
    elif context.get("forwarded") is True:
        lines.append("[forwarded]")
    product = line_in(object_in(context, "referred_product"), "product_retailer_id", 100)
    if product:
        lines.append(f"[about the product {product}]")
    if referral:
        source = "a post" if text_in(referral, "source_type") == "post" else "an ad"
        title = line_in(referral, "headline", 200) or line_in(referral, "body", 200)
        words = ", ".join(filter(None, (title, line_in(referral, "source_url", 300))))
        lines.append(f"[came by {source}: {words}]" if words else f"[came by {source}]")
    if summary := read_summary(held):
        lines.append(f"{SUMMARY} {summary}")
    return "\n".join(lines)
