"""LangChain's splitter and embedding class with FAISS, wired as its documentation shows.

Sources: the guides "Splitting recursively", "HuggingFaceEmbeddings" and "FAISS" at
https://docs.langchain.com/oss/python/integrations .
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eval.peers.system import Place

# The guide's list for writing without spaces puts the comma before the full stop; here the larger
# unit comes first, as in the order "paragraph, line" that begins the list.
SEPARATORS = ("\n\n", "\n", "。", "！", "？", "；", "，", "、", " ", "")


class LangchainFaiss:
    """RecursiveCharacterTextSplitter, HuggingFaceEmbeddings, FAISS.from_documents."""

    def __init__(self, model: str, chunk_size: int, chunk_overlap: int) -> None:
        """Take the embedder's folder and the splitter's two sizes, in characters."""
        self.model = model
        self.chunk_size = chunk_size
        self.chunk_overlap = chunk_overlap
        self._store: Any = None

    def build(self, texts: Mapping[str, str]) -> None:
        """Split, embed and index the documents.

        Raises:
            ImportError: a package of requirements.txt is not installed.
        """
        from langchain_community.vectorstores import FAISS  # type: ignore[import-not-found, unused-ignore]
        from langchain_core.documents import Document  # type: ignore[import-not-found, unused-ignore]
        from langchain_huggingface import HuggingFaceEmbeddings  # type: ignore[import-not-found, unused-ignore]

        places = split(texts, self.chunk_size, self.chunk_overlap)
        documents = [
            Document(
                page_content=texts[place.doc][place.start : place.end],
                metadata={"doc": place.doc, "start": place.start, "end": place.end},
            )
            for place in places
        ]
        embeddings = HuggingFaceEmbeddings(
            model_name=self.model,
            # The folder's own code runs its ONNX file; without it the weights cannot be read.
            model_kwargs={"device": "cpu", "trust_remote_code": True, "local_files_only": True},
            encode_kwargs={"prompt_name": "document", "normalize_embeddings": True},
            query_encode_kwargs={"prompt_name": "query", "normalize_embeddings": True},
        )
        self._store = FAISS.from_documents(documents, embeddings)

    def search(self, question: str, depth: int) -> list[Place]:
        """The nearest pieces, best first, at most `depth`."""
        found = self._store.similarity_search(question, k=depth)
        return [Place(**document.metadata) for document in found]


def split(texts: Mapping[str, str], chunk_size: int, chunk_overlap: int) -> list[Place]:
    """The pieces that LangChain's splitter cuts the documents into.

    Raises:
        ImportError: langchain-text-splitters is not installed.
    """
    from langchain_text_splitters import RecursiveCharacterTextSplitter  # type: ignore[import-not-found, unused-ignore]

    splitter = RecursiveCharacterTextSplitter(
        separators=list(SEPARATORS),
        keep_separator="end",  # else a full stop begins the next piece
        chunk_size=chunk_size,
        chunk_overlap=chunk_overlap,
    )
    return [
        place
        for doc, text in texts.items()
        for place in places_of(doc, text, splitter.split_text(text))
    ]


def places_of(doc: str, text: str, pieces: Iterable[str]) -> list[Place]:
    """Where pieces stand in the text they were cut from, in order; they may overlap.

    Raises:
        ValueError: a piece is not a slice of the text, or they are out of order.
    """
    places = []
    begin = 0
    for piece in pieces:
        start = text.index(piece, begin)
        places.append(Place(doc, start, start + len(piece)))
        begin = start + 1
    return places
