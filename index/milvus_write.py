"""Rows of one build: chunks and documents in, vectors made or taken over, rows added."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from errors import ModelError
from index.chunk_table import fingerprint, sentence_parts
from index.milvus_calls import Milvus, Row
from index.milvus_rows import (
    CHUNK_FIELDS,
    ChunkVectors,
    Ended,
    chunk_row,
    chunks_of,
    document_rows,
    documents_of,
    key_of,
    passage_from_row,
    sentences_from_row,
)
from index.milvus_staging import Staging
from index.protocols import Embedder, Vectors
from index.sparse_bm25 import TokenCounter, chunk_vector
from index.words import WordTokenizer
from schema import Chunk

Progress = Callable[[int, int], None]  # chunks embedded so far, chunks to embed

_BATCH = 256  # chunks embedded and written together
_ROWS = 128  # sent in one message, of which a server takes up to 64 MiB
_KEYS = 200  # named in one condition


@dataclass(frozen=True)
class Plan:
    """What a build goes by."""

    number: int  # its own
    serving: int  # of the generation that it goes on from; 0 for none
    epoch: int  # of the collections that it writes to
    tokenizer: WordTokenizer
    mean_words: float  # in a chunk, when the epoch began
    mean_bigrams: float
    learnt_documents: int  # when the epoch began
    first_chunk: int  # id of the first new chunk
    chunks: int  # of the generation that it goes on from, in this epoch
    parts: tuple[int, ...]  # whose frequencies this build's are added to
    ended: Ended  # rows that were ended before and may still stand there
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Written:
    """How many different chunks got their vectors how."""

    embedded: int  # now
    resumed: int  # by a build that was interrupted


@dataclass(frozen=True)
class _Held:
    """Where the vectors of a chunk are to be found."""

    collection: str
    chunk_id: int
    since: int  # number of the build that made them


@dataclass(frozen=True)
class _Loose:
    """A chunk, with title and date of its document."""

    chunk: Chunk
    of: tuple[str | None, str | None]


class RowWriter:
    """Adds the rows of one build, and finds those that it ends.

    Attributes:
        chunks: how many more chunks there are than before.
        words: how the frequencies of words have changed.
        bigrams: the same of bigrams.
        next_chunk: id of the next new chunk.
        ended_chunks: ids of chunks that are no part of this generation.
        ended_documents: (key, since) of such documents.

    Args:
        milvus: the store.
        plan: what to go by.
        embedder: for chunks that are nowhere yet.
        still_mine: called before anything is written; raises where another build has taken over.
        batch: chunks embedded and written together.
    """

    def __init__(
        self,
        milvus: Milvus,
        plan: Plan,
        embedder: Embedder,
        still_mine: Callable[[], None],
        batch: int | None = None,
    ) -> None:
        self.chunks = 0
        self.words = TokenCounter()
        self.bigrams = TokenCounter()
        self.next_chunk = plan.first_chunk
        self.ended_chunks: list[int] = []
        self.ended_documents: list[tuple[str, int]] = []
        self._milvus = milvus
        self._plan = plan
        self._embedder = embedder
        self._still_mine = still_mine
        self._batch = batch or _BATCH
        self._documents = documents_of(plan.epoch)
        self._chunks = chunks_of(plan.epoch)

    def write(
        self,
        staging: Staging,
        held_in: Sequence[str],
        progress: Progress,
        on_resumed: Callable[[int], None],
    ) -> Written:
        """Add all documents of a staging with their chunks.

        Args:
            staging: the documents.
            held_in: collections of chunks whose vectors may be taken over.
            progress: told before the first and after each batch that is embedded.
            on_resumed: told how many chunks an interrupted build had embedded, if any.
        """
        wanted = {fingerprint(chunk) for chunk in staging.chunks()}
        held: dict[bytes, _Held] = {}
        for collection in held_in:
            held |= self._held(collection, wanted - held.keys())
        resumed = sum(where.since > self._plan.serving for where in held.values())
        if resumed:
            on_resumed(resumed)
        total = len(wanted - held.keys())
        if total:
            progress(0, total)
        done = 0
        batch: list[_Loose] = []
        for document in staging.documents():
            self._upsert(
                self._documents,
                document_rows(document.row, len(document.chunks), self._plan.number),
            )
            batch += [_Loose(chunk, document.title_and_date) for chunk in document.chunks]
            while len(batch) >= self._batch:
                done = self._write_batch(batch[: self._batch], held, done, total, progress)
                del batch[: self._batch]
        return Written(self._write_batch(batch, held, done, total, progress), resumed)

    def end(self, docs: set[str]) -> None:
        """Let documents of the previous generation be no part of this one; nothing is written."""
        keys = sorted(map(key_of, docs))
        chunks = frozenset(self._plan.ended.chunk_ids())
        documents = frozenset(self._plan.ended.document_names())
        for first in range(0, len(keys), _KEYS):
            named = ", ".join(f'"{key}"' for key in keys[first : first + _KEYS])
            condition = f"doc in [{named}] and since <= {self._plan.serving}"
            for row in self._milvus.select(
                self._documents, f"part == 0 and {condition}", ["doc", "since"]
            ):
                name = str(row["doc"]), int(row["since"])
                if name not in documents:
                    self.ended_documents.append(name)
            for row in self._milvus.select(self._chunks, condition, CHUNK_FIELDS):
                if int(row["id"]) not in chunks:
                    self.ended_chunks.append(int(row["id"]))
                    self._count(passage_from_row(row).chunk, -1)

    def _held(self, collection: str, wanted: set[bytes]) -> dict[bytes, _Held]:
        names = sorted(fingerprint.hex() for fingerprint in wanted)
        found: dict[bytes, _Held] = {}
        for first in range(0, len(names), _KEYS):
            named = ", ".join(f'"{name}"' for name in names[first : first + _KEYS])
            rows = self._milvus.select(
                collection, f"fingerprint in [{named}]", ["id", "fingerprint", "since"]
            )
            for row in rows:
                where = _Held(collection, int(row["id"]), int(row["since"]))
                name = bytes.fromhex(row["fingerprint"])
                if name not in found or where.since < found[name].since:
                    found[name] = where
        return found

    def _write_batch(
        self,
        batch: Sequence[_Loose],
        held: dict[bytes, _Held],
        done: int,
        total: int,
        progress: Progress,
    ) -> int:
        """Write chunks, and note in `held` where they are.

        Returns:
            How many of `total` chunks are embedded, `done` of them before.
        """
        prints = [fingerprint(loose.chunk) for loose in batch]
        fresh = {p: loose.chunk for p, loose in zip(prints, batch, strict=True) if p not in held}
        vectors = dict(zip(fresh, self._embed(list(fresh.values())), strict=True))
        vectors |= self._fetch({p: held[p] for p in prints if p in held})
        rows = []
        for name, loose in zip(prints, batch, strict=True):
            words, bigrams = self._count(loose.chunk, 1)
            whole = ChunkVectors(
                *vectors[name],
                words=chunk_vector(words, self._plan.mean_words),
                bigrams=chunk_vector(bigrams, self._plan.mean_bigrams),
            )
            held.setdefault(name, _Held(self._chunks, self.next_chunk, self._plan.number))
            rows.append(chunk_row(loose.chunk, loose.of, self.next_chunk, self._plan.number, whole))
            self.next_chunk += 1
        self._upsert(self._chunks, rows)
        if fresh:
            progress(done + len(fresh), total)
        return done + len(fresh)

    def _count(self, chunk: Chunk, chunks: int) -> tuple[list[str], list[str]]:
        """Count a chunk that came (1) or went (-1); returns its words and bigrams."""
        words = self._plan.tokenizer.words(chunk.search_text)
        bigrams = self._plan.tokenizer.bigrams(chunk.search_text)
        self.words.add(words, chunks)
        self.bigrams.add(bigrams, chunks)
        self.chunks += chunks
        return words, bigrams

    def _fetch(self, held: Mapping[bytes, _Held]) -> dict[bytes, tuple[Vectors, np.ndarray]]:
        rows: dict[tuple[str, int], Row] = {}
        for collection in {where.collection for where in held.values()}:
            ids = [w.chunk_id for w in set(held.values()) if w.collection == collection]
            for row in self._milvus.get(collection, ids, ["id", "dense", "sentences"]):
                rows[collection, int(row["id"])] = row
        return {
            fingerprint: (
                np.asarray(rows[where.collection, where.chunk_id]["dense"], dtype=np.float32),
                sentences_from_row(rows[where.collection, where.chunk_id]),
            )
            for fingerprint, where in held.items()
        }

    def _embed(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Vectors, np.ndarray]]:
        """Vectors of each chunk and of its sentences; ModelError unless they are as promised."""
        if not chunks:
            return
        vectors, parts = self._embedder.embed_passages_with_parts(
            [chunk.search_text for chunk in chunks], [sentence_parts(chunk) for chunk in chunks]
        )
        shapes = [(len(chunk.sentences), self._embedder.dim) for chunk in chunks]
        if vectors.shape != (len(chunks), self._embedder.dim) or [p.shape for p in parts] != shapes:
            raise ModelError(
                f"vectors of shape {vectors.shape} for {len(chunks)} chunks",
                "嵌入模型返回的向量个数或维数不对，请检查模型。",
            )
        if not (np.isfinite(vectors).all() and all(np.isfinite(part).all() for part in parts)):
            raise ModelError("vectors are not finite", "嵌入模型返回了无效的向量，请检查模型。")
        for vector, part in zip(vectors, parts, strict=True):
            yield vector, part.astype(np.float16)

    def _upsert(self, name: str, rows: Sequence[Row]) -> None:
        for first in range(0, len(rows), _ROWS):
            self._still_mine()
            self._milvus.upsert(name, rows[first : first + _ROWS])


def mean_tokens(staging: Staging, tokenizer: WordTokenizer) -> tuple[float, float]:
    """Words and bigrams in a chunk, on average; at least one, so that it divides."""
    chunks = words = bigrams = 0
    for chunk in staging.chunks():
        chunks += 1
        words += len(tokenizer.words(chunk.search_text))
        bigrams += len(tokenizer.bigrams(chunk.search_text))
    return max(1.0, words / max(1, chunks)), max(1.0, bigrams / max(1, chunks))
