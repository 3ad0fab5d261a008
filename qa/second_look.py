"""The candidates of the first search, ordered by what tells them apart from each other.

Over a whole archive the words that name a question's subject are its rarest, and every passage
about that subject has them: they decide who is a candidate, and say nothing about which candidate
answers. So the candidates are looked at once more as if they were the only passages there are: a
word counts by its rarity among them, and their sentences are compared with the question one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rarity(document_frequency: int, documents: int) -> float:
    """BM25's inverse document frequency; highest for a term that no document holds."""
    return math.log(1 + (documents - document_frequency + 0.5) / (document_frequency + 0.5))


def coverage(terms: Sequence[str], texts: Sequence[str]) -> Floats:
    """For each text the share of the terms that stand in it, each term weighed by its rarity.

    Rarity is counted over these texts alone; terms that none of them holds do not count.

    Args:
        terms: words or pairs of characters, normalised; repeated ones count once.
        texts: normalised.

    Returns:
        Shape (len(texts),), 0 to 1.
    """
    covered = np.zeros(len(texts))
    total = 0.0
    for term in dict.fromkeys(terms):
        held = np.array([term in text for text in texts], dtype=bool)
        if held.any():
            weight = rarity(int(held.sum()), len(texts))
            covered += weight * held
            total += weight
    return covered / total if total else covered


def second_look(*views: Sequence[float] | NDArray[Any]) -> Floats:
    """The sum of the z-scores of several views of the same candidates, all of equal weight.

    Args:
        views: one score per candidate each, larger is better; a view that does not tell the
            candidates apart counts nothing.

    Returns:
        Shape (candidates,).
    """
    total: Floats = np.sum([_standard(np.asarray(view, np.float64)) for view in views], axis=0)
    return total


def _standard(values: Floats) -> Floats:
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread else np.zeros_like(values)
