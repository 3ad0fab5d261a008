"""Settings to concrete parts: the only place that wires folders together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from corpus import CORPUS_VERSION
from errors import (
    MissingFolderError,
    MissingIndexError,
    ModelError,
    NoReadableFileError,
    SettingsError,
    UnreadableDocumentError,
)
from index.build import BuildReport, IndexWriter
from index.doctor import Examination, examine, repair
from index.embedder import load_embedder
from index.model_folder import usable_cores
from index.protocols import Embedder, Generation
from index.ray_embedder import ray_embedder
from index.stores import Place
from qa.chatbot import Chatbot
from qa.examples import example_questions
from qa.fusion import fusion_named
from qa.live import LiveChatbot
from qa.ranker import Ranker, load_weights
from qa.reader import NoReader, OnnxReader, Reader
from qa.refuse import Confidence
from qa.retriever import Retriever
from settings import Settings

if TYPE_CHECKING:
    from corpus.load import RawDocument, Skipped, SourceFile
    from index.milvus_build import MilvusWriter

SPANS_READ = 4  # of a sentence; the best one need not be of the type asked for
Progress = Callable[[int, int], None]
Writer: TypeAlias = "IndexWriter | MilvusWriter"


@dataclass(frozen=True)
class Models:
    """What is loaded once, however many generations it serves. Safe to use from several threads."""

    embedder: Embedder
    reader: Reader


@dataclass(frozen=True)
class BuildSummary:
    """What a build did, and what it left out."""

    report: BuildReport
    skipped: tuple[Skipped, ...]
    notice: str | None = None  # Chinese: it went on from an older version, the last being damaged


def open_chatbot(
    settings: Settings, *, with_examples: bool = False, models: Models | None = None
) -> Chatbot:
    """The chatbot over the current index generation.

    Args:
        settings: which index, and how it is asked.
        with_examples: look for questions to offer, which takes a second or two.
        models: loaded before with the same settings; None loads them.

    Raises:
        IndexStateError: there is no index, or it cannot be used.
        ModelError: the embedding model cannot be loaded.
        SettingsError: a name or number that is not one of the choices.
    """
    with ExitStack() as undo:
        generation = undo.enter_context(index_place(settings).open())
        with ThreadPoolExecutor(1) as beside:
            # Independent of each other.
            dictionary = beside.submit(generation.tokenizer.words, "预热")
            models = models or open_models(settings)
            dictionary.result()
        chatbot = _chatbot(generation, models, settings)
        if with_examples:
            chatbot = chatbot.with_examples(example_questions(chatbot))
        undo.pop_all()
    return chatbot


def index_place(settings: Settings) -> Place:
    """Where the index lies; the token for a store comes from the environment alone."""
    token = os.environ.get("WENJU_MILVUS_TOKEN", "")
    return Place(Path(settings.index_dir), settings.store, token)


def open_models(settings: Settings) -> Models:
    """Embedder and reader.

    Raises:
        ModelError: one of them cannot be loaded.
    """
    with ThreadPoolExecutor(1) as beside:
        reader = beside.submit(_open_reader, settings.reader)
        return Models(load_embedder(settings.model), reader.result())


def live_chatbot(settings: Settings) -> LiveChatbot:
    """A chatbot that follows the index as it is rebuilt; a context manager.

    Raises:
        ModelError: a model cannot be loaded.
    """
    place = index_place(settings)
    watch = place.watch()
    models = open_models(settings)

    def open_next() -> Chatbot:
        chatbot = open_chatbot(settings, with_examples=True, models=models)
        place.check_beside(chatbot.generation)
        return chatbot

    return LiveChatbot(watch, open_next)


def _chatbot(generation: Generation, models: Models, settings: Settings) -> Chatbot:
    embedder = models.embedder
    generation.check_model(index_place(settings).name, embedder.fingerprint, embedder.dim)
    return Chatbot(
        generation=generation,
        retriever=Retriever(
            generation=generation,
            embedder=embedder,
            candidates=settings.retrieval.candidates,
            fusion=fusion_named(settings.retrieval.fusion),
            dense_weight=settings.retrieval.dense_weight,
            word_weight=settings.retrieval.word_weight,
            bigram_weight=settings.retrieval.bigram_weight,
            second_look=settings.retrieval.second_look,
        ),
        reader=models.reader,
        ranker=Ranker(generation, load_weights()),
        confidence=Confidence.load(settings.refused_answerable),
        passages=settings.retrieval.passages,
        read=settings.retrieval.read,
        max_question_chars=settings.max_question_chars,
    )


def _open_reader(folder: str) -> Reader:
    return OnnxReader(Path(folder), SPANS_READ) if folder else NoReader()


def index_was_begun(settings: Settings) -> bool:
    """Whether there is an index, some of one, or a build that is making it."""
    return index_place(settings).exists()


def examine_index(settings: Settings, *, mend: bool = False) -> tuple[Examination, list[str]]:
    """The state of the index folder, and what was mended in it before, in Chinese.

    An index in a store is not examined: a build counts it before it publishes, and so does whoever
    opens it.

    Args:
        settings: which index, and the model that its vectors must be of.
        mend: first mend what needs no document to be read again.

    Raises:
        MissingIndexError: there is no index.
        SettingsError: the index lies in a store.
        IncompatibleIndexError: the folder is not ours, or (to be mended) from a newer version.
        LockedIndexError: it is to be mended while a build is running.
    """
    if settings.store:
        raise SettingsError(
            "doctor looks at folders only",
            f"doctor 只检查索引文件夹；{settings.store} 里的索引在发布前和打开时核对篇数和段数。",
        )
    index_dir = Path(settings.index_dir)
    mended = repair(index_dir) if mend else []
    try:
        return examine(index_dir, load_embedder(settings.model).fingerprint), mended
    except ModelError as error:
        found = examine(index_dir)
        return replace(found, problems=(*found.problems, error.user_message)), mended


@contextmanager
def built_chatbot(
    settings: Settings,
    paths: Sequence[Path],
    *,
    read_progress: Progress | None = None,
    embed_progress: Progress | None = None,
) -> Iterator[Chatbot]:
    """A chatbot over the settings' index, first brought up to date with files and folders.

    Raises:
        As build_index and open_chatbot.
    """
    build_index(settings, paths, read_progress=read_progress, embed_progress=embed_progress)
    chatbot = open_chatbot(settings)
    with chatbot.generation:
        yield chatbot


def settings_in(folder: Path, settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Changed settings with their index below `folder`.

    Two changes that make the same index share one.

    Raises:
        SettingsError: an unknown key or a wrong type.
    """
    changed = settings.changed(changes)
    made_by = f"{changed.model}\n{_fingerprint(changed)}"
    name = hashlib.sha256(made_by.encode("utf-8")).hexdigest()[:16]
    # Never in the store, where it would take the place of what serves.
    return replace(changed, index_dir=str(folder / name), store="")


