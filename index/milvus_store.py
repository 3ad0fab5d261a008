"""A generation of an index that lies in Milvus, opened for reading.

It is told apart from others by a number in every row and a list of rows that it leaves out
(milvus_rows.py), so readers on any machine see one whole state each, whatever is written meanwhile.
Terms and frequencies are held in memory, sixteen bytes for a token; texts are fetched when they are
needed.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from errors import (
    DamagedIndexError,
    IncompatibleIndexError,
    MissingIndexError,
    StoreError,
    SupersededError,
)
from index.chunk_table import StoredDocument
from index.milvus_calls import Milvus, MissingCollectionError, Row
from index.milvus_rows import (
    CHUNK_FIELDS,
    VECTOR_FIELDS,
    Ended,
    Head,
    Meta,
    Published,
    StoreManifest,
    article_from_rows,
    chunks_of,
    chunks_shown,
    documents_of,
    ended_name,
    frequencies_name,
    heads_shown,
    key_of,
    manifest_name,
    passage_from_row,
    sentences_from_row,
    terms_name,
)
from index.protocols import Vectors
from index.sparse_bm25 import Frequencies, SparseVector, query_vector
from index.words import WordTokenizer
from schema import Article, DocumentSummary, Passage

_Found = TypeVar("_Found")

_ARTICLES = 256  # held after use: one question asks for the same few again and again
_VECTORS = 4096  # chunks whose sentences' vectors are held
_READ_TOGETHER = 64  # passages; of more than this not all are read sentence by sentence
_SURE_SECONDS = 60.0  # a state that served this moment is kept for ten minutes at least
_SETTLED_SECONDS = 60.0  # by then all machines of a cluster have what was written before


class View:
    """The rows of one generation. Safe to use from several threads.

    What it gives is whole, or it raises: rows are removed only after the manifest of the last
    generation that shows them. So whoever finds the manifest after reading has read before that.
    Nobody needs to look for it where the generation served only just now.
    """

    def __init__(self, milvus: Milvus, manifest: StoreManifest, ended: Ended) -> None:
        self.milvus = milvus
        self.manifest = manifest
        self.ended = ended
        self._documents = documents_of(manifest.epoch)
        self._chunks = chunks_of(manifest.epoch)
        self._chunks_shown = chunks_shown(manifest.number, ended)
        self._heads_shown = heads_shown(manifest.number, ended)
        self._ended_chunks = frozenset(ended.chunk_ids())
        self._ended_documents = frozenset(ended.document_names())
        self._opened = time.monotonic()
        self._served: float | None = None  # when it was last known to serve
        self._superseded = False

    def search(self, field: str, vector: Vectors | SparseVector, k: int) -> list[tuple[int, float]]:
        """(chunk id, inner product), best first, of equal ones the lower id first."""
        strong = time.monotonic() - self._opened < _SETTLED_SECONDS
        return self._whole(
            lambda: self.milvus.search(
                self._chunks, field, vector, k, self._chunks_shown, strong=strong
            )
        )

    def chunks(self, chunk_ids: Sequence[int], fields: Sequence[str]) -> list[Row]:
        """Those of these chunks that are in the generation, in any order."""
        wanted = [*fields, "since"]
        rows = self._whole(lambda: self.milvus.get(self._chunks, chunk_ids, wanted))
        return [row for row in rows if self._shows(row)]

    def chunks_of(self, doc: str, fields: Sequence[str]) -> list[Row]:
        """Those of a document, in any order."""
        condition = f'doc == "{key_of(doc)}" and {self._chunks_shown}'
        return self._whole(lambda: list(self.milvus.select(self._chunks, condition, fields)))

    def document(self, doc: str) -> list[Row]:
        """All rows of a document, in any order; none where the generation does not hold it."""
        key = key_of(doc)
        condition = f'doc == "{key}" and since <= {self.manifest.number}'
        fields = ["since", "part", "body"]
        rows = self._whole(lambda: list(self.milvus.select(self._documents, condition, fields)))
        return [row for row in rows if (key, int(row["since"])) not in self._ended_documents]

    def heads(self) -> list[Row]:
        """The first row of each document, in any order."""
        fields = ["part", "body", "since"]
        return self._whole(
            lambda: list(self.milvus.select(self._documents, self._heads_shown, fields))
        )

    def check(self) -> None:
        """Count the rows. Raises DamagedIndexError where some are missing."""
        if not {self._documents, self._chunks} <= set(self.milvus.collections()):
            raise DamagedIndexError(
                self.milvus.store, f"缺少集合 {self._documents} 或 {self._chunks}"
            )
        documents = self.milvus.count(self._documents, self._heads_shown)
        chunks = self.milvus.count(self._chunks, self._chunks_shown)
        if (documents, chunks) != (self.manifest.documents, self.manifest.chunks):
            raise DamagedIndexError(
                self.milvus.store,
                f"应有 {self.manifest.documents} 篇 {self.manifest.chunks} 段，"
                f"实有 {documents} 篇 {chunks} 段",
            )

    def _shows(self, row: Row) -> bool:
        return (
            int(row["since"]) <= self.manifest.number and int(row["id"]) not in self._ended_chunks
        )

    def _whole(self, read: Callable[[], list[_Found]]) -> list[_Found]:
        """What is read. Raises SupersededError where some of it may have been removed."""
        try:
            found = read()
        except MissingCollectionError as error:
            raise self._gone() from error
        name = manifest_name(self.manifest.version)
        if not self._serves() and Meta(self.milvus).read(name) is None:
            raise self._gone()
        return found

    def _gone(self) -> SupersededError:
        return SupersededError(self.milvus.store, f"{self.manifest.version} is gone")

    def _serves(self) -> bool:
        """Whether it served only just now."""
        if self._superseded:
            return False
        now = time.monotonic()
        if self._served is None or now - self._served >= _SURE_SECONDS:
            self._superseded = Published(self.milvus).last() != self.manifest.version
            self._served = now
        return not self._superseded


class MilvusVectors:
    """VectorStore over the chunks of one generation."""

    def __init__(self, view: View) -> None:
        self._view = view

    def search(self, query: Vectors, k: int) -> list[tuple[int, float]]:
        """(chunk id, score), best first, at most k; query is (dim,)."""
        dim = self._view.manifest.dim
        if query.shape != (dim,):
            raise ValueError(f"query has shape {query.shape}, not ({dim},)")
        k = min(k, len(self))
        return self._view.search("dense", query.astype(np.float32), k) if k > 0 else []

    def __len__(self) -> int:
        return self._view.manifest.chunks


class MilvusKeywords:
    """KeywordIndex over the chunks of one generation, of words or of bigrams."""

    def __init__(self, view: View, kind: str, frequencies: Frequencies) -> None:
        self._view = view
        self._kind = kind
        self._frequencies = frequencies

    def search(self, tokens: Sequence[str], k: int) -> list[tuple[int, float]]:
        """(chunk id, score > 0), best first, at most k."""
        vector = query_vector(tokens, self._frequencies, len(self))
        k = min(k, len(self))
        if not vector or k <= 0:
            return []
        found = self._view.search(self._kind, vector, k)
        return [(chunk_id, score) for chunk_id, score in found if score > 0]

    def document_frequency(self, token: str) -> int:
        """In how many chunks the token stands; 0 for an unknown one."""
        return self._frequencies.of(token)

    def __len__(self) -> int:
        return self._view.manifest.chunks


class MilvusTable:
    """ChunkTable over one generation. Safe to call from several threads."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._vectors: dict[int, NDArray[np.float16]] = {}
        self._asked: dict[int, str] = {}  # chunk id -> doc, of the last large request
        # Instead of decorating methods: a cache on the class would keep closed generations alive.
        self.article = functools.lru_cache(_ARTICLES)(self._article)
        self._heads = functools.cache(self._read_heads)

    def passages(self, chunk_ids: Sequence[int]) -> list[Passage]:
        """In the order asked for. Raises KeyError for an unknown id."""
        wanted = list(dict.fromkeys(int(i) for i in chunk_ids))
        together = len(wanted) <= _READ_TOGETHER
        fields = sorted({*CHUNK_FIELDS, *(VECTOR_FIELDS if together else ())})
        rows = self._view.chunks(wanted, fields)
        if together:
            self._remember({int(row["id"]): sentences_from_row(row) for row in rows})
        found = {int(row["id"]): passage_from_row(row) for row in rows}
        if not together:
            self._asked = {chunk_id: passage.chunk.doc for chunk_id, passage in found.items()}
        return [found[int(i)] for i in chunk_ids]

    def sentence_vectors(self, chunk_id: int) -> NDArray[np.float16]:
        """As stored, shape (sentences, dim). Raises KeyError for an unknown id."""
        known = self._vectors.get(chunk_id)
        if known is not None:
            return known
        asked = self._asked
        # Whoever reads one passage of a large request reads those of the same document.
        beside = [i for i, doc in asked.items() if doc == asked.get(chunk_id)]
        rows = self._view.chunks(sorted({int(chunk_id), *beside}), VECTOR_FIELDS)
        fetched = {int(row["id"]): sentences_from_row(row) for row in rows}
        self._remember(fetched)
        return fetched[chunk_id]

    def documents(self) -> list[DocumentSummary]:
        """Sorted by doc."""
        return [head.summary() for head in self._heads()]

    def stored_documents(self) -> list[StoredDocument]:
        """Where each document came from, sorted by doc."""
        return [StoredDocument(h.doc, h.root, h.stamp, h.sha256) for h in self._heads()]

    def chunks(self, doc: str) -> list[Passage]:
        """All chunks of a document, in order."""
        rows = self._view.chunks_of(doc, CHUNK_FIELDS)
        return sorted(map(passage_from_row, rows), key=lambda passage: passage.chunk.ordinal)

    def _article(self, doc: str) -> Article | None:
        """The whole article, or None if the index does not hold it."""
        rows = self._view.document(doc)
        return article_from_rows(rows, self._view.milvus.store) if rows else None

    def _read_heads(self) -> list[Head]:
        return sorted(map(Head.from_row, self._view.heads()), key=lambda head: head.doc)

    def _remember(self, vectors: dict[int, NDArray[np.float16]]) -> None:
        if len(self._vectors) + len(vectors) > _VECTORS:
            self._vectors = {}
        self._vectors.update(vectors)


