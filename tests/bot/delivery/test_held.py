"""What is held goes out when its customer writes, or when a template carries it: all of it, in order, while it is true;
and what a status says of a template is taken as an answer's word is."""

import json
from dataclasses import dataclass
from datetime import timedelta

import pytest

from bot.account.updates import record_updates
from bot.delivery.outbox_writer import OutboxWriter
from bot.templates.assignments import TemplateAssignments
from bot.templates.notice_kinds import NoticeKind
from bot.templates.parameters import ParameterMapping
from bot.whatsapp.webhook.updates import AccountUpdate, TemplateChange
from bot.worker.round_input import MAX_ROWS_PER_LANE
from storage import alerts, outbox, templates
from storage.outbox import Move, OutboxRow
from storage.statuses import Origin, OutboxReason, OutboxStatus, TicketStatus, Why
from storage.templates import StoredTemplate
from tests.bot.graph import Request, refuse
from tests.bot.test_service_window import has_nothing_pending, last_is, ticket
from tests.bot.world import AGENT, NUMBER, World

DAY_SECONDS = 25 * 3600
BODY = '[{"type":"BODY","text":"Ticket {{1}}: {{2}}"}]'
NAME = "ticket_update"


@dataclass
class Desk:
    """A world with a ticket whose customer has been silent for a day, and templates that Meta has approved."""

    world: World
    ticket_id: int

    async def choose(self, *kinds: str, name: str = NAME, language: str = "en") -> None:
        assignments = TemplateAssignments(self.world.database, self.world.ids, self.world.clock)
        for kind in kinds:
            await assignments.assign(
                actor="admin",
                kind=NoticeKind(kind),
                language=language,
                template_name=name,
                template_language="en",
                mapping=ParameterMapping.from_request(["ticket_id", "text"], []),
            )

    async def approve(self, *names: str) -> None:
        at = self.world.clock()
        made = [StoredTemplate(name, name, "en", "UTILITY", "APPROVED", "", BODY, at, at) for name in names]
        await self.world.database.run(lambda tx: templates.store_listing(tx, made, at, complete=False))

    async def hear(self, status: str, name: str = NAME) -> None:
        """Meta's webhook about a template, of now."""
        change = TemplateChange(name, name, "en", status)
        told = AccountUpdate(f"template:{name}:en", "clear" if status == "APPROVED" else "red", "", change)
        await self.world.database.run(lambda tx: record_updates(tx, [(self.world.clock(), told)]))

    async def move(self, *statuses: TicketStatus) -> str:
        changed = [await self.world.tickets.set_status(AGENT, self.ticket_id, status) for status in statuses]
        return str(changed[-1].delivery)

    async def say(self, text: str) -> str:
        return str((await self.world.replies.write(AGENT, self.ticket_id, text)).delivery)

    async def fails(self, request: Request, code: int, ago: float = 0) -> None:
        """A status of this send comes in."""
        told = [{"code": code, "title": "No"}]
        status = self.world.status(request.wamid, "failed", opaque=request.outbox_id, ago=ago, errors=told)
        await self.world.receive(status)
        await self.world.until(lambda: has_nothing_pending(self.world))

    async def status(self, name: str = NAME) -> str:
        async with self.world.database.reading() as tx:
            found = await templates.find(tx, name, "en")
        return found.status if found else ""

    async def alerts(self) -> dict[str, str]:
        async with self.world.database.reading() as tx:
            return {alert.subject: alert.severity for alert in await alerts.list_open(tx)}

    async def states(self) -> list[str]:
        """Of what agents sent."""
        found = await self.world.rows("SELECT status FROM outbox WHERE origin <> 'prompt' ORDER BY version, id")
        return [row[0] for row in found]

    async def reason(self) -> str:
        ((reason, detail),) = await self.world.rows("SELECT reason, detail FROM outbox WHERE status = 'held'")
        return str(detail or reason)

    def templates_sent(self) -> list[str]:
        """The text that each was filled with."""
        bodies = [request.body["template"] for request in self.world.graph.requests if "template" in request.body]
        return [body["components"][0]["parameters"][1]["text"] for body in bodies]


