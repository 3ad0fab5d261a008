"""Documents and chunks in one SQLite file: ChunkTableWriter makes it, SqliteChunkTable reads it.

A file is written once, while nobody reads it, and never changed afterwards. Texts and offsets are
compressed; what is searched or listed stands in columns of its own.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schema import Article, Block, Chunk, DocumentSummary, Passage, Sentence, Span

_SCHEMA = """
CREATE TABLE documents (
    doc TEXT PRIMARY KEY,
    root TEXT NOT NULL,            -- the folder or file given to build that it came from
    stamp TEXT NOT NULL,           -- which reading code and settings made it
    sha256 TEXT NOT NULL,
    title TEXT, subtitle TEXT, byline TEXT, date TEXT,
    date_inferred INTEGER NOT NULL,
    warnings TEXT NOT NULL,        -- JSON
    chars INTEGER NOT NULL,        -- of text
    blocks TEXT NOT NULL,          -- JSON: [[kind, start, end], ...]
    original BLOB NOT NULL, text BLOB NOT NULL,   -- zlib of UTF-8
    offsets BLOB NOT NULL          -- zlib of the differences as little-endian 32-bit numbers
);
CREATE TABLE chunks (
    chunk_id INTEGER PRIMARY KEY,  -- 0, 1, 2, ... without a gap
    doc TEXT NOT NULL REFERENCES documents (doc),
    ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    text TEXT NOT NULL, context TEXT NOT NULL,
    sentences TEXT NOT NULL,       -- JSON: [[start, end, kind], ...]
    first_sentence INTEGER NOT NULL, sentence_count INTEGER NOT NULL,  -- rows of the vectors
    fingerprint BLOB NOT NULL,     -- equal fingerprints, equal vectors
    UNIQUE (doc, ordinal)
);
"""
_DOCUMENT_COLUMNS = (
    "doc, root, stamp, sha256, title, subtitle, byline, date, date_inferred, warnings, chars, "
    "blocks, original, text, offsets"
)
_INSERT_DOCUMENT = (
    f"INSERT INTO documents ({_DOCUMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
    "?, ?)"
)
_CHUNK_COLUMNS = 'doc, ordinal, start, "end", text, context, sentences, fingerprint, sentence_count'
_INSERT_CHUNK = (
    f"INSERT INTO chunks ({_CHUNK_COLUMNS}, chunk_id, first_sentence) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# Ids are given anew: those of the source may have gaps, and begin elsewhere.
# The document may get another name.
_COPY_CHUNKS = f"""
INSERT INTO chunks ({_CHUNK_COLUMNS}, chunk_id, first_sentence)
SELECT COALESCE(?, doc), {_CHUNK_COLUMNS.partition(", ")[2]}, ? - 1 + ROW_NUMBER() OVER places,
    ? - sentence_count + SUM(sentence_count) OVER places
FROM {{source}}.chunks WHERE doc BETWEEN ? AND ?
WINDOW places AS (ORDER BY doc, ordinal ROWS UNBOUNDED PRECEDING)
"""
_COPY_DOCUMENTS = f"""
INSERT INTO documents ({_DOCUMENT_COLUMNS})
SELECT COALESCE(?, doc), {_DOCUMENT_COLUMNS.partition(", ")[2]}
FROM {{source}}.documents WHERE doc BETWEEN ? AND ? ORDER BY doc
"""
_SELECT_PASSAGES = """
SELECT chunk_id, doc, ordinal, start, "end", chunks.text, context, sentences, title, date
FROM chunks JOIN documents USING (doc)
WHERE chunk_id IN (SELECT value FROM json_each(?))
"""


DocumentRow = tuple[Any, ...]  # the columns of _DOCUMENT_COLUMNS


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """Where a document in the table came from."""

    doc: str
    root: str
    stamp: str
    sha256: str


def sentence_parts(chunk: Chunk) -> list[Span]:
    """The chunk's sentences as spans of its search_text."""
    shift = len(chunk.search_text) - len(chunk.text) - chunk.span.start
    return [
        Span(sentence.span.start + shift, sentence.span.end + shift) for sentence in chunk.sentences
    ]


