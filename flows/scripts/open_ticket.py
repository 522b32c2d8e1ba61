"""Defines the conversation that opens a ticket, from "Hi" to a number and on to what is added later.

Read it from the top as a script. Each state says what it asks, what it offers, and where each answer leads.
"""

from __future__ import annotations

from flows.engine.definition import Choice, Intent, Row, State
from flows.engine.machine import Flow
from flows.scripts.draft_actions import (
    begin_draft,
    can_send,
    discard_draft,
    file_under_other,
    has_content,
    has_draft,
    has_too_many_pieces,
    is_draft_full,
    keep_for_agent,
    keep_message,
    replace_description,
    take_topic,
    turn_page,
)
from flows.scripts.texts import (
    ask_at_rest,
    ask_topic,
    say_added,
    say_opened,
    say_taken_over,
    summarize_draft,
)
from flows.scripts.ticket_actions import (
    add_note,
    add_reply,
    has_guided_draft,
    has_open_ticket,
    is_guided_start,
    is_instant,
    note_unreadable,
    open_handed_over_ticket,
    open_ticket,
)
from flows.scripts.topics import list_topics
from flows.scripts.unsupported import apologize

HELLO = "Hello!"
WELCOME = "You are welcome."
KEPT = "Thanks, I have kept that."
SORRY = "Sorry, I did not understand that."
OLD = "That button is from an earlier message, so nothing was changed."
FULL = "Your report is as long as it can be, so this was not added. Send it now, then write the rest."
NOTHING_SENT = "All right, nothing was sent."

NEW_ISSUE = State(
    "new_issue",
    prompt=ask_at_rest,
    rows=(
        Row(Intent.CONTENT, when=has_guided_draft, do=(begin_draft, keep_message), then="pick_type", lead=KEPT),
        Row((Intent.CONTENT, Intent.THANKS), when=has_open_ticket, do=(add_reply,), then="follow_up", answer=say_added),
        Row(Intent.CONTENT, when=is_instant, do=(keep_message, open_ticket), then="follow_up", answer=say_opened),
        Row(Intent.CONTENT, do=(begin_draft, keep_message), then="pick_type", lead=KEPT),
        Row(Intent.GREETING, when=is_guided_start, do=(begin_draft, keep_for_agent), then="pick_type", lead=HELLO),
        Row(
            (Intent.NOISE, Intent.BLANK),
            when=is_guided_start,
            do=(begin_draft, keep_for_agent),
            then="pick_type",
            lead=SORRY,
        ),
        Row(
            Intent.UNREADABLE, when=is_guided_start, do=(begin_draft, keep_for_agent), then="pick_type", lead=apologize
        ),
        Row(Intent.QUOTE, do=(add_reply,), then="follow_up", answer=say_added),
        Row(Intent.HANDED_OVER, do=(open_handed_over_ticket,), then="follow_up", answer=say_taken_over),
    ),
)

PICK_TYPE = State(
    "pick_type",
    needs=has_draft,
    prompt=ask_topic,
    list_choices=list_topics,
    listed_names=("topic", "page"),
    button="Choose a topic",
    rows=(
        Row("topic", when=has_content, do=(take_topic,), then="confirm"),
        Row("topic", do=(take_topic,), then="describe"),
        Row("page", do=(turn_page,)),
        Row(Intent.CONTENT, when=is_draft_full, do=(file_under_other,), then="confirm", lead=FULL),
        Row(Intent.CONTENT, when=has_content, do=(keep_message, file_under_other), then="confirm"),
        Row(Intent.CONTENT, do=(keep_message,), lead=KEPT),
    ),
)

DESCRIBE = State(
    "describe",
    needs=has_draft,
    prompt="Tell us what is happening. Several messages, photos, voice notes and files are fine.",
    rows=(
        Row(Intent.CONTENT, when=has_too_many_pieces, then="confirm", lead=FULL),
        Row(Intent.CONTENT, do=(replace_description,), then="confirm"),
    ),
)

CONFIRM = State(
    "confirm",
    needs=can_send,
    prompt=summarize_draft,
    choices=(
        Choice(
            "send",
            "Send",
            do=(open_ticket,),
            then="follow_up",
            answer=say_opened,
            words=("yes", "y", "yes please", "ok", "okay", "send it", "👍", "✅", "👌"),
        ),
        Choice("change", "Change", then="edit", words=("no", "n", "edit")),
        Choice("cancel", "Cancel", then="cancelled"),
    ),
    rows=(
        Row(Intent.CONTENT, when=is_draft_full, lead=FULL),
        Row(Intent.CONTENT, do=(keep_message,)),
    ),
)

