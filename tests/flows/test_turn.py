"""What holds in every turn, whatever comes and wherever a conversation stands."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows import (
    LIMITS,
    About,
    AddReply,
    Conversation,
    Desk,
    Draft,
    Event,
    IssueType,
    Media,
    Note,
    Offer,
    OpenTicket,
    Option,
    Piece,
    Say,
    Ticket,
    take_turn,
)
from flows.events import Author, Change, EventKind, Lost, MediaKind
from flows.language.formatting import MAX_EXCERPT_CHARACTERS, MAX_TITLE_UNITS, count_units
from flows.language.matching import is_blank
from flows.scripts.draft_actions import MAX_DRAFT_ATTACHMENTS
from flows.scripts.open_ticket import OPEN_TICKET
from flows.silent_events import SILENT_KINDS
from tests.flows.transcript import NOW, OPENING

# A busy machine is no fault of the flow.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
STATES = [state.name for state in OPEN_TICKET.states]
NUMBERS = st.integers(0, 3)
WORDS = st.sampled_from(
    [
        "",
        " ",
        "\u200b",
        "Hi",
        "menu",
        "cancel",
        "1",
        "٢",
        "99",
        "yes",
        "send",
        "change",
        "topic",
        "other",
        "?",
        "👍",
        "*x*",
    ]
)
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
LONG = st.text("a*_~`> \n👍", min_size=1, max_size=20).map(lambda text: text * 60)
TEXTS = WORDS | LETTERS | LONG
NAMES = st.sampled_from([*sorted(OPEN_TICKET.option_names), "", "state", "menu", "old_option", "nobody"])
OPTION_IDS = TEXTS | st.builds("{}.{}{}".format, NUMBERS, NAMES, st.sampled_from(["", ".", ".hardware", ".1", ".x.y"]))
MEDIA = st.builds(Media, st.text(), st.text(), st.text(), st.sampled_from(get_args(MediaKind)), st.text())
WAMIDS = st.sampled_from(["", "w1", "w2", "w3"])
SHOWN = st.sampled_from(["", "[forwarded]", "[came by an ad: Printers repaired]"])
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(get_args(EventKind)),
    at=st.just(NOW),
    item_id=st.integers(1, 1 << 62) | NUMBERS,
    text=TEXTS,
    wamid=WAMIDS,
    option_id=OPTION_IDS,
    quoted_wamid=WAMIDS,
    media=st.none() | MEDIA,
    more_media=st.lists(MEDIA, max_size=2).map(tuple),
    late=st.booleans(),
    shown=SHOWN | TEXTS,
    author=st.sampled_from(get_args(Author)),
    change=st.sampled_from(get_args(Change)),
    about=st.booleans(),
    edited=TEXTS,
    lost=st.sampled_from(get_args(Lost)),
)
PIECES = st.builds(Piece, TEXTS, st.none() | MEDIA, WAMIDS, SHOWN)
DRAFTS = st.builds(
    Draft,
    NUMBERS,
    st.sampled_from(["", "hardware", "other", "gone", "*"]),
    st.lists(PIECES, max_size=4).map(tuple),
    st.integers(0, 5),
)
CONVERSATIONS = st.builds(
    Conversation,
    st.sampled_from(["open_ticket", "guided"]),
    st.sampled_from([*STATES, "nowhere"]),
    DRAFTS,
    NUMBERS,
)
CONVERSATIONS |= st.builds(
    replace,
    CONVERSATIONS,
    apology_for=st.sampled_from(get_args(Lost)),
    apology_epoch=st.sampled_from([int(NOW.timestamp()) + away for away in (-60, -59, 0, 59, 60)]),
)
TYPES = st.integers(0, 25).map(lambda count: tuple(IssueType(f"t{n}", f"Topic {n}" * n) for n in range(count)))
DESKS = st.builds(
    Desk,
    st.just(NOW),
    st.sampled_from(["guided", "instant", ""]),
    st.lists(st.builds(Ticket, NUMBERS, st.just("new"), st.text()), max_size=3).map(tuple),
    TYPES | st.just(OPENING.issue_types),
    st.integers(1, 100_000),
    st.text(),
    st.none() | st.builds(About, NUMBERS, NUMBERS, st.text()),
    st.booleans(),
)


@calm
@given(st.none() | CONVERSATIONS, EVENTS, DESKS)
def test_every_turn(conversation: Conversation | None, event: Event, desk: Desk) -> None:
    turn = take_turn(conversation, event, desk)

    assert take_turn(conversation, event, desk) == turn, "the same turn twice is the same"
    assert Conversation.from_json(turn.conversation.to_json()) == turn.conversation
    messages = [effect for effect in turn.effects if isinstance(effect, Say | Offer)]
    others = [effect for effect in turn.effects if not isinstance(effect, Say | Offer)]
    taken_over = event.kind == "handover" and not desk.tickets
    answered = not desk.quiet and (taken_over or event.kind not in SILENT_KINDS)
    if event.kind == "unreadable" and conversation and (epoch := conversation.apology_epoch):
        answered = answered and (conversation.apology_for != event.lost or abs(epoch - NOW.timestamp()) >= 60)
    assert len(messages) == answered, "what they say to us is answered with one message, everything else with none"
    assert [*others, *messages] == list(turn.effects), "which says what has happened"
    assert len(others) <= 1
    if event.kind in SILENT_KINDS and not taken_over:
        before = conversation or Conversation.new()
        assert replace(turn.conversation, draft=before.draft) == before
        assert all(isinstance(effect, Note) for effect in others)
    for message in messages:
        _assert_fits(message)
    for effect in others:
        _assert_right(effect, event, desk)


def _assert_fits(message: Say | Offer | OpenTicket | AddReply) -> None:
    assert isinstance(message, Say | Offer)
    if isinstance(message, Say):
        assert 0 < count_units(message.text) <= LIMITS.text
        return
    assert 0 < count_units(message.text) <= LIMITS.body
    assert 0 < len(message.options) <= LIMITS.rows
    is_list = len(message.options) > LIMITS.buttons
    assert not is_list or 0 < count_units(message.button) <= LIMITS.button
    assert len({option.option_id for option in message.options}) == len(message.options)
    for option in message.options:
        assert count_units(option.label) <= (LIMITS.row if is_list else LIMITS.button)
        assert count_units(option.description) <= LIMITS.row_description
        assert len(option.option_id) <= 200


def _assert_right(effect: object, event: Event, desk: Desk) -> None:
    match effect:
        case OpenTicket():
            assert effect.ticket_id == desk.next_ticket_id
            assert not is_blank(effect.description) or effect.attachments
            assert effect.description
            assert effect.title
            assert count_units(effect.title) <= MAX_TITLE_UNITS
            assert "\n" not in effect.name
            assert len(set(effect.wamids)) == len(effect.wamids)
        case AddReply():
            assert any(ticket.ticket_id == effect.ticket_id for ticket in desk.tickets)
            assert not is_blank(effect.text)
        case Note():
            theirs = [ticket.ticket_id for ticket in desk.tickets]
            assert effect.ticket_id in (*theirs, desk.about and desk.about.ticket_id)
            assert effect.text


@calm
@given(st.text() | st.just("[" * 100_000) | CONVERSATIONS.map(Conversation.to_json))
def test_any_stored_text_is_a_conversation(text: str) -> None:
    conversation = Conversation.from_json(text)
    event = Event("text", NOW, 1, text="Hi")
    assert take_turn(conversation, event, OPENING).effects


@calm
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_any_field_may_be_damaged(value: object) -> None:
    for name in ("flow", "state", "draft", "issue_type", "description", "attachments", "page", "ticket_id"):
        kept = {"flow": "open_ticket", "state": "confirm", "draft": 7, "description": "The door is stuck.", name: value}
        conversation = Conversation.from_json(json.dumps(kept))
        if name != "description":
            assert conversation.draft.description == "The door is stuck."
        assert take_turn(conversation, Event("text", NOW, 9, text="?"), OPENING).effects
        kept = {
            "flow": "open_ticket",
            "state": "confirm",
            "draft": 7,
            "pieces": [["The door is stuck.", value, "", ""]],
        }
        conversation = Conversation.from_json(json.dumps(kept))
        assert take_turn(conversation, Event("text", NOW, 9, text="?"), OPENING).effects


@calm
@given(st.lists(EVENTS, max_size=12), DESKS)
def test_a_draft_is_only_sent_by_its_own_customer(events: list[Event], desk: Desk) -> None:
    """Whatever is tapped that was never offered for this draft opens no ticket."""
    desk = replace(desk, about=None)
    conversation = take_turn(None, Event("text", NOW, 1 << 62, text="The door is stuck."), desk).conversation
    for event in events:
        if event.kind == "option":
            turn = take_turn(conversation, replace(event, item_id=5), replace(desk, quiet=False))
            assert turn.conversation.draft == conversation.draft
            assert len(turn.effects) == 1


def _asked_to_confirm(description: str, **changes: object) -> Offer:
    draft = Draft(7, "hardware")
    event = Event("text", NOW, 8, text=description)
    turn = take_turn(Conversation("open_ticket", "describe", draft), event, replace(OPENING, **changes))  # type: ignore[arg-type]
    (offer,) = turn.effects
    assert isinstance(offer, Offer)
    return offer


def test_the_echo_ends_after_600_characters() -> None:
    text = _asked_to_confirm("x" * 65_536).text
    assert "x" * MAX_EXCERPT_CHARACTERS + "…" in text
    assert "x" * (MAX_EXCERPT_CHARACTERS + 1) not in text
    assert text.endswith("Send it now, or keep writing to add more.")


@pytest.mark.parametrize("letter", ["👍", "*", "_", "~", "`", "👨‍👩‍👧", "\n>", "z̵"])
def test_the_question_stays_whole_beside_any_echo(letter: str) -> None:
    text = _asked_to_confirm(letter * 4096).text
    assert count_units(text) <= LIMITS.body
    assert text.startswith("Please check: *Hardware*")
    assert text.endswith("Send it now, or keep writing to add more.")


def test_a_customers_marks_do_not_format_our_message() -> None:
    """A zero-width space on each side keeps a mark from beginning or ending anything."""
    text = _asked_to_confirm("*bold* _it_ ~no~ ```code```\n> quote\u202e").text
    body = text.removeprefix("Please check: *Hardware*")
    for position, letter in enumerate(body):
        if letter in "*_~`":
            assert (body[position - 1], body[position + 1]) == ("\u200b", "\u200b")
    assert "\n\u200b>" in body
    assert "\u202e" not in body


@pytest.mark.parametrize("size", [1, 4096, 65_536])
def test_every_character_reaches_the_ticket(size: int) -> None:
    description = ("*👍🏽 العربية\n" * size)[: size - 1] + "."
    conversation = Conversation("open_ticket", "describe", Draft(7, "hardware"))
    conversation = take_turn(conversation, Event("text", NOW, 8, text=description), OPENING).conversation
    if size == 1:
        assert conversation.state == "describe", "a full stop describes nothing"
        return
    conversation = Conversation.from_json(conversation.to_json())
    opened = take_turn(conversation, Event("option", NOW, 9, option_id="7.send"), OPENING).effects[0]
    assert isinstance(opened, OpenTicket)
    assert opened.description == description


def test_a_full_draft_says_so_and_takes_no_more() -> None:
    conversation = Conversation("open_ticket", "confirm", Draft(7, "hardware", (Piece("x" * 65_000),)))
    turn = take_turn(conversation, Event("text", NOW, 8, text="y" * 1000), OPENING)
    assert turn.conversation == conversation
    assert isinstance(turn.effects[0], Offer)
    assert turn.effects[0].text.startswith("Your report is as long as it can be")


@pytest.mark.parametrize("name", ["", "\n\n", "A" * 10_000, "<script>", "*Admin*\nTicket #7", "\u202eeve", "👍" * 500])
def test_any_profile_name_will_do(name: str) -> None:
    conversation = Conversation("open_ticket", "confirm", Draft(7, "hardware", (Piece("The door is stuck."),)))
    event = Event("option", NOW, 8, option_id="7.send")
    opened, said = take_turn(conversation, event, replace(OPENING, profile_name=name)).effects
    assert isinstance(opened, OpenTicket)
    assert count_units(opened.name) <= 100
    assert "\n" not in opened.name
    assert said == Say("Done: your ticket is *#1*. Write here any time to add to it.")


def test_the_title_is_the_first_line() -> None:
    conversation = Conversation(
        "open_ticket", "confirm", Draft(7, "hardware", (Piece("\n  The   door\tis stuck. \nSince " + "x" * 200),))
    )
    opened = take_turn(conversation, Event("option", NOW, 8, option_id="7.send"), OPENING).effects[0]
    assert isinstance(opened, OpenTicket)
    assert opened.title == "The door is stuck."


def test_a_long_title_is_shortened() -> None:
    desk = replace(OPENING, flow="instant")
    opened = take_turn(None, Event("text", NOW, 8, text="word " * 100), desk).effects[0]
    assert isinstance(opened, OpenTicket)
    assert count_units(opened.title) <= MAX_TITLE_UNITS
    assert opened.title.endswith("word…")
    assert opened.issue_type == "other"
    assert opened.issue_type_other == opened.title


def test_three_topics_or_fewer_are_buttons() -> None:
    desk = replace(OPENING, issue_types=(IssueType("a", "A label of 24 characters"), IssueType("b", "B")))
    (offer,) = take_turn(None, Event("text", NOW, 4, text="Hi"), desk).effects
    assert isinstance(offer, Offer)
    assert offer.options == (Option("4.topic.a", "A label of 24 chara…"), Option("4.topic.b", "B"))
    turn = take_turn(None, Event("text", NOW, 4, text="Hi"), desk)
    typed = take_turn(turn.conversation, Event("text", NOW, 5, text="a label of 24 characters"), desk)
    assert typed.conversation.draft.issue_type == "a"


def test_a_desk_without_topics_just_asks() -> None:
    desk = replace(OPENING, issue_types=())
    (said,) = take_turn(None, Event("text", NOW, 4, text="Hi"), desk).effects
    assert isinstance(said, Say)


AD = "[came by an ad: Printers repaired]"


@pytest.mark.parametrize("flow", ["guided", "instant"])
def test_the_ad_that_brought_a_greeting_is_on_the_ticket_once(flow: str) -> None:
    desk = replace(OPENING, flow=flow)
    turn = take_turn(None, Event("text", NOW, 4, text="Hi", shown=AD), desk)
    assert len(turn.effects) == 1
    turn = take_turn(turn.conversation, Event("text", NOW, 5, text="The door is stuck.", wamid="w1"), desk)
    if flow == "guided":
        turn = take_turn(turn.conversation, Event("text", NOW, 6, text="It squeaks, too.", wamid="w2"), desk)
        turn = take_turn(turn.conversation, Event("option", NOW, 7, option_id="4.send"), desk)
    opened = turn.effects[0]
    assert isinstance(opened, OpenTicket)
    assert (opened.title, opened.description.count(AD)) == ("The door is stuck.", 1)
    assert opened.description.startswith(AD)


def test_the_ad_that_brought_a_greeting_to_an_open_ticket_is_a_note() -> None:
    desk = replace(OPENING, tickets=(Ticket(7, "new", "Broken chair"),))
    noted, said = take_turn(None, Event("text", NOW, 4, text="Hi", shown=AD), desk).effects
    assert noted == Note(7, AD)
    assert isinstance(said, Say)


def test_what_stands_beside_a_reply_is_below_it() -> None:
    desk = replace(OPENING, tickets=(Ticket(7, "new", "Broken chair"),))
    reply, _ = take_turn(None, Event("text", NOW, 4, text="Look at this", shown="[forwarded]"), desk).effects
    assert reply == AddReply(7, "Look at this\n[forwarded]")


def test_a_photo_without_words_is_counted_above_what_stands_beside_it() -> None:
    event = Event("media", NOW, 4, text="[photo]", media=Media("m1", kind="photo"), shown="[forwarded]", wamid="w1")
    opened, _ = take_turn(None, event, replace(OPENING, flow="instant")).effects
    assert isinstance(opened, OpenTicket)
    assert (opened.title, opened.description, opened.wamids) == ("1 photo", "1 photo\n[forwarded]", ("w1",))


def test_a_draft_of_an_earlier_version_is_still_there() -> None:
    kept = {
        "flow": "open_ticket",
        "state": "confirm",
        "draft": 7,
        "issue_type": "hardware",
        "description": "The door is stuck.",
        "attachments": [["m1", "image/jpeg", "", "photo"]],
    }
    conversation = Conversation.from_json(json.dumps(kept))
    opened = take_turn(conversation, Event("option", NOW, 8, option_id="7.send"), OPENING).effects[0]
    assert isinstance(opened, OpenTicket)
    assert opened.description == "The door is stuck."
    assert opened.attachments == (Media("m1", "image/jpeg", "", "photo"),)


@pytest.mark.parametrize(
    ("change", "edited", "left"),
    [
        ("edited", "x" * 65_536, "old"),  # there is no room for it beside the rest
        ("edited", " ", "old"),
        ("edited", "new", "new"),
        ("revoked", "", ""),
    ],
)
def test_what_an_edit_leaves_of_a_piece(change: Change, edited: str, left: str) -> None:
    draft = Draft(7, "hardware", (Piece("The door is stuck.", wamid="w1"), Piece("old", wamid="w2")))
    event = Event("silent", NOW, 8, quoted_wamid="w2", about=True, shown="[edited]", change=change, edited=edited)
    turn = take_turn(Conversation("open_ticket", "confirm", draft), event, OPENING)
    assert turn.effects == ()
    assert turn.conversation.draft.customer_text == f"The door is stuck.\n{left}".strip()


def test_what_is_said_to_metas_agent_is_shown_whatever_it_quotes() -> None:
    draft = Draft(7, "hardware", (Piece("The door is stuck.", wamid="w1"),))
    event = Event("silent", NOW, 8, quoted_wamid="w1", shown="[to Meta's agent] I meant this one")
    desk = replace(OPENING, tickets=(Ticket(41, "new", "Door"),))
    turn = take_turn(Conversation("open_ticket", "confirm", draft), event, desk)
    assert turn.effects == (Note(41, "[to Meta's agent] I meant this one", "customer"),)
    assert turn.conversation.draft == draft


def test_a_form_may_bring_many_files() -> None:
    photos = tuple(Media(f"m{number}", kind="photo") for number in range(3))
    event = Event("text", NOW, 9, text="[form] what: Door", media=photos[0], more_media=photos[1:], wamid="w9")
    draft = Draft(7, "hardware", (Piece("The door is stuck.", wamid="w1"),))
    turn = take_turn(Conversation("open_ticket", "confirm", draft), event, OPENING)
    kept = turn.conversation.draft
    assert (kept.attachments, kept.wamids) == (photos, ("w1", "w9"))
    assert kept.customer_text.endswith("[form] what: Door")
    revoked = Event("silent", NOW, 10, quoted_wamid="w9", about=True, change="revoked")
    assert take_turn(turn.conversation, revoked, OPENING).conversation.draft == draft


def test_a_draft_has_room_for_all_files_of_a_form_or_for_none() -> None:
    pieces = tuple(Piece(media=Media(f"old{number}"), wamid="w1") for number in range(MAX_DRAFT_ATTACHMENTS - 2))
    draft = Draft(7, "hardware", pieces)
    for count, fits in ((2, True), (3, False)):
        photos = tuple(Media(f"m{number}", kind="photo") for number in range(count))
        event = Event("text", NOW, 9, text="[form]", media=photos[0], more_media=photos[1:], wamid="w9")
        turn = take_turn(Conversation("open_ticket", "confirm", draft), event, OPENING)
        assert (turn.conversation.draft.attachments[len(pieces) :] == photos) is fits