def build_index(
    settings: Settings,
    paths: Sequence[Path],
    *,
    rebuild: bool = False,
    known: bool = False,
    prune: bool = False,
    read_progress: Progress | None = None,
    embed_progress: Progress | None = None,
    on_skipped: Callable[[Skipped], None] | None = None,
    on_resumed: Callable[[int], None] | None = None,
    on_words_first: Callable[[int], None] | None = None,
    ray: str | None = None,
) -> BuildSummary:
    """Bring the index up to date with files and folders.

    Unchanged files are not read again; files that vanished from a given folder are removed.

    Args:
        settings: which index, and how documents become chunks.
        paths: files and folders.
        rebuild: start from nothing instead of from the index as it is; only the vectors that an
            interrupted build left are used.
        known: besides `paths`, every document that the index holds, from where it came. Files that
            were never given to a build are left alone, though they lie in the same folder.
        prune: a given folder that holds no document any more is emptied in the index too, instead
            of being taken for a mistake.
        read_progress: told (done, total) after each document.
        embed_progress: told (done, total) of the chunks.
        on_skipped: told each file that is left out, as it is met.
        on_resumed: told how many chunks an interrupted build had embedded already.
        on_words_first: told, when new documents can be found by words already, how many chunks
            still wait for their vectors.
        ray: address of a Ray cluster that embeds instead of this machine.

    Raises:
        ClusterError: the cluster cannot be reached, or is lost; the index stays whole.
        NoReadableFileError: nothing to build from, and nothing in the index to keep.
        MissingFolderError: with `known`: a folder that the index knows is not there.
        IndexStateError: the index is locked, damaged or was made by something else.
    """
    # The libraries that read PDF, DOCX and HTML take half a second to import; `ask` needs none.
    from corpus.load import discover

    sources, passed_over = discover(paths)
    skipped = _SkippedFiles(on_skipped)
    skipped.extend(passed_over)
    place = index_place(settings)
    held = _known_sources(place, paths) if known else []
    vanished = [source for source in held if not source.path.is_file()]
    sources = [source for source in held if source.path.is_file()] + sources
    if not sources and not prune:
        raise NoReadableFileError([str(path) for path in paths])
    with (
        _bulk_embedder(settings.model, ray) as (embedder, batch),
        place.writer(
            embedder,
            corpus_version=CORPUS_VERSION,
            settings_fingerprint=_fingerprint(settings),
            wenju_version=project_version(),
            rebuild=rebuild,
            embed_batch=batch,
        ) as writer,
    ):
        intake = _Intake(writer, settings, skipped, read_progress or _tell_nobody)
        intake.read(sources)
        if not prune and not intake.holds_any():
            why = skipped.files[0].reason if skipped.files else ""
            raise NoReadableFileError([str(path) for path in paths], why)
        skipped.extend(_gone(writer, vanished))
        intake.remove_vanished(paths, sources, [file.path for file in passed_over if file.unseen])
        report = writer.publish(
            embed_progress, on_resumed=on_resumed, on_words_first=on_words_first
        )
        notice = writer.notice
    return BuildSummary(report, tuple(skipped.files), notice)


