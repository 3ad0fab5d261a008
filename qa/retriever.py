"""A question to the passages that may answer it: vectors and two kinds of words, fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from index.generation import Generation
from index.protocols import Embedder, Vectors
from index.words import normalize
from qa.fusion import Fusion
from qa.question import Question
from qa.second_look import coverage, second_look
from schema import Passage


@dataclass(frozen=True)
class Retrieved:
    """Passages, best first, what they were chosen from, and the vector searched with."""

    passages: tuple[Passage, ...]
    query_vector: Vectors  # (dim,)
    candidates: tuple[str, ...]  # normalised texts of all passages that were looked at


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
    second_look: bool  # order the candidates by what tells them apart; False, as they were fused

    def retrieve(self, question: Question, k: int, doc: str | None = None) -> Retrieved:
        """At most k passages, of one document where it is given."""
        return self.search(question.standalone, k, doc)

    def search(self, query: str, k: int, doc: str | None = None) -> Retrieved:
        """At most k passages for a plain query, best first; scores are on the scale of z-scores.

        Of one document, those among the first _DEEPER times as many candidates.
        """
        vector = self.embedder.embed_queries([query])[0]
        tokenizer = self.generation.tokenizer
        words, bigrams = tokenizer.words(query), tokenizer.bigrams(query)
        depth = max(self.candidates, k) * (1 if doc is None else _DEEPER)
        weights, rankings = [], []
        if self.dense_weight:
            weights.append(self.dense_weight)
            rankings.append(self.generation.vectors.search(vector, depth))
        if self.word_weight:
            weights.append(self.word_weight)
            rankings.append(self.generation.words.search(words, depth))
        if self.bigram_weight:
            weights.append(self.bigram_weight)
            rankings.append(self.generation.bigrams.search(bigrams, depth))
        fused = self.fusion(rankings, weights)[:depth]
        found = self.generation.table.passages([chunk_id for chunk_id, _ in fused])
        passages = [
            replace(passage, score=score)
            for passage, (_, score) in zip(found, fused, strict=True)
            if doc is None or passage.chunk.doc == doc
        ]
        texts = tuple(normalize(passage.chunk.search_text) for passage in passages)
        ordered = self._looked_at_again(passages, texts, vector, words, bigrams)
        return Retrieved(tuple(ordered[:k]), vector, texts)

    def _looked_at_again(
        self,
        passages: Sequence[Passage],
        texts: Sequence[str],
        vector: Vectors,
        words: Sequence[str],
        bigrams: Sequence[str],
    ) -> list[Passage]:
        """The passages by what tells them apart, best first; equal ones keep their order."""
        if not self.second_look or len(passages) < 2:
            return list(passages)
        nearest = [
            float((self.generation.sentence_vectors(passage.chunk_id) @ vector).max())
            for passage in passages
        ]
        scores = second_look(
            [passage.score for passage in passages],
            coverage(words, texts),
            coverage(bigrams, texts),
            nearest,
        )
        order = np.argsort(-scores, kind="stable")
        return [replace(passages[i], score=float(scores[i])) for i in order]
