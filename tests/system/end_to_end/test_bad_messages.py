"""Bad inputs inside a signed body, each named after its number in the catalogue: every item gets its own fate, and what
a stranger writes is text and nothing else. The customers' first message opens a ticket here, so it shows at once.
"""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.simulator import bodies, message_bodies
from api.simulator.bodies import BusinessNumber, Person
from api.simulator.message_bodies import Attached, MessageHead
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.tick import ANN, BEN, NUMBER, Tick, collapse

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER_NUMBER = BusinessNumber("222222222222222", "15550001111", "999999999999999")
SORRY = "Sorry, I did not understand that. Tell us what is wrong, or write *menu* to see the topics."
OLD = "That button is from an earlier message, so nothing was changed."


@pytest.fixture(scope="module", params=[Variant("sqlite", "instant"), Variant("mariadb", "instant")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


def changed(field: str, value: object) -> bytes:
    change = {"field": field, "value": value}
    return bodies.encode_json({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})


async def read_replies(tick: Tick) -> list[str]:
    """What the desk has in writing, the ticket's description first."""
    descriptions = await tick.tables.fetch("SELECT description FROM ticket ORDER BY id")
    replies = await tick.tables.fetch("SELECT message FROM reply ORDER BY id")
    return [text for (text,) in descriptions + replies]


async def file(tick: Tick, text: str) -> str:
    """A customer writes this as their first message: what the ticket says."""
    await tick.write(text)
    (description,) = await read_replies(tick)
    return description


async def test_bad_input_15_a_lone_surrogate(tick: Tick) -> None:
    assert await file(tick, "lone \ud83d one") == "lone \ufffd one"


async def test_bad_input_16_controls_and_escapes(tick: Tick) -> None:
    assert await file(tick, "a\0b\x07 \x1b[31mred\x1b[0m \x9b c\r\nd\te") == "ab red  c\nd\te"


async def test_bad_input_17_another_object(tick: Tick) -> None:
    for name in ("page", "instagram", "WHATSAPP_BUSINESS_ACCOUNT", "", None, 7):
        body = json.loads(bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message("hello")]))
        await tick.deliver(bodies.encode_json(body | {"object": name}))
    assert collapse(await tick.read_items()) == [["other", "ignored", "not_whatsapp", "x6"]]


async def test_bad_input_18_a_number_that_is_not_ours(tick: Tick) -> None:
    await tick.deliver(bodies.build_messages_webhook(OTHER_NUMBER, [ANN], [tick.build_message("hello")]))
    assert await tick.read_items() == [["message", "ignored", "foreign_number"]]
    assert (await tick.read_outcome())["customers"] == []
    assert await read_replies(tick) == []
    assert tick.graph.sends == []


async def test_bad_input_19_fields_that_are_not_known_or_say_nothing(tick: Tick) -> None:
    fates = {
        "account_update": ["account", "done", ""],
        "history": ["other", "ignored", "not_used"],
        "smb_message_echoes": ["other", "ignored", "empty"],
        "calls": ["other", "ignored", "not_used"],
        "message_template_status_update": ["account", "done", ""],
        "zzz": ["other", "ignored", "unknown_field"],
    }
    fields = list(fates)
    for field in fields:
        await tick.deliver(changed(field, {"some": field}))
    assert await tick.read_items() == list(fates.values())
    kept = await tick.tables.fetch("SELECT payload FROM item ORDER BY id")
    assert [json.loads(payload)["value"] for (payload,) in kept] == [{"some": field} for field in fields]


async def test_bad_input_21_messages_without_an_id(tick: Tick) -> None:
    nameless = tick.build_message("hello")
    del nameless["id"]
    wrong: list[object] = [None, "", True, {}, []]
    await tick.deliver_messages(nameless, *(nameless | {"id": message_id} for message_id in wrong))
    await tick.deliver_messages(nameless | {"text": {"body": "another"}})
    assert collapse(await tick.read_items()) == [["message", "ignored", "no_id", "x7"]]
    assert await tick.count_duplicates() == 0
    assert tick.graph.sends == []


async def test_bad_input_22_ids_of_every_kind(tick: Tick) -> None:
    ids = ["x" * 10_000, "x" * 9_999 + "y", "with a space", "with  a space", "wamid.AbC", "wamid.aBc", "wamid.é",
           "wamid.e\u0301", "wamid.😀", "wamid.😁", "a:b", "~", "'; DROP TABLE item; --"]  # fmt: skip
    for turn in range(2):
        await tick.deliver_messages(*(tick.build_message(f"text {at}", wamid=wamid) for at, wamid in enumerate(ids)))
        assert collapse(await tick.read_items()) == [["message", "done", "", f"x{len(ids)}"]]
        assert await tick.count_duplicates() == turn * len(ids)
    assert await read_replies(tick) == [f"text {at}" for at in range(len(ids))]


async def test_bad_input_23_a_customer_without_a_phone(tick: Tick) -> None:
    person = Person("Ann", user_id="US.13491208655302741918")
    await tick.write("It is broken", person=person)
    assert (await tick.read_outcome())["customers"] == [["b:US.13491208655302741918"]]
    (sent,) = tick.graph.sends
    assert (sent.get("to"), sent["recipient"]) == (None, "US.13491208655302741918")


