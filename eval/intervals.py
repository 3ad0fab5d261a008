"""How far chance may have moved a figure: 95 % intervals and paired comparisons.

All take questions as independent of each other; questions on one document are a little less so,
and the true intervals a little wider. The same values always give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

RESAMPLES = 1_000
_SEED = 20_180_701
_CELLS = 1_000_000  # indices held at a time, so that memory does not grow with the test set
_Z = 1.959963984540054  # 97.5 % of the normal distribution lies below


def wilson_interval(successes: int, trials: int) -> Interval:
    """95 % interval of a rate; (0, 1) without trials.

    Source: Wilson 1927, doi 10.1080/01621459.1927.10502953.
    """
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    centre = rate + _Z * _Z / (2 * trials)
    margin = _Z * math.sqrt(rate * (1 - rate) / trials + _Z * _Z / (4 * trials * trials))
    scale = 1 + _Z * _Z / trials
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def bootstrap_interval(count: int, statistic: Callable[[Indices], Floats]) -> Interval:
    """95 % interval of any statistic: percentiles over 1,000 resamples with replacement.

    Args:
        count: of the values, at least 1.
        statistic: takes resamples as places 0 ≤ i < count, shape (resamples, count), and returns
            one number for each; those that are not numbers (nan) are left out.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    results = np.concatenate([statistic(places) for places in _resamples(count)])
    low, high = np.nanpercentile(results, [2.5, 97.5])
    return float(low), float(high)


def _resamples(count: int) -> Iterator[Indices]:
    random = np.random.default_rng(_SEED)
    rows = max(1, _CELLS // count)
    for start in range(0, RESAMPLES, rows):
        yield random.integers(0, count, size=(min(rows, RESAMPLES - start), count))


def mean_interval(values: Sequence[float]) -> Interval:
    """95 % interval of the mean of at least one value.

    Values that are all equal give an interval without width, however few they are.
    """
    array = np.asarray(values, dtype=float)
    return bootstrap_interval(len(array), lambda places: array[places].mean(axis=1))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` of them do not exceed (nearest rank)."""
    return float(np.sort(values)[_nearest_rank(len(values), share)])


def percentile_interval(values: Sequence[float], share: float) -> Interval:
    """95 % interval of `percentile`."""
    array = np.asarray(values, dtype=float)
    place = _nearest_rank(len(array), share)
    return bootstrap_interval(
        len(array), lambda places: np.partition(array[places], place, axis=1)[:, place]
    )


def _nearest_rank(count: int, share: float) -> int:
    # Rounded first: 0.95 * 20 must not become 19.000000000000004.
    return max(0, math.ceil(round(share * count, 9)) - 1)


def mcnemar(lost: int, won: int) -> float:
    """Two-sided p-value of a paired yes-or-no comparison: how odd is so uneven a change by chance.

    Args:
        lost: questions that were right before and are wrong now.
        won: the other way round. Questions that stayed as they were do not matter.

    Returns:
        The exact binomial probability; 1.0 where nothing changed.

    Source: McNemar 1947, doi 10.1007/BF02295996; exact form as in Fagerland et al. 2013,
        doi 10.1186/1471-2288-13-91.
    """
    changed = lost + won
    term, tail = 1, 0
    for i in range(min(lost, won) + 1):
        tail += term
        term = term * (changed - i) // (i + 1)
    return min(1.0, 2 * tail / (1 << changed))


def paired_difference(before: Sequence[float], after: Sequence[float]) -> Interval:
    """95 % interval of how much a mean changed over the same questions: after less before.

    Chance explains the change where 0 lies inside.

    Raises:
        ValueError: not as many after as before.

    Source: paired bootstrap, Koehn 2004, https://aclanthology.org/W04-3250/.
    """
    return mean_interval([new - old for old, new in zip(before, after, strict=True)])
