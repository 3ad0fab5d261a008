"""Articles and their chunks in, a new index generation out.

What happens, in order: documents are staged as they come; `publish` writes a complete generation
aside, copying from the previous one what has not changed and embedding the rest, syncs it to disk,
verifies it by opening it, and only then lets CURRENT name it. Whatever interrupts this leaves the
previous generation serving; the next writer removes what was left over, but goes on with the
vectors in the journal. Where much has to be embedded, a generation is published first in which the
new chunks are found by words alone.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from types import TracebackType

from errors import (
    DamagedIndexError,
    IndexStateError,
    MissingIndexError,
    UnreadableDocumentError,
    reason,
)
from index.chunk_table import ChunkTableWriter, SqliteChunkTable, StoredDocument
from index.generation import (
    BUILDING,
    CURRENT,
    DOCUMENTS,
    GENERATIONS,
    MANIFEST,
    Generation,
    check_folder,
    generation_names,
    generation_number,
    generation_path,
    load_generation,
    read_pointer,
    refuse_newer,
    superseded,
)
from index.journal import JOURNAL, VectorJournal
from index.lock import write_lock
from index.manifest import FileRecord, Manifest, record_file
from index.protocols import Embedder
from index.token_store import Before, write_words
from index.vectors import Progress, VectorFiles, same_chunks
from schema import Article, Chunk

OnStep = Callable[[str], None]

_FULL_BYTES = 1 << 20  # a disk with less space left than this is taken for full


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did."""

    version: str  # of the generation that serves now
    documents: int
    chunks: int
    added: int  # documents
    updated: int
    removed: int
    unchanged: int
    embedded_chunks: int  # the other chunks' vectors were copied
    resumed_chunks: int  # of those, taken from the journal of a build that was killed
    pending_chunks: int  # found by words only, as their vectors are still to be made
    seconds: float  # since the writer was opened


@dataclass(frozen=True, slots=True)
class _Watch:
    """Who is told how far `publish` is."""

    progress: Progress
    resumed: Callable[[int], None]
    words_first: Callable[[int], None]


