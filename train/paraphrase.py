"""Questions in other words: content words exchanged for words of much the same meaning.

People rarely ask in the words of a document, but reading-comprehension questions do. Neighbours
come from the shipped embedder's vectors of single words; such neighbours are often opposites or
other names, so names, numbers and the verbs of qa/demands.py that have an opposite stay.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import jieba.posseg  # type: ignore[import-untyped]
import numpy as np

from index.protocols import Embedder
from index.words import QUESTION_WORDS, STOP_WORDS
from qa.demands import has_opposite

NEIGHBOURS = 6
_EXCHANGED = ("n", "v", "vn", "a", "an", "l", "i", "z")  # tags of jieba; nr, ns, nt, nz are names
_SHARED = 0.5  # share of characters that a neighbour may have of the word


def content_words(texts: Iterable[str], most: int) -> list[str]:
    """The most frequent words of two or more characters that may be exchanged."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, flag in jieba.posseg.lcut(text) if _is_content(word, flag))
    return [word for word, _ in counts.most_common(most)]


def _is_content(word: str, flag: str) -> bool:
    return (
        len(word) > 1
        and flag in _EXCHANGED
        and word not in STOP_WORDS
        and word not in QUESTION_WORDS
        and not has_opposite(word)
    )


def neighbours(words: Sequence[str], embedder: Embedder) -> dict[str, tuple[str, ...]]:
    """For each word the NEIGHBOURS nearest others that are not mostly the same characters."""
    vectors = embedder.embed_queries(list(words))
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(words), 512):
        nearest = np.argsort(-(vectors[start : start + 512] @ vectors.T), axis=1)[:, :40]
        for row, word in zip(nearest, words[start : start + 512], strict=True):
            others = (words[i] for i in row.tolist() if words[i] != word)
            unlike = [o for o in others if len(set(o) & set(word)) <= _SHARED * len(set(word))]
            found[word] = tuple(unlike[:NEIGHBOURS])
    return found


class Paraphraser:
    """Exchanges a share of a question's content words; the answer's words may be protected."""

    def __init__(self, table: Mapping[str, tuple[str, ...]]) -> None:
        self.table = table

    def __call__(self, question: str, share: float, generator: random.Random) -> str:
        """The question with each exchangeable word exchanged at the probability `share`."""
        pieces = []
        for word, flag in jieba.posseg.lcut(question):
            others = self.table.get(word) if _is_content(word, flag) else None
            chosen = others and generator.random() < share
            pieces.append(generator.choice(others) if chosen and others else word)
        return "".join(pieces)
