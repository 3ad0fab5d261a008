"""The live line of a build: how fast it goes and what is left."""

from __future__ import annotations

from app import _Pace, _paced


def test_before_the_second_step_nothing_is_known() -> None:
    pace = _Pace()
    pace.step(0, 100.0)
    assert pace.figures(50) == {"per_second": None, "seconds_left": None}
    assert _paced(pace.figures(50), "段") == ""


def test_rate_and_time_left_follow_from_the_steps() -> None:
    pace = _Pace()
    pace.step(0, 100.0)
    pace.step(256, 104.0)
    figures = pace.figures(10_000)
    assert figures == {"per_second": 64.0, "seconds_left": 152.2}
    assert _paced(figures, "段") == "64.0 段/秒，还要 02:32"


def test_only_the_last_half_minute_counts() -> None:
    pace = _Pace()
    for second in range(0, 101, 10):
        pace.step(second if second <= 50 else 50 + 10 * (second - 50), float(second))
    assert pace.figures(1_000)["per_second"] == 10.0


def test_without_progress_nobody_knows_when_it_ends() -> None:
    pace = _Pace()
    pace.step(5, 1.0)
    pace.step(5, 9.0)
    assert pace.figures(10)["seconds_left"] is None
