"""What stands in Milvus: four collections and the form of their rows.

    wenju_state                what was published, and when; the lock
    wenju_meta                 manifests, terms and frequencies of tokens, lists of ended rows
    wenju_documents_<epoch>    each document whole, in as many rows as it needs
    wenju_chunks_<epoch>       each chunk: vector, words, bigrams, text, vectors of its sentences

No row that a reader can see is ever written again: a search that runs while a row is replaced may
find it in neither place (tests/test_milvus.py), and nothing tells the reader. So a row says since
which generation it is there, and a generation lists the rows that it does not show any more; they
are deleted when no generation is kept that shows them, and only then. What serves is the last of
the rows that say what was published. They have a collection of their own, which is never flushed:
a flush hides what was written last for a moment, and readers would fall back to the state before.

A new *epoch* has collections of its own: where everything is made anew, since the terms by which
words are cut are those of an epoch.
Milvus counts bytes, and no text field holds more than 65,535; what may be longer is cut in pieces.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pymilvus import CollectionSchema, DataType, MilvusClient

from errors import DamagedIndexError, IncompatibleIndexError, NewerIndexError
from index.chunk_table import DocumentRow, article_from_row, fingerprint
from index.milvus_calls import Milvus, Row
from index.protocols import Vectors
from index.sparse_bm25 import SparseVector
from schema import Article, Chunk, DocumentSummary, Passage, Sentence, Span

META = "wenju_meta"
STATE = "wenju_state"
_TEXT_FIELDS = {"id", "body", "unused"}

FORMAT = "wenju-milvus"
FORMAT_VERSION = 1  # raise it when what stands there today could no longer be read

_MAX_BYTES = 65_535  # of a text field
_PIECE_CHARS = 16_000  # of four bytes at most
_PIECE_BYTES = 48_000  # base64 makes four of three
_MAX_PIECES = 4096


def documents_of(epoch: int) -> str:
    """Name of the collection of an epoch's documents."""
    return f"wenju_documents_{epoch:06d}"


def chunks_of(epoch: int) -> str:
    """Name of the collection of an epoch's chunks."""
    return f"wenju_chunks_{epoch:06d}"


def epoch_of(name: str) -> int | None:
    """The epoch of one of those collections, None of another."""
    match = re.fullmatch(r"wenju_(?:documents|chunks)_(\d{6})", name)
    return int(match[1]) if match else None