def fingerprint(chunk: Chunk) -> bytes:
    """Names what the embedder is given for a chunk: its search_text and the parts in it."""
    parts = [(part.start, part.end) for part in sentence_parts(chunk)]
    given = json.dumps([chunk.search_text, parts])
    return hashlib.sha256(given.encode()).digest()


class ChunkTableWriter:
    """Writes a new file; chunk ids are given in the order of addition.

    Args:
        path: of the file.
        sources: tables that documents will be copied from.

    Raises:
        OSError: there is such a file already.
    """

    def __init__(self, path: Path, sources: Sequence[SqliteChunkTable] = ()) -> None:
        path.open("xb").close()
        self._connection = sqlite3.connect(_uri(path, "rw"), uri=True)
        # Durability is the builder's business: it syncs a whole generation before it counts.
        self._connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        self._connection.executescript(_SCHEMA)
        self._next_chunk = 0
        self._next_sentence = 0
        # Before anything is written: all of it is one transaction, whatever the sources.
        self._sources = {source.uri: f"source{i}" for i, source in enumerate(sources)}
        for uri, name in self._sources.items():
            self._connection.execute(f"ATTACH DATABASE ? AS {name}", (uri,))

    def add(self, article: Article, chunks: Sequence[Chunk], root: str, stamp: str) -> None:
        """Insert a document that is not there yet.

        Raises:
            ValueError: a chunk is not an exact slice of the article, or out of order.
        """
        if [chunk.ordinal for chunk in chunks] != list(range(len(chunks))):
            raise ValueError(f"chunks of {article.doc} are not numbered 0, 1, 2, ...")
        self._insert(
            document_row(article, root, stamp), [_chunk_row(article, chunk) for chunk in chunks]
        )

    def copy(self, source: SqliteChunkTable, first: str, last: str) -> None:
        """Insert all documents of a source from `first` to `last`, in order of their names.

        They keep all but their chunk ids. Both ends are included.
        """
        self._copy(source, first, last, None)

    def copy_as(self, source: SqliteChunkTable, doc: str, name: str) -> None:
        """Insert a document of a source under another name."""
        self._copy(source, doc, doc, name)

    def _copy(self, source: SqliteChunkTable, first: str, last: str, name: str | None) -> None:
        place = self._sources[source.uri]
        # The collation of `doc` is that of bytes; in UTF-8 that is the order of Python's strings.
        self._connection.execute(_COPY_DOCUMENTS.format(source=place), (name, first, last))
        values = (name, self._next_chunk, self._next_sentence, first, last)
        added = self._connection.execute(_COPY_CHUNKS.format(source=place), values).rowcount
        (sentences,) = self._connection.execute(
            "SELECT COALESCE(SUM(sentence_count), 0) FROM chunks WHERE chunk_id >= ?",
            (self._next_chunk,),
        ).fetchone()
        self._next_chunk += added
        self._next_sentence += sentences

    def discard(self, doc: str) -> None:
        """Forget a document and its chunks; their ids are not given again."""
        self._connection.execute("DELETE FROM chunks WHERE doc = ?", (doc,))
        self._connection.execute("DELETE FROM documents WHERE doc = ?", (doc,))

    def close(self) -> None:
        """Write everything to the file; not yet synced."""
        self._connection.commit()
        self._connection.close()

    def abandon(self) -> None:
        """Let go of a file that nobody will read; harmless after `close`."""
        self._connection.close()

    def _insert(self, document: tuple[Any, ...], chunks: Sequence[tuple[Any, ...]]) -> None:
        self._connection.execute(_INSERT_DOCUMENT, document)
        for chunk in chunks:
            sentence_count = chunk[-1]
            row = (*chunk, self._next_chunk, self._next_sentence)
            self._connection.execute(_INSERT_CHUNK, row)
            self._next_chunk += 1
            self._next_sentence += sentence_count


