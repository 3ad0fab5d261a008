"""Documents and their chunks on the way to Milvus, in a temporary file: put in, read in any order.

What is to be written is read several times, for its terms, its tokens and its vectors, and may be
more than memory holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from index.chunk_table import DocumentRow, article_from_row, check_chunk, document_row
from index.milvus_rows import chunk_from_values, chunk_values, packed_document, unpacked_document
from schema import Article, Chunk


@dataclass(frozen=True, slots=True)
class StagedDocument:
    """A document with its chunks, as it will be stored."""

    row: DocumentRow
    chunks: tuple[Chunk, ...]

    @property
    def title_and_date(self) -> tuple[str | None, str | None]:
        """What a passage tells of its document."""
        return self.row[4], self.row[7]


@dataclass(frozen=True, slots=True)
class _Place:
    start: int
    document: int  # bytes
    chunks: int


class Staging:
    """The file; documents replaced or discarded keep their room until it is closed."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("xb+")
        self._places: dict[str, _Place] = {}
        self._end = 0

    def put(self, article: Article, chunks: Sequence[Chunk], root: str, stamp: str) -> None:
        """Insert or replace a document.

        Raises:
            ValueError: a chunk is not an exact slice of the article, or out of order.
            OSError: the disk is full.
        """
        if [chunk.ordinal for chunk in chunks] != list(range(len(chunks))):
            raise ValueError(f"chunks of {article.doc} are not numbered 0, 1, 2, ...")
        for chunk in chunks:
            check_chunk(article, chunk)
        document = packed_document(document_row(article, root, stamp))
        listed = json.dumps([chunk_values(chunk) for chunk in chunks], ensure_ascii=False).encode()
        self._file.seek(self._end)
        self._file.write(document + listed)
        self._places[article.doc] = _Place(self._end, len(document), len(listed))
        self._end += len(document) + len(listed)

    def discard(self, doc: str) -> None:
        """Forget a document; one that is not there is ignored."""
        self._places.pop(doc, None)

    def docs(self) -> list[str]:
        """Names of all documents, sorted."""
        return sorted(self._places)

    def documents(self) -> Iterator[StagedDocument]:
        """All documents in order of their names, one in memory at a time."""
        for doc in self.docs():
            place = self._places[doc]
            self._file.seek(place.start)
            row = unpacked_document(self._file.read(place.document))
            listed = json.loads(self._file.read(place.chunks))
            yield StagedDocument(row, tuple(map(chunk_from_values, listed)))

    def texts(self) -> Iterator[str]:
        """The readable text of each document."""
        return (article_from_row(document.row).text for document in self.documents())

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in order."""
        return (chunk for document in self.documents() for chunk in document.chunks)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
