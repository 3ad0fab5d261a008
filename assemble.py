"""Settings to concrete parts: the only place that wires folders together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus import CORPUS_VERSION
from errors import (
    MissingFolderError,
    MissingIndexError,
    NoReadableFileError,
    UnreadableDocumentError,
    reason,
)
from index.build import BuildReport, IndexWriter
from index.embedder import load_embedder
from index.generation import Generation
from index.protocols import Embedder
from index.ray_embedder import ray_embedder
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
    from corpus.load import Skipped, SourceFile

SPANS_READ = 4  # of a sentence; the best one need not be of the type asked for
Progress = Callable[[int, int], None]


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
        generation = undo.enter_context(Generation.open(Path(settings.index_dir)))
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


def open_models(settings: Settings) -> Models:
    """Embedder and reader.

    Raises:
        ModelError: one of them cannot be loaded.
    """
    with ThreadPoolExecutor(1) as beside:
        reader = beside.submit(_open_reader, settings.reader)
        return Models(load_embedder(settings.model), reader.result())


def live_chatbot(settings: Settings) -> LiveChatbot:
    """A chatbot that follows the index folder as it is rebuilt; a context manager.

    Raises:
        ModelError: a model cannot be loaded.
    """
    models = open_models(settings)
    return LiveChatbot(
        Path(settings.index_dir),
        lambda: open_chatbot(settings, with_examples=True, models=models),
    )


def _chatbot(generation: Generation, models: Models, settings: Settings) -> Chatbot:
    embedder = models.embedder
    generation.check_model(Path(settings.index_dir), embedder.fingerprint, embedder.dim)
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
    return replace(changed, index_dir=str(folder / name))


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
    ray: str | None = None,
) -> BuildSummary:
    """Bring the index up to date with files and folders.

    Unchanged files are not read again; files that vanished from a given folder are removed.

    Args:
        settings: which index, and how documents become chunks.
        paths: files and folders.
        rebuild: start from nothing instead of from the index as it is.
        known: besides `paths`, every document that the index holds, from where it came. Files that
            were never given to a build are left alone, though they lie in the same folder.
        prune: a given folder that holds no document any more is emptied in the index too, instead
            of being taken for a mistake.
        read_progress: told (done, total) after each file.
        embed_progress: told (done, total) of the chunks.
        on_skipped: told each file that is left out, as it is met.
        ray: address of a Ray cluster that embeds instead of this machine.

    Raises:
        ClusterError: the cluster cannot be reached, or is lost; the index stays as it was.
        NoReadableFileError: nothing to build from, and nothing in the index to keep.
        MissingFolderError: with `known`: a folder that the index knows is not there.
        IndexStateError: the index is locked, damaged or was made by something else.
    """
    # The libraries that read PDF, DOCX and HTML take half a second to import; `ask` needs none.
    from corpus.load import discover

    sources, passed_over = discover(paths)
    skipped = _SkippedFiles(on_skipped)
    skipped.extend(passed_over)
    held = _known_sources(Path(settings.index_dir), paths) if known else []
    vanished = [source for source in held if not source.path.is_file()]
    sources = [source for source in held if source.path.is_file()] + sources
    if not sources and not prune:
        raise NoReadableFileError([str(path) for path in paths])
    with (
        _bulk_embedder(settings.model, ray) as embedder,
        IndexWriter(
            Path(settings.index_dir),
            embedder,
            corpus_version=CORPUS_VERSION,
            settings_fingerprint=_fingerprint(settings),
            wenju_version=project_version(),
            rebuild=rebuild,
        ) as writer,
    ):
        for done, source in enumerate(sources, start=1):
            skipped.extend(_put(writer, source, settings))
            if read_progress is not None:
                read_progress(done, len(sources))
        if not prune and all(writer.holds(source.doc) is None for source in sources):
            raise NoReadableFileError([str(path) for path in paths], skipped.files[0].reason)
        skipped.extend(_gone(writer, vanished))
        _remove_vanished(writer, paths, sources)
        report = writer.publish(embed_progress)
    return BuildSummary(report, tuple(skipped.files))


@contextmanager
def _bulk_embedder(model: str, ray: str | None) -> Iterator[Embedder]:
    """Of this machine, or of a cluster."""
    if ray is None:
        yield load_embedder(model)
        return
    with ray_embedder(model, ray) as embedder:
        yield embedder


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


def _known_sources(index_dir: Path, paths: Sequence[Path]) -> list[SourceFile]:
    """Where the documents of the index came from, unless from one of the folders in `paths`.

    Raises:
        MissingFolderError: a folder is not there, so its documents would be lost.
    """
    from corpus.load import SourceFile

    given = {str(path.resolve()) for path in paths if path.is_dir()}
    try:
        with Generation.open(index_dir) as generation:
            stored = generation.table.stored_documents()
    except MissingIndexError:
        return []
    kept = [document for document in stored if document.root not in given]
    for root in sorted({document.root for document in kept}):
        if not Path(root).is_dir():
            raise MissingFolderError(root, sum(document.root == root for document in kept))
    return [SourceFile(Path(d.root) / d.doc, d.doc, Path(d.root)) for d in kept]


def _gone(writer: IndexWriter, vanished: Sequence[SourceFile]) -> Iterator[Skipped]:
    """Remove documents whose file is not there any more."""
    from corpus.load import Skipped

    for source in vanished:
        if writer.holds(source.doc) in (None, str(source.root)):
            writer.remove(source.doc)
            yield Skipped(source.path, "文件已不在原处，不再收录")


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


def _put(writer: IndexWriter, source: SourceFile, settings: Settings) -> Iterator[Skipped]:
    """Read one file into the index unless it is there unchanged; gives it back if it cannot be."""
    from corpus.load import Skipped, read_article
    from corpus.split import split_article

    root = str(source.root)
    holder = writer.holds(source.doc)
    if holder is not None and holder != root:
        yield Skipped(
            source.path,
            f"索引中已有来自 {holder} 的同名文档 {source.doc}，请改名或从共同的上级文件夹建库",
        )
        return
    try:
        data = source.path.read_bytes()
        if writer.known(root).get(source.doc) == hashlib.sha256(data).hexdigest():
            return
        article = read_article(source, mend=settings.repair)
        writer.put(article, split_article(article, settings.split.max_chars), root)
    except OSError as error:
        yield Skipped(source.path, f"无法读取：{reason(error)}")
    except UnreadableDocumentError as error:
        yield Skipped(source.path, error.user_message)


def _remove_vanished(
    writer: IndexWriter, paths: Sequence[Path], sources: Sequence[SourceFile]
) -> None:
    """Documents that came from a given folder and whose file is gone."""
    present = {(str(source.root), source.doc) for source in sources}
    for folder in (path for path in paths if path.is_dir()):
        root = str(folder.resolve())
        for doc in writer.held(root):
            if (root, doc) not in present:
                writer.remove(doc)
