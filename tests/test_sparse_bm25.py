"""index.sparse_bm25 against bm25.py, which is checked against bm25s."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from index.bm25 import Bm25Index
from index.sparse_bm25 import (
    NOTHING,
    Frequencies,
    TokenCounter,
    chunk_vector,
    query_vector,
    token_hash,
)


def frequencies_of(chunks: list[list[str]]) -> Frequencies:
    counter = TokenCounter()
    for tokens in chunks:
        counter.add(tokens)
    return counter.changes()


def product(one: dict[int, float], other: dict[int, float]) -> float:
    return sum(weight * other.get(place, 0.0) for place, weight in one.items())


@pytest.mark.parametrize("seed", range(5))
def test_the_inner_product_is_the_score_of_the_keyword_index(seed: int) -> None:
    rng = random.Random(seed)
    words = [f"词{i}" for i in range(60)]
    chunks = [rng.choices(words, k=rng.randint(1, 40)) for _ in range(80)]
    query = [*rng.choices(words, k=6), "没有这个词"]
    frequencies = frequencies_of(chunks)
    mean = sum(map(len, chunks)) / len(chunks)
    asked = query_vector(query, frequencies, len(chunks))
    scores = [product(asked, chunk_vector(tokens, mean)) for tokens in chunks]
    for chunk_id, score in Bm25Index.build(chunks).search(query, len(chunks)):
        assert scores[chunk_id] == pytest.approx(score, rel=1e-4)


def test_frequencies_are_those_of_the_keyword_index() -> None:
    chunks = [["企业", "企业", "投资"], ["企业"], ["园区"]]
    frequencies, index = frequencies_of(chunks), Bm25Index.build(chunks)
    for token in ("企业", "投资", "园区", "没有"):
        assert frequencies.of(token) == index.document_frequency(token)


def test_what_came_and_went_leaves_no_trace() -> None:
    came = frequencies_of([["企业", "投资"], ["园区"]])
    counter = TokenCounter()
    counter.add(["企业", "投资"], -1)
    merged = Frequencies.merged([came, counter.changes()])
    assert [merged.of(token) for token in ("企业", "投资", "园区")] == [0, 0, 1]
    assert len(merged) == 1


def test_frequencies_come_back_from_their_bytes() -> None:
    frequencies = frequencies_of([["企业", "投资"], ["企业"]])
    again = Frequencies.from_bytes(frequencies.to_bytes())
    assert np.array_equal(again.entries, frequencies.entries)
    assert Frequencies.from_bytes(Frequencies.merged([]).to_bytes()).of("企业") == 0


def test_other_bytes_are_no_frequencies() -> None:
    with pytest.raises(ValueError):
        Frequencies.from_bytes(b"not one")


def test_a_chunk_without_tokens_has_a_vector_that_no_query_meets() -> None:
    assert chunk_vector([], 10.0) == NOTHING
    frequencies = frequencies_of([[f"词{i}" for i in range(1000)]])
    assert 0 not in query_vector([f"词{i}" for i in range(1000)], frequencies, 1)


def test_a_query_of_unknown_tokens_has_an_empty_vector() -> None:
    assert query_vector(["没有"], frequencies_of([["企业"]]), 1) == {}


def test_every_place_is_one_that_a_store_knows() -> None:
    vector = chunk_vector([f"词{i}" for i in range(5000)], 10.0)
    assert 0 < min(vector) <= max(vector) < 2**32 - 1


def test_another_process_names_a_token_alike() -> None:
    """What stands in a store is read by other machines: hash() would differ with each start."""
    code = "from index.sparse_bm25 import token_hash; print(token_hash('企业'))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert int(told.stdout) == token_hash("企业")