class IndexWriter:
    """The one writer of an index folder; a context manager that publishes at most once.

    Args:
        index_dir: made if absent; never touched if it holds something that is not ours.
        embedder: makes the vectors; must be the one that made the previous generation's.
        corpus_version: of the code that reads and splits documents.
        settings_fingerprint: names the settings that reading and splitting depend on. Documents
            made under another version or fingerprint are not `known`, so they are read again.
        wenju_version: noted in the manifest.
        rebuild: start from no generation, whatever state the previous one is in. Vectors of a
            build that was killed are still reused: each has been checked.
        on_step: told the name of each step right after it, in the order of a publish.
        embed_batch: chunks given to the embedder at once; None: what suits one machine.

    Raises (on entering):
        LockedIndexError: another build is running.
        IncompatibleIndexError: the folder is not ours, or was built with another model.
        NewerIndexError: it is from a newer version; a rebuild is refused too.
        DamagedIndexError: there is an index, but no whole generation of it.
        IndexStateError: the folder cannot be written.
    """

    def __init__(
        self,
        index_dir: Path,
        embedder: Embedder,
        *,
        corpus_version: int,
        settings_fingerprint: str,
        wenju_version: str,
        rebuild: bool = False,
        on_step: OnStep | None = None,
        embed_batch: int | None = None,
    ) -> None:
        self._index_dir = index_dir
        self._embedder = embedder
        self._corpus_version = corpus_version
        self._settings_fingerprint = settings_fingerprint
        self._wenju_version = wenju_version
        self._rebuild = rebuild
        self._on_step = on_step
        self._embed_batch = embed_batch
        self._stamp = f"{corpus_version}/{settings_fingerprint}"
        self._building = index_dir / GENERATIONS / BUILDING
        self._stack = ExitStack()
        self._previous: Generation | None = None
        self._before_version: str | None = None  # of what serves
        self._served = 0  # chunks with vectors in it
        self._before: dict[str, StoredDocument] = {}
        self._known: dict[str, Mapping[str, str]] = {}  # by root, filled when asked for
        self._names: dict[str, Mapping[str, str]] = {}  # by root, the same the other way round
        self._staging: ChunkTableWriter | None = None
        self._staged: dict[str, str] = {}  # doc -> root
        self._renamed: dict[str, str] = {}  # of these, doc -> its name in the previous generation
        self._removed: set[str] = set()
        self._published = False
        self._by_words = False  # what serves now finds new chunks by words alone
        self._started = 0.0

    def __enter__(self) -> IndexWriter:
        self._started = time.perf_counter()
        check_folder(self._index_dir)
        with ExitStack() as stack, self._disk_errors():
            self._index_dir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(write_lock(self._index_dir))
            self._step("lock taken")
            # Once more: until the lock was ours, someone else may have filled an empty folder.
            check_folder(self._index_dir)
            refuse_newer(self._index_dir)
            stack.callback(shutil.rmtree, self._building, ignore_errors=True)
            self._previous = self._open_previous(stack)
            self._remove_leftovers()
            self._step("leftovers removed")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def notice(self) -> str | None:
        """Chinese, for the operator: set when the build goes on from an older generation."""
        if self._previous is None or self._previous.notice is None:
            return None
        return f"{self._previous.notice}这次从它接着建。"

    def known(self, root: str) -> Mapping[str, str]:
        """{doc: sha256 of its file} of the documents from `root` that need not be read again.

        As the previous generation has them, whatever was put or removed since; cheap to call often.
        """
        if root not in self._known:
            self._known[root] = {
                doc: document.sha256
                for doc, document in self._before.items()
                if document.root == root and document.stamp == self._stamp
            }
        return self._known[root]

    def known_by_content(self, root: str) -> Mapping[str, str]:
        """{sha256: doc} of the documents that are `known`; of equal ones, one of them."""
        if root not in self._names:
            self._names[root] = {digest: doc for doc, digest in self.known(root).items()}
        return self._names[root]

    def held(self, root: str) -> frozenset[str]:
        """All documents from `root` in the previous generation, to see which have vanished."""
        return frozenset(d.doc for d in self._before.values() if d.root == root)

    def holds(self, doc: str) -> str | None:
        """The root of a document as things stand now, or None if there is none of that name."""
        if doc in self._staged:
            return self._staged[doc]
        kept = doc in self._before and doc not in self._removed
        return self._before[doc].root if kept else None

    def put(self, article: Article, chunks: Sequence[Chunk], root: str) -> None:
        """Insert the article, or replace the one of the same name.

        Raises:
            UnreadableDocumentError: a name or text that no file or page could show.
            ValueError: a chunk is not an exact slice of the article, or out of order.
            IndexStateError: the disk is full.
        """
        _check_unicode(article)
        doc = article.doc
        self._unstage(doc)
        self._removed.discard(doc)
        if self._before.get(doc) == StoredDocument(doc, root, self._stamp, article.sha256):
            return
        with self._disk_errors():
            self._open_staging().add(article, chunks, root, self._stamp)
        self._staged[doc] = root
        self._step("document staged")

    def put_known(self, known: str, doc: str, root: str) -> None:
        """As `put`, for a document that is `known` from this root under another name.

        It is copied instead of being read again.
        """
        self._unstage(doc)
        self._removed.discard(doc)
        self._staged[doc] = root
        self._renamed[doc] = known

    def _unstage(self, doc: str) -> None:
        """Forget what was put under this name."""
        if self._staged.pop(doc, None) is not None and self._renamed.pop(doc, None) is None:
            self._open_staging().discard(doc)

    def remove(self, doc: str) -> None:
        """Leave the document out; a name that is not held is ignored."""
        self._unstage(doc)
        if doc in self._before:
            self._removed.add(doc)

    def publish(
        self,
        progress: Progress | None = None,
        *,
        on_resumed: Callable[[int], None] | None = None,
        on_words_first: Callable[[int], None] | None = None,
    ) -> BuildReport:
        """Make the staged state the one that serves; nothing is written if nothing changed.

        Args:
            progress: called before the first and after each batch of chunks that is embedded.
            on_resumed: told how many chunks an interrupted build had embedded already.
            on_words_first: told, when a generation has been published that finds new chunks by
                words alone, how many of its chunks wait for their vectors.

        Raises:
            IndexStateError: no document would be left, or the disk is full. The previous
                generation serves on, or one that finds new chunks by words.
            ModelError: the embedder's vectors cannot be used.
        """
        if self._published:
            raise ValueError("an IndexWriter publishes once")
        self._published = True
        docs = sorted((self._before.keys() - self._removed) | self._staged.keys())
        if not docs:
            raise self._nothing_left()
        watch = _Watch(
            progress or _tell_nobody, on_resumed or _tell_nobody, on_words_first or _tell_nobody
        )
        with self._disk_errors(), self._journal() as journal:
            if self._previous and not (self._changed or self._previous.pending_chunks):
                self._remove_finished(journal, self._previous)
                if self._previous.notice:
                    point_to(self._index_dir, self._previous.version, self._step)
                return self._report(self._previous.manifest, embedded=0, resumed=0)
            manifest, embedded, resumed = self._write(len(docs), journal, watch)
            journal.remove()
        return self._report(manifest, embedded, resumed)

    @property
    def _changed(self) -> bool:
        return bool(self._staged or self._removed)

    @contextmanager
    def _journal(self) -> Iterator[VectorJournal]:
        journal = VectorJournal(
            self._index_dir / JOURNAL, self._embedder.fingerprint, self._embedder.dim
        )
        try:
            yield journal
        finally:
            journal.close()

    @staticmethod
    def _remove_finished(journal: VectorJournal, previous: Generation) -> None:
        """Remove a journal whose build died after it had published all."""
        if len(journal) and journal.names() <= set(previous.table.fingerprints()):
            journal.remove()

    def _open_previous(self, stack: ExitStack) -> Generation | None:
        self._before_version = read_pointer(self._index_dir)
        try:
            # Every byte of it: what is copied from it gets new checksums, whatever it says.
            previous = Generation.open(self._index_dir, verify=not self._rebuild)
        except MissingIndexError:
            return None
        except IndexStateError:
            if self._rebuild:
                return None
            raise
        self._before_version = previous.version
        self._served = previous.manifest.chunks - previous.pending_chunks
        if self._rebuild:
            previous.close()
            return None
        stack.callback(previous.close)
        previous.check_model(self._index_dir, self._embedder.fingerprint, self._embedder.dim)
        self._before = {stored.doc: stored for stored in previous.table.stored_documents()}
        return previous

    def _remove_leftovers(self) -> None:
        """Clear away what an interrupted build left; called with the lock held."""
        (self._index_dir / f"{CURRENT}.new").unlink(missing_ok=True)
        # While an older one serves in place of a damaged one, nothing goes before the next publish.
        if self._previous and not self._previous.notice:
            for name in superseded(self._index_dir, self._previous.version):
                self._discard(name)
        shutil.rmtree(self._building, ignore_errors=True)

    def _open_staging(self) -> ChunkTableWriter:
        if self._staging is None:
            self._building.mkdir(parents=True)
            self._staging = ChunkTableWriter(self._building / DOCUMENTS)
            self._stack.callback(self._staging.abandon)
        return self._staging

    def _write(
        self, documents: int, journal: VectorJournal, watch: _Watch
    ) -> tuple[Manifest, int, int]:
        """Write and publish; returns the manifest, chunks embedded, chunks from the journal."""
        folder = self._building / "generation"
        folder.mkdir(parents=True)
        self._write_documents(folder / DOCUMENTS)
        self._step("documents written")
        with ExitStack() as stack:
            table = SqliteChunkTable(folder / DOCUMENTS)
            stack.callback(table.close)
            _, chunks, sentences = table.counts()
            if not chunks:
                raise self._nothing_left()
            counts = {"documents": documents, "chunks": chunks, "sentences": sentences}
            embedded, resumed = self._write_searchable(folder, table, counts, journal, watch)
        manifest = self._finish(folder, counts)
        self._swap(folder, manifest.version)
        return manifest, embedded, resumed

    def _write_searchable(
        self,
        folder: Path,
        table: SqliteChunkTable,
        counts: Mapping[str, int],
        journal: VectorJournal,
        watch: _Watch,
    ) -> tuple[int, int]:
        """Write words and vectors; returns chunks embedded, chunks from the journal."""
        before = self._before_words(table)
        write_words(folder, table, counts["chunks"], before)
        self._step("words written")
        vectors = VectorFiles(folder, table, self._embedder.dim)
        if self._previous and before:
            vectors.take_over(self._previous, before.same)
        if resumed := vectors.take_journal(journal):
            watch.resumed(resumed)
        if self._changed and vectors.words_first(self._served):
            self._publish_words(folder, vectors, counts)
            watch.words_first(vectors.pending)
        embedded = vectors.embed(self._embedder, journal, watch.progress, self._embed_batch)
        vectors.write(folder)
        self._step("vectors written")
        return embedded, resumed

    def _publish_words(self, folder: Path, vectors: VectorFiles, counts: Mapping[str, int]) -> None:
        """Publish a copy of what stands in `folder`, with the vectors that there are."""
        words = self._building / "words"
        vectors.flush()
        shutil.copytree(folder, words)
        vectors.write(words)
        manifest = self._finish(words, counts, vectors.pending)
        self._swap(words, manifest.version)
        self._by_words = True

    def _finish(self, folder: Path, counts: Mapping[str, int], pending: int = 0) -> Manifest:
        """Sync a written generation, give it its manifest and verify it."""
        files = _sync_files(folder)
        self._step("files synced")
        manifest = Manifest(
            version=self._next_version(files),
            wenju_version=self._wenju_version,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            model_fingerprint=self._embedder.fingerprint,
            dim=self._embedder.dim,
            **counts,
            corpus_version=self._corpus_version,
            settings_fingerprint=self._settings_fingerprint,
            files=files,
            pending_chunks=pending,
        )
        _write_synced(folder / MANIFEST, manifest.to_json())
        _sync_folder(folder)
        self._step("manifest written")
        self._verify(folder, manifest.version)
        self._step("verified")
        return manifest

    def _verify(self, folder: Path, version: str) -> None:
        try:
            load_generation(self._index_dir, folder, verify=False, version=version).close()
        except DamagedIndexError as error:
            raise IndexStateError(
                f"what was written cannot be read again: {error}",
                f"写入 {self._index_dir} 的新索引没有通过校验（磁盘已满或有坏块），"
                f"{self._what_serves}，请检查磁盘后再试。",
            ) from error

    def _before_words(self, table: SqliteChunkTable) -> Before | None:
        if self._previous is None:
            return None
        same, distinct = same_chunks(table, self._previous)
        return Before(
            folder=generation_path(self._index_dir, self._previous.version),
            terms=self._previous.tokenizer.terms,
            chunks=self._previous.manifest.chunks,
            distinct=distinct,
            same=same,
        )

    def _write_documents(self, path: Path) -> None:
        """All documents in order of their names, staged ones before those of last time."""
        with ExitStack() as stack:
            staged = self._finish_staging(stack)
            kept = self._previous.table if self._previous else None
            sources = {"staged": staged, "kept": kept}
            table = ChunkTableWriter(path, [source for source in (staged, kept) if source])
            stack.callback(table.abandon)
            names = sorted(self._before.keys() | self._staged.keys())
            # A run of neighbours from one source is copied at once; what is left out ends it.
            for source, run in groupby(names, key=self._source_of):
                docs = list(run)
                if found := sources.get(source):
                    table.copy(found, docs[0], docs[-1])
                elif kept and source == "renamed":
                    for doc in docs:
                        table.copy_as(kept, self._renamed[doc], doc)
            table.close()

    def _source_of(self, doc: str) -> str:
        if doc in self._staged:
            return "renamed" if doc in self._renamed else "staged"
        return "removed" if doc in self._removed else "kept"

    def _finish_staging(self, stack: ExitStack) -> SqliteChunkTable | None:
        if self._staging is None:
            return None
        self._staging.close()
        self._staging = None
        staged = SqliteChunkTable(self._building / DOCUMENTS)
        stack.callback(staged.close)
        return staged

    def _next_version(self, files: dict[str, FileRecord]) -> str:
        """Number of the build and digest of its files, such as 000012-9f86d081."""
        numbers = map(generation_number, generation_names(self._index_dir))
        digest = hashlib.sha256(
            json.dumps([(name, files[name].sha256) for name in sorted(files)]).encode()
        )
        return f"{max(numbers, default=0) + 1:06d}-{digest.hexdigest()[:8]}"

    def _swap(self, folder: Path, version: str) -> None:
        """Publish the verified generation in `folder`, then remove all but it and the one before.

        The one before is the one that serves now: not always what CURRENT names, if that is
        damaged.
        """
        before = self._before_version
        target = generation_path(self._index_dir, version)
        folder.rename(target)
        _sync_folder(target.parent)
        with ExitStack() as undo:
            undo.callback(self._withdraw, version)
            self._step("moved into place")
            point_to(self._index_dir, version, self._step)
            undo.pop_all()
        for name in generation_names(self._index_dir):
            if name not in (version, before):
                self._discard(name)
        self._before_version = version
        self._step("old removed")

    def _withdraw(self, version: str) -> None:
        """Remove a generation that was not published after all, for the disk is full."""
        if read_pointer(self._index_dir) != version:
            self._discard(version)
            (self._index_dir / f"{CURRENT}.new").unlink(missing_ok=True)

    def _discard(self, name: str) -> None:
        """Remove a generation; half removed it bears no generation's name any more."""
        self._building.mkdir(exist_ok=True)
        target = self._building / name
        with suppress(OSError):  # Windows keeps what a reader has open
            generation_path(self._index_dir, name).rename(target)
        shutil.rmtree(target, ignore_errors=True)

    def _report(self, manifest: Manifest, embedded: int, resumed: int) -> BuildReport:
        updated = len(self._staged.keys() & self._before.keys())
        return BuildReport(
            version=manifest.version,
            documents=manifest.documents,
            chunks=manifest.chunks,
            added=len(self._staged) - updated,
            updated=updated,
            removed=len(self._removed),
            unchanged=len(self._before) - updated - len(self._removed),
            embedded_chunks=embedded,
            resumed_chunks=resumed,
            pending_chunks=manifest.pending_chunks,
            seconds=time.perf_counter() - self._started,
        )

    def _step(self, name: str) -> None:
        if self._on_step is not None:
            self._on_step(name)

    def _nothing_left(self) -> IndexStateError:
        return IndexStateError(
            f"refusing to publish an index without text into {self._index_dir}",
            f"没有任何可以写入 {self._index_dir} 的文档，索引保持原样。",
        )

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:
            raise IndexStateError(
                f"cannot write {self._index_dir}: {error}",
                f"无法写入索引文件夹 {self._index_dir}（{_disk_reason(error, self._index_dir)}），"
                f"{self._what_serves}，请检查磁盘空间和权限后再试。",
            ) from error

    @property
    def _what_serves(self) -> str:
        """After a failure, in Chinese."""
        if self._by_words:
            return "新文章已经可以按词检索，已算好的向量下次接着用"
        return "原有的索引没有变"