def key_of(doc: str) -> str:
    """Names a document in conditions, whatever characters its name has."""
    return hashlib.sha256(doc.encode("utf-8")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class StoreManifest:
    """What a generation says of itself."""

    version: str  # its name, such as 000012-9f86d081
    number: int  # of the build, from 1
    epoch: int  # number of the build that made its collections
    wenju_version: str
    created: str  # ISO 8601, UTC
    model_fingerprint: str
    dim: int
    documents: int
    chunks: int
    corpus_version: int
    settings_fingerprint: str
    next_chunk: int  # id of the next new chunk
    learnt_documents: int  # when the epoch began and its terms were learnt
    mean_words: float  # in a chunk, when the epoch began
    mean_bigrams: float
    parts: tuple[int, ...]  # numbers of the builds whose frequencies are to be added up
    digests: Mapping[str, str]  # sha256 of everything else in META that belongs to it, by name

    def to_json(self) -> str:
        """As written to META."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, store: str) -> StoreManifest:
        """What `to_json` gave; `store` is named in errors.

        Raises:
            DamagedIndexError: a field is missing, unknown or of a wrong type.
        """
        try:
            record = json.loads(text)
            record["parts"] = tuple(record["parts"])
            hints = get_type_hints(cls)
            for field in fields(cls):
                plain = hints[field.name] in (str, int, float)
                if plain and type(record[field.name]) is not hints[field.name]:
                    raise ValueError(field.name)
            return cls(**record)
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedIndexError(store, f"清单的内容不对：{error}") from error


def manifest_name(version: str) -> str:
    """Name in META of the manifest of a generation."""
    return f"generation/{version}"


def terms_name(epoch: int) -> str:
    """Name in META of the terms of an epoch."""
    return f"terms/{epoch:06d}"


def model_name(epoch: int) -> str:
    """Name in META of the fingerprint of the model whose vectors stand in an epoch."""
    return f"model/{epoch:06d}"


def frequencies_name(kind: str, number: int) -> str:
    """Name in META of what a build adds to the frequencies; `kind` is words or bigrams."""
    return f"{kind}/{number:06d}"


def ended_name(number: int) -> str:
    """Name in META of the rows that the generation of a build does not show."""
    return f"ended/{number:06d}"


@dataclass(frozen=True)
class Ended:
    """Rows that may still stand in an epoch, though its latest generation does not show them.

    Attributes:
        chunks: {number of the build that ended them: ids of chunks}.
        documents: {the same: (key, since) of documents}.
    """

    chunks: Mapping[int, Sequence[int]]
    documents: Mapping[int, Sequence[tuple[str, int]]]

    def by(self, number: int, chunks: Sequence[int], documents: Sequence[tuple[str, int]]) -> Ended:
        """With those that a build ends."""
        return Ended({**self.chunks, number: chunks}, {**self.documents, number: documents})

    def after(self, number: int) -> Ended:
        """Those that are ended by later builds only."""
        return Ended(
            {n: ids for n, ids in self.chunks.items() if n > number},
            {n: names for n, names in self.documents.items() if n > number},
        )

    def until(self, number: int) -> Ended:
        """The others."""
        return Ended(
            {n: ids for n, ids in self.chunks.items() if n <= number},
            {n: names for n, names in self.documents.items() if n <= number},
        )

    def chunk_ids(self) -> list[int]:
        """Of all of them, sorted."""
        return sorted(chunk_id for ids in self.chunks.values() for chunk_id in ids)

    def document_names(self) -> list[tuple[str, int]]:
        """(key, since) of all of them, sorted."""
        return sorted(name for names in self.documents.values() for name in names)

    def to_bytes(self) -> bytes:
        """As written to META."""
        return zlib.compress(json.dumps([dict(self.chunks), dict(self.documents)]).encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> Ended:
        """What `to_bytes` gave. Raises ValueError for anything else."""
        try:
            chunks, documents = json.loads(zlib.decompress(data))
        except zlib.error as error:
            raise ValueError(f"list of ended rows: {error}") from error
        return cls(
            {int(number): ids for number, ids in chunks.items()},
            {int(n): [(key, since) for key, since in named] for n, named in documents.items()},
        )


def chunks_shown(number: int, ended: Ended) -> str:
    """Condition: the chunks of the generation of that number."""
    left_out = ", ".join(map(str, ended.chunk_ids()))
    return f"since <= {number}" + (f" and id not in [{left_out}]" if left_out else "")


def heads_shown(number: int, ended: Ended) -> str:
    """Condition: the first row of each document of the generation of that number."""
    ids = (part_id(key, since, 0) for key, since in ended.document_names())
    left_out = ", ".join(f'"{one}"' for one in ids)
    shown = f"part == 0 and since <= {number}"
    return shown + (f" and id not in [{left_out}]" if left_out else "")


def part_id(key: str, since: int, part: int) -> str:
    """Primary key of a row of a document."""
    return f"{key}/{since:06d}/{part:06d}"


class Texts:
    """Texts by name, in a collection of them."""

    def __init__(self, milvus: Milvus, collection: str) -> None:
        self._milvus = milvus
        self._collection = collection

    def is_there(self) -> bool:
        """Whether there is such a collection.

        Raises:
            IncompatibleIndexError: it is somebody else's.
        """
        found = self._milvus.fields(self._collection)
        if found not in (None, _TEXT_FIELDS):
            raise IncompatibleIndexError(
                self._milvus.store,
                f"其中的集合 {self._collection} 不是问据的，请为问据另建一个 database",
            )
        return found is not None

    def make(self) -> None:
        """Make the collection."""
        schema = _schema()
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=128)
        schema.add_field("body", DataType.VARCHAR, max_length=_MAX_BYTES)
        _add_unused(schema)
        self._milvus.create(self._collection, schema, {"unused": ("FLAT", "IP")})

    def read(self, name: str) -> str | None:
        """A text, or None."""
        rows = self._milvus.get(self._collection, [name], ["body"])
        return str(rows[0]["body"]) if rows else None

    def put(self, name: str, text: str) -> None:
        """Write a text, which needs no flush to outlive a crash: Milvus has a log."""
        self._milvus.upsert(self._collection, [{"id": name, "body": text, "unused": [0.0, 0.0]}])

    def named(self, prefix: str) -> dict[str, str]:
        """{the rest of its name: text}, sorted by name."""
        rows = self._milvus.select(self._collection, f'id like "{prefix}%"', ["id", "body"])
        return dict(sorted((row["id"].removeprefix(prefix), row["body"]) for row in rows))

    def names(self, prefix: str) -> list[str]:
        """Whole names, sorted."""
        found = self._milvus.select(self._collection, f'id like "{prefix}%"', ["id"])
        return sorted(row["id"] for row in found)

    def remove(self, names: Sequence[str]) -> None:
        """Forget texts and blobs; those that are not there are ignored."""
        for name in names:
            self._milvus.delete(self._collection, f'id == "{name}" or id like "{name}/%"')


class Published:
    """What was published, and when, in STATE. A publication adds a row; the last one serves."""

    def __init__(self, milvus: Milvus) -> None:
        self._texts = Texts(milvus, STATE)

    def versions(self) -> dict[str, datetime]:
        """{version: when it was published}, oldest first, of those that are kept."""
        found = self._texts.named("published/")
        return {version: datetime.fromisoformat(when) for version, when in found.items()}

    def last(self) -> str | None:
        """The version that serves, None while there is none."""
        names = self._texts.names("published/")
        return names[-1].removeprefix("published/") if names else None

    def add(self, version: str) -> None:
        """Let a version serve."""
        self._texts.put(f"published/{version}", datetime.now(UTC).isoformat())

    def remove(self, versions: Sequence[str]) -> None:
        """Forget superseded ones."""
        self._texts.remove([f"published/{version}" for version in versions])


class Meta(Texts):
    """The collection META: texts and blobs by name, each written once."""

    def __init__(self, milvus: Milvus) -> None:
        super().__init__(milvus, META)

    def exists(self) -> bool:
        """Whether there is one.

        Raises:
            IncompatibleIndexError: it is somebody else's.
            NewerIndexError: it is of a newer version.
        """
        if not self.is_there():
            return False
        self._check_format()
        return True

    def create(self) -> None:
        """Make it and STATE, in a database that has none."""
        state = Texts(self._milvus, STATE)
        if not state.is_there():
            state.make()
        self.make()
        self.put("format", json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION}))
        self._milvus.flush(META)  # now, while nobody reads: a later flush would hide it

    def _check_format(self) -> None:
        try:
            record = json.loads(self.read("format") or "null")
            version = record["format_version"] if record["format"] == FORMAT else None
        except (ValueError, TypeError, KeyError):
            version = None
        if type(version) is not int:
            raise IncompatibleIndexError(self._milvus.store, "这不是问据的索引")
        if version > FORMAT_VERSION:
            raise NewerIndexError(self._milvus.store, version, FORMAT_VERSION)

    def read_blob(self, name: str, digest: str) -> bytes:
        """What `put_blob` wrote.

        Raises:
            DamagedIndexError: it is not whole.
        """
        rows = self._milvus.select(META, f'id like "{name}/%"', ["id", "body"])
        pieces = [row["body"] for row in sorted(rows, key=lambda row: row["id"])]
        data = b"".join(base64.b64decode(piece) for piece in pieces)
        if hashlib.sha256(data).hexdigest() != digest:
            raise DamagedIndexError(self._milvus.store, f"{name} 与清单不符")
        return data

    def put_blob(self, name: str, data: bytes) -> str:
        """Write bytes. Returns their digest."""
        self.remove([name])
        for number, first in enumerate(range(0, max(1, len(data)), _PIECE_BYTES)):
            piece = base64.b64encode(data[first : first + _PIECE_BYTES]).decode()
            row = {"id": f"{name}/{number:06d}", "body": piece, "unused": [0.0, 0.0]}
            self._milvus.upsert(META, [row])
        return hashlib.sha256(data).hexdigest()


def create_epoch(milvus: Milvus, epoch: int, model_fingerprint: str, dim: int) -> None:
    """Make the two collections of a new epoch, and note whose vectors come into them."""
    documents, chunks = documents_of(epoch), chunks_of(epoch)
    Meta(milvus).put(model_name(epoch), model_fingerprint)
    schema = _schema()
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=128)
    _add_common(schema)
    schema.add_field("part", DataType.INT64)
    schema.add_field("body", DataType.VARCHAR, max_length=_MAX_BYTES)
    _add_unused(schema)
    milvus.create(documents, schema, {"unused": ("FLAT", "IP")})
    schema = _schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    _add_common(schema)
    schema.add_field("fingerprint", DataType.VARCHAR, max_length=64)
    _add_list(schema, "body", _MAX_BYTES)
    _add_list(schema, "sentences", len(_packed_vector(np.zeros(dim, np.float16))))
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=dim)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("bigrams", DataType.SPARSE_FLOAT_VECTOR)
    sparse = ("SPARSE_INVERTED_INDEX", "IP")
    milvus.create(chunks, schema, {"dense": ("HNSW", "IP"), "words": sparse, "bigrams": sparse})


def _schema() -> CollectionSchema:
    return MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)


def _add_common(schema: CollectionSchema) -> None:
    schema.add_field("doc", DataType.VARCHAR, max_length=64)  # key_of
    schema.add_field("since", DataType.INT64)


def _add_list(schema: CollectionSchema, name: str, max_bytes: int) -> None:
    schema.add_field(
        name,
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=_MAX_PIECES,
        max_length=max_bytes,
    )


def _add_unused(schema: CollectionSchema) -> None:
    """Milvus takes no collection without a vector."""
    schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)


@dataclass(frozen=True, slots=True)
class Head:
    """What the first row of a document says; the others hold its text."""

    doc: str
    root: str
    stamp: str
    sha256: str
    title: str | None
    date: str | None
    chars: int
    chunks: int
    warnings: tuple[str, ...]
    pieces: int

    def summary(self) -> DocumentSummary:
        """For a list."""
        return DocumentSummary(
            self.doc, self.title, self.date, self.chars, self.chunks, self.warnings
        )

    @classmethod
    def from_row(cls, row: Row) -> Head:
        """From the body of a document's first row."""
        record = json.loads(row["body"])
        return cls(**{**record, "warnings": tuple(record["warnings"])})


def document_rows(document: DocumentRow, chunks: int, number: int) -> list[Row]:
    """A document as stored: a head, then the whole of it in pieces.

    Args:
        document: as the chunk table holds it.
        chunks: how many it has.
        number: of the generation it comes with.
    """
    doc, root, stamp, sha256, title, _, _, date, _, warnings, chars, *_ = document
    packed = packed_document(document)
    pieces = [packed[i : i + _PIECE_BYTES] for i in range(0, len(packed), _PIECE_BYTES)]
    head = Head(
        doc, root, stamp, sha256, title, date, chars, chunks, json.loads(warnings), len(pieces)
    )
    bodies = [
        json.dumps(asdict(head), ensure_ascii=False),
        *(base64.b64encode(piece).decode() for piece in pieces),
    ]
    key = key_of(doc)
    return [
        {
            "id": part_id(key, number, part),
            "doc": key,
            "since": number,
            "part": part,
            "body": body,
            "unused": [0.0, 0.0],
        }
        for part, body in enumerate(bodies)
    ]


def packed_document(document: DocumentRow) -> bytes:
    """A row of the table of documents as bytes."""
    return zlib.compress(json.dumps([_plain(value) for value in document]).encode())


def unpacked_document(data: bytes) -> DocumentRow:
    """What packed_document was given."""
    values = json.loads(zlib.decompress(data))
    return tuple(base64.b64decode(v["b64"]) if isinstance(v, dict) else v for v in values)


def document_from_rows(rows: Sequence[Row], store: str) -> DocumentRow:
    """What document_rows was given.

    Raises:
        DamagedIndexError: a row is missing.
    """
    ordered = sorted(rows, key=lambda row: int(row["part"]))
    head = Head.from_row(ordered[0]) if ordered and ordered[0]["part"] == 0 else None
    if head is None or len(ordered) != head.pieces + 1:
        raise DamagedIndexError(store, "文档缺了一部分")
    return unpacked_document(b"".join(base64.b64decode(row["body"]) for row in ordered[1:]))


def article_from_rows(rows: Sequence[Row], store: str) -> Article:
    """The document as an article."""
    return article_from_row(document_from_rows(rows, store))


def _plain(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def head_fits(article: Article) -> bool:
    """Whether what lists need of an article fits into a field of Milvus."""
    named = (article.doc, article.title, *article.warnings)
    return sum(len(json.dumps(text, ensure_ascii=False).encode()) for text in named) < 40_000


CHUNK_FIELDS = ("id", "body")
VECTOR_FIELDS = ("id", "sentences")


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    """All vectors of a chunk."""

    dense: Vectors  # (dim,)
    sentences: NDArray[np.float16]  # (sentences, dim), as the embedder gave them
    words: SparseVector
    bigrams: SparseVector


def chunk_row(
    chunk: Chunk,
    of: tuple[str | None, str | None],
    chunk_id: int,
    number: int,
    vectors: ChunkVectors,
) -> Row:
    """A chunk as stored.

    Args:
        chunk: the chunk.
        of: title and date of its document.
        chunk_id: its primary key.
        number: of the generation it comes with.
        vectors: all of its vectors.
    """
    body = json.dumps([*chunk_values(chunk), *of], ensure_ascii=False)
    return {
        "id": chunk_id,
        "doc": key_of(chunk.doc),
        "since": number,
        "fingerprint": fingerprint(chunk).hex(),
        "body": [body[i : i + _PIECE_CHARS] for i in range(0, len(body), _PIECE_CHARS)],
        "sentences": [_packed_vector(row) for row in vectors.sentences],
        "dense": vectors.dense.astype(np.float32),
        "words": vectors.words,
        "bigrams": vectors.bigrams,
    }


def passage_from_row(row: Row) -> Passage:
    """What chunk_row was given."""
    *values, title, date = json.loads("".join(row["body"]))
    return Passage(chunk_id=int(row["id"]), chunk=chunk_from_values(values), title=title, date=date)


def chunk_values(chunk: Chunk) -> list[Any]:
    """A chunk as plain values, for JSON."""
    sentences = [(s.span.start, s.span.end, s.kind) for s in chunk.sentences]
    span = (chunk.span.start, chunk.span.end)
    return [chunk.doc, chunk.ordinal, *span, chunk.text, chunk.context, sentences]


def chunk_from_values(values: Sequence[Any]) -> Chunk:
    """What chunk_values was given."""
    doc, ordinal, start, end, text, context, sentences = values
    return Chunk(
        doc=doc,
        ordinal=ordinal,
        span=Span(start, end),
        text=text,
        context=context,
        sentences=tuple(Sentence(Span(s, e), kind) for s, e, kind in sentences),
    )


def sentences_from_row(row: Row) -> NDArray[np.float16]:
    """Shape (sentences, dim)."""
    return np.stack([np.frombuffer(base64.b64decode(v), "<f2") for v in row["sentences"]])


def _packed_vector(vector: NDArray[np.float16]) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()