@pytest.fixture
async def desk(world: World) -> Desk:
    desk = Desk(world, await ticket(world))
    world.clock.forward(DAY_SECONDS)
    return desk


async def test_however_much_is_held_all_of_it_goes_out_when_they_write(world: World, desk: Desk) -> None:
    (customer_id,) = (await world.customers()).values()
    words = [f"Words {number}" for number in range(MAX_ROWS_PER_LANE + 3)]
    now = world.clock()
    rows = [
        OutboxRow(
            world.ids.next(),
            customer_id,
            1,
            Origin.AGENT,
            f'{{"type":"text","text":"{text}"}}',
            now,
            status=OutboxStatus.HELD,
        )
        for text in words
    ]
    await world.database.run(lambda tx: outbox.insert(tx, rows))
    asked = len(world.graph.requests)
    async with world.working():
        await world.write("Hello?")
        await world.at_rest()
    assert world.graph.texts()[asked : asked + len(words)] == words, "before what is answered to them"
    assert len(world.graph.requests) > asked + len(words)


async def test_what_is_held_goes_out_before_newer_words_once_they_write_to_metas_agent(
    world: World, desk: Desk
) -> None:
    """Which opens the 24 hours, though it is not ours to answer."""
    assert await desk.say("First") == "held"
    asked = len(world.graph.requests)
    async with world.working():
        await world.receive(world.message("Are you a robot?", wamid="theirs"), field="standby")
        await world.at_rest()
        assert await desk.say("Second") == "queued"
        await world.at_rest()
    assert world.graph.texts()[asked:] == ["First", "Second"]
    assert "theirs" not in [mark["message_id"] for mark in world.graph.marks], "nor is it marked as read by us"


@pytest.mark.parametrize(("heard", "left"), [("APPROVED", "queued"), ("PAUSED", "held")])
async def test_whether_a_template_carries_a_row_is_asked_again_where_it_is_held(
    world: World, desk: Desk, heard: str, left: str
) -> None:
    """Whoever approves it after the first look finds nothing to release yet."""
    await desk.approve(NAME)
    await desk.choose("resolved")
    assert await desk.move(TicketStatus.RESOLVED) == "queued"
    ((outbox_id, customer_id, ticket_id, payload),) = await world.rows(
        "SELECT id, customer_id, ticket_id, payload FROM outbox WHERE origin = 'notice'"
    )
    await desk.hear(heard)
    writer = OutboxWriter(
        database=world.database, lanes=world.lanes, ids=world.ids, clock=world.clock, phone_number_id=NUMBER
    )
    step = Move(
        outbox_id,
        OutboxStatus.QUEUED,
        0,
        OutboxStatus.HELD,
        Why(OutboxReason.WINDOW_CLOSED),
        customer_id=customer_id,
        ticket_id=ticket_id,
    )
    assert await writer.move_unless_open(step, customer_id, json.loads(payload)) is (left == "queued")
    assert await desk.states() == [left]


async def test_a_notice_that_a_template_overtook_is_not_sent_when_they_write(world: World, desk: Desk) -> None:
    await desk.approve(NAME)
    await desk.choose("resolved")
    assert await desk.move(TicketStatus.IN_PROGRESS) == "held"
    async with world.working():
        assert await desk.move(TicketStatus.RESOLVED) == "queued"
        await world.until(lambda: last_is(world, "accepted"))
        asked = len(world.graph.requests)
        await world.write("Thank you!")
        await world.at_rest()
    assert await desk.states() == ["failed", "accepted"]
    assert not [text for text in world.graph.texts()[asked:] if "working on" in text]


