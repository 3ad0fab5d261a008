"""A build that was killed goes on where it stopped; words are found before vectors are made."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from errors import IndexStateError
from index import vectors
from index.build import BuildReport
from index.generation import Generation
from index.journal import JOURNAL, VectorJournal
from index.protocols import Vectors
from schema import Span
from tests.index_parts import ROOT, BigramEmbedder, Entry, build, make_entry, open_writer
from tests.servers import FORKS

OLD = make_entry("旧.txt", "旧文章谈到灵犀港口。")
LONG = make_entry("长.txt", *(f"第{i}段谈到第{i}号仓库。" for i in range(600)))
OTHER = make_entry("短.txt", *(f"第{i}段谈到第{i}号仓库。" for i in range(300)), "另一段。")


def build_and_die(index_dir: Path, batches: int) -> None:
    """Build, but kill this very process after some batches were embedded."""
    embed = vectors._embed
    calls = itertools.count()

    def deadly(*args: object) -> object:
        if next(calls) == batches:
            os.kill(os.getpid(), signal.SIGKILL)
        return embed(*args)  # type: ignore[arg-type]

    vectors._embed = deadly  # type: ignore[assignment]
    build(index_dir, OLD, LONG)


def killed(index_dir: Path, batches: int, target: Callable[..., None] = build_and_die) -> None:
    process = FORKS.Process(target=target, args=(index_dir, batches))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def publish(
    index_dir: Path, *entries: Entry, rebuild: bool = False
) -> tuple[BuildReport, list[int], list[int], BigramEmbedder]:
    """The report, what it said of resumed and of pending chunks, and the embedder."""
    embedder = BigramEmbedder()
    resumed: list[int] = []
    pending: list[int] = []
    with open_writer(index_dir, embedder, rebuild=rebuild) as writer:
        known = writer.known(ROOT)
        for article, chunks in entries:
            if known.get(article.doc) != article.sha256:
                writer.put(article, chunks, ROOT)
        report = writer.publish(on_resumed=resumed.append, on_words_first=pending.append)
    return report, resumed, pending, embedder


def assert_equal_content(index_dir: Path, other: Path) -> None:
    with Generation.open(index_dir) as first, Generation.open(other) as second:
        assert first.manifest.files == second.manifest.files
        assert first.pending_chunks == second.pending_chunks == 0


# --- going on -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build leaves that was killed after 512 of 600 new chunks."""
    index_dir = tmp_path_factory.mktemp("killed") / "index"
    build(index_dir, OLD)
    killed(index_dir, batches=2)
    return index_dir


@pytest.fixture
def index_dir(left: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left, tmp_path / "index"))


def test_after_a_kill_what_was_embedded_is_not_embedded_again(
    index_dir: Path, tmp_path: Path
) -> None:
    assert (index_dir / JOURNAL).exists()
    with Generation.open(index_dir) as opened:
        assert opened.manifest.documents == 1  # nothing is served from the journal

    report, resumed, _, embedder = publish(index_dir, OLD, LONG)
    assert resumed == [512]
    assert (report.resumed_chunks, report.embedded_chunks) == (512, 88)
    assert len(embedder.embedded) == 88
    assert not (index_dir / JOURNAL).exists()
    build(tmp_path / "at once", OLD, LONG)
    assert_equal_content(index_dir, tmp_path / "at once")


def test_killed_again_and_again_it_gets_there(index_dir: Path) -> None:
    killed(index_dir, batches=0)
    report, *_ = publish(index_dir, OLD, LONG)
    assert (report.resumed_chunks, report.embedded_chunks) == (512, 88)


def test_a_build_of_other_documents_uses_what_it_shares(index_dir: Path) -> None:
    report, *_ = publish(index_dir, OTHER)
    assert (report.resumed_chunks, report.embedded_chunks) == (300, 1)


def test_a_rebuild_uses_the_journal_too(index_dir: Path) -> None:
    report, *_ = publish(index_dir, OLD, LONG, rebuild=True)
    assert (report.resumed_chunks, report.embedded_chunks) == (512, 89)


def test_another_model_starts_anew(index_dir: Path) -> None:
    report = build(index_dir, LONG, embedder=BigramEmbedder(fingerprint="other"), rebuild=True)
    assert (report.resumed_chunks, report.embedded_chunks) == (0, 600)


def test_a_small_build_keeps_no_journal(tmp_path: Path) -> None:
    class Watching(BigramEmbedder):
        def embed_passages_with_parts(
            self, texts: Sequence[str], parts: Sequence[Sequence[Span]]
        ) -> tuple[Vectors, list[Vectors]]:
            assert not (tmp_path / JOURNAL).exists()
            return super().embed_passages_with_parts(texts, parts)

    assert build(tmp_path, OLD, embedder=Watching()).embedded_chunks == 1
    assert not (tmp_path / JOURNAL).exists()


def test_what_a_build_left_that_died_after_publishing_goes_with_the_next(index_dir: Path) -> None:
    leftover = (index_dir / JOURNAL).read_bytes()
    build(index_dir, OLD, LONG)
    (index_dir / JOURNAL).write_bytes(leftover)
    assert build(index_dir, OLD, LONG).unchanged == 2
    assert not (index_dir / JOURNAL).exists()


def test_a_build_with_nothing_to_do_keeps_what_another_may_need(index_dir: Path) -> None:
    build(index_dir, OLD)
    assert (index_dir / JOURNAL).exists()


# --- reuse --------------------------------------------------------------------------------------


