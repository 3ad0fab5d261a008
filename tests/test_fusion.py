"""Adding the z-scores of several rankings."""

import pytest

from qa.fusion import z_score_fusion


def test_z_scores_are_added_with_their_weights() -> None:
    # Scores 3, 1 have mean 2 and standard deviation 1, so z-scores 1 and -1; so have 10, 30.
    fused = dict(z_score_fusion([[(1, 3.0), (2, 1.0)], [(2, 30.0), (1, 10.0)]], [1.0, 0.5]))
    assert fused == pytest.approx({1: 0.5, 2: -0.5})


def test_scales_do_not_matter() -> None:
    rankings = [[(1, 0.9), (2, 0.8), (3, 0.1)], [(3, 9.0), (2, 8.0), (1, 1.0)]]
    scaled = [rankings[0], [(i, 1000 * score) for i, score in rankings[1]]]
    assert dict(z_score_fusion(rankings, [1, 1])) == pytest.approx(
        dict(z_score_fusion(scaled, [1, 1]))
    )


def test_a_chunk_missing_from_a_ranking_counts_as_its_last() -> None:
    fused = dict(z_score_fusion([[(1, 2.0), (2, 1.0)], [(1, 5.0), (3, 3.0)]], [1.0, 1.0]))
    assert fused == pytest.approx({1: 2.0, 2: -2.0, 3: -2.0})


def test_a_chunk_found_by_both_beats_either_first_place() -> None:
    first = [(1, 10.0), (2, 9.0), (4, 1.0)]
    second = [(3, 10.0), (2, 9.0), (5, 1.0)]
    assert z_score_fusion([first, second], [1, 1])[0][0] == 2


@pytest.mark.parametrize(
    "rankings", [pytest.param([], id="none"), pytest.param([[], []], id="all empty")]
)
def test_nothing_found_gives_nothing(rankings: list[list[tuple[int, float]]]) -> None:
    assert z_score_fusion(rankings, [1.0] * len(rankings)) == []


def test_equal_scores_keep_a_stable_order() -> None:
    assert [i for i, _ in z_score_fusion([[(7, 1.0), (3, 1.0)]], [1.0])] == [3, 7]
