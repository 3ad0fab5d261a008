"""KeywordIndex over token lists, scored by the library bm25s; no pickle on disk.

Cutting text into tokens is words.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import bm25s  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

# Lucene's form of BM25: its idf stays positive even for a token that stands in every chunk.
METHOD = "lucene"
K1 = 1.5  # how slowly a repeated token stops counting; chunks are short, repetition means little
B = 0.75  # how much a longer chunk is held against it; 0 not at all, 1 in full proportion


class Bm25Index:
    """BM25 over one kind of token; chunk ids are the positions of the lists it was built from.

    Immutable once made, hence safe to search from several threads.
    """

    def __init__(self, scorer: bm25s.BM25) -> None:
        """Use `build` or `load`.

        Raises:
            ValueError: the scorer's arrays contradict each other.
        """
        self._scorer = scorer
        self._vocabulary: dict[str, int] = scorer.vocab_dict
        self._starts: NDArray[np.integer[Any]] = scorer.scores["indptr"]
        self._count: int = scorer.scores["num_docs"]
        _check(scorer)

    @classmethod
    def build(cls, token_lists: Iterable[Sequence[str]]) -> Bm25Index:
        """Index of the lists, in order; a list may be empty, but there must be one.

        Raises:
            ValueError: no list at all.
        """
        vocabulary: dict[str, int] = {}
        ids = [
            [vocabulary.setdefault(token, len(vocabulary)) for token in tokens]
            for tokens in token_lists
        ]
        if not ids:
            raise ValueError("nothing to index")
        scorer = bm25s.BM25(k1=K1, b=B, method=METHOD, backend="numpy")
        # With no token in any list the mean length is 0; the 0/0 ends in a score nobody reads.
        with np.errstate(invalid="ignore"):
            scorer.index((ids, vocabulary), create_empty_token=False, show_progress=False)
        return cls(scorer)

    def save(self, folder: Path) -> None:
        """Write JSON and npy files into `folder`, making it."""
        self._scorer.save(folder, allow_pickle=False, show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> Bm25Index:
        """What `save` wrote.

        Raises:
            OSError: a file is missing.
            ValueError: a file is damaged.
        """
        try:
            return cls(bm25s.BM25.load(folder, allow_pickle=False, show_progress=False))
        except (TypeError, LookupError, AttributeError, EOFError) as error:
            raise ValueError(f"not a BM25 index: {error!r}") from error

    def search(self, tokens: Sequence[str], k: int) -> list[tuple[int, float]]:
        """(chunk id, score > 0), best first, at most k; of equal scores the lower id first."""
        ids = self._scorer.get_tokens_ids(tokens)
        if not ids or k <= 0:
            return []
        scores = self._scorer.get_scores_from_ids(ids)
        found = np.flatnonzero(scores > 0)
        if len(found) > k:
            # All chunks as good as the k-th, so that a tie at the border is settled by the sort.
            least = np.partition(scores[found], -k)[-k]
            found = found[scores[found] >= least]
        best = found[np.lexsort((found, -scores[found]))][:k]
        return [(int(i), float(scores[i])) for i in best]

    def document_frequency(self, token: str) -> int:
        """In how many chunks the token stands; 0 for an unknown one."""
        row = self._vocabulary.get(token)
        return 0 if row is None else int(self._starts[row + 1] - self._starts[row])

    def __len__(self) -> int:
        return self._count


def _check(scorer: bm25s.BM25) -> None:
    """ValueError unless vocabulary, columns and entries fit together."""
    data, rows, starts = (scorer.scores[name] for name in ("data", "indices", "indptr"))
    size, count = len(scorer.vocab_dict), scorer.scores["num_docs"]
    fits = (
        isinstance(count, int)
        and count > 0
        and list(scorer.vocab_dict.values()) == list(range(size))
        and data.ndim == rows.ndim == starts.ndim == 1
        and len(starts) == size + 1
        and starts[0] == 0
        and bool(np.all(np.diff(starts) >= 0))
        and starts[-1] == len(data) == len(rows)
        and (not len(rows) or (rows.min() >= 0 and rows.max() < count))
        and bool(np.isfinite(data).all())
    )
    if not fits:
        raise ValueError("BM25 arrays out of step")
