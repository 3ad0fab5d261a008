"""Files with an article a line: names, texts, offsets, and what a change of the file costs."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from assemble import BuildSummary, build_index, open_chatbot
from corpus.collection import count_lines, is_collection, lines
from corpus.load import RawDocument, Skipped, article_of, discover, raw_documents, source_of
from errors import NoReadableFileError, UnreadableDocumentError
from index.generation import Generation
from qa.chatbot import Chatbot
from schema import Answer, Article
from settings import Settings

NEWS = [
    "2023-08-11 15:10，正文：白鹭科学城总投资46亿元。项目由甲市承建。",
    "",
    "[ 2023-07-28 16：40 ] ，正文：青川港口有12个泊位。",
]


def write_lines(path: Path, *texts: str) -> Path:
    data = "".join(f"{text}\n" for text in texts).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_json(path: Path, *records: object) -> Path:
    return write_lines(path, *(json.dumps(record, ensure_ascii=False) for record in records))


def raws(path: Path) -> list[RawDocument | Skipped]:
    (source,), _ = discover([path])
    return list(raw_documents(source))


def documents(path: Path) -> dict[str, RawDocument]:
    return {raw.doc: raw for raw in raws(path) if isinstance(raw, RawDocument)}


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("a.lines", True), ("a.lines.gz", True), ("a.TXT.GZ", True), ("a.jsonl", True)),
        *(("a.jsonl.gz", True), ("a.txt", False), ("a.gz", False), ("a.json", False)),
    ],
)
def test_the_name_tells_whether_a_file_holds_an_article_a_line(name: str, expected: bool) -> None:
    assert is_collection(name) is expected


@pytest.mark.parametrize("name", ["news.lines", "news.txt.gz", "news.lines.gz"])
def test_documents_are_named_by_their_line_blank_lines_counted(tmp_path: Path, name: str) -> None:
    path = write_lines(tmp_path / name, *NEWS)
    assert list(documents(path)) == [f"{name}/000001", f"{name}/000003"]
    assert count_lines(path) == 3


def test_json_lines_are_named_by_their_id_if_it_is_plain(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "a.jsonl",
        {"id": "n-1", "text": "一。"},
        {"id": 7, "text": "二。"},
        {"id": "../x", "text": "三。"},
        {"id": "..", "text": "四。"},
        {"text": "五。"},
        {"id": True, "text": "六。"},
    )
    names = [doc.removeprefix("a.jsonl/") for doc in documents(path)]
    assert names == ["n-1", "7", "000003", "000004", "000005", "000006"]


def test_an_id_used_twice_is_said_and_the_first_counts(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "a.jsonl", {"id": "x", "text": "一。"}, {"id": "x", "text": "二。"}
    )
    first, second = raws(path)
    assert isinstance(first, RawDocument)
    assert isinstance(second, Skipped)
    assert (second.path.name, "已经用过" in second.reason) == ("000002", True)


def test_the_file_of_a_document_is_found_again() -> None:
    root = Path("root")
    assert source_of(root, "b/news.txt.gz/000001").path == root / "b" / "news.txt.gz"
    assert source_of(root, "b/news.txt").path == root / "b" / "news.txt"


# --- contents -----------------------------------------------------------------------------------


def test_the_original_of_a_line_is_the_line_with_its_date(tmp_path: Path) -> None:
    raw = documents(write_lines(tmp_path / "n.txt.gz", *NEWS))["n.txt.gz/000001"]
    article = article_of(raw)
    assert article.original == NEWS[0]
    assert (article.date, article.title) == ("2023-08-11", None)


def test_a_mark_at_the_start_and_windows_line_ends_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.lines"
    path.write_bytes("\ufeff第一。\r\n第二。\u2028仍是第二。\r\n".encode())
    originals = [article_of(raw).original for raw in documents(path).values()]
    assert originals == ["第一。", "第二。\u2028仍是第二。"]


def test_json_lines_give_title_date_and_text(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "a.jsonl.gz",
        {"title": " 白鹭开工 ", "date": "2024年5月6日", "content": "白鹭科学城开工。\n第二段。"},
        {"text": "只有文字。", "title": None, "date": 5},
    )
    first, second = (article_of(raw) for raw in documents(path).values())
    assert (first.title, first.date, first.original) == (
        "白鹭开工",
        "2024-05-06",
        "白鹭科学城开工。\n第二段。",
    )
    assert (second.title, second.date) == (None, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "不是 JSON"),
        (b"[1]", "不是 JSON 对象"),
        (b'{"title": "x"}', "没有 text"),
        (b'{"text": 5}', "没有 text"),
        (b'{"text": " "}', "没有文字"),
        (b'{"text": "\\ud800"}', "无效字符"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 100_000, "不是 JSON"),
    ],
)
def test_a_bad_line_is_refused_in_chinese_and_the_others_stay(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line + b'\n{"text": "\xe5\xa5\xbd\xe3\x80\x82"}\n')
    bad, good = documents(path).values()
    with pytest.raises(UnreadableDocumentError) as caught:
        article_of(bad)
    assert reason in caught.value.user_message
    assert article_of(good).original == "好。"


@pytest.mark.parametrize(
    "data", [gzip.compress(b"x" * 100)[:-9], b"no gzip"], ids=["cut short", "not compressed"]
)
def test_a_file_that_cannot_be_read_to_its_end_is_said(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(data)
    *_, last = raws(path)
    assert isinstance(last, Skipped)
    assert "损坏" in last.reason


def test_where_there_is_no_line_all_that_can_be_read_is_named(tmp_path: Path) -> None:
    settings = replace(Settings(), index_dir=str(tmp_path / "index"))
    with pytest.raises(NoReadableFileError) as caught:
        build_index(settings, [write_lines(tmp_path / "a.txt.gz")])
    assert ".lines" in caught.value.user_message


def test_a_line_that_is_too_long_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpus.collection.MAX_LINE_BYTES", 10)
    with pytest.raises(UnreadableDocumentError) as caught:
        list(lines(write_lines(tmp_path / "a.lines", "短。", "这一行太长了。")))
    assert "MB" in caught.value.user_message


# --- in an index --------------------------------------------------------------------------------


def build(tmp_path: Path, *paths: Path, known: bool = False, rebuild: bool = False) -> BuildSummary:
    settings = replace(Settings(), index_dir=str(tmp_path / "index"))
    return build_index(settings, paths, known=known, rebuild=rebuild)


def held(tmp_path: Path) -> list[str]:
    with Generation.open(tmp_path / "index") as opened:
        return [summary.doc for summary in opened.table.documents()]


@pytest.fixture(scope="module")
def chatbot(tmp_path_factory: pytest.TempPathFactory) -> Chatbot:
    folder = tmp_path_factory.mktemp("lines")
    write_lines(folder / "news.txt.gz", *NEWS)
    build(folder, folder / "news.txt.gz")
    return open_chatbot(replace(Settings(), index_dir=str(folder / "index")))


def test_an_answer_cites_the_line_at_offsets_of_its_own_text(chatbot: Chatbot) -> None:
    reply = chatbot.ask("白鹭科学城总投资多少？").reply
    assert isinstance(reply, Answer)
    (citation,) = reply.citations
    assert (citation.doc, citation.date) == ("news.txt.gz/000001", "2023-08-11")
    assert citation.span.cut(NEWS[0]) == citation.quote == "白鹭科学城总投资46亿元。"
    article = chatbot.article(citation.doc)
    assert article is not None
    assert article.original == NEWS[0]


def test_a_line_put_in_at_the_top_makes_no_vector_again(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.lines", "甲区有企业3家。", "乙区有企业4家。")
    assert build(tmp_path, path).report.embedded_chunks == 2
    write_lines(path, "丙区有企业5家。", "甲区有企业3家。", "乙区有企业4家。")
    report = build(tmp_path, path).report
    assert (report.documents, report.embedded_chunks) == (3, 1)


def test_a_moved_line_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def watched(raw: RawDocument, *, mend: bool) -> Article:
        read.append(raw.doc)
        return article_of(raw, mend=mend)

    path = write_lines(tmp_path / "a.lines", "甲区有企业3家。", "乙区有企业4家。")
    build(tmp_path, path)
    monkeypatch.setattr("corpus.parallel.article_of", watched)
    write_lines(path, "丙区有企业5家。", "甲区有企业3家。", "乙区有企业4家。")
    report = build(tmp_path, path).report
    assert read == ["a.lines/000001"]
    assert (report.added, report.updated, report.unchanged) == (1, 2, 0)
    build(tmp_path, path, rebuild=True)
    contents = []
    for name in sorted((tmp_path / "index" / "generations").iterdir()):
        contents.append(json.loads((name / "manifest.json").read_text("utf-8"))["files"])
    assert contents[-1] == contents[-2]  # as if all had been read


def test_a_changed_line_changes_one_document_and_a_vanished_one_is_removed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.lines", "甲区有企业3家。", "乙区有企业4家。", "丙区有5家。")
    build(tmp_path, path)
    write_lines(path, "甲区有企业3家。", "乙区有企业6家。")
    report = build(tmp_path, path).report
    assert (report.updated, report.removed, report.unchanged) == (1, 1, 1)
    assert held(tmp_path) == ["a.lines/000001", "a.lines/000002"]


def test_a_file_that_breaks_off_loses_no_document(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt.gz", "甲区有企业3家。", "乙区有企业4家。")
    build(tmp_path, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    summary = build(tmp_path, path)
    assert [skipped.path for skipped in summary.skipped] == [path]
    assert held(tmp_path) == ["a.txt.gz/000001", "a.txt.gz/000002"]


def test_known_documents_of_a_file_are_read_from_it_again(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.lines", "甲区有企业3家。", "乙区有企业4家。")
    other = write_lines(tmp_path / "b.txt", "丙区有企业5家。")
    build(tmp_path, path)
    report = build(tmp_path, other, known=True, rebuild=True).report
    assert (report.documents, report.added) == (3, 3)
    path.unlink()
    summary = build(tmp_path, other, known=True)
    assert (summary.report.removed, summary.skipped[0].path) == (2, path)


def test_a_folder_takes_files_of_both_kinds(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_lines(folder / "a.lines", "甲区有企业3家。")
    (folder / "b.txt").write_text("乙区有企业4家。", "utf-8")
    build(tmp_path, folder)
    assert held(tmp_path) == ["a.lines/000001", "b.txt"]
    (folder / "a.lines").unlink()
    assert build(tmp_path, folder).report.removed == 1
