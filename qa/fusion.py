"""Several rankings of the same chunks into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from errors import SettingsError

Ranking = Sequence[tuple[int, float]]
Fusion = Callable[[Sequence[Ranking], Sequence[float]], list[tuple[int, float]]]

RANK_CONSTANT = 60  # of the paper; larger values flatten the advantage of the first ranks


def z_score_fusion(
    rankings: Sequence[Ranking], weights: Sequence[float]
) -> list[tuple[int, float]]:
    """Add the weighted z-scores that each ranking gives a chunk.

    Z-scores are taken within each ranking, so retrievers with different scales can be added. A
    chunk that a ranking does not hold gets the lowest z-score of that ranking: it was at best as
    good as the last one returned.

    Args:
        rankings: (chunk id, score) per retriever, larger is better; lists may differ in length
            and may be empty.
        weights: one per ranking, not negative.

    Returns:
        (chunk id, fused score), best first; ties by chunk id.

    Source: score normalisation before linear combination, Bruch, Gai and Ingber, "An Analysis of
    Fusion Functions for Hybrid Retrieval", TOIS 2023, doi 10.1145/3596512.
    """
    fused: dict[int, float] = dict.fromkeys(
        (chunk_id for ranking in rankings for chunk_id, _ in ranking), 0.0
    )
    for ranking, weight in zip(rankings, weights, strict=True):
        if not ranking:
            continue
        scores = np.array([score for _, score in ranking], dtype=np.float64)
        spread = float(scores.std()) or 1.0
        standard = dict(
            zip((i for i, _ in ranking), (scores - scores.mean()) / spread, strict=True)
        )
        floor = float(min(standard.values()))
        for chunk_id in fused:
            fused[chunk_id] += weight * float(standard.get(chunk_id, floor))
    return sorted(fused.items(), key=lambda pair: (-pair[1], pair[0]))


def reciprocal_rank_fusion(
    rankings: Sequence[Ranking], weights: Sequence[float]
) -> list[tuple[int, float]]:
    """Add weight / (RANK_CONSTANT + rank) over the rankings that hold a chunk, rank from 1.

    Arguments and returns as for z_score_fusion; scores count only by the order they give.

    Source: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and
    individual Rank Learning Methods", SIGIR 2009, doi 10.1145/1571941.1572114; the weights are
    ours, all 1 in the paper.
    """
    fused: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, (chunk_id, _) in enumerate(ranking, start=1):
            fused[chunk_id] = fused.get(chunk_id, 0.0) + weight / (RANK_CONSTANT + rank)
    return sorted(fused.items(), key=lambda pair: (-pair[1], pair[0]))


def standardised_rank_fusion(
    rankings: Sequence[Ranking], weights: Sequence[float]
) -> list[tuple[int, float]]:
    """reciprocal_rank_fusion with its scores on the scale of z_score_fusion, in the same order.

    What ranks sentences knows how much a difference of z-scores means; reciprocal ranks differ by
    hundredths, so that the order they give would go unnoticed.
    """
    return z_score_fusion([reciprocal_rank_fusion(rankings, weights)], [sum(weights)])


_FUSIONS: dict[str, Fusion] = {
    "z-score": z_score_fusion,
    "reciprocal-rank": standardised_rank_fusion,
}


def fusion_named(name: str) -> Fusion:
    """The fusion of that name in the settings.

    Raises:
        SettingsError: there is none.
    """
    if name not in _FUSIONS:
        raise SettingsError(
            f"unknown fusion {name}",
            f"设置项 fusion 只能是 {'、'.join(_FUSIONS)} 之一。",
        )
    return _FUSIONS[name]
