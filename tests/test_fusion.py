"""Several rankings into one, by z-scores or by reciprocal ranks."""

import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest

from errors import SettingsError
from qa.chatbot import Chatbot
from qa.fusion import (
    fusion_named,
    reciprocal_rank_fusion,
    standardised_rank_fusion,
    z_score_fusion,
)
from qa.retriever import Retriever


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


def test_reciprocal_ranks_start_at_one() -> None:
    fused = dict(reciprocal_rank_fusion([[(1, 9.0), (2, 8.0)], [(2, 0.5)]], [1.0, 1.0]))
    assert fused == pytest.approx({1: 1 / 61, 2: 1 / 62 + 1 / 61})


def test_reciprocal_ranks_are_weighted() -> None:
    fused = dict(reciprocal_rank_fusion([[(1, 9.0)], [(2, 9.0)]], [1.0, 0.5]))
    assert fused == pytest.approx({1: 1 / 61, 2: 0.5 / 61})


def test_reciprocal_ranks_do_not_look_at_scores() -> None:
    near = [[(1, 3.0), (2, 2.9)], [(2, 1.0), (3, 0.9)]]
    far = [[(1, 300.0), (2, 0.1)], [(2, 50.0), (3, -4.0)]]
    assert reciprocal_rank_fusion(near, [1, 1]) == reciprocal_rank_fusion(far, [1, 1])


def test_standardised_ranks_keep_their_order_and_have_the_spread_of_the_weights() -> None:
    rankings = [[(1, 9.0), (2, 8.0), (4, 1.0)], [(2, 5.0), (3, 4.0)]]
    plain = reciprocal_rank_fusion(rankings, [1.0, 0.5])
    scaled = standardised_rank_fusion(rankings, [1.0, 0.5])
    assert [i for i, _ in scaled] == [i for i, _ in plain]
    scores = [score for _, score in scaled]
    assert statistics.mean(scores) == pytest.approx(0.0)
    assert statistics.pstdev(scores) == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["z-score", "reciprocal-rank"])
def test_a_fusion_of_the_settings_puts_what_all_rankings_agree_on_first(name: str) -> None:
    rankings = [[(5, 0.9), (6, 0.2)], [(5, 30.0), (7, 10.0)]]
    assert fusion_named(name)(rankings, [1.0, 0.5])[0][0] == 5


def test_an_unknown_fusion_is_refused_with_the_choices() -> None:
    with pytest.raises(SettingsError) as caught:
        fusion_named("average")
    assert "z-score、reciprocal-rank" in caught.value.user_message


@pytest.fixture(scope="module")
def retrievers(seed_chatbot: Chatbot) -> Callable[..., Retriever]:
    def with_weights(dense: float, words: float, bigrams: float) -> Retriever:
        return replace(
            seed_chatbot.retriever,
            dense_weight=dense,
            word_weight=words,
            bigram_weight=bigrams,
            second_look=False,
        )

    return with_weights


QUERY = "保税维修企业有多少家"


def test_with_vectors_alone_the_passages_are_the_nearest_vectors(
    retrievers: Callable[..., Retriever],
) -> None:
    retriever = retrievers(1.0, 0.0, 0.0)
    vector = retriever.embedder.embed_queries([QUERY])[0]
    nearest = [chunk for chunk, _ in retriever.generation.vectors.search(vector, 10)]
    assert [passage.chunk_id for passage in retriever.search(QUERY, 10).passages] == nearest


def test_with_words_alone_a_passage_without_any_of_them_is_not_found(
    retrievers: Callable[..., Retriever],
) -> None:
    retriever = retrievers(0.0, 1.0, 0.0)
    assert retriever.search("保税", 1000).passages
    assert all("保税" in p.chunk.search_text for p in retriever.search("保税", 1000).passages)
    assert not retriever.search("量子纠缠", 1000).passages
