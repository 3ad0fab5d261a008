"""txtai's Embeddings with stored content: vectors alone, or `hybrid` with its keyword index.

txtai does not cut Chinese: its sentence splitter is NLTK's for English. It is given the pieces of
LangChain's splitter.

Source: "Configuration" of the embeddings database at https://neuml.github.io/txtai/embeddings .
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.peers.langchain_faiss import split
from eval.peers.system import Place


class TxtaiIndex:
    """Embeddings(content=True), all else at its default."""

    def __init__(self, model: str, chunk_size: int, *, hybrid: bool) -> None:
        """Take the embedder's folder, the size of a piece in characters, and the kind of search."""
        self.model = model
        self.chunk_size = chunk_size
        self.hybrid = hybrid
        self._embeddings: Any = None
        self._places: list[Place] = []

    def build(self, texts: Mapping[str, str]) -> None:
        """Split, embed and index the documents.

        Raises:
            ImportError: a package of requirements.txt is not installed.
        """
        from txtai import Embeddings  # type: ignore[import-not-found, unused-ignore]

        self._places = split(texts, self.chunk_size, 0)
        self._embeddings = Embeddings(
            path=self.model,
            method="sentence-transformers",
            # The folder's own code runs its ONNX file; without it the weights cannot be read.
            vectors={"trust_remote_code": True, "local_files_only": True},
            gpu=False,
            content=True,
            hybrid=self.hybrid,
        )
        self._embeddings.index(
            (number, texts[place.doc][place.start : place.end], None)
            for number, place in enumerate(self._places)
        )

    def search(self, question: str, depth: int) -> list[Place]:
        """The best pieces, best first, at most `depth`."""
        return [self._places[int(row["id"])] for row in self._embeddings.search(question, depth)]
