"""Makes one customer of two whom Meta has named as one person.

Invariants
- It happens behind the fences of both, which were raised in the order of their ids. Whoever else has one of them in
  hand (a worker, an agent) finds that a version has moved or a row is gone, and reads anew.
- Nothing is lost: every row that is a customer's becomes the kept one's. Rows keep their ids and their states, so
  nothing is sent twice either.
- Rows of the outbox keep their order: those of the kept customer, then those of the other. No two messages come to
  share a version, by which the parts of one message are known.
"""

from dataclasses import dataclass

from storage.sql.database import Tx, placeholders

# The tables whose rows belong to a customer by their column `customer_id`, and only have to be given to another. The
# outbox, the aliases, the conversation and the file budget need more. A test holds this list against the models.
TABLES = ("item", "ticket", "ticket_message", "ticket_event", "file")
FOUND_BY_TICKET = ("ticket_message", "ticket_event")  # they grow, and have no index on the customer


@dataclass(frozen=True, slots=True)
class Join:
    """`joined_id` becomes `kept_id`, who is at `kept_version` behind the fence."""

    kept_id: int
    joined_id: int
    kept_version: int


async def join(tx: Tx, pair: Join) -> None:
    """Gives the kept customer all that is the joined one's, and deletes that one. The lane state is the caller's to
    write."""
    kept, joined = pair.kept_id, pair.joined_id
    # first, so that whoever is writing something down for the joined customer has done so by now
    await tx.execute("UPDATE alias SET customer_id = ? WHERE customer_id = ?", [kept, joined])
    await tx.execute("UPDATE alias SET is_first = ? WHERE customer_id = ?", [False, kept])
    await tx.execute(
        "UPDATE outbox SET customer_id = ?, version = version + ? WHERE customer_id = ?",
        [kept, pair.kept_version, joined],
    )
    tickets = [row[0] for row in await tx.fetch("SELECT id FROM ticket WHERE customer_id = ?", [joined])]
    for table in TABLES:
        if table not in FOUND_BY_TICKET:
            await tx.execute(f"UPDATE {table} SET customer_id = ? WHERE customer_id = ?", [kept, joined])
        elif tickets:
            which = placeholders(len(tickets))
            await tx.execute(f"UPDATE {table} SET customer_id = ? WHERE ticket_id IN ({which})", [kept, *tickets])
    await _take_reachability(tx, kept, joined)
    await tx.execute("DELETE FROM file_budget WHERE customer_id = ?", [joined])  # what it bounds is counted in files
    await tx.execute("DELETE FROM conversation WHERE customer_id = ?", [joined])
    await tx.execute("DELETE FROM customer WHERE id = ?", [joined])


async def _take_reachability(tx: Tx, kept: int, joined: int) -> None:
    """Whether anything gets through is known best of the one who was heard of last."""
    rows = await tx.fetch("SELECT unreachable_at, unreachable_reason FROM customer WHERE id = ?", [joined])
    for unreachable_at, reason in rows:
        await tx.execute(
            "UPDATE customer SET unreachable_at = ?, unreachable_reason = ? WHERE id = ?",
            [unreachable_at, reason, kept],
        )