EDIT = State(
    "edit",
    needs=can_send,
    prompt="What would you like to change?",
    choices=(
        Choice("edit_topic", "Topic", then="pick_type"),
        Choice("edit_description", "Description", then="describe", words=("text",)),
        Choice("go_back", "Go back", then="confirm", words=("back", "nothing")),
    ),
    rows=(
        Row(Intent.CONTENT, when=is_draft_full, then="confirm", lead=FULL),
        Row(Intent.CONTENT, do=(keep_message,), then="confirm"),
    ),
)

CANCELLED = State(
    "cancelled",
    needs=can_send,
    prompt="Nothing was sent. I keep your text for 24 hours.",
    choices=(
        Choice("bring_back", "Bring it back", then="confirm", words=("back", "yes")),
        Choice("new_report", "New report", do=(discard_draft, begin_draft), then="pick_type", words=("new",)),
    ),
    rows=(
        Row(Intent.CONTENT, do=(discard_draft, begin_draft, keep_message), then="pick_type", lead=KEPT),
        Row(Intent.MENU),
    ),
)

FOLLOW_UP = State(
    "follow_up",
    prompt=ask_at_rest,
    rows=(
        Row((Intent.CONTENT, Intent.NOISE, Intent.THANKS), when=has_open_ticket, do=(add_reply,), answer=say_added),
        Row(Intent.CONTENT, when=is_instant, do=(keep_message, open_ticket), answer=say_opened),
        Row(Intent.CONTENT, do=(begin_draft, keep_message), then="pick_type", lead=KEPT),
        Row(Intent.GREETING, when=is_guided_start, do=(begin_draft, keep_for_agent), then="pick_type", lead=HELLO),
        Row(Intent.QUOTE, do=(add_reply,), answer=say_added),
        Row(Intent.HANDED_OVER, do=(open_handed_over_ticket,), answer=say_taken_over),
    ),
)

EVERYWHERE = (
    Row(Intent.MENU, do=(begin_draft,), then="pick_type"),
    Row(Intent.CANCEL, when=has_content, do=(begin_draft,), then="cancelled"),
    Row(Intent.CANCEL, when=has_open_ticket, do=(discard_draft,), then="follow_up", lead=NOTHING_SENT),
    Row(Intent.CANCEL, do=(discard_draft,), then="new_issue", lead=NOTHING_SENT),
    # A button of an earlier step of this draft leads back to that step.
    Row("topic", when=has_content, do=(take_topic,), then="confirm"),
    Row("topic", do=(take_topic,), then="describe"),
    Row("page", do=(turn_page,), then="pick_type"),
    Row(("send", "change", "go_back"), when=has_content, then="confirm"),
    Row(("edit_topic", "edit_description"), when=has_content, then="edit"),
    Row(("send", "change", "go_back", "edit_topic", "edit_description", "bring_back", "new_report"), lead=OLD),
    # What belongs to a ticket goes there, and the question that they were at is asked again.
    Row(Intent.QUOTE, do=(add_reply,), lead=say_added),
    Row(Intent.HANDED_OVER, do=(open_handed_over_ticket,), lead=say_taken_over),
    Row(Intent.UNREADABLE, when=has_draft, do=(keep_for_agent,), lead=apologize),
    Row(Intent.UNREADABLE, when=has_open_ticket, do=(note_unreadable,), lead=apologize),
    # Whatever else comes is met kindly, and moves nothing.
    Row(Intent.GREETING, when=has_draft, do=(keep_for_agent,), lead=HELLO),
    Row(Intent.GREETING, when=has_open_ticket, do=(add_note,), lead=HELLO),
    Row(Intent.GREETING, do=(keep_for_agent,), lead=HELLO),
    Row(Intent.THANKS, lead=WELCOME),
    Row((Intent.NOISE, Intent.BLANK), lead=SORRY),
    Row(Intent.UNREADABLE, do=(keep_for_agent,), lead=apologize),
    Row(Intent.OLD_OPTION, lead=OLD),
)

OPEN_TICKET = Flow(
    "open_ticket",
    (NEW_ISSUE, PICK_TYPE, DESCRIBE, CONFIRM, EDIT, CANCELLED, FOLLOW_UP),
    EVERYWHERE,
)

FLOWS = {flow.name: flow for flow in (OPEN_TICKET,)}
