"""Writes what comes of settling items: joined customers, names, and what agents and operators are told.

Invariants
- Whoever is joined, named for the first time or noted about is locked by their fence, in the order of the ids, before
  anything of theirs is written.
- Agents read a note on the tickets that are open, else on the newest; of a customer without any, on their next one.
- What has been written once is not written again: a transaction that is run again finds nothing left to come of it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bot.delivery.addresses import choose_address, is_theirs
from bot.ids import IdMaker
from bot.intake.joined_state import join_states
from bot.intake.outcome import AgentNote, CustomerJoin, Outcome
from bot.lane_state import LaneState
from storage import alerts, audit, customer_join, customers, event_log, fence, tickets, turn_writes
from storage.audit import AuditLine
from storage.customer_join import Join
from storage.directory import MAX_NAME_LENGTH, Directory
from storage.event_log import TicketEvent
from storage.fence import StoredLaneState
from storage.sql.database import Tx
from storage.statuses import EventAuthor, ReplyAuthor, ReplyKind, TicketEventKind
from storage.turn_writes import NewReply

ACTOR = "WhatsApp"  # in the audit: Meta's word is what changed it
States = dict[int, StoredLaneState]  # of the customers who are locked


async def write_outcome(tx: Tx, directory: Directory, outcome: Outcome, ids: IdMaker) -> set[int]:
    """Writes the directory and what came of its items; returns the customers whose lane states have moved."""
    notes = [replace(note, customer_id=outcome.resolve(note.customer_id)) for note in outcome.notes]
    joins = [join for join in outcome.joins if join.is_stored]
    joined = {customer_id for join in joins for customer_id in (join.kept_id, join.joined_id)}
    stored = await customers.load_names(tx, joined | {one for one in outcome.names if not directory.is_new(one)})
    names = _choose_names(outcome, joins, stored)
    first_named = {customer_id for customer_id in names if not stored[customer_id]}
    noted = {note.customer_id for note in notes if not directory.is_new(note.customer_id)}
    locked = sorted(joined | first_named | noted)
    states = {customer_id: await fence.raise_version(tx, customer_id) for customer_id in locked}
    _prepare_new_customers(directory, outcome, notes)
    await customers.write_directory(tx, directory)
    for join in joins:
        await _join(tx, join, states)
    await customers.rename(tx, names)
    for customer_id in sorted(first_named):
        await tickets.fill_in_name(tx, customer_id, names[customer_id])
    for note in notes:
        if note.customer_id in states:
            await _write_note(tx, note, states, ids, outcome.now)
    for customer_id in noted:
        _leave_lost_address(customer_id, directory, states)
    for customer_id, (version, body) in sorted(states.items()):
        await fence.continue_at(tx, customer_id, version, body)
    for entry in outcome.audit:
        line = AuditLine(ids.next(), outcome.now, ACTOR, entry.action, outcome.resolve(entry.customer_id), entry.detail)
        await audit.write(tx, line)
    for alert in sorted(outcome.alerts, key=lambda alert: alert.subject):
        await alerts.raise_alert(tx, alert)
    return set(locked)


def _choose_names(outcome: Outcome, joins: list[CustomerJoin], stored: Mapping[int, str]) -> dict[int, str]:
    """Chooses the names that stored customers are to have from now on, where they are other than before: of a customer
    who is joined with another, the name of the one who was met last."""
    wanted = {customer_id: name for customer_id, (_, name) in outcome.names.items() if customer_id in stored}
    for join in joins:
        wanted.setdefault(join.kept_id, stored[join.joined_id] or stored[join.kept_id])
    gone = {join.joined_id for join in joins}
    return {
        customer_id: name
        for customer_id, name in wanted.items()
        if customer_id not in gone and name[:MAX_NAME_LENGTH] != stored[customer_id]
    }


def _prepare_new_customers(directory: Directory, outcome: Outcome, notes: list[AgentNote]) -> None:
    """Gives customers who are made in this transaction the name that they said last, and the notes that wait for their
    first ticket."""
    directory.customers = [
        new._replace(name=outcome.names[new.customer_id][1][:MAX_NAME_LENGTH])
        if new.customer_id in outcome.names
        else new
        for new in directory.customers
    ]
    for note in notes:
        if directory.is_new(note.customer_id):
            state = LaneState.from_json(directory.bodies.get(note.customer_id, directory.body))
            directory.bodies[note.customer_id] = _add_note(state, note.text).to_json()


async def _join(tx: Tx, join: CustomerJoin, states: States) -> None:
    kept, joined = states[join.kept_id], states.pop(join.joined_id)
    await customer_join.join(tx, Join(join.kept_id, join.joined_id, kept.version))
    state = join_states(LaneState.from_json(kept.body), LaneState.from_json(joined.body))
    states[join.kept_id] = StoredLaneState(kept.version + joined.version, state.to_json())


async def _write_note(tx: Tx, note: AgentNote, states: States, ids: IdMaker, at: datetime) -> None:
    ticket_ids = await turn_writes.list_tickets_for_note(tx, note.customer_id)
    if not ticket_ids:
        version, body = states[note.customer_id]
        state = _add_note(LaneState.from_json(body), note.text)
        states[note.customer_id] = StoredLaneState(version, state.to_json())
    replies = [
        NewReply(
            reply_id=ids.next(),
            ticket_id=ticket_id,
            message=note.text,
            wamid="",
            item_id=note.cause.item_id,
            late=False,
            written_at=note.cause.at,
            created_at=at,
            author=ReplyAuthor.SYSTEM,
            kind=ReplyKind.NOTE,
        )
        for ticket_id in ticket_ids
    ]
    await turn_writes.insert_replies(tx, replies)
    events = [
        TicketEvent(
            event_id=ids.next(),
            ticket_id=reply.ticket_id,
            customer_id=note.customer_id,
            kind=TicketEventKind.NOTE,
            author=EventAuthor.SYSTEM,
            at=at,
            reply_id=reply.reply_id,
        )
        for reply in replies
    ]
    await event_log.write(tx, events)


def _add_note(state: LaneState, text: str) -> LaneState:
    return replace(state, note="\n".join(filter(None, (state.note, text))))


def _leave_lost_address(customer_id: int, directory: Directory, states: States) -> None:
    """Has the customer answered elsewhere where the address that they last wrote from is no longer theirs. (When
    something is sent, it is looked at again.)"""
    version, body = states[customer_id]
    state = LaneState.from_json(body)
    owners = {alias: known.customer_id for alias, known in directory.known.items()}
    if state.address and not is_theirs(state.address, customer_id, owners):
        address = choose_address(directory.list_aliases(customer_id, ""))
        states[customer_id] = StoredLaneState(version, replace(state, address=address).to_json())
