"""Folders to sources, sources to articles."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import corpus.load
from corpus.load import SourceFile, article_from_bytes, discover, read_article
from errors import UnreadableDocumentError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`given/` with documents of several kinds, beside a file that was not given."""
    given = tmp_path / "given"
    (given / "b").mkdir(parents=True)
    (given / "z.txt").write_text("正文。", "utf-8")
    (given / "b" / "a.MD").write_text("# 标题", "utf-8")
    (given / "picture.png").write_bytes(b"\x89PNG")
    (given / ".hidden.txt").write_text("看不见", "utf-8")
    (tmp_path / "secret.txt").write_text("没有给出的文件", "utf-8")
    return given


def _reasons(paths: list[Path]) -> dict[str, str]:
    return {skip.path.name: skip.reason for skip in discover(paths)[1]}


def test_a_folder_is_walked_in_sorted_order_and_docs_are_relative_to_it(folder: Path) -> None:
    sources, _ = discover([folder])
    assert [source.doc for source in sources] == ["b/a.MD", "z.txt"]
    assert {source.root for source in sources} == {folder}


def test_an_unsupported_file_is_reported_and_a_hidden_one_is_not(folder: Path) -> None:
    reasons = _reasons([folder])
    assert set(reasons) == {"picture.png"}
    assert "不支持" in reasons["picture.png"]


def test_a_single_file_is_named_by_itself(folder: Path) -> None:
    file = folder / "b" / "a.MD"
    assert discover([file]) == ([SourceFile(file, "a.MD", file.parent)], [])


def test_a_missing_path_is_reported(tmp_path: Path) -> None:
    assert "不存在" in _reasons([tmp_path / "nowhere"])["nowhere"]


def test_links_out_of_the_folder_are_not_followed(folder: Path) -> None:
    (folder / "file_link.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "folder_link").symlink_to(folder.parent, target_is_directory=True)
    (folder / "broken.txt").symlink_to(folder / "gone.txt")
    sources, _ = discover([folder])
    reasons = _reasons([folder])
    assert [source.doc for source in sources] == ["b/a.MD", "z.txt"]
    assert "之外" in reasons["file_link.txt"]
    assert "之外" in reasons["folder_link"]
    assert "不存在" in reasons["broken.txt"]


def test_a_link_inside_the_folder_neither_loops_nor_is_lost(folder: Path) -> None:
    (folder / "b" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "copy.txt").symlink_to(folder / "z.txt")
    sources, _ = discover([folder])
    assert [source.doc for source in sources] == ["b/a.MD", "copy.txt", "z.txt"]


def test_links_that_lead_to_each_other_are_reported(folder: Path) -> None:
    (folder / "one.txt").symlink_to("other.txt")
    (folder / "other.txt").symlink_to("one.txt")
    assert "不存在" in _reasons([folder])["one.txt"]
    assert "不存在" in _reasons([folder / "one.txt"])["one.txt"]


def test_what_may_not_be_looked_at_is_reported_and_the_rest_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in a folder without the right to pass through it, say; root has every right."""
    is_dir = Path.is_dir

    def refused(path: Path) -> bool:
        if path.name == "b":
            raise PermissionError(errno.EACCES, "Permission denied")
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refused)
    sources, skipped = discover([folder, folder / "b"])
    assert [source.doc for source in sources] == ["z.txt"]
    unseen = [(skip.path.name, skip.reason) for skip in skipped if skip.unseen]
    assert unseen == [("b", "无法读取：没有权限")] * 2


def test_a_second_source_of_the_same_name_is_skipped_with_the_cure(
    folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "z.txt"
    other.parent.mkdir()
    other.write_text("另一篇。", "utf-8")
    sources, skipped = discover([folder, other])
    assert [source.doc for source in sources] == ["b/a.MD", "z.txt"]
    assert [skip.path for skip in skipped if "请改名" in skip.reason] == [other]


def test_the_same_file_given_twice_is_one_document_and_no_complaint(folder: Path) -> None:
    sources, skipped = discover([folder, folder / "z.txt"])
    assert len(sources) == 2
    assert [skip.path.name for skip in skipped] == ["picture.png"]


def test_an_article_keeps_its_original_and_the_hash_of_its_bytes(folder: Path) -> None:
    article = read_article(SourceFile(folder / "z.txt", "z.txt", folder))
    assert article.original == "正文。"
    # `printf 正文。 | sha256sum`
    assert article.sha256.startswith("074dee49c8e850bd")


@pytest.mark.parametrize("content", [b"", b" \r\n", b"\xef\xbb\xbf", b"\0\0\0"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "empty.txt"
    file.write_bytes(content)
    with pytest.raises(UnreadableDocumentError):
        read_article(SourceFile(file, "empty.txt", tmp_path))


def test_a_file_beyond_the_limit_is_refused_unread(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus.load, "MAX_FILE_BYTES", 5)
    with pytest.raises(UnreadableDocumentError) as caught:
        read_article(SourceFile(folder / "z.txt", "z.txt", folder))
    assert "请拆分" in caught.value.user_message


def test_a_file_that_vanished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDocumentError):
        read_article(SourceFile(tmp_path / "gone.txt", "gone.txt", tmp_path))


@pytest.mark.parametrize(
    ("doc", "title"),
    [("制度/考勤管理办法.txt", "考勤管理办法"), ("scan_0012.txt", None), ("附件1.txt", None)],
)
def test_a_file_name_is_the_title_only_where_it_reads_like_one(doc: str, title: str | None) -> None:
    article = article_from_bytes(doc, "员工应当按时上班，不得迟到。".encode(), 2025)
    assert article.title == title
