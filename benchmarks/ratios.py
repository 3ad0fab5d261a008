"""Figures of repeated measurements, and how those of two sides compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from eval.intervals import percentile


@dataclass(frozen=True)
class Spread:
    """Of single times."""

    count: int
    p50: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(len(values), percentile(values, 0.5), percentile(values, 0.95))

    def record(self) -> dict[str, float]:
        """As JSON."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Ratio:
    """How many times as much the other side took, over the rounds of one run."""

    middle: float  # median
    least: float
    most: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Of measurements taken in turn: round i of one side right after round i of the other.

        Raises:
            ValueError: the sides have different numbers of rounds, or none.
        """
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        if not ratios:
            raise ValueError("no rounds to compare")
        return cls(median(ratios), min(ratios), max(ratios))

    def record(self) -> dict[str, float]:
        """As JSON."""
        return {name: round(value, 3) for name, value in asdict(self).items()}
