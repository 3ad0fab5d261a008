"""VectorStore over some chunks only: those whose vectors have been made.

A large build publishes first what can be found by words. Until its vectors are made, a chunk is in
no answer of the dense search, and its sentences have no vector (rows of zeros on disk).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.array_file import load_array
from index.faiss_store import FaissStore
from index.protocols import Vectors


class PartialStore:
    """A FaissStore whose row i is chunk `rows[i]`. Never changed once made.

    Raises:
        ValueError: rows are not as many as the store's, do not rise, or name no chunk.
    """

    def __init__(self, store: FaissStore, rows: NDArray[np.int64], chunks: int) -> None:
        rises = bool((np.diff(rows) > 0).all())
        inside = not len(rows) or (rows[0] >= 0 and rows[-1] < chunks)
        if len(rows) != len(store) or not (rises and inside):
            raise ValueError("vectors and the chunks they belong to are out of step")
        self._store = store
        self._rows = rows
        self._row_of = np.full(chunks, -1, dtype=np.int64)
        self._row_of[rows] = np.arange(len(rows))

    @classmethod
    def load(cls, store: FaissStore, path: Path, chunks: int) -> PartialStore:
        """With the rows that `np.save` wrote to `path`.

        Raises:
            OSError: the file is missing.
            ValueError: it does not fit the store.
        """
        rows = load_array(path, mapped=False)
        if rows.ndim != 1 or rows.dtype != np.int64:
            raise ValueError(f"{path.name} holds {rows.dtype} {rows.shape}")
        return cls(store, rows, chunks)

    def search(self, query: Vectors, k: int) -> list[tuple[int, float]]:
        """(chunk id, score), best first, at most k; query is (dim,)."""
        return [(int(self._rows[row]), score) for row, score in self._store.search(query, k)]

    def has(self, chunk_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the chunks have a vector."""
        held: NDArray[np.bool_] = self._row_of[chunk_ids] >= 0
        return held

    def reconstruct(self, chunk_ids: Sequence[int] | NDArray[np.int64]) -> Vectors:
        """The stored vectors of chunks that have one, shape (len(chunk_ids), dim)."""
        return self._store.reconstruct(self._row_of[np.asarray(chunk_ids, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._rows)
