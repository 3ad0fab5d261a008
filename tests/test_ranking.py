"""Measures of retrieval, worked by hand."""

from __future__ import annotations

from math import log2

import pytest

from eval.ranking import ndcg_at, recall_at, reciprocal_rank, relevant_passages


@pytest.mark.parametrize(("k", "share"), [(1, 0.0), (2, 1 / 3), (4, 1 / 3), (5, 2 / 3), (9, 2 / 3)])
def test_recall_is_the_share_of_the_evidence_within_the_first_k(k: int, share: float) -> None:
    assert recall_at([5, None, 2], k) == pytest.approx(share)


def test_one_passage_can_carry_all_the_evidence() -> None:
    assert recall_at([1, 1, 1], 1) == 1.0


@pytest.mark.parametrize(
    ("relevant", "value"),
    [
        pytest.param([True, False], 1.0, id="first"),
        pytest.param([False, False, True, True], 1 / 3, id="only the first one counts"),
        pytest.param([False, False], 0.0, id="none"),
        pytest.param([], 0.0, id="nothing found"),
    ],
)
def test_reciprocal_rank(relevant: list[bool], value: float) -> None:
    assert reciprocal_rank(relevant) == pytest.approx(value)


def test_gain_is_discounted_by_rank() -> None:
    # Ranks 2 and 4 of two relevant passages that could stand first and second.
    expected = (1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3))
    assert ndcg_at([False, True, False, True], 10, 2) == pytest.approx(expected)


def test_only_the_first_k_count_on_either_side() -> None:
    assert ndcg_at([True, True, False, True], 2, 3) == 1.0
    assert ndcg_at([False, False, True], 2, 1) == 0.0


def test_a_passage_not_found_keeps_the_gain_below_one() -> None:
    assert ndcg_at([True], 10, 2) == pytest.approx(1 / (1 + 1 / log2(3)))


def test_nothing_to_find_gives_nothing() -> None:
    assert ndcg_at([], 10, 0) == 0.0


@pytest.mark.parametrize(
    ("relevant", "ranks", "total"),
    [
        pytest.param([True, False], [1], 1, id="one piece, found"),
        pytest.param([True, False], [1, 1], 1, id="two pieces in one passage"),
        pytest.param([True, True], [1], 2, id="one piece over two passages"),
        pytest.param([False, True], [2, None], 2, id="one piece missed"),
        pytest.param([], [None, None], 2, id="all missed"),
    ],
)
def test_what_there_is_to_find_are_the_passages_found_and_the_pieces_missed(
    relevant: list[bool], ranks: list[int | None], total: int
) -> None:
    assert relevant_passages(relevant, ranks) == total