def test_reading_again_makes_no_vector_of_an_equal_chunk_again(tmp_path: Path) -> None:
    """After an update of the reading code, or of settings, documents are read again."""
    build(tmp_path, OLD, LONG)
    embedder = BigramEmbedder()
    with open_writer(tmp_path, embedder, corpus_version=2) as writer:
        assert not writer.known(ROOT)
        for article, chunks in (OLD, LONG):
            writer.put(article, chunks, ROOT)
        report = writer.publish()
    assert (report.updated, report.embedded_chunks) == (2, 0)
    assert embedder.embedded == []


# --- words first --------------------------------------------------------------------------------


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_WORDS_FIRST", 400)


class Looking(BigramEmbedder):
    """Looks at what is served when it is first asked to embed."""

    def __init__(self, index_dir: Path) -> None:
        super().__init__()
        self.index_dir = index_dir
        self.seen: Generation | None = None

    def embed_passages_with_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[Span]]
    ) -> tuple[Vectors, list[Vectors]]:
        if self.seen is None:
            self.seen = Generation.open(self.index_dir, verify=True)
        return super().embed_passages_with_parts(texts, parts)


@pytest.mark.usefixtures("few_are_many")
def test_new_articles_are_found_by_words_while_their_vectors_are_made(tmp_path: Path) -> None:
    build(tmp_path, OLD)
    embedder = Looking(tmp_path)
    build(tmp_path, OLD, LONG, embedder=embedder)
    seen = embedder.seen
    assert seen is not None
    with seen:
        assert (seen.manifest.chunks, seen.pending_chunks) == (601, 600)
        (best, _), *_ = seen.words.search(seen.tokenizer.words("417号仓库"), 1)
        assert seen.table.passages([best])[0].chunk.text == "第417段谈到第417号仓库。"
        query = embedder.embed_queries(["第417段谈到第417号仓库。"])[0]
        ((dense, _),) = seen.vectors.search(query, 10)
        assert seen.table.passages([dense])[0].chunk.doc == OLD[0].doc
        assert not seen.sentence_vectors(best).any()
        assert seen.sentence_vectors(dense).any()
        assert seen.has_vectors(np.array([best, dense])).tolist() == [False, True]


@pytest.mark.usefixtures("few_are_many")
def test_a_first_build_serves_by_words_without_any_vector(tmp_path: Path) -> None:
    embedder = Looking(tmp_path)
    build(tmp_path, LONG, embedder=embedder)
    assert embedder.seen is not None
    with embedder.seen as seen:
        assert seen.pending_chunks == 600
        assert seen.vectors.search(embedder.embed_queries(["仓库"])[0], 10) == []
        assert seen.words.search(seen.tokenizer.words("仓库"), 10)


@pytest.mark.usefixtures("few_are_many")
def test_words_first_ends_in_the_same_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, pending, _ = publish(tmp_path / "一", OLD, LONG)
    assert pending == [601]
    monkeypatch.setattr(vectors, "_WORDS_FIRST", 1000)
    _, _, pending, _ = publish(tmp_path / "二", OLD, LONG)
    assert pending == []
    assert_equal_content(tmp_path / "一", tmp_path / "二")


def build_words_first_and_die(index_dir: Path, batches: int) -> None:
    vectors._WORDS_FIRST = 400
    build_and_die(index_dir, batches)


def test_killed_after_the_words_the_next_build_finishes_it(tmp_path: Path) -> None:
    """With no document changed, and without publishing the words a second time."""
    index_dir = tmp_path / "index"
    killed(index_dir, batches=1, target=build_words_first_and_die)
    with Generation.open(index_dir) as opened:
        assert (opened.manifest.documents, opened.pending_chunks) == (2, 601)
    report, resumed, pending, _ = publish(index_dir, OLD, LONG)
    assert (report.unchanged, resumed, pending, report.pending_chunks) == (2, [256], [], 0)
    assert report.embedded_chunks == 345
    build(tmp_path / "at once", OLD, LONG)
    assert_equal_content(index_dir, tmp_path / "at once")


@pytest.mark.usefixtures("few_are_many")
def test_a_disk_that_fills_up_after_the_words_is_not_said_to_have_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    build(tmp_path, OLD)
    monkeypatch.setattr(VectorJournal, "append", full)
    with pytest.raises(IndexStateError) as caught:
        build(tmp_path, OLD, LONG)
    assert "磁盘已满" in caught.value.user_message
    assert "没有变" not in caught.value.user_message
    assert "新文章已经可以按词检索" in caught.value.user_message
    with Generation.open(tmp_path, verify=True) as opened:
        assert opened.pending_chunks == 600


@pytest.mark.usefixtures("few_are_many")
def test_few_new_chunks_beside_many_old_ones_are_not_published_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, LONG)
    monkeypatch.setattr(vectors, "_WORDS_FIRST", 1)
    _, _, pending, _ = publish(tmp_path, LONG, make_entry("少.txt", "只有一段。"))
    assert pending == []


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("change", ["model", "text"])
def test_what_serves_with_vectors_is_not_replaced_by_words_alone(
    tmp_path: Path, change: str
) -> None:
    """A rebuild for another model, or an update that cuts every chunk otherwise."""
    build(tmp_path, LONG)
    pending: list[int] = []
    embedder = BigramEmbedder(fingerprint="other" if change == "model" else "bigrams-1")
    article, chunks = LONG
    if change == "text":
        chunks = [replace(chunk, context="别的标题") for chunk in chunks]
    with open_writer(tmp_path, embedder, corpus_version=2, rebuild=change == "model") as writer:
        writer.put(article, chunks, ROOT)
        report = writer.publish(on_words_first=pending.append)
    assert (report.embedded_chunks, pending) == (600, [])
