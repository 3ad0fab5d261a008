"""A question to the passages that may answer it: vectors and two kinds of words, fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from index.protocols import Embedder, Generation, Vectors
from index.words import normalize
from qa.fusion import Fusion, Ranking
from qa.question import Question
from qa.second_look import coverage, second_look
from schema import Passage


@dataclass(frozen=True)
class Retrieved:
    """Passages, best first, and how near they are to what was asked."""

    passages: tuple[Passage, ...]
    query_vector: Vectors  # (dim,)
    cosines: tuple[Vectors, ...]  # of each passage's sentences with the question, (sentences,)


COSINE_MIDDLE = 0.85  # e5 cosines lie between 0.75 and 0.95
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
        weights: list[float] = []
        rankings: list[Ranking] = []
        if self.dense_weight:
            weights.append(self.dense_weight)
            rankings.append(self.generation.vectors.search(vector, depth))
        if self.word_weight:
            weights.append(self.word_weight)
            rankings.append(self.generation.words.search(words, depth))
        if self.bigram_weight:
            weights.append(self.bigram_weight)
            rankings.append(self.generation.bigrams.search(bigrams, depth))
        if self.dense_weight and self.generation.pending_chunks:
            rankings[0] = self._with_pending(rankings[0], rankings[1:])
        fused = self.fusion(rankings, weights)[:depth]
        found = self.generation.table.passages([chunk_id for chunk_id, _ in fused])
        passages = [
            replace(passage, score=score)
            for passage, (_, score) in zip(found, fused, strict=True)
            if doc is None or passage.chunk.doc == doc
        ]
        texts = tuple(normalize(passage.chunk.search_text) for passage in passages)
        cosines = self._cosines(passages, vector)
        scores = [passage.score for passage in passages]
        if self.second_look:
            nearest = [float(found.max()) for found in cosines]
            seen = (coverage(words, texts), coverage(bigrams, texts), nearest)
            scores = second_look(scores, *seen).tolist()
        best = sorted(range(len(passages)), key=lambda i: -scores[i])[:k]
        return Retrieved(
            passages=tuple(replace(passages[i], score=scores[i]) for i in best),
            query_vector=vector,
            cosines=tuple(cosines[i] for i in best),
        )

    def _cosines(self, passages: Sequence[Passage], vector: Vectors) -> list[Vectors]:
        """For each passage the cosines of its sentences with the question.

        Sentences whose vectors are not made yet get the mean of the others: a vector of zeros
        would count as farther from the question than any sentence is.
        """
        ids = [passage.chunk_id for passage in passages]
        cosines = [self.generation.sentence_vectors(i) @ vector for i in ids]
        has = self.generation.has_vectors(np.array(ids, dtype=np.int64))
        if has.all():
            return cosines
        known = [found for found, made in zip(cosines, has, strict=True) if made]
        mean = float(np.concatenate(known).mean()) if known else COSINE_MIDDLE
        return [
            found if made else np.full_like(found, mean)
            for found, made in zip(cosines, has, strict=True)
        ]

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