def _disk_reason(error: OSError | sqlite3.OperationalError, index_dir: Path) -> str:
    """A Chinese clause; NumPy, FAISS and SQLite have their own ways to say that a disk is full."""
    if isinstance(error, OSError) and error.errno:
        return reason(error)
    if shutil.disk_usage(index_dir).free < _FULL_BYTES:
        return reason(OSError(errno.ENOSPC, ""))
    return str(error)


def _tell_nobody(*_: object) -> None:
    """Report to nobody."""


def point_to(index_dir: Path, version: str, on_step: OnStep = _tell_nobody) -> None:
    """Let CURRENT name a generation, in one atomic step that lasts; with the write lock held."""
    fresh = index_dir / f"{CURRENT}.new"
    _write_synced(fresh, version + "\n")
    on_step("pointer written")
    fresh.replace(index_dir / CURRENT)
    _sync_folder(index_dir)
    on_step("pointer swapped")


def _check_unicode(article: Article) -> None:
    fields = (article.doc, article.title, article.subtitle, article.byline)
    texts = (*fields, article.original, article.text)
    try:
        "".join(text or "" for text in texts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnreadableDocumentError(
            f"{article.doc!a} is not valid Unicode", "文件名或内容含有无效字符"
        ) from error


def _sync_files(folder: Path) -> dict[str, FileRecord]:
    """Force all files to disk; returns their records by relative path."""
    files: dict[str, FileRecord] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            _sync_folder(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
            files[path.relative_to(folder).as_posix()] = record_file(path)
    return files


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames inside the folder last; Windows offers no such call and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
