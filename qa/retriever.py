"""A question to the passages that may answer it: vectors and two kinds of words, fused."""

from __future__ import annotations

from dataclasses import dataclass, replace

from index.generation import Generation
from index.protocols import Embedder, Vectors
from qa.fusion import Fusion
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
        weights, rankings = [], []
        if self.dense_weight:
            weights.append(self.dense_weight)
            rankings.append(self.generation.vectors.search(vector, depth))
        if self.word_weight:
            weights.append(self.word_weight)
            rankings.append(self.generation.words.search(tokenizer.words(query), depth))
        if self.bigram_weight:
            weights.append(self.bigram_weight)
            rankings.append(self.generation.bigrams.search(tokenizer.bigrams(query), depth))
        fused = self.fusion(rankings, weights)
        fused = fused if doc is not None else fused[:k]
        passages = self.generation.table.passages([chunk_id for chunk_id, _ in fused])
        scored = (
            replace(passage, score=score)
            for passage, (_, score) in zip(passages, fused, strict=True)
        )
        kept = [passage for passage in scored if doc is None or passage.chunk.doc == doc]
        return Retrieved(tuple(kept[:k]), vector)
