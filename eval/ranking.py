"""Measures of retrieval, of one question each: how early do passages that lie on the evidence come.

Relevance is yes or no. Means over questions are taken in figures.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def recall_at(evidence_ranks: Sequence[int | None], k: int) -> float:
    """Share of the pieces of evidence that one of the first k passages lies on.

    Args:
        evidence_ranks: of each piece the rank, from 1, of the first passage on it; None where none
            is. At least one piece.
        k: passages looked at.

    Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.4.
    """
    return sum(rank is not None and rank <= k for rank in evidence_ranks) / len(evidence_ranks)


def reciprocal_rank(relevant: Sequence[bool]) -> float:
    """1 / rank of the first relevant passage, the first rank being 1; 0.0 where none is.

    Args:
        relevant: of each passage found, best first.

    Source: Voorhees, TREC-8, 1999, https://trec.nist.gov/pubs/trec8/papers/qa_report.pdf.
    """
    return next((1 / rank for rank, hit in enumerate(relevant, start=1) if hit), 0.0)


def relevant_passages(relevant: Sequence[bool], evidence_ranks: Sequence[int | None]) -> int:
    """How many relevant passages there are to find: those found, and one for each piece missed.

    What lies on evidence is known only of passages that were found. One passage may carry several
    pieces, and one piece may run over two, so the number of pieces would not do.
    """
    return sum(relevant) + sum(rank is None for rank in evidence_ranks)


def ndcg_at(relevant: Sequence[bool], k: int, total: int) -> float:
    """Discounted gain of the first k passages as a share of the best order's, gain 0 or 1.

    Args:
        relevant: of each passage found, best first.
        k: passages looked at.
        total: relevant passages there are to find, found or not; 0 gives 0.0.

    Source: Järvelin and Kekäläinen 2002, doi 10.1145/582415.582418, with the discount
        1 / log2(rank + 1) that trec_eval uses.
    """
    gain = sum(_discount(rank) for rank, hit in enumerate(relevant[:k], start=1) if hit)
    best = sum(_discount(rank) for rank in range(1, min(k, total) + 1))
    return gain / best if best else 0.0


def _discount(rank: int) -> float:
    return 1 / math.log2(rank + 1)