async def test_a_template_that_is_chosen_takes_what_is_still_true(world: World, desk: Desk) -> None:
    await desk.approve(NAME)
    assert await desk.move(TicketStatus.IN_PROGRESS) == "held"
    assert await desk.say("A part is ordered.") == "held"
    assert await desk.move(TicketStatus.WAITING, TicketStatus.IN_PROGRESS, TicketStatus.RESOLVED) == "held"
    async with world.working():
        await desk.choose("in_progress", "waiting")
        await desk.choose("resolved", "reply")
        await world.at_rest()
        assert await desk.states() == ["held", "accepted", "held", "held", "accepted"]
        await world.write("Thank you!")
        await world.at_rest()
    assert sorted(desk.templates_sent())[0] == "A part is ordered."
    assert "is solved" in sorted(desk.templates_sent())[1]
    assert await desk.states() == ["failed", "accepted", "failed", "failed", "accepted"]


async def test_what_was_held_while_a_template_was_paused_goes_out_in_order(world: World, desk: Desk) -> None:
    await desk.approve(NAME)
    await desk.choose("waiting", "reply")
    await desk.hear("PAUSED")
    assert await desk.say("Which printer is it?") == "held"
    assert "the template ticket_update was paused by Meta" in await desk.reason()
    assert await desk.move(TicketStatus.IN_PROGRESS, TicketStatus.WAITING) == "held"
    world.clock.forward(3 * 3600)
    async with world.working():
        await desk.hear("APPROVED")
        await world.at_rest()
    first, second = desk.templates_sent()
    assert (first, "waiting for word" in second) == ("Which printer is it?", True)
    assert await desk.states() == ["accepted", "held", "accepted"], "no template carries the other"


async def test_what_is_refused_again_and_again_waits_for_the_customer(world: World, desk: Desk) -> None:
    """Meta lists the template as approved, and refuses what is made of it: no listing sends it for ever."""
    await desk.approve(NAME)
    await desk.choose("reply")
    world.graph.always = refuse(132001)
    asked = len(world.graph.requests)
    async with world.working():
        await desk.say("Which printer is it?")
        for tries in range(1, 4):
            await world.graph.until(asked + tries)
            await world.until(lambda: last_is(world, "held"))
            assert await desk.status() == "REMOVED"
            world.clock.forward(60)
            await desk.hear("APPROVED")
        assert await desk.states() == ["held"]
        world.graph.always = None
        await world.write("Hello?")
        await world.at_rest()
    assert await desk.states() == ["accepted"]


async def test_words_that_no_template_carries_say_why(world: World, desk: Desk) -> None:
    await desk.approve(NAME)
    await desk.choose("reply")
    await desk.say("x" * 1100)
    assert (await desk.reason()).endswith(
        "the template ticket_update has no room for it: its body would have 1110 characters, and WhatsApp takes 1024"
    )


OFF = {132001: "REMOVED", 132015: "PAUSED", 132016: "DISABLED"}
YELLOW = [132018]


@pytest.mark.parametrize("code", [*OFF, *YELLOW])
async def test_a_status_says_of_a_template_what_an_answer_says(world: World, desk: Desk, code: int) -> None:
    await desk.approve(NAME)
    await desk.choose("resolved")
    async with world.working():
        await desk.move(TicketStatus.RESOLVED)
        await world.until(lambda: last_is(world, "accepted"))
        world.clock.forward(5)
        await desk.fails(world.graph.requests[-1], code)
        listed = [path for path in world.graph.questions if "message_templates" in path]
        await world.until(lambda: was_asked_again(world, len(listed)) if not listed else has_nothing_pending(world))
    assert await desk.states() == ["held"]
    assert await desk.status() == OFF.get(code, "APPROVED")
    red, yellow = f"template:{NAME}:en", f"template-refused:{NAME}:en"
    found = await desk.alerts()
    assert (found.get(red), found.get(yellow)) == (("red", None) if code in OFF else (None, "yellow"))


async def was_asked_again(world: World, before: int) -> bool:
    return sum("message_templates" in path for path in world.graph.questions) > before