@contextmanager
def _bulk_embedder(model: str, ray: str | None) -> Iterator[tuple[Embedder, int | None]]:
    """Of this machine, or of a cluster; and how many texts keep it busy, where that is known."""
    if ray is None:
        yield load_embedder(model), None
        return
    with ray_embedder(model, ray) as embedder:
        yield embedder, embedder.window


class _SkippedFiles:
    """Gathers what is left out, and tells of it as it is met."""

    def __init__(self, tell: Callable[[Skipped], None] | None) -> None:
        self.files: list[Skipped] = []
        self._tell = tell

    def extend(self, files: Iterable[Skipped]) -> None:
        """Some more."""
        for file in files:
            self.files.append(file)
            if self._tell is not None:
                self._tell(file)


def _known_sources(place: Place, paths: Sequence[Path]) -> list[SourceFile]:
    """Where the documents of the index came from, unless from one of the folders in `paths`.

    Raises:
        MissingFolderError: a folder is not there, so its documents would be lost.
    """
    from corpus.load import source_of

    given = {str(path.resolve()) for path in paths if path.is_dir()}
    try:
        with place.open() as generation:
            stored = generation.table.stored_documents()
    except MissingIndexError:
        return []
    kept = [document for document in stored if document.root not in given]
    for root in sorted({document.root for document in kept}):
        if not Path(root).is_dir():
            raise MissingFolderError(root, sum(document.root == root for document in kept))
    # Many documents may lie in one file.
    return list(dict.fromkeys(source_of(Path(d.root), d.doc) for d in kept))


def _gone(writer: Writer, vanished: Sequence[SourceFile]) -> Iterator[Skipped]:
    """Remove documents whose file is not there any more."""
    from corpus.load import Skipped

    for source in vanished:
        docs = _held_of(writer, source)
        if writer.holds(source.doc) in (None, str(source.root)):
            for doc in docs:
                writer.remove(doc)
            yield Skipped(source.path, "文件已不在原处，不再收录")


def _held_of(writer: Writer, source: SourceFile) -> list[str]:
    """The documents of the index that came from a file."""
    if not source.is_collection:
        return [source.doc]
    return [doc for doc in writer.held(str(source.root)) if doc.startswith(f"{source.doc}/")]


def _folders(paths: Sequence[Path]) -> Iterator[str]:
    """Those of the paths that are folders, by the name that the index knows them by."""
    for path in paths:
        with suppress(OSError, RuntimeError):  # said when sources were looked for
            if path.is_dir():
                yield str(path.resolve())


def _tell_nobody(*_: int) -> None:
    """Report to nobody."""


def project_version() -> str:
    """The installed version; a checkout that was never installed says so."""
    try:
        return version("wenju")
    except PackageNotFoundError:
        return "0+uninstalled"


def _fingerprint(settings: Settings) -> str:
    split = "split " + " ".join(f"{key}={value}" for key, value in asdict(settings.split).items())
    # Named only where it departs, so that indexes made before there was a choice stay known.
    return split if settings.repair else f"{split} repair=False"


