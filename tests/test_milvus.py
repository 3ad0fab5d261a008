"""What only an index in Milvus can meet: other machines, other owners, interrupted builds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

pytest.importorskip("pymilvus")

from milvus_lite.storage.memtable import MemTable
from pymilvus import DataType, MilvusClient

from errors import (
    DamagedIndexError,
    IncompatibleIndexError,
    LockedIndexError,
    MissingExtraError,
    NewerIndexError,
    SettingsError,
    StoreAccessError,
    StoreInUseError,
    SupersededError,
    UnreachableStoreError,
)
from index import milvus_build, milvus_lock, milvus_store, stores
from index.milvus_calls import Milvus
from index.milvus_rows import META, STATE, Meta, chunks_of
from index.stores import Place
from tests.index_parts import BigramEmbedder, make_entry
from tests.milvus_parts import (
    LiteServer,
    build_store,
    fill,
    lite_file,
    lite_server,
    opened,
    store_writer,
)

ROOT_FOLDER = Path(__file__).parent.parent
LAKE = make_entry("湖.txt", "岳麓山大学城位于长沙。占地很大。", "三一科学城总投资一百三十亿元。")
PARK = make_entry("园.txt", "湘江新区有企业392家。", "红烧茄子很好吃。")
PARK_LATER = make_entry("园.txt", "湘江新区有企业400家。", "红烧茄子很好吃。")


@pytest.fixture
def store(milvus_server: LiteServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database."""
    monkeypatch.setattr(milvus_lock, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(milvus_lock, "_BEAT_SECONDS", 0.2)
    monkeypatch.setattr(milvus_lock, "_LOOK_SECONDS", 0.05)
    return milvus_server.new_database()


def found(store: str, word: str) -> list[str]:
    with opened(store) as generation:
        tokens = generation.tokenizer.words(word)
        ids = [chunk_id for chunk_id, _ in generation.words.search(tokens, 10)]
        return [passage.chunk.text for passage in generation.table.passages(ids)]


def collections(store: str) -> list[str]:
    milvus = Milvus(store)
    names = sorted(milvus.collections())
    milvus.close()
    return names


# Messages


@pytest.mark.parametrize(
    ("address", "told"),
    [
        pytest.param("localhost:19530", "Milvus 地址", id="no scheme"),
        pytest.param("http://user:secret@localhost:19530", "WENJU_MILVUS_TOKEN", id="password"),
        pytest.param("no/such/folder/store.db", "不存在", id="no folder"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused(address: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Place(Path("index"), address).open()
    assert told in caught.value.user_message
    assert "secret" not in f"{caught.value} {caught.value.user_message}"


def test_a_store_that_does_not_answer_is_said_with_its_address() -> None:
    with pytest.raises(UnreachableStoreError) as caught:
        Place(Path("index"), "http://127.0.0.1:1", "user:secret").open()
    assert "连不上向量数据库 http://127.0.0.1:1" in caught.value.user_message
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.fixture
def guarded() -> Iterator[str]:
    """A server that lets nobody in, as Milvus does without the right token."""

    class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check")
                return b""

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Refusing(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_wrong_token_is_said_and_never_shown(
    guarded: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    place = Place(Path("index"), guarded, "user:secret")
    with pytest.raises(StoreAccessError) as caught:
        place.open()
    assert "WENJU_MILVUS_TOKEN" in caught.value.user_message
    shown = f"{caught.value} {place} {caplog.text} {capfd.readouterr()}"
    assert "secret" not in shown


def test_without_pymilvus_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        Place(Path("index"), "http://127.0.0.1:1").open()
    assert "wenju[milvus]" in caught.value.user_message


@pytest.mark.long
def test_a_file_that_another_process_has_open_is_said(tmp_path: Path) -> None:
    with lite_file(tmp_path) as path:
        build_store(path, LAKE)
        code = (
            "import sys; from pathlib import Path; from index.stores import Place\n"
            "from errors import WenjuError\n"
            "try: Place(Path('index'), sys.argv[1]).open()\n"
            "except WenjuError as error: print(type(error).__name__, error.user_message)\n"
        )
        told = subprocess.run(
            [sys.executable, "-c", code, path],
            capture_output=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            cwd=ROOT_FOLDER,
            check=True,
        )
        assert told.stdout.startswith(StoreInUseError.__name__)
        assert "同一时间只能由一个程序使用" in told.stdout


@pytest.mark.long
def test_a_collection_of_somebody_else_is_left_alone(store: str) -> None:
    client = MilvusClient(store)
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("theirs", DataType.FLOAT_VECTOR, dim=2)
    client.create_collection(META, schema=schema)
    for attempt in (lambda: opened(store), lambda: build_store(store, LAKE, rebuild=True)):
        with pytest.raises(IncompatibleIndexError) as caught:
            attempt()
        assert "不是问据的" in caught.value.user_message
    assert client.list_collections() == [META]
    client.close()


@pytest.mark.long
def test_an_index_of_a_newer_version_is_refused_even_a_rebuild(store: str) -> None:
    build_store(store, LAKE)
    milvus = Milvus(store)
    Meta(milvus).put("format", '{"format": "wenju-milvus", "format_version": 99}')
    milvus.close()
    for attempt in (lambda: opened(store), lambda: build_store(store, LAKE, rebuild=True)):
        with pytest.raises(NewerIndexError) as caught:
            attempt()
        assert "更新的版本" in caught.value.user_message


# What is stored, and for how long


@pytest.mark.long
def test_where_rows_are_missing_the_state_before_serves_and_it_is_said(store: str) -> None:
    first = build_store(store, LAKE)
    build_store(store, LAKE, PARK)
    milvus = Milvus(store)
    milvus.delete(chunks_of(1), "since == 2")
    milvus.close()
    with opened(store) as generation:
        assert generation.version == first.version
        assert generation.notice is not None
        assert first.version in generation.notice
    third = build_store(store, LAKE, PARK)
    with opened(store) as generation:
        assert (generation.version, generation.notice) == (third.version, None)
    assert found(store, "红烧茄子") == ["红烧茄子很好吃。"]


@pytest.mark.long
def test_without_a_whole_state_the_store_is_refused(store: str) -> None:
    build_store(store, LAKE)
    milvus = Milvus(store)
    milvus.drop(chunks_of(1))
    milvus.close()
    with pytest.raises(DamagedIndexError):
        opened(store)


def test_no_row_that_a_state_reads_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """milvus-lite loses a replaced row from a search for a moment, when it is flushed meanwhile.

    The search notes the replaced row's new place, the flush takes that place away, and the row is
    in neither. A row that is written once and never again stays where it is.
    """
    written: list[tuple[str, object]] = []
    plain = Milvus.upsert

    def noted(self: Milvus, name: str, rows: Sequence[dict[str, object]]) -> None:
        written.extend((name, row["id"]) for row in rows if row["id"] != "lock")
        plain(self, name, rows)

    monkeypatch.setattr(Milvus, "upsert", noted)
    monkeypatch.setattr(milvus_lock, "_LOOK_SECONDS", 0.05)
    with lite_file(tmp_path) as path:
        for entries in ([LAKE, PARK], [LAKE, PARK_LATER], [LAKE]):
            build_store(path, *entries, grace=0)
    assert written
    assert len(written) == len(set(written))


def test_a_search_that_a_flush_overtakes_finds_all_of_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each flush of a build comes in the middle of a search, where milvus-lite loses rows."""
    noting, flushed, searching = threading.Event(), threading.Event(), threading.Event()
    looked, flush = MemTable.pk_index_snapshot, Milvus.flush

    def look(self: MemTable) -> object:
        found = looked(self)
        if searching.is_set():
            noting.set()
            assert flushed.wait(10)
        return found

    monkeypatch.setattr(MemTable, "pk_index_snapshot", look)
    monkeypatch.setattr(milvus_lock, "_LOOK_SECONDS", 0.05)
    with lite_file(tmp_path) as path:
        build_store(path, LAKE, PARK)
        with opened(path) as generation, ThreadPoolExecutor(1) as pool:
            tokens = generation.tokenizer.bigrams("湘江新区有企业，红烧茄子很好吃，占地很大")
            before = generation.bigrams.search(tokens, 10)
            overtaken = []

            def flush_amid_a_search(self: Milvus, name: str) -> None:
                noting.clear()
                flushed.clear()
                searching.set()
                reading = pool.submit(generation.bigrams.search, tokens, 10)
                assert noting.wait(10)
                searching.clear()
                flush(self, name)
                flushed.set()
                overtaken.append(reading.result())

            monkeypatch.setattr(Milvus, "flush", flush_amid_a_search)
            build_store(path, LAKE, PARK_LATER)
    assert len(before) == 3
    assert overtaken == [before] * 3


@pytest.mark.long
def test_what_was_superseded_goes_after_its_time(store: str) -> None:
    for number in range(4):
        build_store(store, LAKE, make_entry("园.txt", f"企业{number}家。"), grace=0)
    milvus = Milvus(store)
    # The state that serves and the one before.
    assert sorted(row["since"] for row in milvus.select(chunks_of(1), "id >= 0", ["since"])) == [
        1,
        1,
        3,
        4,
    ]
    names = Meta(milvus).names("generation/")
    milvus.close()
    assert [name.split("-")[0] for name in names] == ["generation/000003", "generation/000004"]


@pytest.mark.long
def test_what_was_superseded_just_now_stays(store: str) -> None:
    build_store(store, LAKE, PARK)
    with opened(store) as generation:
        for number in range(3):
            build_store(store, LAKE, make_entry("园.txt", f"企业{number}家。"))
        ids = [chunk_id for chunk_id, _ in generation.words.search(["392"], 5)]
        assert [p.chunk.text for p in generation.table.passages(ids)] == ["湘江新区有企业392家。"]


@pytest.mark.long
def test_a_state_that_is_no_longer_kept_says_so_instead_of_giving_a_part_of_itself(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_store, "_SURE_SECONDS", 0.0)
    build_store(store, LAKE, PARK)
    with opened(store) as generation:
        tokens = generation.tokenizer.words("企业")
        build_store(store, LAKE, PARK_LATER, grace=0)
        (found,) = generation.words.search(tokens, 10)
        build_store(store, LAKE, grace=0)
        for read in (
            lambda: generation.words.search(tokens, 10),
            lambda: generation.table.passages([found[0]]),
            lambda: generation.table.article("园.txt"),
        ):
            with pytest.raises(SupersededError) as caught:
                read()
            assert "请重新打开" in caught.value.user_message


@pytest.mark.long
def test_a_build_that_died_before_it_published_takes_nothing_from_those_who_read(
    store: str,
) -> None:
    build_store(store, LAKE, PARK)
    with opened(store) as generation:
        with store_writer(store) as writer:
            writer._swap = lambda manifest: None  # type: ignore[method-assign]
            fill(writer, [LAKE])
        build_store(store, LAKE, PARK_LATER, grace=0)
        ids = [
            i for i, _ in generation.vectors.search(BigramEmbedder().embed_queries(["园"])[0], 9)
        ]
        texts = {passage.chunk.text for passage in generation.table.passages(ids)}
        assert texts == {chunk.text for entry in (LAKE, PARK) for chunk in entry[1]}


@pytest.mark.long
def test_rows_are_written_anew_before_queries_have_to_leave_out_too_many(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_build, "_MOST_ENDED", 3)
    epochs = []
    for number in range(4):
        embedder = BigramEmbedder()
        build_store(
            store, LAKE, make_entry("园.txt", f"企业{number}家。", "企业。"), embedder=embedder
        )
        with opened(store) as generation:
            epochs.append(generation.manifest.epoch)
            assert len(generation.ended.chunk_ids()) <= 3
            assert generation.words.document_frequency("企业") == 2
        assert len(embedder.embedded) == (4 if number == 0 else 1)
    assert epochs == [1, 1, 3, 3]


@pytest.mark.long
def test_frequencies_of_many_builds_are_added_up(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_build, "_MOST_PARTS", 2)
    for number in range(5):
        build_store(store, LAKE, make_entry("园.txt", f"企业{number}家。", "企业。"))
        with opened(store) as generation:
            assert generation.words.document_frequency("企业") == 2
            assert generation.words.document_frequency("科学城") == 1
            assert len(generation.manifest.parts) <= 2


@pytest.mark.long
def test_terms_are_learnt_anew_when_the_corpus_has_doubled_and_nothing_is_embedded_again(
    store: str,
) -> None:
    build_store(store, LAKE)
    more = [make_entry(f"{i}.txt", f"《星城漫步录》第{i}期。") for i in range(3)]
    embedder = BigramEmbedder()
    build_store(store, LAKE, *more, embedder=embedder, grace=0)
    assert sorted(embedder.embedded) == [f"标题\n《星城漫步录》第{i}期。" for i in range(3)]
    with opened(store) as generation:
        assert generation.manifest.epoch == 2
        assert "星城漫步录" in generation.tokenizer.terms
        assert len(generation.words.search(["星城漫步录"], 10)) == 3
        assert generation.table.article("湖.txt") == LAKE[0]
    build_store(store, LAKE, *more[1:], grace=0)
    assert collections(store) == sorted(
        [META, STATE, "wenju_chunks_000002", "wenju_documents_000002"]
    )


# Builds that end before their time


class _Dying(BigramEmbedder):
    """Ends its whole process at the second batch, as SIGKILL does: nothing is tidied up."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def embed_passages_with_parts(self, *arguments: object) -> object:  # type: ignore[override]
        self.calls += 1
        if self.calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_passages_with_parts(*arguments)  # type: ignore[arg-type]


def _killed_build(store: str) -> None:
    """Program of the child: the second state, whose build dies while it writes."""
    from index import milvus_write

    milvus_write._BATCH = 1
    milvus_lock._SETTLE_SECONDS = 0.0
    build_store(store, LAKE, PARK_LATER, make_entry("新.txt", "甲。", "乙。"), embedder=_Dying())


@pytest.mark.long
def test_a_killed_build_leaves_what_served_and_the_next_goes_on_with_it(store: str) -> None:
    first = build_store(store, LAKE, PARK)
    command = [sys.executable, "-m", "tests.test_milvus", store]
    child = subprocess.run(command, check=False, capture_output=True, cwd=ROOT_FOLDER)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    with opened(store) as generation:
        assert generation.version == first.version
    assert found(store, "企业") == ["湘江新区有企业392家。"]
    embedder = BigramEmbedder()
    new = make_entry("新.txt", "甲。", "乙。")
    report = build_store(store, LAKE, PARK_LATER, new, embedder=embedder)
    assert len(embedder.embedded) == 2  # of three new chunks
    assert report.resumed_chunks == 1
    assert found(store, "企业") == ["湘江新区有企业400家。"]
    with opened(store) as generation:
        assert len(generation.vectors.search(embedder.embed_queries(["企业"])[0], 10)) == 6


@pytest.mark.long
def test_an_interrupted_first_build_is_gone_on_with(store: str) -> None:
    with store_writer(store) as writer:
        writer._swap = lambda manifest: None  # type: ignore[method-assign]
        fill(writer, [LAKE, PARK])
    with pytest.raises(Exception, match="no index"):
        opened(store)
    embedder = BigramEmbedder()
    build_store(store, LAKE, PARK, embedder=embedder)
    assert embedder.embedded == []
    assert found(store, "企业") == ["湘江新区有企业392家。"]


@pytest.mark.long
@pytest.mark.parametrize("call", range(1, 19))
def test_an_index_is_whole_after_a_build_stopped_at_any_write(
    store: str, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Whichever writing call is the last of its build: all is as before it, or as after."""
    build_store(store, LAKE, PARK)
    calls = 0

    def counted(name: str) -> Callable[..., object]:
        plain = getattr(Milvus, name)

        def run(self: Milvus, collection: str, *rest: object) -> object:
            nonlocal calls
            if collection != STATE or name != "upsert" or "'lock'" not in str(rest):
                calls += 1  # a beat of the lock is of another thread
                if calls >= call:
                    raise KeyboardInterrupt
            return plain(self, collection, *rest)

        return run

    for name in ("upsert", "delete", "flush", "drop"):
        monkeypatch.setattr(Milvus, name, counted(name))
    stopped = True
    try:
        build_store(store, LAKE, PARK_LATER, grace=0)
        stopped = False
    except KeyboardInterrupt:
        pass
    monkeypatch.undo()
    monkeypatch.setattr(milvus_lock, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(milvus_lock, "_LOOK_SECONDS", 0.05)
    before, after = ["湘江新区有企业392家。"], ["湘江新区有企业400家。"]
    assert found(store, "企业") in ([before, after] if stopped else [after])
    build_store(store, LAKE, PARK_LATER)
    assert found(store, "企业") == after
    with opened(store) as generation:
        assert (generation.notice, generation.words.document_frequency("392")) == (None, 0)


# Several machines


@pytest.mark.long
def test_a_writer_that_gives_no_sign_is_taken_for_dead(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_lock, "_BEAT_SECONDS", 3600)
    monkeypatch.setattr(milvus_lock, "_LOOK_SECONDS", 0.05)
    build_store(store, LAKE)
    with store_writer(store) as first:
        milvus = Milvus(store)
        with milvus_lock.store_lock(milvus, 0.3):
            first.put(*PARK, "articles")
            with pytest.raises(LockedIndexError):
                first.publish()
        milvus.close()
    assert found(store, "企业") == []


@pytest.mark.long
def test_of_two_writers_at_once_at_most_one_gets_in(store: str) -> None:
    build_store(store, LAKE)
    inside: list[int] = []
    meet = threading.Barrier(2)

    def write(number: int) -> str:
        meet.wait()
        try:
            with store_writer(store) as writer:
                inside.append(number)
                assert len(inside) == 1
                fill(writer, [LAKE, make_entry("园.txt", f"第{number}个。")])
                inside.pop()
                return "built"
        except LockedIndexError:
            return "locked"

    milvus_lock._SETTLE_SECONDS = 0.5  # restored by the fixture
    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(write, range(2)))
    assert results in (["built", "built"], ["built", "locked"], ["locked", "locked"])


def _until_it_answers(call: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            call()
            return
        except UnreachableStoreError:
            time.sleep(0.05)
    raise AssertionError("no answer within ten seconds")


@pytest.mark.long
def test_reading_goes_on_after_the_server_was_killed_and_came_back(tmp_path: Path) -> None:
    with lite_server(tmp_path) as server:
        build_store(server.address, LAKE, PARK)
        watch = Place(Path("index"), server.address).watch()
        with opened(server.address) as generation:
            served = watch()
            server.stop()
            with pytest.raises(UnreachableStoreError):
                generation.words.search(["企业"], 5)
            with pytest.raises(UnreachableStoreError):
                watch()
            server.start()
            _until_it_answers(watch)
            assert len(generation.words.search(["企业"], 5)) == 1
            assert watch() == served


if __name__ == "__main__":
    _killed_build(sys.argv[1])