async def test_a_template_that_was_approved_again_meanwhile_stays_on(world: World, desk: Desk) -> None:
    await desk.approve(NAME)
    await desk.choose("resolved")
    async with world.working():
        await desk.move(TicketStatus.RESOLVED)
        await world.until(lambda: last_is(world, "accepted"))
        world.clock.forward(3600)
        await desk.hear("APPROVED")
        await desk.fails(world.graph.requests[-1], 132015, ago=1800)
    assert await desk.status() == "APPROVED"


async def test_a_template_that_was_chosen_since_is_not_blamed(world: World, desk: Desk) -> None:
    await desk.approve(NAME, "another")
    await desk.choose("resolved")
    async with world.working():
        await desk.move(TicketStatus.RESOLVED)
        await world.until(lambda: last_is(world, "accepted"))
        world.clock.forward(5)
        await desk.choose("resolved", name="another")
        await desk.fails(world.graph.requests[-1], 132015)
    assert (await desk.status(), await desk.status("another")) == ("APPROVED", "APPROVED")


@pytest.mark.parametrize(("before", "off"), [(True, "another"), (False, NAME)])
async def test_of_two_that_carry_a_notice_it_is_the_one_that_was_on(
    world: World, desk: Desk, before: bool, off: str
) -> None:
    """The better one was paused before the message went out, or after."""
    await desk.approve(NAME, "another")
    await desk.choose("resolved", name=NAME, language="pt_BR")
    await desk.choose("resolved", name="another")
    (customer_id,) = (await world.customers()).values()
    values = '{"ticket_id":"12","text":"News.","title":"","name":""}'
    payload = f'{{"type":"text","text":"","notice":{{"kind":"resolved","language":"pt_BR","values":{values}}}}}'
    row = OutboxRow(world.ids.next(), customer_id, 1, Origin.NOTICE, payload, world.clock())
    if before:
        await desk.hear("PAUSED")
    await world.database.run(lambda tx: outbox.insert(tx, [row]))
    async with world.working():
        await world.until(lambda: is_last_accepted(world, row.outbox_id))
        request = world.graph.requests[-1]
        assert request.body["template"]["name"] == off
        world.clock.forward(5)
        if not before:
            await desk.hear("PAUSED")
        world.clock.forward(5)
        await desk.fails(request, 132016)
    assert await desk.status(off) == "DISABLED"
    assert await desk.status(NAME if before else "another") == ("PAUSED" if before else "APPROVED")


async def is_last_accepted(world: World, outbox_id: int) -> bool:
    return await world.rows("SELECT status FROM outbox WHERE id = ?", outbox_id) == [("accepted",)]


async def test_what_is_a_template_itself_names_it(world: World, desk: Desk) -> None:
    await desk.approve(NAME)
    (customer_id,) = (await world.customers()).values()
    payload = f'{{"type":"template","name":"{NAME}","language":"en","body":["12","News."]}}'
    row = OutboxRow(world.ids.next(), customer_id, 1, Origin.AGENT, payload, world.clock())
    await world.database.run(lambda tx: outbox.insert(tx, [row]))
    async with world.working():
        await world.until(lambda: is_last_accepted(world, row.outbox_id))
        world.clock.forward(5)
        await desk.fails(world.graph.requests[-1], 132015)
    assert (await desk.status(), await desk.alerts()) == ("PAUSED", {f"template:{NAME}:en": "info"})


GOOD_NEWS = [("account:ban", True), ("number:name", True), ("template-quality:a", False)]


@pytest.mark.parametrize(("subject", "tried"), GOOD_NEWS)
async def test_good_news_of_the_account_are_tried_at_once(world: World, subject: str, tried: bool) -> None:
    world.graph.always = refuse(131031)
    async with world.working():
        await world.write("Hi")
        await world.until(lambda: has_channel_alert(world))
        world.graph.always = None
        at = world.clock() + timedelta(seconds=1)
        await world.database.run(lambda tx: record_updates(tx, [(at, AccountUpdate(subject, "clear", ""))]))
        if tried:
            await world.at_rest()
    assert await has_channel_alert(world) is not tried


async def has_channel_alert(world: World) -> bool:
    async with world.database.reading() as tx:
        return await alerts.find(tx, "channel") is not None
