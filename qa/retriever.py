"""A question to the passages that may answer it: vectors and two kinds of words, fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from index.generation import Generation
from index.protocols import Embedder, Vectors
from qa.fusion import Fusion, Ranking
from qa.question import Question
from schema import Passage


@dataclass(frozen=True)
class Retrieved:
    """Passages, best first, and the vector the question was searched with."""

    passages: tuple[Passage, ...]
    query_vector: Vectors  # (dim,)


_DEEPER = 10  # a document's own passages may stand far behind those of others


@dataclass(frozen=True)
class Retriever:
    """Hybrid search over one index generation."""

    generation: Generation
    embedder: Embedder
    candidates: int  # asked of each ranking
    fusion: Fusion
    dense_weight: float  # a ranking of weight 0 is not asked
    word_weight: float
    bigram_weight: float

    def retrieve(self, question: Question, k: int, doc: str | None = None) -> Retrieved:
        """At most k passages, of one document where it is given."""
        return self.search(question.standalone, k, doc)

    def search(self, query: str, k: int, doc: str | None = None) -> Retrieved:
        """At most k passages for a plain query, best first; scores are on the scale of z-scores.

        Of one document, those among the first _DEEPER times as many candidates.
        """
        vector = self.embedder.embed_queries([query])[0]
        tokenizer = self.generation.tokenizer
        depth = max(self.candidates, k) * (1 if doc is None else _DEEPER)
        weights: list[float] = []
        rankings: list[Ranking] = []
        if self.dense_weight:
            weights.append(self.dense_weight)
            rankings.append(self.generation.vectors.search(vector, depth))
        if self.word_weight:
            weights.append(self.word_weight)
            rankings.append(self.generation.words.search(tokenizer.words(query), depth))
        if self.bigram_weight:
            weights.append(self.bigram_weight)
            rankings.append(self.generation.bigrams.search(tokenizer.bigrams(query), depth))
        if self.dense_weight and self.generation.pending_chunks:
            rankings[0] = self._with_pending(rankings[0], rankings[1:])
        fused = self.fusion(rankings, weights)
        fused = fused if doc is not None else fused[:k]
        passages = self.generation.table.passages([chunk_id for chunk_id, _ in fused])
        scored = (
            replace(passage, score=score)
            for passage, (_, score) in zip(passages, fused, strict=True)
        )
        kept = [passage for passage in scored if doc is None or passage.chunk.doc == doc]
        return Retrieved(tuple(kept[:k]), vector)

    def _with_pending(self, dense: Ranking, others: Sequence[Ranking]) -> Ranking:
        """The dense ranking, with chunks that words found and that have no vector yet.

        Nothing is known of how near they are, so they get the mean score: fusion would take them
        for worse than all that the ranking holds.
        """
        if not dense:
            return dense
        found = sorted({chunk_id for ranking in others for chunk_id, _ in ranking})
        ids = np.array(found, dtype=np.int64)
        mean = float(np.mean([score for _, score in dense]))
        pending = [(int(i), mean) for i in ids[~self.generation.has_vectors(ids)]]
        return sorted([*dense, *pending], key=lambda pair: (-pair[1], pair[0]))
