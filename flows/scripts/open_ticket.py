"""The conversation that opens a ticket, from "Hi" to a number and on to what is added later.

Read it from the top as a script. Each state says what it asks, what it offers, and where each answer leads.
"""

from __future__ import annotations

from flows.engine.definition import Choice, Intent, Row, State
from flows.engine.machine import Flow
from flows.scripts.draft_actions import (
    begin,
    can_be_sent,
    describe,
    discard,
    draft_is_full,
    file_under_other,
    has_content,
    has_draft,
    keep,
    keep_aside,
    take_topic,
    too_many_pieces,
    turn_page,
)
from flows.scripts.texts import ask_at_rest, ask_topic, check_draft, list_topics, say_added, say_opened, say_taken_over
from flows.scripts.ticket_actions import (
    add_reply,
    guided_draft,
    guided_start,
    has_open_ticket,
    instant,
    note,
    note_unreadable,
    open_handed_over,
    open_ticket,
)
from flows.scripts.unsupported import say_unreadable

MENU, CANCEL, GREETING, THANKS, CONTENT, NOISE, BLANK, UNREADABLE, OLD_OPTION, QUOTE, HANDED_OVER = Intent

HELLO = "Hello!"
WELCOME = "You are welcome."
KEPT = "Thanks, I have kept that."
SORRY = "Sorry, I did not understand that."
OLD = "That button is from an earlier message, so nothing was changed."
FULL = "Your report is as long as it can be, so this was not added. Send it now, then write the rest."
NOTHING_SENT = "All right, nothing was sent."

