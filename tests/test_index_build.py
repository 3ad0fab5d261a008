"""Building: what is embedded, what is published, and what an interruption leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from errors import (
    DamagedIndexError,
    IncompatibleIndexError,
    IndexStateError,
    LockedIndexError,
    MissingIndexError,
    ModelError,
    NewerIndexError,
    UnreadableDocumentError,
)
from index import generation
from index.build import IndexWriter
from index.chunk_table import ChunkTableWriter
from index.generation import CURRENT, GENERATIONS, Generation
from index.lock import HOLDER_FILE, write_lock
from index.protocols import Vectors
from schema import Span
from tests.index_parts import ROOT, BigramEmbedder, Entry, build, make_entry, open_writer

A = make_entry("甲.txt", "园区吸引企业入驻。产值增长。", "道路修到村口。")
B = make_entry("乙.txt", "《灵犀纪要》谈到海水淡化。", title="海洋")
B_LONGER = make_entry("乙.txt", "《灵犀纪要》谈到海水淡化。", "新增一段。", title="海洋")
C = make_entry("丙.txt", "第三篇谈天气。")


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "深 层" / "索引 #1"


def generations(index_dir: Path) -> list[str]:
    return sorted(path.name for path in (index_dir / GENERATIONS).iterdir())


def contents(index_dir: Path) -> dict[str, list[str]]:
    """The chunks that are served, by document."""
    with Generation.open(index_dir) as opened:
        passages = opened.table.passages(range(opened.manifest.chunks))
        return {
            summary.doc: [p.chunk.text for p in passages if p.chunk.doc == summary.doc]
            for summary in opened.table.documents()
        }


def texts(*entries: Entry) -> dict[str, list[str]]:
    return {article.doc: [chunk.text for chunk in chunks] for article, chunks in entries}


def assert_every_vector_is_that_of_its_text(index_dir: Path) -> None:
    embedder = BigramEmbedder()
    with Generation.open(index_dir) as opened:
        assert opened.notice is None
        for passage in opened.table.passages(range(opened.manifest.chunks)):
            i, chunk = passage.chunk_id, passage.chunk
            assert np.allclose(
                opened.vectors.reconstruct([i]), embedder.embed_passages([chunk.search_text])
            )
            article = opened.table.article(chunk.doc)
            assert article is not None
            sentences = [sentence.span.cut(article.text) for sentence in chunk.sentences]
            assert np.allclose(
                opened.sentence_vectors(i), embedder.embed_passages(sentences), atol=1e-3
            )
            assert i in dict(
                opened.words.search(opened.tokenizer.words(chunk.text), opened.manifest.chunks)
            )


def test_the_first_build_adds_everything(index_dir: Path) -> None:
    report = build(index_dir, A, B)
    assert (report.documents, report.chunks, report.embedded_chunks) == (2, 3, 3)
    assert (report.added, report.updated, report.removed, report.unchanged) == (2, 0, 0, 0)
    assert contents(index_dir) == texts(A, B)
    assert_every_vector_is_that_of_its_text(index_dir)


def test_a_second_build_of_the_same_files_embeds_and_writes_nothing(index_dir: Path) -> None:
    first = build(index_dir, A, B)
    before = {p: p.stat().st_mtime_ns for p in index_dir.rglob("*") if p.name[0] != "."}
    embedder = BigramEmbedder()
    report = build(index_dir, A, B, embedder=embedder)
    assert embedder.embedded == []
    assert report.version == first.version
    assert (report.documents, report.chunks, report.unchanged) == (2, 3, 2)
    assert (report.added, report.updated, report.removed, report.embedded_chunks) == (0, 0, 0, 0)
    after = {p: p.stat().st_mtime_ns for p in index_dir.rglob("*") if p.name[0] != "."}
    files_before = {p: t for p, t in before.items() if p.is_file()}
    assert {p: t for p, t in after.items() if p.is_file()} == files_before


def test_a_changed_article_embeds_only_its_changed_chunks(index_dir: Path) -> None:
    build(index_dir, A, B)
    embedder = BigramEmbedder()
    report = build(index_dir, A, B_LONGER, embedder=embedder)
    assert embedder.embedded == ["海洋\n新增一段。"]
    assert (report.updated, report.unchanged, report.embedded_chunks) == (1, 1, 1)
    assert contents(index_dir) == texts(A, B_LONGER)
    assert_every_vector_is_that_of_its_text(index_dir)


def test_a_chunk_cut_into_other_sentences_is_embedded_again(index_dir: Path) -> None:
    build(index_dir, A)
    whole = make_entry("甲.txt", "园区吸引企业入驻，产值增长。", "道路修到村口。")
    embedder = BigramEmbedder()
    build(index_dir, whole, embedder=embedder)
    assert embedder.embedded == ["标题\n园区吸引企业入驻，产值增长。"]


def test_a_vanished_document_is_removed(index_dir: Path) -> None:
    build(index_dir, A, B, C)
    embedder = BigramEmbedder()
    report = build(index_dir, A, C, embedder=embedder)
    assert (report.removed, report.unchanged, report.embedded_chunks) == (1, 2, 0)
    assert embedder.embedded == []
    assert contents(index_dir) == texts(A, C)
    assert_every_vector_is_that_of_its_text(index_dir)


def test_a_renamed_document_and_a_repeated_passage_are_embedded_once(index_dir: Path) -> None:
    build(index_dir, A)
    renamed = make_entry("子/甲二.txt", "园区吸引企业入驻。产值增长。", "道路修到村口。")
    embedder = BigramEmbedder()
    twin, other_twin = make_entry("x.txt", "同一句话。"), make_entry("y.txt", "同一句话。")
    report = build(index_dir, renamed, twin, other_twin, embedder=embedder)
    assert embedder.embedded == ["标题\n同一句话。"]
    assert (report.added, report.removed, report.embedded_chunks) == (3, 1, 1)
    assert_every_vector_is_that_of_its_text(index_dir)


def test_the_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    build(tmp_path / "1", A, B, C)
    build(tmp_path / "2", C, A, B)
    build(tmp_path / "3", C)
    build(tmp_path / "3", C, B, A)
    files = []
    for number in "123":
        with Generation.open(tmp_path / number) as opened:
            files.append(opened.manifest.files)
    assert files[0] == files[1] == files[2]


def test_known_held_and_holds_tell_roots_apart(index_dir: Path) -> None:
    with open_writer(index_dir) as writer:
        assert (len(writer.known(ROOT)), len(writer.held(ROOT))) == (0, 0)
        assert writer.holds("甲.txt") is None
        writer.put(*A, root=ROOT)
        writer.put(*B, root="other")
        assert (writer.holds("甲.txt"), writer.holds("乙.txt")) == (ROOT, "other")
        writer.publish()
    with open_writer(index_dir) as writer:
        assert writer.known(ROOT) == {"甲.txt": A[0].sha256}
        assert writer.held("other") == {"乙.txt"}
        writer.remove("甲.txt")
        assert writer.holds("甲.txt") is None
        writer.put(*A, root="third")
        assert writer.holds("甲.txt") == "third"
        assert writer.publish().updated == 1


def test_building_one_root_leaves_the_others_as_they_are(index_dir: Path) -> None:
    with open_writer(index_dir) as writer:
        writer.put(*B, root="other")
        writer.publish()
    build(index_dir, A)
    build(index_dir, C)
    assert contents(index_dir) == texts(C, B)


def test_the_last_word_on_a_document_counts(index_dir: Path) -> None:
    with open_writer(index_dir) as writer:
        writer.put(*B, root=ROOT)
        writer.put(*B_LONGER, root=ROOT)
        writer.put(*A, root=ROOT)
        writer.remove("甲.txt")
        writer.remove("从未有过.txt")
        report = writer.publish()
    assert (report.added, report.removed) == (1, 0)
    assert contents(index_dir) == texts(B_LONGER)
    with open_writer(index_dir) as writer:
        writer.remove("乙.txt")
        writer.put(*B_LONGER, root=ROOT)
        assert writer.publish().unchanged == 1
    assert len(generations(index_dir)) == 1


def test_after_a_change_of_reading_code_all_given_files_are_read_again(index_dir: Path) -> None:
    with open_writer(index_dir) as writer:
        writer.put(*A, root=ROOT)
        writer.put(*B, root="other")
        writer.publish()
    embedder = BigramEmbedder()
    with open_writer(index_dir, embedder, corpus_version=2) as writer:
        assert writer.known(ROOT) == {}
        assert writer.held(ROOT) == {"甲.txt"}
        writer.put(*A, root=ROOT)
        report = writer.publish()
    assert (report.updated, report.unchanged, embedder.embedded) == (1, 1, [])
    assert contents(index_dir) == texts(B, A)
    with open_writer(index_dir, corpus_version=2) as writer:
        assert writer.known(ROOT) == {"甲.txt": A[0].sha256}
        # The other root was not read with the new code, though the manifest names that code now.
        assert writer.known("other") == {}


def test_another_model_needs_a_rebuild(index_dir: Path) -> None:
    build(index_dir, A)
    other = BigramEmbedder(dim=32, fingerprint="bigrams-2")
    with pytest.raises(IncompatibleIndexError) as caught:
        build(index_dir, A, embedder=other)
    assert "--rebuild" in caught.value.user_message
    report = build(index_dir, A, embedder=other, rebuild=True)
    assert (report.embedded_chunks, report.added) == (2, 1)
    with Generation.open(index_dir) as opened:
        assert (opened.manifest.model_fingerprint, opened.manifest.dim) == ("bigrams-2", 32)


def test_an_index_without_a_document_is_not_published(index_dir: Path) -> None:
    with pytest.raises(IndexStateError, match="without text"):
        build(index_dir)
    with pytest.raises(MissingIndexError):
        Generation.open(index_dir)
    build(index_dir, A)
    with pytest.raises(IndexStateError) as caught:
        build(index_dir)
    assert "保持原样" in caught.value.user_message
    assert contents(index_dir) == texts(A)


def test_an_index_without_a_sentence_is_not_published(index_dir: Path) -> None:
    with pytest.raises(IndexStateError, match="without text"):
        build(index_dir, make_entry("空.txt"))


def test_leaving_without_publishing_changes_nothing(index_dir: Path) -> None:
    build(index_dir, A)
    with open_writer(index_dir) as writer:
        writer.put(*B, root=ROOT)
    assert contents(index_dir) == texts(A)
    assert len(generations(index_dir)) == 1


def test_a_writer_publishes_once(index_dir: Path) -> None:
    with open_writer(index_dir) as writer:
        writer.put(*A, root=ROOT)
        writer.publish()
        with pytest.raises(ValueError, match="once"):
            writer.publish()


def test_a_document_that_no_page_could_show_is_refused(index_dir: Path) -> None:
    with open_writer(index_dir) as writer:
        with pytest.raises(UnreadableDocumentError, match="Unicode"):
            writer.put(*make_entry("\udcd6.txt", "正文。"), root=ROOT)
        writer.put(*A, root=ROOT)
        assert writer.publish().documents == 1


def test_progress_goes_from_nothing_to_all(index_dir: Path) -> None:
    seen: list[tuple[int, int]] = []
    entry = make_entry("长.txt", *(f"第{i}段。" for i in range(300)))
    with open_writer(index_dir) as writer:
        writer.put(*entry, root=ROOT)
        writer.publish(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 300), (256, 300), (300, 300)]


class BrokenEmbedder(BigramEmbedder):
    """Gives vectors of a shape or content that was not promised."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def embed_passages_with_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[Span]]
    ) -> tuple[Vectors, list[Vectors]]:
        vectors, cut = super().embed_passages_with_parts(texts, parts)
        if self.fault == "short":
            return vectors[:-1], cut
        if self.fault == "parts":
            return vectors, [part[:0] for part in cut]
        return vectors * np.float32("nan"), cut


