"""Articles and their chunks in, a new generation in Milvus out.

What happens, in order: documents are staged in a local file as they come; `publish` adds the rows
of what is new under the number of this build, lists those of what went, verifies the whole by
opening it, and only then says that it is published. Until then no reader sees any of it, and
whatever interrupts a build leaves the previous generation serving; the next writer goes on with
what was left. Vectors of chunks that were there before are taken over, wherever they stood.

The words of a chunk are cut with terms learnt from the corpus, so these must stay while rows do.
When the corpus has doubled since they were learnt, a build makes new collections, an *epoch*, from
the old ones; that costs writing all rows again, and no embedding. So it does when more rows would
be listed than a query should name, or when the generation that serves is damaged: those who have it
open read on, as nothing of it is touched.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from types import TracebackType

from errors import (
    DamagedIndexError,
    IndexStateError,
    MissingIndexError,
    StoreError,
    UnreadableDocumentError,
    reason,
)
from index.build import BuildReport
from index.chunk_table import StoredDocument
from index.milvus_calls import Milvus
from index.milvus_lock import PATIENCE_SECONDS, store_lock
from index.milvus_rows import (
    META,
    Ended,
    Meta,
    Published,
    StoreManifest,
    chunks_of,
    create_epoch,
    documents_of,
    ended_name,
    epoch_of,
    frequencies_name,
    head_fits,
    manifest_name,
    model_name,
    terms_name,
)
from index.milvus_staging import Staging
from index.milvus_store import (
    MilvusGeneration,
    load,
    number_of,
    open_generation,
    read_manifest,
)
from index.milvus_write import Plan, Progress, RowWriter, Written, mean_tokens
from index.protocols import Embedder
from index.sparse_bm25 import Frequencies
from index.words import WordTokenizer, learn_terms
from schema import Article, Chunk

GRACE_SECONDS = 600.0  # a reader follows within seconds; an answer takes less than one
_GROWTH = 2  # times as many documents as when the terms were learnt: they are learnt anew
_MOST_PARTS = 16  # tables of frequencies that a reader has to add up
_MOST_ENDED = 10_000  # chunks that every query of a generation names, about 90 kB
_KEYS = 1000  # named in one deletion
_CLEANED = (
    "model/",
    "terms/",
    "words/",
    "bigrams/",
    "ended/",
)  # in META, of one generation or several


@dataclass(frozen=True)
class _Left:
    """What a build finds, published or not."""

    number: int  # of this build, higher than that of any row
    next_chunk: int  # id that no chunk of the epoch has
    held_in: tuple[str, ...]  # collections whose chunks' vectors can be taken over
    ended: Ended  # rows of the epoch that may still stand there, and are in no later generation


class MilvusWriter:
    """The one writer of a store; a context manager that publishes at most once.

    It does what index.build.IndexWriter does for a folder.

    Args:
        store: address or file.
        token: for access to it.
        embedder: makes the vectors; must be the one that made the previous generation's.
        corpus_version: of the code that reads and splits documents.
        settings_fingerprint: names the settings that reading and splitting depend on.
        wenju_version: noted in the manifest.
        rebuild: start from nothing, whatever state the previous generation is in.
        embed_batch: chunks given to the embedder at once; None: what suits one machine.
        grace_seconds: how long a generation that was superseded can still be read.
        patience_seconds: after which another writer that gives no sign is taken for dead.

    Raises (on entering):
        LockedIndexError: another build is running.
        IncompatibleIndexError: what is there is not ours, or was built with another model.
        NewerIndexError: it is from a newer version; a rebuild is refused too.
        DamagedIndexError: there is an index, but no whole generation of it.
        StoreError: the store cannot be reached or written.
    """

    def __init__(
        self,
        store: str,
        token: str,
        embedder: Embedder,
        *,
        corpus_version: int,
        settings_fingerprint: str,
        wenju_version: str,
        rebuild: bool = False,
        embed_batch: int | None = None,
        grace_seconds: float = GRACE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._store = store
        self._token = token
        self._embedder = embedder
        self._corpus_version = corpus_version
        self._settings_fingerprint = settings_fingerprint
        self._wenju_version = wenju_version
        self._rebuild = rebuild
        self._embed_batch = embed_batch
        self._grace = timedelta(seconds=grace_seconds)
        self._patience = patience_seconds
        self._stamp = f"{corpus_version}/{settings_fingerprint}"
        self._stack = ExitStack()
        self._previous: MilvusGeneration | None = None
        self._before: dict[str, StoredDocument] = {}
        self._known: dict[str, Mapping[str, str]] = {}
        self._names: dict[str, Mapping[str, str]] = {}
        self._staged: dict[str, str] = {}  # doc -> root
        self._removed: set[str] = set()
        self._published = False
        self._started = 0.0

    def __enter__(self) -> MilvusWriter:
        self._started = time.perf_counter()
        with ExitStack() as stack:
            self._milvus = Milvus(self._store, self._token)
            stack.callback(self._milvus.close)
            meta = Meta(self._milvus)
            if not meta.exists():
                meta.create()
            self._lock = stack.enter_context(store_lock(self._milvus, self._patience))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._staging = Staging(folder / "staged")
            stack.callback(self._staging.close)
            self._previous = self._open_previous(stack)
            self._left = self._leftovers()
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
        """{doc: sha256 of its file} of the documents from `root` that need not be read again."""
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
            UnreadableDocumentError: a name or text that cannot be stored.
            ValueError: a chunk is not an exact slice of the article, or out of order.
        """
        _check_storable(article)
        doc = article.doc
        if doc in self._staged:
            del self._staged[doc]
            self._staging.discard(doc)
        self._removed.discard(doc)
        if self._before.get(doc) == StoredDocument(doc, root, self._stamp, article.sha256):
            return
        with self._disk_errors():
            self._staging.put(article, chunks, root, self._stamp)
        self._staged[doc] = root

    def put_known(self, known: str, doc: str, root: str) -> None:
        """As `put`, for a document that is `known` from this root under another name.

        It is copied instead of being read again.
        """
        self._removed.discard(doc)
        article, chunks = self._stored(known)
        with self._disk_errors():
            self._staging.put(
                replace(article, doc=doc),
                [replace(chunk, doc=doc) for chunk in chunks],
                root,
                self._stamp,
            )
        self._staged[doc] = root

    def remove(self, doc: str) -> None:
        """Leave the document out; a name that is not held is ignored."""
        if self._staged.pop(doc, None) is not None:
            self._staging.discard(doc)
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
            on_words_first: never told: nothing is published here before its vectors are made.

        Raises:
            IndexStateError: no document would be left, or the store refuses to take it. The
                previous generation serves on.
            ModelError: the embedder's vectors cannot be used.
        """
        if self._published:
            raise ValueError("a MilvusWriter publishes once")
        self._published = True
        docs = sorted((self._before.keys() - self._removed) | self._staged.keys())
        if not docs:
            raise self._nothing_left()
        if not self._staged and not self._removed and self._previous:
            return self._report(self._previous.manifest, Written(0, 0))
        manifest, written = self._write_generation(
            docs, progress or _tell_nobody, on_resumed or _tell_nobody
        )
        self._swap(manifest)
        return self._report(manifest, written)

    def _open_previous(self, stack: ExitStack) -> MilvusGeneration | None:
        if self._rebuild:
            return None
        try:
            previous = open_generation(self._store, self._token)
        except MissingIndexError:
            return None
        stack.callback(previous.close)
        previous.check_model(self._store, self._embedder.fingerprint, self._embedder.dim)
        self._before = {stored.doc: stored for stored in previous.table.stored_documents()}
        return previous

    def _leftovers(self) -> _Left:
        """What an interrupted build left; called with the lock held.

        Rows that it added stay until this build has written its own: no generation shows them, and
        their vectors need not be made once more.
        """
        named = Meta(self._milvus).named("generation/")
        numbers = [0, *map(number_of, named)]
        epochs = {epoch for name in self._milvus.collections() if (epoch := epoch_of(name))}
        numbers += epochs
        held_in = [chunks_of(epoch) for epoch in sorted(epochs) if self._is_ours(epoch)]
        if self._previous is None:
            return _Left(max(numbers) + 1, 0, tuple(held_in), Ended({}, {}))
        serving = self._previous.manifest
        next_chunk = serving.next_chunk
        added = f"since > {serving.number}"
        for row in self._milvus.select(documents_of(serving.epoch), added, ["since"]):
            numbers.append(int(row["since"]))
        for row in self._milvus.select(chunks_of(serving.epoch), added, ["id", "since"]):
            numbers.append(int(row["since"]))
            next_chunk = max(next_chunk, int(row["id"]) + 1)
        # Removed after the last publication, as no generation was left that shows them. That may
        # not have come to an end, so they are removed once more, before this build flushes.
        oldest = min(map(number_of, Published(self._milvus).versions().keys() & named.keys()))
        self._remove_ended(serving.epoch, self._previous.ended.until(oldest))
        ended = self._previous.ended.after(oldest)
        return _Left(max(numbers) + 1, next_chunk, tuple(held_in), ended)

    def _remove_ended(self, epoch: int, ended: Ended) -> None:
        """Delete rows that no generation shows which is kept."""
        ids = ended.chunk_ids()
        for first in range(0, len(ids), _KEYS):
            named = ", ".join(map(str, ids[first : first + _KEYS]))
            self._milvus.delete(chunks_of(epoch), f"id in [{named}]")
        by_since = sorted((since, key) for key, since in ended.document_names())
        for since, names in groupby(by_since, key=lambda name: name[0]):
            keys = [key for _, key in names]
            for first in range(0, len(keys), _KEYS):
                named = ", ".join(f'"{key}"' for key in keys[first : first + _KEYS])
                self._milvus.delete(documents_of(epoch), f"doc in [{named}] and since == {since}")

    def _is_ours(self, epoch: int) -> bool:
        """Whether the vectors of an epoch can be taken over."""
        if self._rebuild:
            return False
        model = Meta(self._milvus).read(model_name(epoch))
        there = self._milvus.fields(chunks_of(epoch)) is not None
        return there and model == self._embedder.fingerprint

    def _write_generation(
        self, docs: Sequence[str], progress: Progress, on_resumed: Callable[[int], None]
    ) -> tuple[StoreManifest, Written]:
        """Write and verify a generation."""
        gone = (self._removed | self._staged.keys()) & self._before.keys()
        begins = self._begins_epoch(len(docs), gone)
        if begins:
            for doc in docs:
                if doc not in self._staged:
                    self._stage_again(doc)
        plan = self._new_epoch() if begins else self._same_epoch()
        writer = RowWriter(self._milvus, plan, self._embedder, self._lock.check, self._embed_batch)
        written = writer.write(self._staging, self._left.held_in, progress, on_resumed)
        if not begins:
            self._remove_added(plan)
            writer.end(gone)
        if not plan.chunks + writer.chunks:
            raise self._nothing_left()
        manifest = self._manifest(len(docs), plan, writer)
        Meta(self._milvus).put(manifest_name(manifest.version), manifest.to_json())
        for name in (documents_of(plan.epoch), chunks_of(plan.epoch), META):
            self._milvus.flush(name)
        load(self._milvus, manifest.version)
        return manifest, written

    def _begins_epoch(self, documents: int, gone: set[str]) -> bool:
        """Whether all rows are written anew, into collections of their own."""
        previous = self._previous
        if previous is None or previous.notice is not None:
            return True
        ended = len(self._left.ended.chunk_ids())
        ended += sum(item.chunks for item in previous.table.documents() if item.doc in gone)
        return documents > _GROWTH * previous.manifest.learnt_documents or ended > _MOST_ENDED

    def _remove_added(self, plan: Plan) -> None:
        """Rows that an interrupted build added, which this one would else show."""
        if self._previous is not None:
            added = f"since > {self._previous.manifest.number} and since < {plan.number}"
            for name in (documents_of(plan.epoch), chunks_of(plan.epoch)):
                self._milvus.delete(name, added)

    def _stage_again(self, doc: str) -> None:
        """A document as the previous generation has it."""
        article, chunks = self._stored(doc)
        stored = self._before[doc]
        with self._disk_errors():
            self._staging.put(article, chunks, stored.root, stored.stamp)

    def _stored(self, doc: str) -> tuple[Article, list[Chunk]]:
        """A document and its chunks, as the previous generation has them."""
        article = self._previous.table.article(doc) if self._previous else None
        if self._previous is None or article is None:
            raise DamagedIndexError(self._store, f"缺少文档 {doc}")
        return article, [passage.chunk for passage in self._previous.table.chunks(doc)]

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise IndexStateError(
                f"cannot write the temporary file: {error}",
                f"无法写入临时文件（{reason(error)}），原有的索引没有变。",
            ) from error

    def _new_epoch(self) -> Plan:
        number = self._left.number
        if next(self._staging.chunks(), None) is None:
            raise self._nothing_left()
        create_epoch(self._milvus, number, self._embedder.fingerprint, self._embedder.dim)
        terms = learn_terms(self._staging.texts())
        data = json.dumps(terms, ensure_ascii=False).encode("utf-8")
        digest = Meta(self._milvus).put_blob(terms_name(number), data)
        tokenizer = WordTokenizer(terms)
        mean_words, mean_bigrams = mean_tokens(self._staging, tokenizer)
        return Plan(
            number=number,
            serving=self._previous.manifest.number if self._previous else 0,
            epoch=number,
            tokenizer=tokenizer,
            mean_words=mean_words,
            mean_bigrams=mean_bigrams,
            learnt_documents=len(self._staging.docs()),
            first_chunk=0,
            chunks=0,
            parts=(),
            ended=Ended({}, {}),
            digests={terms_name(number): digest},
        )

    def _same_epoch(self) -> Plan:
        if self._previous is None:
            raise ValueError("no previous generation to go on from")
        serving = self._previous.manifest
        return Plan(
            number=self._left.number,
            serving=serving.number,
            epoch=serving.epoch,
            tokenizer=self._previous.tokenizer,
            mean_words=serving.mean_words,
            mean_bigrams=serving.mean_bigrams,
            learnt_documents=serving.learnt_documents,
            first_chunk=self._left.next_chunk,
            chunks=serving.chunks,
            parts=serving.parts,
            ended=self._left.ended,
            digests=serving.digests,
        )

    def _manifest(self, documents: int, plan: Plan, writer: RowWriter) -> StoreManifest:
        """What the new generation says of itself, after its frequencies are written."""
        parts = (*plan.parts, plan.number)
        merges = len(parts) > _MOST_PARTS
        parts = (plan.number,) if merges else parts
        names = {terms_name(plan.epoch)} | {
            frequencies_name(kind, number) for kind in ("words", "bigrams") for number in parts
        }
        digests = {name: digest for name, digest in plan.digests.items() if name in names}
        for kind, counter in (("words", writer.words), ("bigrams", writer.bigrams)):
            changes = counter.changes()
            if merges and self._previous is not None:
                changes = Frequencies.merged([self._previous.frequencies[kind], changes])
            name = frequencies_name(kind, plan.number)
            digests[name] = Meta(self._milvus).put_blob(name, changes.to_bytes())
        ended = plan.ended.by(plan.number, writer.ended_chunks, writer.ended_documents)
        name = ended_name(plan.number)
        digests[name] = Meta(self._milvus).put_blob(name, ended.to_bytes())
        return StoreManifest(
            version=f"{plan.number:06d}-{_digest(digests)}",
            number=plan.number,
            epoch=plan.epoch,
            wenju_version=self._wenju_version,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            model_fingerprint=self._embedder.fingerprint,
            dim=self._embedder.dim,
            documents=documents,
            chunks=plan.chunks + writer.chunks,
            corpus_version=self._corpus_version,
            settings_fingerprint=self._settings_fingerprint,
            next_chunk=writer.next_chunk,
            learnt_documents=plan.learnt_documents,
            mean_words=plan.mean_words,
            mean_bigrams=plan.mean_bigrams,
            parts=parts,
            digests=digests,
        )

    def _swap(self, manifest: StoreManifest) -> None:
        """Publish the verified generation, then remove what nobody reads any more."""
        self._lock.check()
        Published(self._milvus).add(manifest.version)
        # It is published: what could not be removed now, the next build removes.
        with suppress(StoreError):
            self._clean(manifest)

    def _clean(self, serving: StoreManifest) -> None:
        meta, published = Meta(self._milvus), Published(self._milvus)
        versions = published.versions()
        kept = self._still_read(versions)
        manifests = []
        for version in kept:
            with suppress(DamagedIndexError):
                manifests.append(read_manifest(self._milvus, version))
        # The manifests go first, by which readers see whether what they have read was whole.
        generations = meta.named("generation/")
        meta.remove([manifest_name(version) for version in generations if version not in kept])
        published.remove([version for version in versions if version not in kept])
        wanted = {name for manifest in manifests for name in manifest.digests}
        wanted |= {model_name(manifest.epoch) for manifest in manifests}
        there = {_whole_name(name) for prefix in _CLEANED for name in meta.names(prefix)}
        meta.remove(sorted(there - wanted))
        ended = Ended.from_bytes(
            meta.read_blob(ended_name(serving.number), serving.digests[ended_name(serving.number)])
        )
        self._remove_ended(serving.epoch, ended.until(min(map(number_of, kept))))
        epochs = {manifest.epoch for manifest in manifests}
        used = {name for epoch in epochs for name in (documents_of(epoch), chunks_of(epoch))}
        for name in self._milvus.collections():
            if epoch_of(name) is not None and name not in used:
                self._milvus.drop(name)

    def _still_read(self, versions: Mapping[str, datetime]) -> list[str]:
        """What serves, what served before, and what was superseded only just now."""
        ordered = list(versions)
        since = datetime.now(UTC) - self._grace
        kept = ordered[-2:]
        for older, newer in pairwise(ordered):
            if older not in kept and versions[newer] > since:
                kept.append(older)
        return kept

    def _report(self, manifest: StoreManifest, written: Written) -> BuildReport:
        updated = len(self._staged.keys() & self._before.keys())
        return BuildReport(
            version=manifest.version,
            documents=manifest.documents,
            chunks=manifest.chunks,
            added=len(self._staged) - updated,
            updated=updated,
            removed=len(self._removed),
            unchanged=len(self._before) - updated - len(self._removed),
            embedded_chunks=written.embedded,
            resumed_chunks=written.resumed,
            pending_chunks=0,
            seconds=time.perf_counter() - self._started,
        )

    def _nothing_left(self) -> IndexStateError:
        return IndexStateError(
            f"refusing to publish an index without text into {self._store}",
            f"没有任何可以写入 {self._store} 的文档，索引保持原样。",
        )


def _tell_nobody(*_: int) -> None:
    """Report to nobody."""


def _digest(digests: Mapping[str, str]) -> str:
    """Eight characters that differ where what is stored does, and from build to build."""
    text = json.dumps(sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _whole_name(name: str) -> str:
    """The name in a manifest of what META holds in pieces."""
    kind, number = name.split("/")[:2]
    return f"{kind}/{number}"


def _check_storable(article: Article) -> None:
    fields = (article.doc, article.title, article.subtitle, article.byline)
    texts = (*fields, article.original, article.text)
    try:
        "".join(text or "" for text in texts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnreadableDocumentError(
            f"{article.doc!a} is not valid Unicode", "文件名或内容含有无效字符"
        ) from error
    if not head_fits(article):
        raise UnreadableDocumentError(f"{article.doc!a}: title too long", "文件名或标题过长")