OPEN_TICKET = Flow(
    "open_ticket",
    (
        State(
            "new_issue",
            asks=ask_at_rest,
            rows=(
                Row(CONTENT, when=guided_draft, do=(begin, keep), then="pick_type", lead=KEPT),
                Row((CONTENT, THANKS), when=has_open_ticket, do=(add_reply,), then="follow_up", says=say_added),
                Row(CONTENT, when=instant, do=(keep, open_ticket), then="follow_up", says=say_opened),
                Row(CONTENT, do=(begin, keep), then="pick_type", lead=KEPT),
                Row(GREETING, when=guided_start, do=(begin, keep_aside), then="pick_type", lead=HELLO),
                Row((NOISE, BLANK), when=guided_start, do=(begin, keep_aside), then="pick_type", lead=SORRY),
                Row(UNREADABLE, when=guided_start, do=(begin, keep_aside), then="pick_type", lead=say_unreadable),
                Row(QUOTE, do=(add_reply,), then="follow_up", says=say_added),
                Row(HANDED_OVER, do=(open_handed_over,), then="follow_up", says=say_taken_over),
            ),
        ),
        State(
            "pick_type",
            needs=has_draft,
            asks=ask_topic,
            listed=list_topics,
            listed_names=("topic", "page"),
            button="Choose a topic",
            rows=(
                Row("topic", when=has_content, do=(take_topic,), then="confirm"),
                Row("topic", do=(take_topic,), then="describe"),
                Row("page", do=(turn_page,)),
                Row(CONTENT, when=draft_is_full, do=(file_under_other,), then="confirm", lead=FULL),
                Row(CONTENT, when=has_content, do=(keep, file_under_other), then="confirm"),
                Row(CONTENT, do=(keep,), lead=KEPT),
            ),
        ),
        State(
            "describe",
            needs=has_draft,
            asks="Tell us what is happening. Several messages, photos, voice notes and files are fine.",
            rows=(
                Row(CONTENT, when=too_many_pieces, then="confirm", lead=FULL),
                Row(CONTENT, do=(describe,), then="confirm"),
            ),
        ),
        State(
            "confirm",
            needs=can_be_sent,
            asks=check_draft,
            choices=(
                Choice(
                    "send",
                    "Send",
                    do=(open_ticket,),
                    then="follow_up",
                    says=say_opened,
                    words=("yes", "y", "yes please", "ok", "okay", "send it", "👍", "✅", "👌"),
                ),
                Choice("change", "Change", then="edit", words=("no", "n", "edit")),
                Choice("cancel", "Cancel", then="cancelled"),
            ),
            rows=(
                Row(CONTENT, when=draft_is_full, lead=FULL),
                Row(CONTENT, do=(keep,)),
            ),
        ),
        State(
            "edit",
            needs=can_be_sent,
            asks="What would you like to change?",
            choices=(
                Choice("edit_topic", "Topic", then="pick_type"),
                Choice("edit_description", "Description", then="describe", words=("text",)),
                Choice("go_back", "Go back", then="confirm", words=("back", "nothing")),
            ),
            rows=(
                Row(CONTENT, when=draft_is_full, then="confirm", lead=FULL),
                Row(CONTENT, do=(keep,), then="confirm"),
            ),
        ),
        State(
            "cancelled",
            needs=can_be_sent,
            asks="Nothing was sent. I keep your text for 24 hours.",
            choices=(
                Choice("bring_back", "Bring it back", then="confirm", words=("back", "yes")),
                Choice("new_report", "New report", do=(discard, begin), then="pick_type", words=("new",)),
            ),
            rows=(
                Row(CONTENT, do=(discard, begin, keep), then="pick_type", lead=KEPT),
                Row(MENU),
            ),
        ),
        State(
            "follow_up",
            asks=ask_at_rest,
            rows=(
                Row((CONTENT, NOISE, THANKS), when=has_open_ticket, do=(add_reply,), says=say_added),
                Row(CONTENT, when=instant, do=(keep, open_ticket), says=say_opened),
                Row(CONTENT, do=(begin, keep), then="pick_type", lead=KEPT),
                Row(GREETING, when=guided_start, do=(begin, keep_aside), then="pick_type", lead=HELLO),
                Row(QUOTE, do=(add_reply,), says=say_added),
                Row(HANDED_OVER, do=(open_handed_over,), says=say_taken_over),
            ),
        ),
    ),
    everywhere=(
        Row(MENU, do=(begin,), then="pick_type"),
        Row(CANCEL, when=has_content, do=(begin,), then="cancelled"),
        Row(CANCEL, when=has_open_ticket, do=(discard,), then="follow_up", lead=NOTHING_SENT),
        Row(CANCEL, do=(discard,), then="new_issue", lead=NOTHING_SENT),
        # A button of an earlier step of this draft leads back to that step.
        Row("topic", when=has_content, do=(take_topic,), then="confirm"),
        Row("topic", do=(take_topic,), then="describe"),
        Row("page", do=(turn_page,), then="pick_type"),
        Row(("send", "change", "go_back"), when=has_content, then="confirm"),
        Row(("edit_topic", "edit_description"), when=has_content, then="edit"),
        Row(("send", "change", "go_back", "edit_topic", "edit_description", "bring_back", "new_report"), lead=OLD),
        # What belongs to a ticket goes there, and the question that they were at is asked again.
        Row(QUOTE, do=(add_reply,), lead=say_added),
        Row(HANDED_OVER, do=(open_handed_over,), lead=say_taken_over),
        Row(UNREADABLE, when=has_draft, do=(keep_aside,), lead=say_unreadable),
        Row(UNREADABLE, when=has_open_ticket, do=(note_unreadable,), lead=say_unreadable),
        # Whatever else comes is met kindly, and moves nothing.
        Row(GREETING, when=has_draft, do=(keep_aside,), lead=HELLO),
        Row(GREETING, when=has_open_ticket, do=(note,), lead=HELLO),
        Row(GREETING, do=(keep_aside,), lead=HELLO),
        Row(THANKS, lead=WELCOME),
        Row((NOISE, BLANK), lead=SORRY),
        Row(UNREADABLE, do=(keep_aside,), lead=say_unreadable),
        Row(OLD_OPTION, lead=OLD),
    ),
)

FLOWS = {flow.name: flow for flow in (OPEN_TICKET,)}
