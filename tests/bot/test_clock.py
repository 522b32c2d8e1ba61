"""Tick's clock and ids while somebody moves the machine's clock: neither goes back, and no wait becomes an hour."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from bot.clock import CATCH_UP, MAX_STEP_SECONDS, SteadyClock, utc_now
from bot.ids import IdMaker, read_instant

NOON = 1_764_500_400.0
HOUR = 3_600.0


@dataclass
class Machine:
    """A machine whose clock somebody moves."""

    wall: float = NOON
    monotonic: float = 5.0

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.monotonic)

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def seconds_of(clock: SteadyClock) -> float:
    return clock().timestamp() - NOON


def test_it_shows_the_machines_time() -> None:
    machine = Machine()
    clock = machine.clock()
    assert seconds_of(clock) == 0
    machine.pass_time(10.25)
    assert seconds_of(clock) == pytest.approx(10.25, abs=0.001)
    assert abs(SteadyClock()() - utc_now()) < timedelta(minutes=1)
    assert clock().microsecond % 1000 == 0


@pytest.mark.parametrize("step", [-HOUR, HOUR, -14 * HOUR, 14 * HOUR])
def test_a_step_of_the_machines_clock_is_made_up_for_by_and_by(step: float) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += step
    shown = seconds_of(clock)
    assert shown == pytest.approx(0, abs=0.001), "no time has passed"
    for _ in range(200):
        machine.pass_time(0.1)
        before, shown = shown, seconds_of(clock)
        assert 0.1 * (1 - CATCH_UP) - 0.002 <= shown - before <= 0.1 * (1 + CATCH_UP) + 0.002
    assert shown == pytest.approx(20 + (5 if step > 0 else -5), abs=0.3)
    for _ in range(60):
        machine.pass_time(HOUR)
        before, shown = shown, seconds_of(clock)
        assert shown > before
    assert shown == pytest.approx(machine.wall - NOON, abs=0.001)


def test_a_step_forward_and_back_is_as_if_nothing_had_been() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += HOUR
    machine.pass_time(1)
    assert seconds_of(clock) == pytest.approx(1 + CATCH_UP, abs=0.002)
    machine.wall -= HOUR
    machine.pass_time(10)
    assert seconds_of(clock) == pytest.approx(11, abs=0.002)


@pytest.mark.parametrize("step", [-1.01 * MAX_STEP_SECONDS, 1.01 * MAX_STEP_SECONDS, 20 * 365 * MAX_STEP_SECONDS])
def test_a_machine_that_was_days_off_is_believed(step: float) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += step
    assert seconds_of(clock) == pytest.approx(step, abs=0.001)


def test_a_process_that_starts_on_a_clock_that_was_put_back_goes_on_from_what_is_stored() -> None:
    machine = Machine()
    clock, ids = machine.clock(), IdMaker(machine.clock())
    written = [ids.next() for _ in range(3)]
    machine.wall -= HOUR
    restarted = machine.clock()
    restarted.start_after(read_instant(written[-1]))
    assert seconds_of(restarted) == pytest.approx(0, abs=0.002)
    restarted.start_after(read_instant(written[0]))
    machine.pass_time(10)
    assert seconds_of(restarted) == pytest.approx(10 * (1 - CATCH_UP), abs=0.005)
    assert clock() >= restarted()


def test_what_is_stored_from_years_ahead_is_no_reason_to_believe_it() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.start_after(datetime.fromtimestamp(NOON + 1.01 * MAX_STEP_SECONDS).astimezone())
    assert seconds_of(clock) == 0


@pytest.mark.parametrize("step", [-HOUR, -400 * MAX_STEP_SECONDS, HOUR])
def test_ids_rise_whatever_the_clock_does(step: float) -> None:
    machine = Machine()
    ids = IdMaker(lambda: datetime.fromtimestamp(machine.wall).astimezone())
    made = [ids.next()]
    machine.wall += step
    made += [ids.next() for _ in range(1000)]
    restarted = IdMaker(lambda: datetime.fromtimestamp(machine.wall).astimezone())
    restarted.start_above(made[-1])
    for _ in range(1000):
        made.append(restarted.next())
        machine.wall += 0.001
    assert made == sorted(set(made))


def test_two_processes_that_go_on_from_the_same_id_make_other_ids() -> None:
    machine = Machine()
    both = []
    for _ in range(2):
        ids = IdMaker(lambda: datetime.fromtimestamp(machine.wall).astimezone())
        ids.start_above(IdMaker(lambda: datetime.fromtimestamp(machine.wall + HOUR).astimezone()).next())
        both.append({ids.next() for _ in range(3)})
    assert not both[0] & both[1]


def test_an_id_tells_when_it_was_made() -> None:
    machine = Machine()
    clock = machine.clock()
    assert read_instant(IdMaker(clock).next()) == clock()
    assert clock().tzinfo is not None
