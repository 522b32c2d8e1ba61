"""A desk's issue types that pass the check are shown whole, and a customer can pick each, by a tap or in words."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flows import DEFAULT_ISSUE_TYPES, Conversation, Draft, Event, IssueType, Offer, find_issue_type_faults, take_turn
from flows.language.matching import GREETINGS, THANKS
from flows.scripts.topics import make_pages
from tests.flows.transcript import NOW, OPENING, TOPICS

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
WORDS = [
    "Hardware",
    "SOFTWARE",
    "software!",
    "Wi-Fi",
    "menu",
    "Two",
    "2",
    "Back",
    "More topics",
    "Hi",
    "Gracias",
    "👍",
    "*",
]
IDS = ["a", "hardware", "software", "back", "more", "start", "menu", "one", "wi_fi", "other"]
LABELS = st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8"), max_size=26)
ISSUE_TYPES = st.lists(
    st.builds(IssueType, st.sampled_from(IDS), LABELS, st.sampled_from(["", "Of all kinds"])),
    max_size=6,
    unique_by=lambda issue_type: issue_type.type_id,
)
MORE = st.integers(0, 20).map(lambda count: [IssueType(f"t{n}", f"Topic {n}") for n in range(count)])


def test_ticks_own_pass() -> None:
    assert list(find_issue_type_faults(DEFAULT_ISSUE_TYPES)) == []
    assert list(find_issue_type_faults(TOPICS)) == []


@calm
@given(ISSUE_TYPES, MORE)
def test_what_passes_can_be_read_and_picked(few: list[IssueType], more: list[IssueType]) -> None:
    issue_types = (*more, *few)
    assume(not list(find_issue_type_faults(issue_types)))
    desk = replace(OPENING, issue_types=issue_types)
    pages = make_pages(issue_types)
    for number, page in enumerate(pages):
        asked = Conversation("open_ticket", "pick_type", Draft(7, page=number))
        for topic in (choice for choice in page if choice.name == "topic"):
            issue_type = next(one for one in issue_types if one.type_id == topic.argument)
            assert (topic.label, topic.description) == (issue_type.label, issue_type.description)
            turn = take_turn(asked, Event("text", NOW, 8, text=issue_type.label), desk)
            assert turn.conversation.draft.issue_type == issue_type.type_id
            turn = take_turn(asked, Event("option", NOW, 8, option_id=f"7.topic.{issue_type.type_id}"), desk)
            assert turn.conversation.draft.issue_type == issue_type.type_id
        for word in ("menu", "cancel", *sorted(GREETINGS | THANKS)):
            assert not take_turn(asked, Event("text", NOW, 8, text=word), desk).conversation.draft.issue_type
        if number + 1 < len(pages):
            turn = take_turn(asked, Event("text", NOW, 8, text="more"), desk)
            assert turn.conversation.draft.page == number + 1


def test_a_hundred_are_shown_on_thirteen_pages() -> None:
    issue_types = tuple(IssueType(f"t{n}", f"Topic {n}") for n in range(100))
    assert list(find_issue_type_faults(issue_types)) == []
    desk = replace(OPENING, issue_types=issue_types)
    turn = take_turn(None, Event("text", NOW, 7, text="Hi"), desk)
    shown = []
    for _ in range(13):
        (offer,) = turn.effects
        assert isinstance(offer, Offer)
        shown += [option.label for option in offer.options if option.option_id.startswith("7.topic.")]
        turn = take_turn(turn.conversation, Event("text", NOW, 8, text="more"), desk)
    assert shown == [issue_type.label for issue_type in issue_types]


def test_a_conversation_goes_on_when_the_desk_changes_its_issue_types() -> None:
    """Wherever it stands: with a topic that is gone, on a page that is gone, before a list that is empty."""
    drafts = [Draft(7, "gone", page=page) for page in (0, 1, 99)]
    for draft in drafts:
        for state in ("new_issue", "pick_type", "describe", "confirm", "edit", "cancelled", "follow_up"):
            for issue_types in (TOPICS, (), (IssueType("only", "Only this"),)):
                desk = replace(OPENING, issue_types=issue_types)
                for event in (
                    Event("text", NOW, 8, text="The door is stuck."),
                    Event("text", NOW, 8, text="gone"),
                    Event("option", NOW, 8, option_id="7.topic.gone"),
                    Event("option", NOW, 8, option_id="7.page.99"),
                    Event("option", NOW, 8, option_id="7.send"),
                ):
                    turn = take_turn(Conversation("open_ticket", state, draft), event, desk)
                    assert turn.effects
                    assert Conversation.from_json(turn.conversation.to_json()) == turn.conversation