@pytest.mark.parametrize("fault", ["short", "parts", "nan"])
def test_unusable_vectors_are_never_published(index_dir: Path, fault: str) -> None:
    build(index_dir, A)
    with pytest.raises(ModelError):
        build(index_dir, B, embedder=BrokenEmbedder(fault))
    assert contents(index_dir) == texts(A)


def test_the_previous_generation_is_kept_and_older_ones_go(index_dir: Path) -> None:
    versions = [build(index_dir, *entries).version for entries in ([A], [A, B], [A, B, C], [C])]
    assert generations(index_dir) == versions[-2:]
    assert [version[:6] for version in versions] == ["000001", "000002", "000003", "000004"]


def test_a_rebuild_starts_from_nothing_and_keeps_the_one_before(index_dir: Path) -> None:
    first = build(index_dir, A, B)
    embedder = BigramEmbedder()
    second = build(index_dir, B, embedder=embedder, rebuild=True)
    assert (second.added, second.unchanged, len(embedder.embedded)) == (1, 0, 1)
    assert generations(index_dir) == [first.version, second.version]
    assert contents(index_dir) == texts(B)


def test_a_foreign_folder_is_left_alone_even_by_a_rebuild(tmp_path: Path) -> None:
    (tmp_path / "照片.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / GENERATIONS).mkdir()
    (tmp_path / GENERATIONS / "第一代.txt").write_text("家谱")
    before = sorted(tmp_path.rglob("*"))
    for rebuild in (False, True):
        with pytest.raises(IncompatibleIndexError):
            build(tmp_path, A, rebuild=rebuild)
    assert sorted(tmp_path.rglob("*")) == before


def test_files_laid_beside_an_index_survive_builds(index_dir: Path) -> None:
    build(index_dir, A)
    note = index_dir / "说明.txt"
    note.write_text("备注")
    (index_dir / GENERATIONS / "别的").mkdir()
    for entries in ([A, B], [B], [B, C]):
        build(index_dir, *entries)
    assert note.read_text() == "备注"
    assert (index_dir / GENERATIONS / "别的").is_dir()


def damage_vectors(index_dir: Path, version: str) -> None:
    os.truncate(index_dir / GENERATIONS / version / "vectors.faiss", 100)


def test_a_damaged_index_needs_a_rebuild(index_dir: Path) -> None:
    damage_vectors(index_dir, build(index_dir, A).version)
    with pytest.raises(DamagedIndexError):
        build(index_dir, A, B)
    build(index_dir, A, B, rebuild=True)
    assert contents(index_dir) == texts(A, B)
    assert_every_vector_is_that_of_its_text(index_dir)


def test_a_build_goes_on_from_the_last_whole_generation(index_dir: Path) -> None:
    first = build(index_dir, A)
    damage_vectors(index_dir, build(index_dir, A, B).version)
    with open_writer(index_dir) as writer:
        assert writer.notice is not None
    third = build(index_dir, A, B)
    assert (third.added, third.embedded_chunks) == (1, 1)
    assert generations(index_dir) == [first.version, third.version]
    assert_every_vector_is_that_of_its_text(index_dir)


@pytest.mark.parametrize("name", ["documents.sqlite", "vectors.faiss", "sentence_vectors.npy"])
def test_a_flipped_bit_in_a_file_too_large_to_be_hashed_on_opening_is_not_copied(
    index_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With new checksums nobody could tell it from what was built."""
    monkeypatch.setattr(generation, "MAX_HASHED_BYTES", 0)
    first = build(index_dir, A)
    path = index_dir / GENERATIONS / build(index_dir, A, B).version / name
    data = bytearray(path.read_bytes())
    place = data.find("园区吸引企业入驻".encode()) if path.suffix == ".sqlite" else len(data) - 3
    data[place + 2] ^= 1
    path.write_bytes(data)
    third = build(index_dir, A, B, C)
    assert generations(index_dir) == [first.version, third.version]
    assert contents(index_dir) == texts(A, B, C)
    assert_every_vector_is_that_of_its_text(index_dir)


@pytest.mark.parametrize("pointer", [None, "", "000009-00000000"])
def test_a_build_that_finds_nothing_to_do_puts_a_lost_pointer_right(
    index_dir: Path, pointer: str | None
) -> None:
    build(index_dir, A)
    second = build(index_dir, A, B)
    (index_dir / CURRENT).unlink()
    if pointer is not None:
        (index_dir / CURRENT).write_text(pointer)
    assert build(index_dir, A, B).embedded_chunks == 0
    assert (index_dir / CURRENT).read_text().strip() == second.version
    assert contents(index_dir) == texts(A, B)
    assert_every_vector_is_that_of_its_text(index_dir)


def test_a_rebuild_keeps_the_whole_generation_rather_than_the_damaged_one(
    index_dir: Path,
) -> None:
    whole = build(index_dir, A).version
    damage_vectors(index_dir, build(index_dir, A, B).version)
    rebuilt = build(index_dir, C, rebuild=True).version
    assert generations(index_dir) == [whole, rebuilt]


@pytest.mark.parametrize("rebuild", [False, True])
@pytest.mark.parametrize("serves", [True, False])
def test_what_a_newer_version_built_is_not_overwritten_even_by_a_rebuild(
    index_dir: Path, rebuild: bool, serves: bool
) -> None:
    newer = build(index_dir, A).version
    if not serves:
        build(index_dir, B)
    manifest = index_dir / GENERATIONS / newer / "manifest.json"
    record = json.loads(manifest.read_text())
    del record["checksum"]
    manifest.write_text(json.dumps({**record, "format_version": 99}))
    before = {path: path.stat().st_mtime_ns for path in index_dir.rglob("*")}
    with pytest.raises(NewerIndexError, match="更新的版本") as caught:
        build(index_dir, C, rebuild=rebuild)
    assert "请升级本程序" in caught.value.user_message
    assert "--rebuild" not in caught.value.user_message
    after = {path: path.stat().st_mtime_ns for path in index_dir.rglob("*")}
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {index_dir}


def test_a_second_writer_is_told_who_holds_the_lock(index_dir: Path) -> None:
    with open_writer(index_dir) as writer:
        writer.put(*A, root=ROOT)
        with pytest.raises(LockedIndexError, match=f"进程 {os.getpid()}，"):
            build(index_dir, B)
        writer.publish()
    assert contents(index_dir) == texts(A)
    build(index_dir, A, B)
    assert not (index_dir / HOLDER_FILE).exists()


def test_a_lock_without_a_name_still_locks(tmp_path: Path) -> None:
    with write_lock(tmp_path):
        (tmp_path / HOLDER_FILE).write_text("?")
        with pytest.raises(LockedIndexError, match="未知进程"), write_lock(tmp_path):
            pass


def test_what_a_dead_process_left_does_not_lock(index_dir: Path) -> None:
    build(index_dir, A)
    (index_dir / HOLDER_FILE).write_text('{"pid": 1, "host": "x", "since": "2020"}')
    (index_dir / ".lock").touch()
    build(index_dir, B)
    assert contents(index_dir) == texts(B)


def test_a_full_disk_is_one_clear_line_and_costs_nothing(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(index_dir, A)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(ChunkTableWriter, "add", full)
    with pytest.raises(IndexStateError) as caught:
        build(index_dir, A, B)
    assert "原有的索引没有变" in caught.value.user_message
    assert contents(index_dir) == texts(A)


def test_a_place_where_nothing_can_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexStateError):
        build(tmp_path / "file" / "index", A)


class InterruptedEmbedder(BigramEmbedder):
    def embed_passages_with_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[Span]]
    ) -> tuple[Vectors, list[Vectors]]:
        raise KeyboardInterrupt


def test_ctrl_c_leaves_the_index_and_the_folder_as_they_were(index_dir: Path) -> None:
    first = build(index_dir, A)
    with pytest.raises(KeyboardInterrupt):
        build(index_dir, A, B, embedder=InterruptedEmbedder())
    assert contents(index_dir) == texts(A)
    assert generations(index_dir) == [first.version]


def test_readers_never_see_half_a_build(index_dir: Path) -> None:
    """Every opened generation has vectors and texts in step, however often a build swaps."""
    build(index_dir, A)
    complete = [texts(A), texts(A, B), texts(A, B_LONGER, C), texts(C)]
    stop = threading.Event()
    seen: list[dict[str, list[str]]] = []
    failures: list[str] = []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append(contents(index_dir))
                assert_every_vector_is_that_of_its_text(index_dir)
            except (IndexStateError, AssertionError, KeyError) as error:
                failures.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for entries in ([A, B], [A, B_LONGER, C], [C], [A, B], [C], [A]):
        build(index_dir, *entries)
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert seen
    assert all(found in complete for found in seen)


def test_a_reader_keeps_the_generation_it_opened(index_dir: Path) -> None:
    build(index_dir, A)
    with Generation.open(index_dir) as opened:
        for entries in ([A, B], [B], [C]):
            build(index_dir, *entries)
        assert opened.version not in generations(index_dir)
        assert [p.chunk for p in opened.table.passages([0, 1])] == A[1]
        assert opened.sentence_vectors(0).shape == (2, 64)
        assert opened.table.article("甲.txt") == A[0]


def test_an_index_may_be_moved(index_dir: Path, tmp_path: Path) -> None:
    first = build(index_dir, A)
    moved = tmp_path / "moved"
    shutil.move(index_dir, moved)
    assert build(moved, A).version == first.version


def test_entering_fails_without_leaving_a_lock(index_dir: Path) -> None:
    build(index_dir, A)
    with pytest.raises(IncompatibleIndexError):
        build(index_dir, A, embedder=BigramEmbedder(fingerprint="other"))
    with open_writer(index_dir) as writer:
        assert isinstance(writer, IndexWriter)
