"""Documents and chunks in SQLite: everything comes back as it was put in."""

from __future__ import annotations

import sqlite3
from array import array
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.chunk_table import ChunkTableWriter, SqliteChunkTable, fingerprint, sentence_parts
from schema import DocumentSummary, Passage, Span
from tests.index_parts import Entry, make_entry

FIRST = make_entry("一/甲.txt", "第一句。第二句。", "第三句。")
SECOND = make_entry("乙 '\"; DROP TABLE chunks; --.txt", "第四句😀𠮷。", title="另一篇")


def write(path: Path, *entries: Entry) -> SqliteChunkTable:
    writer = ChunkTableWriter(path)
    for article, chunks in entries:
        writer.add(article, chunks, root="root", stamp="1/x")
    writer.close()
    return SqliteChunkTable(path)


@pytest.fixture
def table(tmp_path: Path) -> SqliteChunkTable:
    return write(tmp_path / "t.sqlite", FIRST, SECOND)


@pytest.mark.parametrize("entry", [FIRST, SECOND], ids=["plain", "hostile name"])
def test_an_article_comes_back_whole(table: SqliteChunkTable, entry: Entry) -> None:
    assert table.article(entry[0].doc) == entry[0]


def test_offsets_come_back_as_unsigned_numbers_that_rise(tmp_path: Path) -> None:
    article, chunks = make_entry("a", "一二三。")
    offsets = array("I", [0, 1, 5, 6, 7, 90, 4_000_000_000])
    table = write(tmp_path / "t", (replace(article, offsets=offsets), chunks))
    found = table.article("a")
    assert found is not None
    assert (found.offsets, found.offsets.typecode) == (offsets, "I")


def test_control_characters_survive(tmp_path: Path) -> None:
    article, chunks = make_entry("a", "空\0字符\r\n与\x1b转义。")
    table = write(tmp_path / "t", (article, chunks))
    assert table.article("a") == article
    assert table.passages([0])[0].chunk == chunks[0]


def test_an_unknown_document_is_none(table: SqliteChunkTable) -> None:
    assert table.article("没有") is None
    assert table.article("%") is None


def test_passages_come_in_the_order_asked_for_with_their_document(table: SqliteChunkTable) -> None:
    assert table.passages([2, 0, 2]) == [
        Passage(2, SECOND[1][0], "另一篇", "2025-03"),
        Passage(0, FIRST[1][0], "标题", "2025-03"),
        Passage(2, SECOND[1][0], "另一篇", "2025-03"),
    ]
    assert table.passages([]) == []


@pytest.mark.parametrize("chunk_id", [-1, 3])
def test_an_unknown_chunk_is_a_key_error(table: SqliteChunkTable, chunk_id: int) -> None:
    with pytest.raises(KeyError):
        table.passages([0, chunk_id])
    with pytest.raises(KeyError):
        table.sentence_rows(chunk_id)


def test_documents_are_listed_by_name(table: SqliteChunkTable) -> None:
    warnings = ("第一行有乱码",)
    assert table.documents() == [
        DocumentSummary(FIRST[0].doc, "标题", "2025-03", len(FIRST[0].text), 2, warnings),
        DocumentSummary(SECOND[0].doc, "另一篇", "2025-03", len(SECOND[0].text), 1, warnings),
    ]


def test_documents_are_read_once(table: SqliteChunkTable) -> None:
    """So that whoever asks how many there are keeps no question waiting for the file."""
    first = table.documents()
    table.close()
    assert table.documents() == first
    table.documents().clear()
    assert table.documents() == first


def test_rows_of_sentences_follow_each_other(table: SqliteChunkTable) -> None:
    assert [table.sentence_rows(i) for i in range(3)] == [slice(0, 2), slice(2, 3), slice(3, 4)]
    assert table.sentence_starts().tolist() == [0, 2, 3, 4]
    assert table.counts() == (2, 3, 4)


def test_sentences_are_found_again_in_the_search_text() -> None:
    chunk = FIRST[1][0]
    cut = [part.cut(chunk.search_text) for part in sentence_parts(chunk)]
    assert cut == ["第一句。", "第二句。"]
    bare = replace(chunk, context="")
    assert [part.cut(bare.search_text) for part in sentence_parts(bare)] == cut


def test_the_fingerprint_names_what_is_embedded_and_nothing_else() -> None:
    chunk = FIRST[1][0]
    moved = make_entry("别处.txt", "前面多一段。", "第一句。第二句。")[1][1]
    assert fingerprint(moved) == fingerprint(chunk)
    other = [
        replace(chunk, context="别的标题"),
        replace(chunk, sentences=chunk.sentences[:1]),
        make_entry("a", "第一句。第二局。")[1][0],
    ]
    assert len({fingerprint(changed) for changed in (chunk, *other)}) == 4


