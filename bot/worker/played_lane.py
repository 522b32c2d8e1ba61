"""Says what is left to do with a lane after its round: what to deliver, and when to look at it again. Pure."""

from dataclasses import dataclass, field

from bot.lane_state import LaneState
from bot.service_window import close_window
from bot.worker.effects import Failure, LaneTurns
from bot.worker.round_input import MAX_ROWS_PER_LANE
from bot.worker.round_transaction import RoundTransaction
from storage.outbox import OutboxRow
from storage.statuses import OutboxStatus

POSTPONED_SECONDS = 0.5  # until a lane is looked at again for which there was no number of a ticket


@dataclass(slots=True)
class PlayedLane:
    """A lane after its round: what it has to deliver, and when to look at it again (None: only when rung).

    `moved`: its state has a new version; `forced`: Redis has a wrong one.
    """

    customer_id: int
    state: LaneState
    version: int
    rows: list[OutboxRow] = field(default_factory=list)
    again_seconds: float | None = None
    moved: bool = False
    forced: bool = False
    failure: Failure | None = None
    has_more_rows: bool = False  # than `rows`
    heard_wamid: str = ""  # the customer's last message, to be marked as read
    has_files: bool = False  # new ones, to be fetched


def make_played_lane(committed: RoundTransaction, customer_id: int, *, forced: bool) -> PlayedLane:
    """Makes it of what a round has committed; `forced`: what Redis has of its state is wrong."""
    loaded, lane = committed.loaded, committed.lanes.get(customer_id)
    version, body = loaded.versions.get(customer_id, (0, ""))
    again = _choose_again_seconds(committed, lane, customer_id)
    rows = loaded.rows.get(customer_id, [])
    unheld = [row for row in rows if row.status is not OutboxStatus.HELD]
    has_more_rows = len(unheld) >= MAX_ROWS_PER_LANE
    if lane is None or not lane.done:
        state = LaneState.from_json(body) if body else LaneState()
        if customer_id in committed.matched.closed_windows:
            state = close_window(state, committed.matched.closed_windows[customer_id])
        failure = lane.failure if lane else None
        return PlayedLane(
            customer_id=customer_id,
            state=state,
            version=version,
            rows=unheld,
            again_seconds=again,
            failure=failure,
            has_more_rows=has_more_rows,
        )
    if committed.may_release_held(customer_id):
        rows, again = [], 0.0  # what was held is read from SQL, where all of it is released, and goes out first
    else:
        rows = unheld if has_more_rows else unheld + [row for row in lane.rows if row.status is OutboxStatus.QUEUED]
    return PlayedLane(
        customer_id=customer_id,
        state=lane.state,
        version=version + 1,
        rows=rows,
        again_seconds=again,
        moved=True,
        forced=forced,
        failure=lane.failure,
        has_more_rows=has_more_rows,
        heard_wamid=lane.heard_wamid,
        has_files=bool(lane.files),
    )


def _choose_again_seconds(committed: RoundTransaction, lane: LaneTurns | None, customer_id: int) -> float | None:
    """When the lane is to be looked at again. What is parked may be about a message of this very round."""
    loaded, matched = committed.loaded, committed.matched
    parked = list(lane.parked.values()) if lane else []
    if customer_id in loaded.postponed:
        return POSTPONED_SECONDS
    wanted = [0.0] if customer_id in matched.rerouted or (parked and lane and lane.done) else []
    if rest_since := loaded.find_rest_since(customer_id, is_settled=customer_id in matched.settled):
        wanted.append(min(0.0, (rest_since - committed.now).total_seconds()))  # its place in the line, not behind it
    wanted += [matched.waiting[customer_id]] if customer_id in matched.waiting else []
    return min(wanted + parked, default=None)