class _Intake:
    """Documents on their way from files into the writer.

    Args:
        writer: of the index.
        settings: how documents are read and split.
        skipped: told what cannot be taken in.
        progress: told (done, total) after each document.
    """

    def __init__(
        self, writer: Writer, settings: Settings, skipped: _SkippedFiles, progress: Progress
    ) -> None:
        self._writer = writer
        self._settings = settings
        self._skipped = skipped
        self._progress = progress
        self._done = self._total = 0
        self._present: set[tuple[str, str]] = set()  # (root, doc), whether readable or not
        self._broken: set[SourceFile] = set()  # collections not read to their end

    def read(self, sources: Sequence[SourceFile]) -> None:
        """Take in all documents that are not in the index unchanged."""
        from corpus.load import Skipped, count_documents
        from corpus.parallel import Reading, read_all

        self._total = sum(map(count_documents, sources))
        reading = Reading(self._settings.repair, self._settings.split.max_chars)
        for read in read_all(self._unread(sources), reading, usable_cores()):
            problem = read.problem
            if read.article is not None:
                try:
                    self._writer.put(read.article, read.chunks, str(read.raw.source.root))
                except UnreadableDocumentError as error:
                    problem = error.user_message
            if problem:
                self._skipped.extend([Skipped(read.raw.path, problem)])
            self._tick()
        if self._done != self._total:  # blank lines
            self._progress(self._done, self._done)

    def holds_any(self) -> bool:
        """Whether one of the documents met is in the index now."""
        return any(self._writer.holds(doc) is not None for _, doc in self._present)

    def remove_vanished(
        self, paths: Sequence[Path], sources: Sequence[SourceFile], unseen: Sequence[Path]
    ) -> None:
        """Remove documents that came from a given folder, or stood in a file, and do no more.

        Args:
            paths: given.
            sources: found.
            unseen: paths that could not be looked at; what came from there is kept.
        """
        collections = [source for source in sources if source.is_collection]
        lines: dict[tuple[str, str], list[str]] = {}  # by root and file
        for root in {str(source.root) for source in collections}:
            for doc in self._writer.held(root):
                lines.setdefault((root, doc.rpartition("/")[0]), []).append(doc)
        for source in collections:
            root = str(source.root)
            held = lines.get((root, source.doc), [])
            if source in self._broken:
                self._present.update((root, doc) for doc in held)
            self._remove_absent(root, held)
        for root in _folders(paths):
            docs = self._writer.held(root)
            for path in unseen:
                kept = (doc for doc in docs if Path(root, doc).is_relative_to(path))
                self._present.update((root, doc) for doc in kept)
            self._remove_absent(root, docs)

    def _remove_absent(self, root: str, docs: Iterable[str]) -> None:
        for doc in docs:
            if (root, doc) not in self._present:
                self._writer.remove(doc)

    def _unread(self, sources: Sequence[SourceFile]) -> Iterator[RawDocument]:
        """The documents that are new or changed."""
        from corpus.load import Skipped, raw_documents

        for source in sources:
            root = str(source.root)
            if not source.is_collection:
                self._present.add((root, source.doc))
            for raw in raw_documents(source):
                problem = raw if isinstance(raw, Skipped) else self._taken(raw)
                if problem is not None:
                    self._skipped.extend([problem])
                    if problem.path == source.path:  # not one line of it
                        self._broken.add(source)
                    self._tick()
                    if not isinstance(raw, Skipped):
                        break  # the other lines of this file are as much another's
                elif not isinstance(raw, Skipped):
                    self._present.add((root, raw.doc))
                    if self._is_known(raw, root):
                        self._tick()
                    else:
                        yield raw

    def _is_known(self, raw: RawDocument, root: str) -> bool:
        """Whether the index has the document; a line may have moved within its file."""
        digest = hashlib.sha256(raw.data).hexdigest()
        if self._writer.known(root).get(raw.doc) == digest:
            return True
        name = self._writer.known_by_content(root).get(digest, "")
        if not (raw.source.is_collection and name.startswith(f"{raw.source.doc}/")):
            return False
        self._writer.put_known(name, raw.doc, root)
        return True

    def _taken(self, raw: RawDocument) -> Skipped | None:
        """Why a document cannot have its name, if it cannot."""
        from corpus.load import Skipped

        holder = self._writer.holds(raw.doc)
        if holder is None or holder == str(raw.source.root):
            return None
        return Skipped(
            raw.source.path,
            f"索引中已有来自 {holder} 的同名文档 {raw.doc}，请改名或从共同的上级文件夹建库",
        )

    def _tick(self) -> None:
        self._done += 1
        self._progress(self._done, max(self._done, self._total))