@pytest.mark.parametrize("timestamp", [None, "abc", "-5", -7, 0, "", "4102444800", 1.5, True, {}, "9" * 40])
async def test_bad_input_27_a_time_that_can_not_be(tick: Tick, timestamp: object) -> None:
    before = tick.clock()
    await tick.deliver_messages(tick.build_message("It is broken") | {"timestamp": timestamp})
    meta_at, received_at = (await tick.tables.fetch("SELECT meta_at, received_at FROM item"))[0]
    assert meta_at == received_at >= int(before.timestamp() * 1000)
    assert [status for status, *_ in await tick.read_outbox()] == ["accepted"]


async def test_bad_input_27_a_message_of_ten_years_ago(tick: Tick) -> None:
    await tick.deliver_messages(tick.build_message("It is broken") | {"timestamp": "1463788800"})
    assert await tick.read_items() == [["message", "done", ""]]
    assert await read_replies(tick) == ["It is broken"]
    assert [status for status, *_ in await tick.read_outbox()] == ["failed(window_closed)"]
    assert tick.graph.sends == []


async def test_bad_input_28_the_same_message_twice_in_one_body(tick: Tick) -> None:
    await tick.deliver_messages(*[tick.build_message("It is broken", wamid="wamid.TWICE")] * 2)
    assert await tick.read_items() == [["message", "done", ""]]
    assert (await read_replies(tick), len(tick.graph.sends), await tick.count_duplicates()) == (["It is broken"], 1, 1)


async def test_bad_input_29_the_same_message_with_another_text(tick: Tick) -> None:
    message = tick.build_message("It is broken", wamid="wamid.EDITED")  # made anew it could have the next second in it
    await tick.deliver_messages(message)
    with capture_logs() as logs:
        await tick.deliver_messages(message)
        assert [line for line in logs if line["event"] == "came_again_changed"] == []
        await tick.deliver_messages(message | {"text": {"body": "Give me money"}})
    assert [line["log_level"] for line in logs if line["event"] == "came_again_changed"] == ["warning"]
    assert (await read_replies(tick), len(tick.graph.sends), await tick.count_duplicates()) == (["It is broken"], 1, 2)


async def test_bad_input_30_the_same_id_on_two_numbers(tick: Tick) -> None:
    message = tick.build_message("It is broken", wamid="wamid.SHARED")
    for number in (OTHER_NUMBER, NUMBER):
        await tick.deliver(bodies.build_messages_webhook(number, [ANN], [message]))
    assert await tick.read_items() == [["message", "ignored", "foreign_number"], ["message", "done", ""]]
    assert await read_replies(tick) == ["It is broken"]


