"""VectorStore in one local file, held in memory by FAISS; chunk ids are row numbers.

The index is exact (inner product over all rows), which is right up to some 50,000 chunks; a choice
by size belongs into `FaissStore.build`, and nothing else here depends on the kind of index.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from index.protocols import Vectors


class FaissStore:
    """Nearest chunks by inner product. Never changed once made, hence safe for many threads."""

    def __init__(self, index: faiss.Index) -> None:
        """Use `build` or `load`."""
        self._index = index

    @classmethod
    def build(cls, vectors: Vectors) -> FaissStore:
        """Store of `vectors`, float32, shape (count, dim); row i gets chunk id i."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index)

    def save(self, path: Path) -> None:
        """Write one file.

        Raises:
            OSError: it cannot be written.
        """
        try:
            faiss.write_index(self._index, str(path))
        except RuntimeError as error:
            raise OSError(f"cannot write {path}: {error}") from error

    @classmethod
    def load(cls, path: Path, dim: int, count: int) -> FaissStore:
        """What `save` wrote, if it holds `count` vectors of length `dim`.

        Raises:
            ValueError: missing, damaged, or not that.
        """
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise ValueError(f"FAISS cannot read {path.name}: {error}") from error
        if (index.d, index.ntotal) != (dim, count):
            raise ValueError(
                f"{path.name} holds {index.ntotal} vectors of {index.d}, not {count} of {dim}"
            )
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise ValueError(f"{path.name} does not score by inner product")
        return cls(index)

    def search(self, query: Vectors, k: int) -> list[tuple[int, float]]:
        """(chunk id, score), best first, at most k; query is (dim,)."""
        if query.shape != (self._index.d,):
            raise ValueError(f"query has shape {query.shape}, not ({self._index.d},)")
        k = min(k, len(self))
        if k <= 0:
            return []
        _one_thread()
        rows = np.ascontiguousarray(query[np.newaxis], dtype=np.float32)
        scores, ids = self._index.search(rows, k)
        found = [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def reconstruct(self, chunk_ids: Sequence[int] | NDArray[np.int64]) -> Vectors:
        """The stored vectors, shape (len(chunk_ids), dim), to be copied into a next generation."""
        rows: Vectors = self._index.reconstruct_batch(np.asarray(chunk_ids, dtype=np.int64))
        return rows

    def __len__(self) -> int:
        return int(self._index.ntotal)


def _one_thread() -> None:
    """Keep FAISS from starting threads of its own for the calling thread.

    One search takes a few milliseconds at most, and questions come in on several threads: theirs
    is the parallelism, OpenMP's would only fight for the same cores (measured twice as slow on
    two). OpenMP holds the number per thread, so setting it once at import would not do.
    """
    faiss.omp_set_num_threads(1)
