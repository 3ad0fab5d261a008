"""A generation of an index that lies in Milvus, opened for reading.

It is told apart from others by a number in every row (milvus_rows.py), so readers on any machine
see one whole state each, whatever is written meanwhile. Terms and frequencies are held in memory,
sixteen bytes for a token; texts are fetched when they are needed.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from errors import DamagedIndexError, IncompatibleIndexError, MissingIndexError, StoreError
from index.chunk_table import StoredDocument
from index.milvus_calls import Milvus
from index.milvus_rows import (
    CHUNK_FIELDS,
    VECTOR_FIELDS,
    Head,
    Meta,
    StoreManifest,
    article_from_rows,
    chunks_of,
    documents_of,
    frequencies_name,
    key_of,
    passage_from_row,
    sentences_from_row,
    terms_name,
    visible,
)
from index.protocols import Vectors
from index.sparse_bm25 import Frequencies, query_vector
from index.words import WordTokenizer
from schema import Article, DocumentSummary, Passage

_ARTICLES = 256  # held after use: one question asks for the same few again and again
_VECTORS = 4096  # chunks whose sentences' vectors are held
_READ_TOGETHER = 64  # passages; of more than this not all are read sentence by sentence


class MilvusVectors:
    """VectorStore over the chunks of one generation."""

    def __init__(self, milvus: Milvus, manifest: StoreManifest) -> None:
        self._milvus = milvus
        self._manifest = manifest

    def search(self, query: Vectors, k: int) -> list[tuple[int, float]]:
        """(chunk id, score), best first, at most k; query is (dim,)."""
        if query.shape != (self._manifest.dim,):
            raise ValueError(f"query has shape {query.shape}, not ({self._manifest.dim},)")
        k = min(k, len(self))
        if k <= 0:
            return []
        name, condition = chunks_of(self._manifest.epoch), visible(self._manifest.number)
        return self._milvus.search(name, "dense", query.astype(np.float32), k, condition)

    def __len__(self) -> int:
        return self._manifest.chunks


class MilvusKeywords:
    """KeywordIndex over the chunks of one generation, of words or of bigrams."""

    def __init__(
        self, milvus: Milvus, manifest: StoreManifest, kind: str, frequencies: Frequencies
    ) -> None:
        self._milvus = milvus
        self._manifest = manifest
        self._kind = kind
        self._frequencies = frequencies

    def search(self, tokens: Sequence[str], k: int) -> list[tuple[int, float]]:
        """(chunk id, score > 0), best first, at most k."""
        vector = query_vector(tokens, self._frequencies, len(self))
        k = min(k, len(self))
        if not vector or k <= 0:
            return []
        name, condition = chunks_of(self._manifest.epoch), visible(self._manifest.number)
        found = self._milvus.search(name, self._kind, vector, k, condition)
        return [(chunk_id, score) for chunk_id, score in found if score > 0]

    def document_frequency(self, token: str) -> int:
        """In how many chunks the token stands; 0 for an unknown one."""
        return self._frequencies.of(token)

    def __len__(self) -> int:
        return self._manifest.chunks


class MilvusTable:
    """ChunkTable over one generation. Safe to call from several threads."""

    def __init__(self, milvus: Milvus, manifest: StoreManifest) -> None:
        self._milvus = milvus
        self._documents = documents_of(manifest.epoch)
        self._chunks = chunks_of(manifest.epoch)
        self._visible = visible(manifest.number)
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
        rows = self._milvus.get(self._chunks, wanted, fields)
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
        rows = self._milvus.get(self._chunks, sorted({int(chunk_id), *beside}), VECTOR_FIELDS)
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
        condition = f'doc == "{key_of(doc)}" and {self._visible}'
        rows = self._milvus.select(self._chunks, condition, CHUNK_FIELDS)
        return sorted(map(passage_from_row, rows), key=lambda passage: passage.chunk.ordinal)

    def _article(self, doc: str) -> Article | None:
        """The whole article, or None if the index does not hold it."""
        condition = f'doc == "{key_of(doc)}" and {self._visible}'
        rows = list(self._milvus.select(self._documents, condition, ["part", "body"]))
        return article_from_rows(rows, self._milvus.store) if rows else None

    def _read_heads(self) -> list[Head]:
        rows = self._milvus.select(
            self._documents, f"part == 0 and {self._visible}", ["part", "body"]
        )
        return sorted(map(Head.from_row, rows), key=lambda head: head.doc)

    def _remember(self, vectors: dict[int, NDArray[np.float16]]) -> None:
        if len(self._vectors) + len(vectors) > _VECTORS:
            self._vectors = {}
        self._vectors.update(vectors)


class MilvusGeneration:
    """Vectors, BM25, texts and terms of one generation, in step with each other.

    Attributes are those of protocols.Generation, and `manifest`.
    """

    def __init__(
        self,
        milvus: Milvus,
        manifest: StoreManifest,
        tokenizer: WordTokenizer,
        words: Frequencies,
        bigrams: Frequencies,
    ) -> None:
        """Use `open_generation` or `load`."""
        self.version = manifest.version
        self.manifest = manifest
        self.tokenizer = tokenizer
        self.vectors = MilvusVectors(milvus, manifest)
        self.words = MilvusKeywords(milvus, manifest, "words", words)
        self.bigrams = MilvusKeywords(milvus, manifest, "bigrams", bigrams)
        self.table = MilvusTable(milvus, manifest)
        self.notice: str | None = None
        self.frequencies = {"words": words, "bigrams": bigrams}
        self._milvus = milvus

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
    for older in reversed(versions(milvus)):
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
    meta = Meta(milvus)
    return meta.read("current") if meta.exists() else None


def versions(milvus: Milvus) -> list[str]:
    """Names of all generations, oldest first."""
    return [name.removeprefix("generation/") for name in Meta(milvus).names("generation/")]


def number_of(version: str) -> int:
    """The place of a generation in the order of builds, from 1."""
    return int(version.partition("-")[0])


def read_manifest(milvus: Milvus, version: str) -> StoreManifest:
    """What a generation says of itself. Raises DamagedIndexError where there is nothing."""
    text = Meta(milvus).read(f"generation/{version}")
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
        _check_counts(milvus, manifest)
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
    return MilvusGeneration(milvus, manifest, WordTokenizer(terms), words, bigrams)


def _check_counts(milvus: Milvus, manifest: StoreManifest) -> None:
    condition = visible(manifest.number)
    documents, chunks = documents_of(manifest.epoch), chunks_of(manifest.epoch)
    if not {documents, chunks} <= set(milvus.collections()):
        raise DamagedIndexError(milvus.store, f"缺少集合 {documents} 或 {chunks}")
    counted = (
        milvus.count(documents, f"part == 0 and {condition}"),
        milvus.count(chunks, condition),
    )
    if counted != (manifest.documents, manifest.chunks):
        raise DamagedIndexError(
            milvus.store,
            f"应有 {manifest.documents} 篇 {manifest.chunks} 段，"
            f"实有 {counted[0]} 篇 {counted[1]} 段",
        )


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