def test_a_copied_document_is_as_before_under_new_ids(
    table: SqliteChunkTable, tmp_path: Path
) -> None:
    writer = ChunkTableWriter(tmp_path / "copy.sqlite", [table])
    for doc in (SECOND[0].doc, FIRST[0].doc):
        writer.copy(table, doc, doc)
    writer.close()
    copy = SqliteChunkTable(tmp_path / "copy.sqlite")
    assert [p.chunk for p in copy.passages([0, 1, 2])] == [SECOND[1][0], *FIRST[1]]
    assert copy.article(FIRST[0].doc) == FIRST[0]
    assert copy.counts() == (2, 3, 4)
    assert sorted(copy.fingerprints()) == sorted(table.fingerprints())
    assert copy.stored_documents() == table.stored_documents()


def test_a_run_of_documents_is_copied_in_order_of_names(tmp_path: Path) -> None:
    """Whatever the order they were added in, and with gaps in the numbering."""
    third = make_entry("c.txt", "丙。丙二。")
    writer = ChunkTableWriter(tmp_path / "source.sqlite")
    for entry in (third, SECOND, FIRST):
        writer.add(*entry, root="root", stamp="1/x")
    writer.discard(SECOND[0].doc)
    writer.close()
    names = sorted((FIRST[0].doc, third[0].doc))
    source = SqliteChunkTable(tmp_path / "source.sqlite")
    writer = ChunkTableWriter(tmp_path / "copy.sqlite", [source])
    writer.add(*SECOND, root="root", stamp="1/x")
    writer.copy(source, names[0], names[1])
    writer.close()
    copy = SqliteChunkTable(tmp_path / "copy.sqlite")
    wanted = [*SECOND[1]]
    for entry in sorted((FIRST, third), key=lambda one: one[0].doc):
        wanted += entry[1]
    assert [p.chunk for p in copy.passages(range(len(wanted)))] == wanted
    assert (
        copy.sentence_starts().tolist()
        == np.cumsum([0, *(len(chunk.sentences) for chunk in wanted)]).tolist()
    )
    assert [copy.sentence_rows(i).stop for i in range(len(wanted))] == (
        copy.sentence_starts()[1:].tolist()
    )


def test_gaps_in_the_numbering_are_noticed(tmp_path: Path) -> None:
    writer = ChunkTableWriter(tmp_path / "t")
    writer.add(*FIRST, root="root", stamp="1/x")
    writer.add(*SECOND, root="root", stamp="1/x")
    writer.discard(FIRST[0].doc)
    writer.close()
    with pytest.raises(ValueError, match="numbered"):
        SqliteChunkTable(tmp_path / "t").counts()


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "别的字"},
        {"span": Span(0, 3)},
        {"doc": "别的.txt"},
        {"sentences": ()},
        {"sentences": make_entry("a", "前面。", "第一句。第二句。")[1][1].sentences},
    ],
    ids=["text", "span", "doc", "no sentence", "sentences elsewhere"],
)
def test_a_chunk_that_is_no_exact_slice_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    writer = ChunkTableWriter(tmp_path / "t")
    with pytest.raises(ValueError, match="does not fit"):
        writer.add(FIRST[0], [replace(FIRST[1][0], **wrong)], "root", "1/x")
    writer.abandon()


def test_chunks_out_of_order_are_refused(tmp_path: Path) -> None:
    writer = ChunkTableWriter(tmp_path / "t")
    with pytest.raises(ValueError, match="numbered"):
        writer.add(FIRST[0], FIRST[1][::-1], "root", "1/x")
    writer.abandon()
    writer.abandon()


@pytest.mark.parametrize("name", ["空 格", "a?mode=rwc", "a#b", "100%41", "a;b&c='\""])
def test_special_characters_in_the_path_are_taken_literally(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    table = write(folder / name, FIRST)
    assert table.counts() == (1, 2, 3)
    assert [path.name for path in folder.iterdir()] == [name]


def test_the_file_cannot_be_written_through_the_table(table: SqliteChunkTable) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        table._connection.execute("DELETE FROM chunks")


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        SqliteChunkTable(tmp_path / "t").counts()
    assert not (tmp_path / "t").exists()


def test_an_existing_file_is_not_overwritten(table: SqliteChunkTable, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        ChunkTableWriter(tmp_path / "t.sqlite")
    assert table.counts() == (2, 3, 4)


def test_reading_goes_on_after_the_file_is_removed(table: SqliteChunkTable, tmp_path: Path) -> None:
    (tmp_path / "t.sqlite").unlink()
    assert table.article(FIRST[0].doc) == FIRST[0]


def test_threads_get_what_one_alone_gets(table: SqliteChunkTable) -> None:
    orders = [[i % 3, (i + 1) % 3] for i in range(200)]
    alone = [table.passages(order) for order in orders]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(table.passages, orders)) == alone


def test_the_same_input_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, FIRST, SECOND).close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
