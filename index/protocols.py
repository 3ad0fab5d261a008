"""The seams of the index: what the rest of the project may rely on.

Each is small enough that a fake is ten lines. A chunk id means something within one generation
only: in a folder it is a dense row number, on a cluster any number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from index.chunk_table import StoredDocument
from index.words import WordTokenizer
from schema import Article, DocumentSummary, Passage, Span

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Texts to unit vectors. Safe to call from several threads."""

    @property
    def fingerprint(self) -> str:
        """Names model and weights; vectors of different fingerprints must never be mixed."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dim), float32; row i belongs to texts[i]; each L2 norm is 1."""

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """As embed_queries, with the model's prompt for passages."""

    def embed_passages_with_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[Span]]
    ) -> tuple[Vectors, list[Vectors]]:
        """Vectors of the texts, and for each text one vector per part (spans in that text).

        Returns:
            (len(texts), dim) and a list of (len(parts[i]), dim). A part's vector is made from the
            part as read inside its text ("late chunking") where the model allows it.
        """


class VectorStore(Protocol):
    """Nearest chunks by inner product."""

    def search(self, query: Vectors, k: int) -> list[tuple[int, float]]:
        """(chunk id, score), best first, at most k; query is (dim,)."""

    def __len__(self) -> int: ...


class KeywordIndex(Protocol):
    """BM25 over one kind of token."""

    def search(self, tokens: Sequence[str], k: int) -> list[tuple[int, float]]:
        """(chunk id, score > 0), best first, at most k."""

    def document_frequency(self, token: str) -> int:
        """In how many chunks the token stands; 0 for an unknown one."""

    def __len__(self) -> int: ...


class ChunkTable(Protocol):
    """Documents and chunks by id."""

    def passages(self, chunk_ids: Sequence[int]) -> list[Passage]:
        """In the order asked for. Raises KeyError for an unknown id."""

    def article(self, doc: str) -> Article | None:
        """The whole article, or None if the index does not hold it."""

    def documents(self) -> list[DocumentSummary]:
        """Sorted by doc."""

    def stored_documents(self) -> list[StoredDocument]:
        """Where each document came from, sorted by doc."""


class Generation(Protocol):
    """One published state of an index, opened for reading. Safe to use from several threads.

    Its parts are in step with each other, and stay as they are whatever is published afterwards.
    """

    @property
    def version(self) -> str:
        """Names the state; the answer record's `index_version`."""

    @property
    def notice(self) -> str | None:
        """Chinese, for the operator: set when an older state serves in place of a damaged one."""

    @property
    def vectors(self) -> VectorStore:
        """Nearest chunks by meaning."""

    @property
    def words(self) -> KeywordIndex:
        """BM25 over words of `tokenizer`."""

    @property
    def bigrams(self) -> KeywordIndex:
        """BM25 over bigrams of `tokenizer`."""

    @property
    def table(self) -> ChunkTable:
        """Documents and chunks."""

    @property
    def tokenizer(self) -> WordTokenizer:
        """Cuts questions as the chunks of this state were cut."""

    @property
    def pending_chunks(self) -> int:
        """How many chunks can be found by words only, as their vectors are still being made."""

    def has_vectors(self, chunk_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the chunks have vectors, they and their sentences."""

    def sentence_vectors(self, chunk_id: int) -> Vectors:
        """Unit vectors of a chunk's sentences, float32, shape (sentences, dim).

        Those of a chunk that waits for its vectors are zero.

        Raises:
            KeyError: no such chunk.
        """

    def check_model(self, index_dir: Path | str, fingerprint: str, dim: int) -> None:
        """Refuse an embedder whose vectors must not be mixed with the stored ones.

        Args:
            index_dir: where the index lies, as the operator knows it; named in the error.
            fingerprint: of the embedder.
            dim: of its vectors.

        Raises:
            IncompatibleIndexError: it is another model, or other weights.
        """

    def close(self) -> None:
        """Let go of files and connections; what was returned before stays valid."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
