"""VectorStore in one local file, searched by FAISS; chunk ids are row numbers.

The kind of index follows the number of vectors; docs/index-size.md has the measurements.

    up to EXACT_UP_TO        every row is compared exactly (IndexFlatIP), held in memory
    up to EIGHT_BIT_UP_TO    rows of one byte a number propose, the exact rows decide
    above                    rows of half a byte a number propose, the exact rows decide

The two larger kinds (IndexRefineFlat) keep the exact rows in the same file and map it, so that
memory holds what searches touch and the system can take it back. Whatever the kind, `reconstruct`
gives back the very numbers that were put in: a generation can be copied into the next any number
of times, and a store that grows or shrinks into another kind is the one it would have been had it
been built at once. Nothing is learnt from the previous generation: training looks at a bounded
sample, and the first larger kind needs none to speak of.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from index.protocols import Vectors

EXACT_UP_TO = 20_000  # 1 ms; from here on the rows no longer fit a processor's cache
EIGHT_BIT_UP_TO = 200_000  # 5 ms, of which half a byte takes two thirds off for 8 s a build

# How many rows are scored exactly for k that are asked for. With fewer, half a byte loses some of
# the fifty that retrieval asks for; one byte would do with half of these.
_PROPOSED = 4
_PROPOSED_AT_LEAST = 200


class FaissStore:
    """Nearest chunks by inner product. Never changed once made, hence safe for many threads."""

    def __init__(self, index: faiss.Index) -> None:
        """Use `build` or `load`."""
        self._index = index
        self._exact: faiss.Index = index
        self._proposes = False
        if isinstance(index, faiss.IndexRefineFlat):
            self._exact = faiss.downcast_index(index.refine_index)
            self._proposes = True

    @classmethod
    def build(cls, vectors: Vectors) -> FaissStore:
        """Store of `vectors`, float32, shape (count, dim); row i gets chunk id i."""
        count, dim = vectors.shape
        _one_thread()
        index = _empty_index(count, dim)
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if not index.is_trained:
            index.train(rows)
        index.add(rows)
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
        # A file that every search reads whole would gain nothing; FAISS maps on POSIX alone.
        mapped = count > EXACT_UP_TO and os.name == "posix"
        flags = faiss.IO_FLAG_MMAP_IFC if mapped else 0
        try:
            store = cls(faiss.read_index(str(path), flags))
        except RuntimeError as error:
            raise ValueError(f"FAISS cannot read {path.name}: {error}") from error
        for index in (store._index, store._exact):
            if (index.d, index.ntotal) != (dim, count):
                raise ValueError(
                    f"{path.name} holds {index.ntotal} vectors of {index.d}, not {count} of {dim}"
                )
            if index.metric_type != faiss.METRIC_INNER_PRODUCT:
                raise ValueError(f"{path.name} does not score by inner product")
        if not isinstance(store._exact, faiss.IndexFlat):
            raise ValueError(f"{path.name} does not hold exact vectors")
        return store

    def search(self, query: Vectors, k: int) -> list[tuple[int, float]]:
        """(chunk id, score), best first, at most k; query is (dim,)."""
        if query.shape != (self._index.d,):
            raise ValueError(f"query has shape {query.shape}, not ({self._index.d},)")
        k = min(k, len(self))
        if k <= 0:
            return []
        _one_thread()
        rows = np.ascontiguousarray(query[np.newaxis], dtype=np.float32)
        asked = min(max(_PROPOSED * k, _PROPOSED_AT_LEAST), len(self)) if self._proposes else k
        scores, ids = self._index.search(rows, asked)
        found = [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]

    def reconstruct(self, chunk_ids: Sequence[int] | NDArray[np.int64]) -> Vectors:
        """The exact vectors, shape (len(chunk_ids), dim), to be copied into a next generation."""
        rows: Vectors = self._exact.reconstruct_batch(np.asarray(chunk_ids, dtype=np.int64))
        return rows

    def __len__(self) -> int:
        return int(self._index.ntotal)


def _empty_index(count: int, dim: int) -> faiss.Index:
    metric = faiss.METRIC_INNER_PRODUCT
    if count <= EXACT_UP_TO:
        return faiss.IndexFlatIP(dim)
    kind = "SQ8" if count <= EIGHT_BIT_UP_TO else f"PQ{dim}x4fs"
    return faiss.index_factory(dim, f"{kind},RFlat", metric)


def _one_thread() -> None:
    """Keep FAISS from starting threads of its own for the calling thread.

    One search takes a few milliseconds at most, and questions come in on several threads: theirs
    is the parallelism, OpenMP's would only fight for the same cores (measured twice as slow on
    two). Building waits at OpenMP's barriers, too, as soon as anything else runs. OpenMP holds the
    number per thread, so setting it once at import would not do.
    """
    faiss.omp_set_num_threads(1)