class MilvusGeneration:
    """Vectors, BM25, texts and terms of one generation, in step with each other.

    Attributes are those of protocols.Generation, `manifest`, and `ended`: rows that it leaves out.
    """

    def __init__(
        self,
        view: View,
        tokenizer: WordTokenizer,
        words: Frequencies,
        bigrams: Frequencies,
    ) -> None:
        """Use `open_generation` or `load`."""
        self.version = view.manifest.version
        self.manifest = view.manifest
        self.ended = view.ended
        self.tokenizer = tokenizer
        self.vectors = MilvusVectors(view)
        self.words = MilvusKeywords(view, "words", words)
        self.bigrams = MilvusKeywords(view, "bigrams", bigrams)
        self.table = MilvusTable(view)
        self.notice: str | None = None
        self.frequencies = {"words": words, "bigrams": bigrams}
        self._milvus = view.milvus

    @property
    def pending_chunks(self) -> int:
        """None waits for its vectors: all are written before a generation is published."""
        return 0

    def has_vectors(self, chunk_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the chunks have vectors: all."""
        return np.ones(len(chunk_ids), dtype=np.bool_)

    def sentence_vectors(self, chunk_id: int) -> Vectors:
        """Unit vectors of a chunk's sentences, float32, shape (sentences, dim).

        Raises:
            KeyError: no such chunk.
        """
        rows = self.table.sentence_vectors(chunk_id).astype(np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(norms > 0, norms, 1)
        return rows

    def check_model(self, index_dir: object, fingerprint: str, dim: int) -> None:
        """Refuse an embedder whose vectors must not be mixed with the stored ones.

        Raises:
            IncompatibleIndexError: it is another model, or other weights.
        """
        if (self.manifest.model_fingerprint, self.manifest.dim) != (fingerprint, dim):
            raise IncompatibleIndexError(
                self._milvus.store,
                f"索引由模型 {self.manifest.model_fingerprint} 建立，现在的模型是 {fingerprint}",
            )

    def close(self) -> None:
        """Let go of the connection; what was returned before stays valid."""
        self._milvus.close()

    def __enter__(self) -> MilvusGeneration:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_generation(store: str, token: str = "") -> MilvusGeneration:
    """The generation that serves, or, if that is damaged, the one before.

    Raises:
        MissingIndexError: nothing is published there yet.
        IncompatibleIndexError: what is there is not ours, or from a newer version.
        DamagedIndexError: no generation is whole.
        StoreError: it cannot be reached, or does not accept the token.
    """
    with ExitStack() as undo:
        milvus = Milvus(store, token)
        undo.callback(milvus.close)
        generation = _open(milvus)
        undo.pop_all()
    return generation


def _open(milvus: Milvus) -> MilvusGeneration:
    version = current_version(milvus)
    if version is None:
        raise MissingIndexError(milvus.store)
    try:
        return load(milvus, version)
    except DamagedIndexError as error:
        damage = error
    if current_version(milvus) != version:
        return _open(milvus)  # builds have published, and removed what served a moment ago
    for older in reversed(Published(milvus).versions()):
        if number_of(older) < number_of(version):
            try:
                generation = load(milvus, older)
            except DamagedIndexError:
                continue
            generation.notice = f"{damage.user_message}。目前改用上一个完好的版本 {older}。"
            return generation
    raise damage


def current_version(milvus: Milvus) -> str | None:
    """The version that serves, None while there is none.

    Raises:
        IncompatibleIndexError: what is there is not ours, or from a newer version.
    """
    return Published(milvus).last() if Meta(milvus).exists() else None


def number_of(version: str) -> int:
    """The place of a generation in the order of builds, from 1."""
    return int(version.partition("-")[0])


def read_manifest(milvus: Milvus, version: str) -> StoreManifest:
    """What a generation says of itself. Raises DamagedIndexError where there is nothing."""
    text = Meta(milvus).read(manifest_name(version))
    if text is None:
        raise DamagedIndexError(milvus.store, f"缺少版本 {version} 的清单")
    return StoreManifest.from_json(text, milvus.store)


def load(milvus: Milvus, version: str) -> MilvusGeneration:
    """Open and check one generation.

    Raises:
        DamagedIndexError: something of it is missing.
    """
    manifest = read_manifest(milvus, version)
    try:
        ended = Ended.from_bytes(_blob(milvus, manifest, ended_name(manifest.number)))
        view = View(milvus, manifest, ended)
        view.check()
        terms = json.loads(_blob(milvus, manifest, terms_name(manifest.epoch)))
        words, bigrams = (
            Frequencies.merged(
                Frequencies.from_bytes(_blob(milvus, manifest, frequencies_name(kind, number)))
                for number in manifest.parts
            )
            for kind in ("words", "bigrams")
        )
    except ValueError as error:
        raise DamagedIndexError(milvus.store, f"无法载入：{error}") from error
    return MilvusGeneration(view, WordTokenizer(terms), words, bigrams)


def _blob(milvus: Milvus, manifest: StoreManifest, name: str) -> bytes:
    return Meta(milvus).read_blob(name, manifest.digests[name])


class VersionWatch:
    """Which version serves, asked again and again over one connection."""

    def __init__(self, store: str, token: str = "") -> None:
        self._store = store
        self._token = token
        self._milvus: Milvus | None = None

    def __call__(self) -> str | None:
        """The version that serves, None while there is none.

        Raises:
            StoreError: it cannot be reached.
        """
        try:
            if self._milvus is None:
                self._milvus = Milvus(self._store, self._token)
            return current_version(self._milvus)
        except StoreError:
            if self._milvus is not None:
                self._milvus.close()
            self._milvus = None
            raise
