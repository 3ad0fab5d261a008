"""The contract of an opened index and its writer: a folder, a file of Milvus, a server of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pymilvus")

from errors import IncompatibleIndexError, IndexStateError, LockedIndexError, MissingIndexError
from index import milvus_lock
from index.build import BuildReport
from index.protocols import Generation, Vectors
from index.stores import Place
from schema import Span
from tests.index_parts import ROOT, BigramEmbedder, Entry, make_entry
from tests.milvus_parts import LiteServer, lite_file

LAKE = make_entry("湖.txt", "岳麓山大学城位于长沙。占地很大。", "三一科学城总投资一百三十亿元。")
PARK = make_entry("园.txt", "湘江新区有企业392家。", "红烧茄子很好吃。")
PARK_LATER = make_entry("园.txt", "湘江新区有企业400家。", "红烧茄子很好吃。")
PORT = make_entry("港.txt", "舟山港的吞吐量创了新高。")


@dataclass(frozen=True)
class Kind:
    """One kind of place, empty."""

    place: Place

    def build(
        self,
        *entries: Entry,
        embedder: BigramEmbedder | None = None,
        rebuild: bool = False,
    ) -> BuildReport:
        with self.place.writer(
            embedder or BigramEmbedder(),
            corpus_version=1,
            settings_fingerprint="max_chars=180",
            wenju_version="0.1.0",
            rebuild=rebuild,
        ) as writer:
            known = writer.known(ROOT)
            for article, chunks in entries:
                if known.get(article.doc) != article.sha256:
                    writer.put(article, chunks, ROOT)
            for doc in writer.held(ROOT) - {article.doc for article, _ in entries}:
                writer.remove(doc)
            return writer.publish()


_LONG_FILE = pytest.param("file", marks=pytest.mark.long)
# A file is served by the same code as a server, inside this process. All three run in test-long.
smoke = pytest.mark.parametrize("kind", ["folder", _LONG_FILE, "server"], indirect=True)


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.long) for name in ("folder", "file", "server")]
)
def kind(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kind]:
    monkeypatch.setattr(milvus_lock, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(milvus_lock, "_BEAT_SECONDS", 0.2)
    monkeypatch.setattr(milvus_lock, "_LOOK_SECONDS", 0.05)
    if request.param == "folder":
        yield Kind(Place(tmp_path / "index"))
    elif request.param == "file":
        with lite_file(tmp_path) as store:
            yield Kind(Place(tmp_path / "index", store))
    else:
        server: LiteServer = request.getfixturevalue("milvus_server")
        yield Kind(Place(tmp_path / "index", server.new_database()))


def vector(text: str) -> Vectors:
    row: Vectors = BigramEmbedder().embed_queries([text])[0]
    return row


def texts(generation: Generation, found: Sequence[tuple[int, float]]) -> list[str]:
    passages = generation.table.passages([chunk_id for chunk_id, _ in found])
    return [passage.chunk.text for passage in passages]


def by_words(generation: Generation, query: str, k: int = 10) -> list[str]:
    return texts(generation, generation.words.search(generation.tokenizer.words(query), k))


def test_before_the_first_build_there_is_nothing_to_open(kind: Kind) -> None:
    assert not kind.place.exists()
    assert kind.place.watch()() is None
    with pytest.raises(MissingIndexError) as caught:
        kind.place.open()
    assert "build" in caught.value.user_message


@smoke
def test_a_chunk_is_found_by_meaning_by_word_and_by_pair(kind: Kind) -> None:
    kind.build(LAKE, PARK)
    with kind.place.open() as opened:
        tokenizer = opened.tokenizer
        nearest = opened.vectors.search(vector("标题\n红烧茄子很好吃。"), 4)
        assert texts(opened, nearest)[0] == "红烧茄子很好吃。"
        assert nearest[0][1] == pytest.approx(1, abs=1e-5)
        assert sorted((score for _, score in nearest), reverse=True) == [s for _, s in nearest]
        assert by_words(opened, "三一科学城") == ["三一科学城总投资一百三十亿元。"]
        pairs = opened.bigrams.search(tokenizer.bigrams("湘江新区"), 4)
        assert texts(opened, pairs) == ["湘江新区有企业392家。"]
        assert len(opened.vectors) == len(opened.words) == len(opened.bigrams) == 4


def test_scores_of_words_and_pairs_are_those_of_a_folder(kind: Kind, tmp_path: Path) -> None:
    entries = [LAKE, PARK, PORT]
    kind.build(*entries)
    other = Kind(Place(tmp_path / "other"))
    other.build(*entries)
    query = "湘江新区的企业总投资多少，舟山港的新高呢？"
    with kind.place.open() as opened, other.place.open() as folder:
        for one, two, cut in (
            (opened.words, folder.words, folder.tokenizer.words),
            (opened.bigrams, folder.bigrams, folder.tokenizer.bigrams),
        ):
            found, wanted = one.search(cut(query), 5), two.search(cut(query), 5)
            assert texts(opened, found) == texts(folder, wanted)
            assert [s for _, s in found] == pytest.approx([s for _, s in wanted], rel=1e-4)


def test_an_article_and_its_chunks_come_back_whole(kind: Kind) -> None:
    kind.build(LAKE, PARK)
    article, chunks = LAKE
    with kind.place.open() as opened:
        assert opened.table.article("湖.txt") == article
        assert opened.table.article("没有.txt") is None
        found = opened.words.search(opened.tokenizer.words("三一科学城"), 1)
        passage = opened.table.passages([found[0][0]])[0]
        assert passage.chunk == chunks[1]
        assert (passage.title, passage.date) == (article.title, article.date)


def test_passages_come_in_the_order_asked_for(kind: Kind) -> None:
    kind.build(LAKE, PARK)
    with kind.place.open() as opened:
        ids = [chunk_id for chunk_id, _ in opened.vectors.search(vector("企业"), 4)]
        asked = [*ids[::-1], ids[0]]
        assert [p.chunk_id for p in opened.table.passages(asked)] == asked
        with pytest.raises(KeyError):
            opened.table.passages([ids[0], 999_999])
        with pytest.raises(KeyError):
            opened.sentence_vectors(999_999)


def test_documents_are_listed_by_name_with_where_they_came_from(kind: Kind) -> None:
    kind.build(PARK, LAKE)
    with kind.place.open() as opened:
        listed = opened.table.documents()
        assert [item.doc for item in listed] == sorted(["湖.txt", "园.txt"])
        assert {item.chunks for item in listed} == {2}
        assert {item.warnings for item in listed} == {("第一行有乱码",)}
        stored = opened.table.stored_documents()
        assert [(item.doc, item.root) for item in stored] == [(i.doc, ROOT) for i in listed]
        assert stored[0].sha256 == (PARK if listed[0].doc == "园.txt" else LAKE)[0].sha256


def test_every_sentence_has_a_unit_vector(kind: Kind) -> None:
    kind.build(LAKE)
    with kind.place.open() as opened:
        found = opened.words.search(opened.tokenizer.words("大学城"), 1)[0][0]
        vectors = opened.sentence_vectors(found)
        assert vectors.shape == (2, 64)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-3)
        assert vectors[1] @ vector("占地很大。") == pytest.approx(1, abs=1e-3)


def test_tokens_are_counted_in_chunks(kind: Kind) -> None:
    kind.build(LAKE, PARK)
    with kind.place.open() as opened:
        assert opened.words.document_frequency("企业") == 1
        assert opened.words.document_frequency("标题") == 4
        assert opened.bigrams.document_frequency("湘江") == 1
        assert opened.words.document_frequency("没有的词") == 0


@pytest.mark.parametrize("k", [0, 1, 1000])
def test_more_than_there_is_gives_what_there_is(kind: Kind, k: int) -> None:
    kind.build(LAKE, PARK)
    with kind.place.open() as opened:
        assert len(opened.vectors.search(vector("企业"), k)) == min(k, 4)
        assert len(opened.words.search(["标题"], k)) == min(k, 4)
        assert opened.words.search(["没有的词"], k) == opened.bigrams.search([], k) == []


def test_a_vector_of_another_length_is_an_error(kind: Kind) -> None:
    kind.build(LAKE)
    with kind.place.open() as opened, pytest.raises(ValueError):
        opened.vectors.search(np.ones(3, np.float32), 1)


@smoke
def test_a_changed_article_takes_the_place_of_the_old_one(kind: Kind) -> None:
    kind.build(LAKE, PARK)
    embedder = BigramEmbedder()
    report = kind.build(LAKE, PARK_LATER, embedder=embedder)
    assert (report.updated, report.unchanged, report.chunks) == (1, 1, 4)
    assert embedder.embedded == ["标题\n湘江新区有企业400家。"]
    with kind.place.open() as opened:
        assert by_words(opened, "湘江新区企业")[0] == "湘江新区有企业400家。"
        assert by_words(opened, "392") == []
        assert opened.words.document_frequency("392") == 0
        assert opened.table.article("园.txt") == PARK_LATER[0]


def test_a_removed_document_is_gone(kind: Kind) -> None:
    kind.build(LAKE, PARK)
    assert kind.build(LAKE).removed == 1
    with kind.place.open() as opened:
        assert [item.doc for item in opened.table.documents()] == ["湖.txt"]
        assert opened.table.article("园.txt") is None
        assert by_words(opened, "红烧茄子") == []
        assert len(opened.vectors.search(vector("红烧茄子"), 10)) == 2


def test_a_document_that_came_back_costs_no_embedding(kind: Kind) -> None:
    kind.build(LAKE, PARK, PORT)
    embedder = BigramEmbedder()
    renamed = make_entry("换名.txt", "湘江新区有企业392家。", "红烧茄子很好吃。")
    kind.build(LAKE, renamed, PORT, embedder=embedder)
    assert embedder.embedded == []
    with kind.place.open() as opened:
        assert by_words(opened, "红烧茄子") == ["红烧茄子很好吃。"]


def test_nothing_is_written_where_nothing_changed(kind: Kind) -> None:
    first = kind.build(LAKE, PARK)
    watch = kind.place.watch()
    before = watch()
    again = kind.build(LAKE, PARK)
    assert (again.version, again.unchanged, again.embedded_chunks) == (first.version, 2, 0)
    assert watch() == before is not None


def test_every_publication_is_news(kind: Kind) -> None:
    watch = kind.place.watch()
    seen = {watch()}
    for entries in ([LAKE], [LAKE, PARK], [LAKE]):
        report = kind.build(*entries)
        assert watch() not in seen
        seen.add(watch())
        with kind.place.open() as opened:
            assert opened.version == report.version


@smoke
def test_a_reader_keeps_the_state_that_it_opened(kind: Kind) -> None:
    kind.build(LAKE, PARK)
    with kind.place.open() as opened:
        kind.build(LAKE, PARK_LATER, PORT)
        assert by_words(opened, "湘江新区企业")[0] == "湘江新区有企业392家。"
        assert by_words(opened, "舟山港") == []
        assert opened.words.document_frequency("392") == 1
        assert opened.table.article("园.txt") == PARK[0]
        assert len(opened.table.documents()) == 2


def test_a_failed_build_leaves_what_served(kind: Kind) -> None:
    class Failing(BigramEmbedder):
        def embed_passages_with_parts(
            self, texts: Sequence[str], parts: Sequence[Sequence[Span]]
        ) -> tuple[Vectors, list[Vectors]]:
            raise RuntimeError("no memory")

    first = kind.build(LAKE, PARK)
    with pytest.raises(RuntimeError):
        kind.build(LAKE, PARK_LATER, PORT, embedder=Failing())
    with kind.place.open() as opened:
        assert opened.version == first.version
        assert by_words(opened, "湘江新区企业")[0] == "湘江新区有企业392家。"
        assert by_words(opened, "舟山港") == []
    report = kind.build(LAKE, PARK_LATER)
    assert report.chunks == 4
    with kind.place.open() as opened:
        assert by_words(opened, "湘江新区企业")[0] == "湘江新区有企业400家。"


def test_another_model_is_refused_unless_all_is_made_anew(kind: Kind) -> None:
    kind.build(LAKE)
    other = BigramEmbedder(dim=32, fingerprint="other-1")
    with pytest.raises(IncompatibleIndexError) as caught:
        kind.build(LAKE, embedder=other)
    assert "bigrams-1" in caught.value.user_message
    kind.build(LAKE, PARK, embedder=other, rebuild=True)
    with kind.place.open() as opened:
        assert len(opened.vectors.search(other.embed_queries(["企业"])[0], 10)) == 4
        with pytest.raises(IncompatibleIndexError):
            opened.check_model(kind.place.name, "bigrams-1", 64)
        opened.check_model(kind.place.name, "other-1", 32)


def test_a_build_without_text_is_refused(kind: Kind) -> None:
    with pytest.raises(IndexStateError):
        kind.build()
    kind.build(LAKE)
    with pytest.raises(IndexStateError):
        kind.build(make_entry("空.txt"))
    with kind.place.open() as opened:
        assert opened.table.article("湖.txt") == LAKE[0]


def test_a_second_writer_is_told_who_holds_the_index(kind: Kind) -> None:
    kind.build(LAKE)
    with (
        kind.place.writer(
            BigramEmbedder(), corpus_version=1, settings_fingerprint="", wenju_version=""
        ),
        pytest.raises(LockedIndexError) as caught,
    ):
        kind.build(LAKE, PARK)
    assert "进程" in caught.value.user_message
    assert kind.build(LAKE, PARK).documents == 2


def test_names_and_texts_of_any_kind_are_kept(kind: Kind) -> None:
    long = "".join(chr(0x4E00 + (i * 7919) % 20_000) for i in range(60_000))
    strange = make_entry('a "b" \\ %_\'; 𠮷/😀.txt', f"{long}。", "，。", title="𠮷" * 3)
    kind.build(LAKE, strange)
    with kind.place.open() as opened:
        assert opened.table.article(strange[0].doc) == strange[0]
        found = opened.bigrams.search(opened.tokenizer.bigrams(long[500:520]), 1)
        assert texts(opened, found) == [f"{long}。"]


@smoke
def test_many_threads_read_while_a_build_publishes(kind: Kind) -> None:
    """What each finds is the whole of one state, and the same each time."""
    kind.build(LAKE, PARK)
    problems: list[Exception | str] = []
    done = threading.Event()

    def read(check: Callable[[], bool]) -> None:
        try:
            while not done.is_set():
                if not check():
                    problems.append("a mixture")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells of it
            problems.append(error)

    with kind.place.open() as opened:

        def whole() -> bool:
            found = by_words(opened, "湘江新区的企业 舟山港")
            near = opened.vectors.search(vector("企业"), 10)
            return found == ["湘江新区有企业392家。"] and len(near) == 4

        readers = [threading.Thread(target=read, args=(whole,)) for _ in range(3)]
        for reader in readers:
            reader.start()
        kind.build(LAKE, PARK_LATER, PORT)
        done.set()
        for reader in readers:
            reader.join()
    assert problems == []
