"""How often a password may be tried, and whose tries are counted together."""

import time
from ipaddress import ip_network

import pytest

from api.desk.sign_in_throttle import MAX_KEPT_COUNTS, SignInThrottle
from api.server.client_address import find_client_network
from tests.api.rest_service import Clock


def test_waits_grow_and_are_forgotten() -> None:
    clock = Clock()
    throttle = SignInThrottle(clock)
    assert [throttle.admit("ann", "1") for _ in range(6)] == [0, 0, 0, 0, 2, 2]
    let_in = 0
    for _ in range(60):
        clock.forward(seconds=1)
        let_in += throttle.admit("ann", "1") == 0
    assert let_in == 4
    assert throttle.admit("ann", "2") == 0
    clock.forward(seconds=3601)
    assert [throttle.admit("ann", "1") for _ in range(5)] == [0, 0, 0, 0, 2]


def test_an_account_under_attack() -> None:
    throttle = SignInThrottle(Clock())
    for number in range(30):
        assert throttle.admit("ann", f"net {number}") == 0
    assert throttle.admit("ann", "net 29") > 0
    assert throttle.admit("ann", "clean") == 0
    assert throttle.admit("ben", "net 29") == 0


def test_one_network_on_many_accounts() -> None:
    throttle = SignInThrottle(Clock())
    assert sum(throttle.admit(f"account {number}", "net") == 0 for number in range(1000)) == 10


def test_a_right_password_clears_what_was_mistyped() -> None:
    throttle = SignInThrottle(Clock())
    for _ in range(2):
        assert [throttle.admit("ann", "1") for _ in range(4)] == [0, 0, 0, 0]
        throttle.clear("ann", "1")


def test_what_is_kept_is_bounded() -> None:
    throttle = SignInThrottle(Clock())
    for number in range(2 * MAX_KEPT_COUNTS):
        throttle.admit(f"account {number}", f"net {number}")
    assert len(throttle._kept) <= MAX_KEPT_COUNTS


@pytest.mark.parametrize(
    ("peer", "forwarded", "nearest"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64"),
        ("2001:db8::1", ["198.51.100.7"], "2001:db8::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", ["198.51.100.7"], ""),
    ],
)
def test_the_nearest_stranger(peer: str, forwarded: list[str], nearest: str) -> None:
    assert find_client_network(peer, forwarded, [ip_network("10.0.0.0/8")]) == nearest


def test_addresses_that_nobody_vouches_for_cost_nothing() -> None:
    """A head of 16 kB has 8,000 of them, and each takes some microseconds to read."""

    def measure(peer: str, hops: int) -> float:
        header = ",".join(["1"] * hops)
        began = time.thread_time()
        find_client_network(peer, [header], [ip_network("10.0.0.0/8")])
        return time.thread_time() - began

    for peer in ("192.0.2.1", "10.0.0.1"):
        usual, crowded = (min(measure(peer, hops) for _ in range(9)) for hops in (1, 8000))
        assert crowded < 100 * max(usual, 5e-6), (peer, usual, crowded)


def test_a_clock_that_is_put_back_locks_nobody_out() -> None:
    clock = Clock()
    throttle = SignInThrottle(clock)
    assert [throttle.admit("ann", "1") for _ in range(5)] == [0, 0, 0, 0, 2]
    clock.forward(hours=-48)
    assert throttle.admit("ann", "1") == 0
