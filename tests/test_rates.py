"""web.rates: who must wait, how long, and what does not help them."""

from __future__ import annotations

import pytest

import web.rates
from errors import TooManyRequestsError
from web.rates import RateLimits
from web.visitor import Visitor

MINUTE_BEGINS = 1_800_000_000.0  # also 2027-01-15 08:00 UTC, so 16 hours of the day are left
DAY_BEGINS = 1_800_057_600.0
PORTAL = "https://portal.example.cn"


class Clock:
    def __init__(self) -> None:
        self.now = MINUTE_BEGINS

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The library reads the time itself."""
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    return clock


def wait(limits: RateLimits, visitor: Visitor) -> int:
    with pytest.raises(TooManyRequestsError) as caught:
        limits.admit(visitor)
    return caught.value.retry_after


def asked(limits: RateLimits, visitor: Visitor, times: int) -> None:
    for _ in range(times):
        limits.admit(visitor)


def test_the_question_beyond_the_limit_is_refused(clock: Clock) -> None:
    limits = RateLimits(3, 0, 0, 0)
    asked(limits, Visitor("203.0.113.7"), 3)
    wait(limits, Visitor("203.0.113.7"))


def test_addresses_do_not_share_a_limit(clock: Clock) -> None:
    limits = RateLimits(1, 0, 0, 0)
    limits.admit(Visitor("203.0.113.7"))
    limits.admit(Visitor("203.0.113.8"))


def test_another_site_does_not_reset_an_address(clock: Clock) -> None:
    limits = RateLimits(1, 0, 0, 0)
    limits.admit(Visitor("203.0.113.7", PORTAL))
    wait(limits, Visitor("203.0.113.7", "https://other.example"))
    wait(limits, Visitor("203.0.113.7"))


def test_all_visitors_of_a_site_share_its_limit(clock: Clock) -> None:
    limits = RateLimits(0, 0, 2, 0)
    limits.admit(Visitor("203.0.113.7", PORTAL))
    limits.admit(Visitor("203.0.113.8", PORTAL))
    wait(limits, Visitor("203.0.113.9", PORTAL))
    limits.admit(Visitor("203.0.113.9", "https://other.example"))


def test_own_pages_and_programs_use_up_no_sites_limit(clock: Clock) -> None:
    limits = RateLimits(0, 0, 1, 1)
    asked(limits, Visitor("203.0.113.7"), 50)
    limits.admit(Visitor("203.0.113.7", PORTAL))


def test_zero_is_no_limit(clock: Clock) -> None:
    asked(RateLimits(0, 0, 0, 0), Visitor("203.0.113.7", PORTAL), 500)


@pytest.mark.parametrize("refused_by", ["address", "site"])
def test_a_refused_question_uses_up_nobodys_limit(clock: Clock, refused_by: str) -> None:
    limits = RateLimits(1, 10, 10, 10) if refused_by == "address" else RateLimits(10, 10, 1, 10)
    first = Visitor("203.0.113.7", PORTAL)
    limits.admit(first)
    for _ in range(30):
        wait(limits, first)
    clock.now += 121
    asked(limits, first, 1)
    clock.now += 121
    asked(limits, first, 1)


def test_after_the_wait_that_was_told_the_question_is_taken(clock: Clock) -> None:
    for limit in (1, 2, 3, 7, 30):
        for second in (0.0, 0.7, 17.3, 59.9):
            limits = RateLimits(limit, 0, 0, 0)
            visitor = Visitor("203.0.113.7")
            clock.now = MINUTE_BEGINS + second
            asked(limits, visitor, limit)
            for _ in range(3 * limit):  # through two more windows, as fast as it lets one
                seconds = wait(limits, visitor)
                assert 1 <= seconds <= 61
                clock.now += seconds
                limits.admit(visitor)


def test_the_wait_is_no_longer_than_needed(clock: Clock) -> None:
    limits = RateLimits(6, 0, 0, 0)
    visitor = Visitor("203.0.113.7")
    asked(limits, visitor, 6)
    clock.now += 61  # a sixth of the last window and a second: 5.9 of 6 still count
    limits.admit(visitor)
    assert wait(limits, visitor) == 10  # one every ten seconds, and the second is made up


def test_a_steady_asker_never_gets_more_than_the_limit_in_any_minute(clock: Clock) -> None:
    limits = RateLimits(10, 0, 0, 0)
    taken = []
    for _ in range(3000):
        clock.now += 0.1
        try:
            limits.admit(Visitor("203.0.113.7"))
            taken.append(clock.now)
        except TooManyRequestsError:
            pass
    assert len(taken) >= 45
    # The window before counts as if it had been even: a burst at its end can pass as far less.
    most = max(sum(start <= at < start + 60 for at in taken) for start in taken)
    assert most <= 15


def test_the_days_limit_lasts_over_minutes_and_hours(clock: Clock) -> None:
    clock.now = DAY_BEGINS
    limits = RateLimits(0, 5, 0, 0)
    visitor = Visitor("203.0.113.7")
    for _ in range(5):
        limits.admit(visitor)
        clock.now += 3600
    assert 3600 < wait(limits, visitor) <= 24 * 3600
    clock.now += wait(limits, visitor)
    limits.admit(visitor)


def test_the_longest_of_several_waits_is_told(clock: Clock) -> None:
    clock.now = DAY_BEGINS
    limits = RateLimits(1, 1, 0, 0)
    limits.admit(Visitor("203.0.113.7"))
    assert wait(limits, Visitor("203.0.113.7")) > 3600


@pytest.mark.parametrize(
    ("seconds", "said"), [(1, "1 秒"), (99, "99 秒"), (100, "2 分钟"), (86_000, "24 小时")]
)
def test_the_wait_is_said_in_words_that_fit_it(seconds: int, said: str) -> None:
    assert TooManyRequestsError(seconds).user_message == f"提问过于频繁，请 {said}后再试。"


def test_a_flood_of_addresses_is_held_in_bounded_memory_and_frees_no_site(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.rates, "_MOST_COUNTS", 100)
    limits = RateLimits(5, 50, 0, 3)
    asked(limits, Visitor("203.0.113.7", PORTAL), 3)
    for number in range(1000):
        limits.admit(Visitor(f"10.0.{number >> 8}.{number & 255}"))
    assert len(limits) <= 102
    wait(limits, Visitor("203.0.113.8", PORTAL))
