"""One finished index, opened for reading: everything that one build published.

    INDEX_DIR/
        CURRENT                 name of the generation that serves
        generations/<name>/     manifest.json, documents.sqlite, vectors.faiss,
                                sentence_vectors.npy, words/, bigrams/, terms.json, tokens/,
                                vector_rows.npy where chunks still wait for their vectors
        embedded.journal        vectors of a build that goes on (journal.py)

A generation is never changed after it was published, and what was opened stays usable although a
newer one is published and this one removed. Writing is build.py's business.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from errors import (
    DamagedIndexError,
    IncompatibleIndexError,
    IndexStateError,
    MissingIndexError,
    NewerIndexError,
)
from index.array_file import load_array
from index.bm25 import Bm25Index
from index.chunk_table import SqliteChunkTable
from index.faiss_store import FaissStore
from index.journal import JOURNAL
from index.lock import HOLDER_FILE, LOCK_FILE
from index.manifest import Manifest, record_file
from index.partial_store import PartialStore
from index.protocols import Vectors
from index.words import WordTokenizer

CURRENT = "CURRENT"
GENERATIONS = "generations"
BUILDING = ".building"  # in GENERATIONS; never the name of a generation
MANIFEST = "manifest.json"
DOCUMENTS = "documents.sqlite"
VECTORS = "vectors.faiss"
VECTOR_ROWS = "vector_rows.npy"
SENTENCE_VECTORS = "sentence_vectors.npy"
WORDS = "words"
BIGRAMS = "bigrams"
TERMS = "terms.json"
SET_ASIDE = "damaged"  # where doctor.py moves generations that no longer serve

# Hashing reads about 1 GB/s: files below this size cost at most a few hundredths of a second each.
# Larger ones are checked by size, header and counts unless a full check is asked for.
MAX_HASHED_BYTES = 64 << 20

_OUR_NAMES = frozenset(
    {CURRENT, f"{CURRENT}.new", GENERATIONS, SET_ASIDE, JOURNAL, LOCK_FILE, HOLDER_FILE}
)
_GENERATION_NAME = re.compile(r"\d{6,}-[0-9a-f]{8}")


class Generation:
    """Vectors, BM25, texts and terms of one generation, in step with each other.

    Attributes:
        version: name of the generation; the answer record's `index_version`.
        manifest: what it says of itself.
        vectors: nearest chunks by meaning, among those whose vectors have been made.
        words: BM25 over words of `tokenizer`.
        bigrams: BM25 over bigrams of `tokenizer`.
        table: documents and chunks.
        tokenizer: cuts questions as this generation's chunks were cut.
        notice: Chinese, for the operator; set when an older generation serves in place of a
            damaged one.
    """

    def __init__(
        self,
        manifest: Manifest,
        vectors: FaissStore | PartialStore,
        words: Bm25Index,
        bigrams: Bm25Index,
        table: SqliteChunkTable,
        tokenizer: WordTokenizer,
        sentence_rows: NDArray[np.float16],
    ) -> None:
        """Use `Generation.open`."""
        self.version = manifest.version
        self.manifest = manifest
        self.vectors = vectors
        self.words = words
        self.bigrams = bigrams
        self.table = table
        self.tokenizer = tokenizer
        self.notice: str | None = None
        self.sentence_rows = sentence_rows  # as on disk, to be copied into a next generation

    @classmethod
    def open(cls, index_dir: Path, *, verify: bool = False) -> Generation:
        """The generation that serves, or, if that is damaged, the newest whole one.

        Args:
            index_dir: the index folder.
            verify: hash large files too (see MAX_HASHED_BYTES).

        Raises:
            MissingIndexError: no folder, or nothing published in it yet.
            IncompatibleIndexError: the folder is not ours.
            NewerIndexError: the generation that serves is from a newer version.
            DamagedIndexError: no generation is whole.
        """
        check_folder(index_dir)
        name = read_pointer(index_dir)
        pointed = (index_dir / CURRENT).exists()
        if not pointed and not generation_names(index_dir):
            raise MissingIndexError(index_dir)
        try:
            if name is None:
                problem = f"{CURRENT} 的内容不对" if pointed else f"缺少文件 {CURRENT}"
                raise DamagedIndexError(index_dir, problem)
            return load_generation(index_dir, generation_path(index_dir, name), verify=verify)
        except DamagedIndexError as error:
            damage = error
        if read_pointer(index_dir) != name:
            # Builds have published, and removed what CURRENT named a moment ago.
            return cls.open(index_dir, verify=verify)
        older = _newest_whole(index_dir, other_than=name, verify=verify)
        if older is None:
            raise damage
        older.notice = f"{damage.user_message}。目前改用上一个完好的版本 {older.version}。"
        return older

    def check_model(self, index_dir: Path | str, fingerprint: str, dim: int) -> None:
        """Refuse an embedder whose vectors must not be mixed with the stored ones.

        Raises:
            IncompatibleIndexError: it is another model, or other weights.
        """
        if (self.manifest.model_fingerprint, self.manifest.dim) != (fingerprint, dim):
            raise IncompatibleIndexError(
                index_dir,
                f"索引由模型 {self.manifest.model_fingerprint} 建立，现在的模型是 {fingerprint}",
            )

    @property
    def pending_chunks(self) -> int:
        """How many chunks can be found by words only, as their vectors are still being made."""
        return self.manifest.pending_chunks

    def has_vectors(self, chunk_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the chunks have vectors, they and their sentences."""
        if isinstance(self.vectors, PartialStore):
            return self.vectors.has(chunk_ids)
        return np.ones(len(chunk_ids), dtype=np.bool_)

    def sentence_vectors(self, chunk_id: int) -> Vectors:
        """Unit vectors of a chunk's sentences, float32, shape (sentences, dim).

        Those of a chunk that waits for its vectors are zero.

        Raises:
            KeyError: no such chunk.
        """
        rows = self.stored_sentence_vectors(chunk_id).astype(np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(norms > 0, norms, 1)
        return rows

    def stored_sentence_vectors(self, chunk_id: int) -> NDArray[np.float16]:
        """As on disk. Raises KeyError for no such chunk."""
        return self.sentence_rows[self.table.sentence_rows(chunk_id)]

    def close(self) -> None:
        """Let go of the files; what was returned before stays valid."""
        self.table.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_folder(index_dir: Path) -> None:
    """Refuse a path that holds something else; an absent or empty folder is fine.

    Raises:
        IncompatibleIndexError: not a folder, not readable, or with contents that are not ours.
    """
    try:
        names = {path.name for path in index_dir.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise IncompatibleIndexError(index_dir, "它不是文件夹") from error
    except OSError as error:
        raise IncompatibleIndexError(index_dir, f"无法读取：{error.strerror}") from error
    if generation_names(index_dir):
        return
    foreign = names - _OUR_NAMES
    if not foreign and CURRENT in names and read_pointer(index_dir) is None:
        foreign = {CURRENT}
    if foreign:
        raise IncompatibleIndexError(index_dir, f"其中的 {min(foreign)} 不是问据的文件")


def pointer_stamp(index_dir: Path) -> tuple[int, int, int] | None:
    """Changes with every publication, and costs a stat; None where nothing is published."""
    try:
        stat = (index_dir / CURRENT).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def read_pointer(index_dir: Path) -> str | None:
    """The name in CURRENT, or None if there is none to be read."""
    try:
        name = (index_dir / CURRENT).read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return name if _GENERATION_NAME.fullmatch(name) else None


def generation_names(index_dir: Path) -> list[str]:
    """Names of published or publishable generations, newest first."""
    try:
        names = [path.name for path in (index_dir / GENERATIONS).iterdir()]
    except OSError:
        return []
    ours = filter(_GENERATION_NAME.fullmatch, names)
    return sorted(ours, key=lambda name: (generation_number(name), name), reverse=True)


def generation_number(name: str) -> int:
    """The place of a generation in the order of builds, from 1."""
    return int(name.partition("-")[0])


def generation_path(index_dir: Path, name: str) -> Path:
    """Folder of a generation."""
    return index_dir / GENERATIONS / name


def superseded(index_dir: Path, serving: str) -> list[str]:
    """Generations other than the one that serves and the one before it.

    What is newer comes of a build that died before it was published, what is older of one that died
    right after.
    """
    names = [name for name in generation_names(index_dir) if name != serving]
    older = [n for n in names if generation_number(n) < generation_number(serving)]
    return [name for name in names if name not in older[:1]]


def refuse_newer(index_dir: Path) -> None:
    """Keep a writer from a folder that a newer version of this program has written to.

    Raises:
        NewerIndexError: some generation is in a format that is not known yet.
    """
    for name in generation_names(index_dir):
        try:
            Manifest.load(generation_path(index_dir, name) / MANIFEST, index_dir)
        except NewerIndexError:
            raise
        except IndexStateError:
            continue  # damaged or foreign; whoever opens it says so


def load_generation(
    index_dir: Path, folder: Path, *, verify: bool, version: str | None = None
) -> Generation:
    """Open and check the generation in `folder`; `index_dir` is named in errors.

    Args:
        index_dir: the index folder.
        folder: where the generation lies.
        verify: hash large files too.
        version: name it must bear; None for the folder's own.

    Raises:
        DamagedIndexError: a file is missing or altered, or the parts are out of step.
        IncompatibleIndexError: made by something else or in another format.
    """
    manifest = Manifest.load(folder / MANIFEST, index_dir)
    if manifest.version != (version or folder.name):
        raise DamagedIndexError(index_dir, f"清单写的是版本 {manifest.version}")
    _check_files(manifest, folder, index_dir, verify=verify)
    try:
        return _load_parts(manifest, folder)
    except (OSError, ValueError, EOFError, sqlite3.Error) as error:
        raise DamagedIndexError(index_dir, f"无法载入：{error}") from error


def _newest_whole(index_dir: Path, *, other_than: str | None, verify: bool) -> Generation | None:
    for name in generation_names(index_dir):
        if name != other_than:
            try:
                return load_generation(index_dir, generation_path(index_dir, name), verify=verify)
            except (DamagedIndexError, IncompatibleIndexError):
                continue
    return None


def _check_files(manifest: Manifest, folder: Path, index_dir: Path, *, verify: bool) -> None:
    required = {DOCUMENTS, VECTORS, SENTENCE_VECTORS, TERMS}
    if manifest.pending_chunks:
        required.add(VECTOR_ROWS)
    if missing := required - manifest.files.keys():
        raise DamagedIndexError(index_dir, f"清单中没有 {min(missing)}")
    for name, expected in manifest.files.items():
        path = folder / name
        try:
            size = path.stat().st_size
            hashed = verify or size <= MAX_HASHED_BYTES
            whole = size == expected.size and (not hashed or record_file(path) == expected)
        except OSError as error:
            raise DamagedIndexError(index_dir, f"缺少文件 {name}") from error
        if not whole:
            raise DamagedIndexError(index_dir, f"文件 {name} 与清单不符")


def _load_parts(manifest: Manifest, folder: Path) -> Generation:
    """ValueError where counts disagree, so that text and vectors can never be out of step."""
    with ExitStack() as undo:
        table = SqliteChunkTable(folder / DOCUMENTS)
        undo.callback(table.close)
        promised = (manifest.documents, manifest.chunks, manifest.sentences)
        if table.counts() != promised:
            raise ValueError(f"{DOCUMENTS} holds {table.counts()}, not {promised}")
        words, bigrams = Bm25Index.load(folder / WORDS), Bm25Index.load(folder / BIGRAMS)
        if not len(words) == len(bigrams) == manifest.chunks:
            raise ValueError(f"BM25 over {len(words)} and {len(bigrams)} chunks")
        generation = Generation(
            manifest=manifest,
            vectors=_load_vectors(manifest, folder),
            words=words,
            bigrams=bigrams,
            table=table,
            tokenizer=WordTokenizer(_load_terms(folder / TERMS)),
            sentence_rows=_load_sentence_rows(
                folder / SENTENCE_VECTORS, (manifest.sentences, manifest.dim)
            ),
        )
        undo.pop_all()
    return generation


def _load_vectors(manifest: Manifest, folder: Path) -> FaissStore | PartialStore:
    count = manifest.chunks - manifest.pending_chunks
    store = FaissStore.load(folder / VECTORS, manifest.dim, count)
    if not manifest.pending_chunks:
        return store
    return PartialStore.load(store, folder / VECTOR_ROWS, manifest.chunks)


def _load_terms(path: Path) -> list[str]:
    terms = json.loads(path.read_text("utf-8"))
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        raise ValueError(f"{path.name} is not a list of words")
    return terms


def _load_sentence_rows(path: Path, shape: tuple[int, int]) -> NDArray[np.float16]:
    rows: NDArray[np.float16] = load_array(path, mapped=True)
    if rows.shape != shape or rows.dtype != np.float16:
        raise ValueError(f"{path.name} holds {rows.dtype} {rows.shape}, not float16 {shape}")
    return rows
