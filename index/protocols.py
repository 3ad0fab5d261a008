"""The seams of the index: what the rest of the project may rely on.

Each is small enough that a fake is ten lines. Chunk ids are dense row numbers of one generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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
