"""Intervals and paired tests, against published examples, scipy and arithmetic by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.stats import binomtest

from eval.intervals import (
    RESAMPLES,
    bootstrap_interval,
    mcnemar,
    mean_interval,
    paired_difference,
    percentile,
    percentile_interval,
    wilson_interval,
)


def test_wilson_interval_agrees_with_the_published_example() -> None:
    # 81 of 263: Newcombe 1998, table I, gives 0.2553 to 0.3662.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_interval_agrees_with_scipy_on_200_random_cases() -> None:
    draw = random.Random(7)
    for _ in range(200):
        trials = draw.randint(1, 400)
        successes = draw.randint(0, trials)
        theirs = binomtest(successes, trials).proportion_ci(method="wilson")
        assert wilson_interval(successes, trials) == pytest.approx(tuple(theirs), abs=1e-9)


def test_nothing_tried_could_be_any_rate() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_mcnemar_agrees_with_scipy_on_200_random_cases() -> None:
    draw = random.Random(8)
    for _ in range(200):
        lost, won = draw.randint(0, 60), draw.randint(0, 60)
        theirs = binomtest(lost, lost + won, 0.5).pvalue if lost + won else 1.0
        assert mcnemar(lost, won) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("lost", "won", "p"),
    [
        pytest.param(0, 0, 1.0, id="nothing changed"),
        pytest.param(3, 3, 1.0, id="as many either way"),
        pytest.param(5, 0, 2 / 32, id="five lost are not significant"),
        pytest.param(6, 0, 2 / 64, id="six are"),
        pytest.param(0, 6, 2 / 64, id="both sides count"),
        pytest.param(7, 1, 2 * (1 + 8) / 256, id="seven against one"),
    ],
)
def test_mcnemar_by_hand(lost: int, won: int, p: float) -> None:
    assert mcnemar(lost, won) == pytest.approx(p)


def test_mcnemar_stays_exact_over_a_large_set() -> None:
    assert mcnemar(3_000, 3_000) == 1.0
    assert 0 < mcnemar(1_600, 1_400) < 0.001


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.1, 400)
    low, high = mean_interval(values.tolist())
    error = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx(
        (values.mean() - error, values.mean() + error), abs=0.1 * error
    )


def test_the_interval_of_a_mean_covers_the_truth_in_about_95_of_100_samples() -> None:
    random_numbers = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        low, high = mean_interval(random_numbers.beta(2, 1, 60).tolist())
        hits += low <= 2 / 3 <= high
    assert 0.90 <= hits / 200 <= 0.98


def test_the_same_values_give_the_same_interval() -> None:
    values = [0.0, 0.25, 1.0, 0.5, 0.75]
    assert mean_interval(values) == mean_interval(values)


def test_resampling_in_pieces_makes_all_resamples() -> None:
    seen: list[int] = []

    def statistic(
        places: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        assert places.shape[1] == 30_000
        seen.append(len(places))
        return np.zeros(len(places))

    assert bootstrap_interval(30_000, statistic) == (0.0, 0.0)
    assert sum(seen) == RESAMPLES
    assert len(seen) > 1


def test_a_resample_without_a_value_is_left_out() -> None:
    low, high = bootstrap_interval(
        2, lambda places: np.where(places[:, 0] == places[:, 1], np.nan, 0.5)
    )
    assert (low, high) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 10.0), (0.95, 19.0), (0.951, 20.0), (1.0, 20.0), (0.0, 1.0)]
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([float(i) for i in range(20, 0, -1)], share) == value


def test_the_interval_of_a_percentile_holds_it() -> None:
    values = np.random.default_rng(5).exponential(100, 300).tolist()
    low, high = percentile_interval(values, 0.95)
    assert low < percentile(values, 0.95) < high
    assert min(values) <= low < high <= max(values)


def test_a_small_even_gain_shows_only_when_paired() -> None:
    before = [i / 50 for i in range(50)]
    after = [value + 0.01 + 0.002 * (i % 3) for i, value in enumerate(before)]
    low, high = paired_difference(before, after)
    assert 0.01 < low < high < 0.014
    assert mean_interval(before)[1] > mean_interval(after)[0]


def test_pairs_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_difference([1.0], [1.0, 0.0])