class SqliteChunkTable:
    """ChunkTable over a finished file. Safe to call from several threads.

    Raises:
        sqlite3.Error: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        # Immutable: no locks, no journal, and reading goes on after the file has been removed.
        self.uri = _uri(path, "ro&immutable=1")
        self._connection = sqlite3.connect(self.uri, uri=True, check_same_thread=False)
        self._lock = threading.Lock()
        self._documents: tuple[DocumentSummary, ...] | None = None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def passages(self, chunk_ids: Sequence[int]) -> list[Passage]:
        """In the order asked for. Raises KeyError for an unknown id."""
        rows = self._all(_SELECT_PASSAGES, json.dumps([int(i) for i in chunk_ids]))
        found = {row[0]: _passage(row) for row in rows}
        return [found[int(i)] for i in chunk_ids]

    def article(self, doc: str) -> Article | None:
        """The whole article, or None if the index does not hold it."""
        rows = self._all(f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE doc = ?", doc)
        return article_from_row(rows[0]) if rows else None

    def documents(self) -> list[DocumentSummary]:
        """Sorted by doc.

        Kept, a quarter of a kilobyte each: reading 17,000 takes 0.1 s, in which questions would
        wait, and every page and probe asks.
        """
        if self._documents is None:
            rows = self._all(
                "SELECT doc, title, date, chars, (SELECT COUNT(*) FROM chunks WHERE "
                "chunks.doc = documents.doc), warnings FROM documents ORDER BY doc"
            )
            self._documents = tuple(
                DocumentSummary(doc, title, date, chars, chunks, tuple(json.loads(warnings)))
                for doc, title, date, chars, chunks, warnings in rows
            )
        return list(self._documents)

    def stored_documents(self) -> list[StoredDocument]:
        """Where each document came from, sorted by doc."""
        rows = self._all("SELECT doc, root, stamp, sha256 FROM documents ORDER BY doc")
        return [StoredDocument(*row) for row in rows]

    def texts(self) -> Iterator[str]:
        """The readable text of each document, sorted by doc, one in memory at a time."""
        for (doc,) in self._all("SELECT doc FROM documents ORDER BY doc"):
            yield _unpack(self._all("SELECT text FROM documents WHERE doc = ?", doc)[0][0])

    def fingerprints(self) -> list[bytes]:
        """Entry i belongs to chunk i."""
        return [row[0] for row in self._all("SELECT fingerprint FROM chunks ORDER BY chunk_id")]

    def sentence_starts(self) -> NDArray[np.int64]:
        """Shape (chunks + 1,): the sentences of chunk i are the rows [starts[i], starts[i + 1])."""
        counts = [r[0] for r in self._all("SELECT sentence_count FROM chunks ORDER BY chunk_id")]
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)

    def sentence_rows(self, chunk_id: int) -> slice:
        """The rows of a chunk's sentences. Raises KeyError for an unknown id."""
        rows = self._all(
            "SELECT first_sentence, sentence_count FROM chunks WHERE chunk_id = ?", int(chunk_id)
        )
        if not rows:
            raise KeyError(chunk_id)
        first, count = rows[0]
        return slice(first, first + count)

    def counts(self) -> tuple[int, int, int]:
        """Numbers of documents, chunks and sentences.

        Raises:
            ValueError: chunk ids are not 0, 1, 2, ...
        """
        documents = self._all("SELECT COUNT(*) FROM documents")[0][0]
        chunks, least, most = self._all(
            "SELECT COUNT(*), COALESCE(MIN(chunk_id), 0), COALESCE(MAX(chunk_id), -1) FROM chunks"
        )[0]
        if (least, most) != (0, chunks - 1):
            raise ValueError(f"{chunks} chunks are numbered {least} to {most}")
        return documents, chunks, self.sentence_rows(most).stop if chunks else 0

    def _all(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()


def _uri(path: Path, mode: str) -> str:
    # as_uri quotes what a URI gives a meaning to, such as ? # and %.
    return f"{path.resolve().as_uri()}?mode={mode}"


def document_row(article: Article, root: str, stamp: str) -> DocumentRow:
    """The row of an article in the table of documents."""
    return (
        article.doc,
        root,
        stamp,
        article.sha256,
        article.title,
        article.subtitle,
        article.byline,
        article.date,
        int(article.date_inferred),
        json.dumps(article.warnings, ensure_ascii=False),
        len(article.text),
        json.dumps([(b.kind, b.span.start, b.span.end) for b in article.blocks]),
        _pack(article.original),
        _pack(article.text),
        _pack_offsets(article.offsets),
    )


def article_from_row(row: DocumentRow) -> Article:
    """The article of a row of the table of documents."""
    (doc, _, _, sha256, title, subtitle, byline, date, inferred, warnings, _, blocks) = row[:12]
    original, text, offsets = row[12:]
    return Article(
        doc=doc,
        sha256=sha256,
        original=_unpack(original),
        text=_unpack(text),
        offsets=_unpack_offsets(offsets),
        blocks=tuple(Block(kind, Span(start, end)) for kind, start, end in json.loads(blocks)),
        title=title,
        subtitle=subtitle,
        byline=byline,
        date=date,
        date_inferred=bool(inferred),
        warnings=tuple(json.loads(warnings)),
    )


def check_chunk(article: Article, chunk: Chunk) -> None:
    """ValueError if the chunk is not an exact slice of its article."""
    inside = all(
        chunk.span.start <= s.span.start < s.span.end <= chunk.span.end for s in chunk.sentences
    )
    exact = chunk.doc == article.doc and chunk.text == chunk.span.cut(article.text)
    if not (chunk.sentences and inside and exact):
        raise ValueError(f"chunk {chunk.ordinal} of {chunk.doc} does not fit article {article.doc}")


def _chunk_row(article: Article, chunk: Chunk) -> tuple[Any, ...]:
    """Row of _CHUNK_COLUMNS; ValueError if the chunk is not an exact slice of its article."""
    check_chunk(article, chunk)
    return (
        chunk.doc,
        chunk.ordinal,
        chunk.span.start,
        chunk.span.end,
        chunk.text,
        chunk.context,
        json.dumps([(s.span.start, s.span.end, s.kind) for s in chunk.sentences]),
        fingerprint(chunk),
        len(chunk.sentences),
    )


def _passage(row: tuple[Any, ...]) -> Passage:
    chunk_id, doc, ordinal, start, end, text, context, sentences, title, date = row
    chunk = Chunk(
        doc=doc,
        ordinal=ordinal,
        span=Span(start, end),
        text=text,
        context=context,
        sentences=tuple(Sentence(Span(s, e), kind) for s, e, kind in json.loads(sentences)),
    )
    return Passage(chunk_id=chunk_id, chunk=chunk, title=title, date=date)


def _pack(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8"))


def _unpack(data: bytes) -> str:
    return zlib.decompress(data).decode("utf-8")


def _pack_offsets(offsets: array[int]) -> bytes:
    """Offsets rise mostly by one, so their differences compress to almost nothing."""
    steps = np.diff(np.asarray(offsets, dtype=np.int64), prepend=0)
    return zlib.compress(steps.astype("<u4").tobytes())


def _unpack_offsets(data: bytes) -> array[int]:
    steps = np.frombuffer(zlib.decompress(data), dtype="<u4")
    offsets = array("I")
    offsets.frombytes(np.cumsum(steps, dtype=np.int64).astype(np.uintc).tobytes())
    return offsets