async def test_bad_input_31_a_thousand_changes_are_one_transaction(tick: Tick) -> None:
    people = [Person("Ann", str(15550003000 + at)) for at in range(10)]
    parts = []
    for at in range(1000):
        person = people[at % 10]
        status = bodies.build_delivery_status(person, f"wamid.OUT{at}", tick.now, "sent")
        webhooks = [bodies.build_statuses_webhook(NUMBER, [status])]
        if at < 50:
            message = tick.build_message(f"text {at}", person=person)
            webhooks.append(bodies.build_messages_webhook(NUMBER, [person], [message]))
        values = [json.loads(body)["entry"][0]["changes"][0]["value"] for body in webhooks]
        parts.append({"field": "messages", "value": {key: part for value in values for key, part in value.items()}})
    body = bodies.encode_json({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": parts}]})

    seen = set()
    posting = asyncio.create_task(tick.post(body))
    while not posting.done():
        seen.update(await tick.tables.fetch("SELECT (SELECT COUNT(*) FROM item), (SELECT COUNT(*) FROM customer)"))
    answered = await posting
    assert answered.status == 200
    assert seen <= {(0, 0), (1050, 10)}
    assert await tick.tables.fetch_value("SELECT COUNT(*) FROM item") == 1050
    await tick.wait_until_at_rest()
    assert (
        sorted(await tick.read_items())
        == [["message", "done", ""]] * 50 + [["status", "ignored", "unknown_message"]] * 1000
    )
    assert len(await read_replies(tick)) == 50


@pytest.mark.parametrize("bad", [None, 7, "x", [], {}, {"id": None, "type": "text"}, {"id": "wamid.BAD", "from": "x"}])
async def test_bad_input_32_one_bad_item_among_fifty(tick: Tick, bad: object) -> None:
    messages: list[Any] = [tick.build_message(f"text {at}") for at in range(49)]
    messages.insert(20, bad)
    await tick.deliver_messages(*messages)
    assert [fate for _, fate, _ in await tick.read_items()] == ["done"] * 20 + ["ignored"] + ["done"] * 29
    assert await read_replies(tick) == [f"text {at}" for at in range(49)]


@pytest.mark.parametrize("length", [4_096, 65_536])
async def test_bad_input_38_long_texts(tick: Tick, length: int) -> None:
    for text in ("x" * length, "😀" * length):
        await tick.tables.delete_all()
        assert await file(tick, text) == text
        assert [row[:2] for row in await tick.read_outbox()] == [["accepted", "text"]]


async def test_bad_input_38_a_text_of_a_megabyte(tick: Tick) -> None:
    kept = await file(tick, "y" * 1_000_000)
    assert len(kept) == 65_536
    assert kept.strip("y") == "… [cut]"
    assert [row[:2] for row in await tick.read_outbox()] == [["accepted", "text"]]


PICTURES = ["😀😀😀", "👨‍👩‍👧‍👦", "🏳️‍🌈🇧🇷🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👩🏽‍🚒👍🏿", "Z" + "\u0351" * 500 + "algo", "e\u0301 é 你好 مرحبا"]


@pytest.mark.parametrize("text", PICTURES)
async def test_bad_input_39_text_that_is_more_than_letters(tick: Tick, text: str) -> None:
    await tick.write("It is broken")
    await tick.write(text)
    assert await read_replies(tick) == ["It is broken", text]
    (ticket,) = await tick.read_as_agent("/api/tickets")
    assert [reply["message"] for reply in await tick.read_as_agent(f"/api/replies/{ticket['id']}")] == [text]


@pytest.mark.parametrize("text", ["", "   ", "\u200b", "\u200b\ufeff \n", "\u2800", "\0"])
async def test_bad_input_41_nothing_to_see(tick: Tick, text: str) -> None:
    await tick.write(text)
    assert await read_replies(tick) == []
    assert await tick.read_outbox() == [["accepted", "text", SORRY]]


MARKUP = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "{{7*7}}", "${7*7}",
          "{% raw %}", "'; DROP TABLE ticket; --", '"><svg/onload=alert(1)>']  # fmt: skip


@pytest.mark.parametrize("text", MARKUP)
async def test_bad_input_43_markup_is_text(tick: Tick, text: str) -> None:
    """Wherever a stranger may write, the desk gets it letter by letter, as JSON that no browser takes for a page."""
    person, at = Person(text, ANN.wa_id), tick.now
    heads = [MessageHead(person, f"wamid.{n}", at) for n in range(8)]
    file_ = Attached("1003383421387256", "image/png", b"\0" * 32, text)
    place = {"latitude": 1.0, "longitude": 2.0, "name": text, "address": text}
    card = {"name": {"formatted_name": text, "first_name": text}, "phones": [{"phone": text}]}
    messages = [
        message_bodies.text(heads[1], text),
        message_bodies.button_reply(heads[2], text, text),
        message_bodies.document(heads[3], file_, text),
        message_bodies.text(heads[4], text) | {"referral": {"headline": text, "body": text, "source_url": text}},
        message_bodies.text(heads[5], "x") | {"type": "location", "location": place},
        message_bodies.text(heads[6], "x") | {"type": "contacts", "contacts": [card]},
        message_bodies.text(heads[7], "x") | {"type": "button", "button": {"payload": text, "text": text}},
    ]
    await tick.deliver_messages(*messages, person=person)
    assert collapse(await tick.read_items()) == [["message", "done", "", "x7"]]
    (ticket,) = await tick.read_as_agent("/api/tickets")
    assert [ticket["name"], ticket["description"], ticket["issue_title"]] == [text] * 3
    replies = [reply["message"] for reply in await tick.read_as_agent(f"/api/replies/{ticket['id']}")]
    ad = f"{text}\n[came by an ad: {text}, {text}]"
    assert replies == [text, ad, f"[place: {text} · {text} · 1, 2]", f"[contact: {text}, {text}]", text]
    lines = {row[-1].replace(f"#{ticket['id']}*", "#1*") for row in await tick.read_outbox()}
    assert not any(text in line for line in lines)


async def test_bad_input_48_options_that_were_not_offered(tick: Tick) -> None:
    """An option counts only for the customer and the question it was offered for."""
    await tick.write("menu")
    await tick.write("menu", person=BEN)
    offered, others = (sent["interactive"]["action"]["sections"][0]["rows"][0]["id"] for sent in tick.graph.sends)
    forged = [others, "", "x", "999.send", offered.partition(".")[0] + ".submit", offered + "x", "-1.topic.hardware",
              offered.partition(".")[0] + ".topic.secret", "x" * 10_000, "١.topic.hardware"]  # fmt: skip
    for option_id in forged:
        await tick.deliver_messages(
            message_bodies.list_reply(MessageHead(ANN, f"wamid.{len(tick.graph.sends)}", tick.now), option_id, "\u200b")
        )
    lines = [row[-1] for row in await tick.read_outbox()][2:]
    assert len(lines) == len(forged)
    assert [line.startswith((OLD, "Sorry")) for line in lines] == [True] * len(forged)
    assert await read_replies(tick) == []
    await tick.deliver_messages(
        message_bodies.list_reply(MessageHead(ANN, "wamid.GOOD", tick.now), offered, "Hardware")
    )
    assert (await tick.read_outbox())[-1][-1].startswith("Tell us what is happening.")
