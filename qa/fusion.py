"""Several rankings of the same chunks into one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Ranking = Sequence[tuple[int, float]]


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
