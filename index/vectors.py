"""The vectors of a generation being built: taken over, found in the journal, or made now."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from errors import ModelError
from index.chunk_table import SqliteChunkTable, sentence_parts
from index.faiss_store import FaissStore
from index.generation import SENTENCE_VECTORS, VECTOR_ROWS, VECTORS, Generation
from index.journal import VectorJournal
from index.protocols import Embedder, Vectors
from index.token_store import Places, places
from schema import Chunk

Progress = Callable[[int, int], None]  # chunks embedded so far, chunks to embed

BATCH = 256  # long enough to sort by length, short enough for a lively progress bar
_COPIED = 16_384  # chunks at a time: some 80 MB of vectors

# A generation that finds by words costs the writing of it once more: 10 s for 80,000 chunks, of
# which a twentieth takes a minute to embed. Below 2,000 chunks all is done within half a minute.
_WORDS_FIRST = 2_000
_WORDS_FIRST_SHARE = 0.05
# Never at the price of what serves: after a rebuild for another model or other settings nothing has
# vectors, and the old generation answers better until they are made.
_KEPT = 0.9


def same_chunks(table: SqliteChunkTable, previous: Generation) -> tuple[Places, int]:
    """For each chunk one of the previous generation with the same fingerprint, or -1.

    And how many different fingerprints that generation has.
    """
    wanted = table.fingerprints()
    held = previous.table.fingerprints()
    # Of equal chunks the last one counts: one with vectors, if any has them.
    order = np.argsort(previous.has_vectors(np.arange(len(held))), kind="stable")
    numbers = {held[i]: i for i in order.tolist()}
    same = [numbers.get(fingerprint, -1) for fingerprint in wanted]
    return np.array(same, dtype=np.int64), len(numbers)


class VectorFiles:
    """Vectors of all chunks of a table, in memory, and of their sentences, in a file.

    Args:
        folder: of the generation being built.
        table: its chunks.
        dim: length of a vector.
    """

    def __init__(self, folder: Path, table: SqliteChunkTable, dim: int) -> None:
        self._table = table
        self._fingerprints = table.fingerprints()
        self._starts = table.sentence_starts()
        self._has = np.zeros(len(self._fingerprints), dtype=np.bool_)
        self._vectors: Vectors = np.zeros((len(self._has), dim), dtype=np.float32)
        self._sentences: NDArray[np.float16] = np.lib.format.open_memmap(
            folder / SENTENCE_VECTORS,
            mode="w+",
            dtype=np.float16,
            shape=(int(self._starts[-1]), dim),
        )
        _reserve(folder / SENTENCE_VECTORS)

    @property
    def pending(self) -> int:
        """Chunks without vectors."""
        return int(np.count_nonzero(~self._has))

    def take_over(self, previous: Generation, same: Places) -> None:
        """Copy what the previous generation has.

        Args:
            previous: another generation of the same model.
            same: as `same_chunks` gives it.
        """
        rows = np.flatnonzero(same >= 0)
        rows = rows[previous.has_vectors(same[rows])]
        old_starts = previous.table.sentence_starts()
        for first in range(0, len(rows), _COPIED):
            new = rows[first : first + _COPIED]
            old = same[new]
            self._vectors[new] = previous.vectors.reconstruct(old)
            copied = previous.sentence_rows[places(old_starts, old)]
            self._sentences[places(self._starts, new)] = copied
        self._has[rows] = True

    def take_journal(self, journal: VectorJournal) -> int:
        """Fill in what an interrupted build has made; returns how many chunks that are."""
        found = 0
        for chunk_id in np.flatnonzero(~self._has).tolist() if len(journal) else ():
            record = journal.get(self._fingerprints[chunk_id])
            if record is not None:
                self._set(chunk_id, *record)
                found += 1
        return found

    def words_first(self, served: int) -> bool:
        """Whether so much is missing that the words should be published before it is made.

        Args:
            served: chunks with vectors in the generation that serves now.
        """
        pending = self.pending
        enough = pending >= max(_WORDS_FIRST, _WORDS_FIRST_SHARE * len(self._has))
        return enough and len(self._has) - pending >= _KEPT * served

    def embed(
        self,
        embedder: Embedder,
        journal: VectorJournal,
        progress: Progress,
        batch_size: int | None = None,
    ) -> int:
        """Make what is missing, equal chunks once; returns how many were embedded.

        More than a batch is kept in the journal as it is made.

        Args:
            embedder: makes them.
            journal: keeps them.
            progress: told before the first and after each batch.
            batch_size: chunks given to the embedder at once; None: what suits one machine.
        """
        size = batch_size or BATCH
        missing: dict[bytes, list[int]] = {}
        for chunk_id in np.flatnonzero(~self._has).tolist():
            missing.setdefault(self._fingerprints[chunk_id], []).append(chunk_id)
        groups = list(missing.values())
        for first in range(0, len(groups), size):
            progress(first, len(groups))
            batch = groups[first : first + size]
            chunks = [passage.chunk for passage in self._table.passages([g[0] for g in batch])]
            vectors, parts = _embed(chunks, embedder)
            for equal, vector, rows in zip(batch, vectors, parts, strict=True):
                for chunk_id in equal:
                    self._set(chunk_id, vector, rows)
            if len(groups) > size:
                names = (self._fingerprints[equal[0]] for equal in batch)
                journal.append(zip(names, vectors, parts, strict=True))
        if groups:
            progress(len(groups), len(groups))
        return len(groups)

    def flush(self) -> None:
        """Bring the file of sentences up to date."""
        self._sentences.flush()  # type: ignore[attr-defined]

    def write(self, folder: Path) -> None:
        """Write the chunks' vectors, as far as there are any, into a generation's folder."""
        self.flush()
        rows = np.flatnonzero(self._has)
        if len(rows) == len(self._has):
            FaissStore.build(self._vectors).save(folder / VECTORS)
            return
        FaissStore.build(self._vectors[rows]).save(folder / VECTORS)
        np.save(folder / VECTOR_ROWS, rows.astype(np.int64), allow_pickle=False)

    def _set(self, chunk_id: int, vector: Vectors, parts: NDArray[np.floating]) -> None:
        self._vectors[chunk_id] = vector
        self._sentences[self._starts[chunk_id] : self._starts[chunk_id + 1]] = parts
        self._has[chunk_id] = True


def _reserve(path: Path) -> None:
    """Take a sparse file's space at once: a disk found full through a memory map kills the process.

    Raises:
        OSError: there is not enough.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("rb+") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
                raise


def _embed(chunks: Sequence[Chunk], embedder: Embedder) -> tuple[Vectors, list[Vectors]]:
    """Vectors of chunks and of their sentences; ModelError unless they have the promised form."""
    vectors, parts = embedder.embed_passages_with_parts(
        [chunk.search_text for chunk in chunks], [sentence_parts(chunk) for chunk in chunks]
    )
    shapes = [(len(chunk.sentences), embedder.dim) for chunk in chunks]
    if vectors.shape != (len(chunks), embedder.dim) or [p.shape for p in parts] != shapes:
        raise ModelError(
            f"vectors of shape {vectors.shape} for {len(chunks)} chunks of {embedder.dim}",
            "嵌入模型返回的向量个数或维数不对，请检查模型。",
        )
    if not (np.isfinite(vectors).all() and all(np.isfinite(part).all() for part in parts)):
        raise ModelError("vectors are not finite", "嵌入模型返回了无效的向量，请检查模型。")
    return vectors, parts
