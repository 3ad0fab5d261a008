"""web.library: files come in whole or not at all, and builds are done by a child, one at a time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from assemble import build_index
from corpus.formats import SUFFIXES
from errors import (
    KeptDocumentError,
    LargeUploadError,
    RefusedUploadError,
    SameNameError,
    UnknownDocumentError,
)
from index.generation import CURRENT, Generation
from index.lock import LOCK_FILE
from schema import DocumentSummary
from settings import Settings
from web.library import BuildState, Library

ROOT = Path(__file__).resolve().parent.parent
REAL_BUILD = (sys.executable, str(ROOT / "app.py"), "build")
SUMMARY = {
    "index_version": "000002-00000000",
    **dict.fromkeys(("added", "updated", "removed", "documents"), 1),
    "seconds": 0.5,
    "skipped": [],
}
# Notes how it was called, waits for a file named "go", then does what the test says.
BUILDER = """
import json, os, pathlib, sys, time
folder = pathlib.Path(__file__).parent
with (folder / "calls").open("a") as calls:
    print(json.dumps({{"arguments": sys.argv[1:], "pid": os.getpid()}}), file=calls)
{before}
while not (folder / "go").exists():
    time.sleep(0.01)
{after}
"""


class FakeIndex:
    """Holds documents and their folders."""

    def __init__(self, **folders: str) -> None:
        self.folders = {f"{name}.txt": folder for name, folder in folders.items()}
        self.index_version = "000001-00000000"

    def documents(self) -> list[DocumentSummary]:
        return [DocumentSummary(doc, None, None, 10, 1) for doc in sorted(self.folders)]

    def origins(self) -> Mapping[str, str]:
        return self.folders


class RealIndex:
    """Whatever the index folder holds now."""

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir

    @property
    def index_version(self) -> str:
        pointer = self._index_dir / CURRENT
        return pointer.read_text() if pointer.exists() else ""

    def documents(self) -> list[DocumentSummary]:
        if not self.index_version:
            return []
        with Generation.open(self._index_dir) as generation:
            return generation.table.documents()

    def origins(self) -> Mapping[str, str]:
        if not self.index_version:
            return {}
        with Generation.open(self._index_dir) as generation:
            return {item.doc: item.root for item in generation.table.stored_documents()}


class Builder:
    """A build command that the test leads."""

    def __init__(self, folder: Path, *, before: str = "", after: str = "") -> None:
        self._folder = folder
        folder.mkdir()
        after = after or f"print({json.dumps(json.dumps(SUMMARY))})"
        (folder / "build.py").write_text(BUILDER.format(before=before, after=after))
        self.command = (sys.executable, str(folder / "build.py"))

    def go(self) -> None:
        (self._folder / "go").touch()

    def calls(self) -> list[list[str]]:
        return [call["arguments"] for call in self._calls()]

    def pid(self) -> int:
        """Of the first child."""
        wait_until(lambda: len(self.calls()) > 0)
        pid: int = self._calls()[0]["pid"]
        return pid

    def _calls(self) -> list[dict[str, Any]]:
        path = self._folder / "calls"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]


def make(tmp_path: Path, builder: Builder | None = None, index: FakeIndex | None = None) -> Library:
    return Library(
        tmp_path / "uploads",
        tmp_path / "index",
        builder.command if builder else REAL_BUILD,
        index or RealIndex(tmp_path / "index"),
        suffixes=SUFFIXES,
        max_file_bytes=1000,
    )


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Not entered: nothing is built."""
    return make(tmp_path, index=FakeIndex())


@pytest.fixture
def building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """With the real build command and an index of its own."""
    # Of low priority, it would wait until no other test wants the processor.
    monkeypatch.setattr("web.library._NICENESS", 0)
    with make(tmp_path) as library:
        yield library


def put(library: Library, name: str, text: str, *, replacing: bool = False) -> None:
    with library.receive(library.clean_name(name), replacing=replacing) as upload:
        upload.write(text.encode())


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.01)


def ended(library: Library) -> BuildState:
    """The state when everything that was asked for is done."""
    wait_until(lambda: library.state.phase not in ("idle", "running") and not library.state.queued)
    return library.state


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("年报.txt", "年报.txt", id="as it is"),
        pytest.param("../../etc/年报.txt", "年报.txt", id="upwards"),
        pytest.param("C:\\文档\\年报.txt", "年报.txt", id="Windows path"),
        pytest.param("/etc/cron.d/a.md", "a.md", id="absolute"),
        pytest.param("...年报.txt", "年报.txt", id="leading dots"),
        pytest.param(".upload-x.txt", "upload-x.txt", id="hidden"),
        pytest.param("年\x00报\n\t.txt", "年报.txt", id="control characters"),
        pytest.param("年\u202etxt.报.txt", "年txt.报.txt", id="turned direction"),
        pytest.param("  年  报 .txt", "年 报 .txt", id="spaces"),
        pytest.param("e\u0301.txt", "\u00e9.txt", id="composed"),
        pytest.param("<img src=x>:a|b?*.html", "_img src=x__a_b__.html", id="not for Windows"),
        pytest.param("报告.PDF", "报告.PDF", id="upper case"),
    ],
)
def test_a_name_is_cleaned(library: Library, given: str, kept: str) -> None:
    assert library.clean_name(given) == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param("", "不能用", id="empty"),
        pytest.param("..", "不能用", id="dots"),
        pytest.param("文件夹/", "不能用", id="folder"),
        pytest.param("con.txt", "不能用", id="reserved"),
        pytest.param("LPT1.tar.txt", "不能用", id="reserved with two suffixes"),
        pytest.param(".txt", "不支持", id="suffix only"),
        pytest.param("年报.exe", "不支持", id="program"),
        pytest.param("年报.txt.exe", "不支持", id="program in disguise"),
        pytest.param("年报", "不支持", id="no suffix"),
        pytest.param("a" * 117 + ".txt", "太长", id="121 characters"),
        pytest.param("年" * 80 + ".txt", "太长", id="244 bytes"),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused(library: Library, given: str, said: str) -> None:
    with pytest.raises(RefusedUploadError) as caught:
        library.clean_name(given)
    assert said in caught.value.user_message


# --- uploads -------------------------------------------------------------------------------------


def test_an_upload_appears_when_it_is_whole(library: Library) -> None:
    with library.receive("年报.txt", replacing=False) as upload:
        upload.write("第一".encode())
        assert library.documents() == []
        upload.write("部分".encode())
    assert (library.folder / "年报.txt").read_text("utf-8") == "第一部分"
    assert [(row.doc, row.status) for row in library.documents()] == [("年报.txt", "waiting")]


def test_an_upload_that_breaks_off_leaves_nothing(library: Library) -> None:
    with (
        pytest.raises(ConnectionError),
        library.receive("年报.txt", replacing=False) as upload,
    ):
        upload.write(b"half")
        raise ConnectionError
    assert files_in(library.folder) == []


def test_an_empty_upload_is_refused_and_leaves_nothing(library: Library) -> None:
    with pytest.raises(RefusedUploadError, match="empty"):
        put(library, "空.txt", "")
    assert files_in(library.folder) == []


def test_an_upload_that_is_too_large_is_refused_and_leaves_nothing(library: Library) -> None:
    put(library, "正好.txt", "x" * 1000)
    with pytest.raises(LargeUploadError):
        put(library, "太大.txt", "x" * 1001)
    assert files_in(library.folder) == ["正好.txt"]


def test_a_file_is_replaced_only_where_that_was_said(library: Library) -> None:
    put(library, "年报.txt", "旧")
    with pytest.raises(SameNameError):
        put(library, "年报.txt", "新")
    assert (library.folder / "年报.txt").read_text("utf-8") == "旧"
    put(library, "年报.txt", "新", replacing=True)
    assert (library.folder / "年报.txt").read_text("utf-8") == "新"
    assert files_in(library.folder) == ["年报.txt"]


def test_of_two_uploads_of_one_name_at_once_the_second_to_end_is_refused(library: Library) -> None:
    with pytest.raises(SameNameError), library.receive("年报.txt", replacing=False) as slow:
        slow.write(b"slow")
        put(library, "年报.txt", "quick")
    assert (library.folder / "年报.txt").read_text("utf-8") == "quick"


def test_the_name_of_a_document_from_elsewhere_is_taken(tmp_path: Path) -> None:
    library = make(tmp_path, index=FakeIndex(年报="/srv/docs"))
    with pytest.raises(RefusedUploadError) as caught:
        put(library, "年报.txt", "另一份", replacing=True)
    assert "/srv/docs" in caught.value.user_message


def test_what_a_crash_left_behind_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / ".upload-abc").write_bytes(b"half")
    with make(tmp_path, Builder(tmp_path / "builder"), FakeIndex()):
        assert files_in(tmp_path / "uploads") == []


# --- removing ------------------------------------------------------------------------------------


def test_a_document_from_a_folder_of_the_server_is_not_removed_from_here(tmp_path: Path) -> None:
    library = make(tmp_path, index=FakeIndex(甲="/srv/docs", 乙="/srv/docs"))
    with pytest.raises(KeptDocumentError) as caught:
        library.remove("甲.txt")
    assert "wenju build /srv/docs" in caught.value.user_message


@pytest.mark.parametrize(
    "doc", ["没有.txt", "../secret.txt", "..", "", "/etc/passwd", "a\x00.txt", "uploads/../x.txt"]
)
def test_only_what_is_on_the_list_is_removed(library: Library, tmp_path: Path, doc: str) -> None:
    (tmp_path / "secret.txt").write_text("kept")
    put(library, "年报.txt", "内容")
    with pytest.raises(UnknownDocumentError):
        library.remove(doc)
    assert files_in(tmp_path) == ["secret.txt", "uploads"]
    assert files_in(library.folder) == ["年报.txt"]


def test_a_document_below_a_folder_of_the_uploads_is_not_removed_from_here(tmp_path: Path) -> None:
    index = FakeIndex(甲="/srv/docs")
    index.folders["下级/乙.txt"] = str((tmp_path / "uploads").resolve())
    with pytest.raises(KeptDocumentError):
        make(tmp_path, index=index).remove("下级/乙.txt")


def test_the_last_document_stays(tmp_path: Path) -> None:
    library = make(tmp_path, index=FakeIndex(甲=str((tmp_path / "uploads").resolve())))
    put(library, "甲.txt", "内容", replacing=True)
    with pytest.raises(KeptDocumentError) as caught:
        library.remove("甲.txt")
    assert "最后一篇" in caught.value.user_message
    put(library, "乙.txt", "内容")
    library.remove("甲.txt")
    assert [(row.doc, row.status) for row in library.documents()] == [
        ("乙.txt", "waiting"),
        ("甲.txt", "leaving"),
    ]


# --- builds --------------------------------------------------------------------------------------


def test_one_build_at_a_time_and_what_waits_is_merged(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "builder")
    with make(tmp_path, builder, FakeIndex()) as library:
        library.update()
        wait_until(lambda: len(builder.calls()) == 1)
        for _ in range(3):
            library.update()
        library.rebuild()
        library.update()
        assert library.state.queued
        assert len(builder.calls()) == 1
        builder.go()
        assert ended(library).phase == "finished"
    first, second = builder.calls()
    assert first[:1] == second[:1] == [str(library.folder)]
    assert "--rebuild" not in first
    assert {"--rebuild", "--known"} <= set(second)


def test_the_state_tells_how_far_a_build_is(tmp_path: Path) -> None:
    before = 'print(\'{"stage": "read", "done": 3, "total": 10}\', file=sys.stderr, flush=True)'
    builder = Builder(tmp_path / "builder", before=before)
    with make(tmp_path, builder, FakeIndex()) as library:
        library.update()
        wait_until(lambda: library.state.total == 10)
        state = library.state
        assert (state.phase, state.job, state.done) == ("running", "update", 3)
        assert state.message == "正在读取文件：3/10 个"
        builder.go()
        state = ended(library)
    assert state.message.startswith("收录完成：新增 1 篇")
    assert state.version == "000002-00000000"


@pytest.mark.skipif(os.name != "posix", reason="priorities are of POSIX")
def test_a_build_gives_way_to_those_who_ask(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "builder")
    with make(tmp_path, builder, FakeIndex()) as library:
        library.update()
        pid = builder.pid()
        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, pid) >= 10)
        builder.go()
        ended(library)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param(
            "print('磁盘已满，索引保持原样。', file=sys.stderr); sys.exit(1)",
            "磁盘已满，索引保持原样。",
            id="foreseen",
        ),
        pytest.param("raise RuntimeError('secret')", "建库程序出错（代码 1）", id="bug"),
        pytest.param("os.kill(os.getpid(), 9)", "被中断（信号 9）", id="killed"),
        pytest.param("print('no JSON')", "建库程序出错", id="nonsense"),
    ],
)
def test_a_build_that_fails_says_why_and_the_next_one_is_done(
    tmp_path: Path, after: str, said: str
) -> None:
    builder = Builder(tmp_path / "builder", after=after)
    builder.go()
    with make(tmp_path, builder, FakeIndex()) as library:
        library.update()
        state = ended(library)
        assert state.phase == "failed"
        assert said in state.message
        assert "secret" not in state.message
        library.update()
        wait_until(lambda: len(builder.calls()) == 2)


def test_a_build_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    with Library(
        tmp_path / "uploads",
        tmp_path / "index",
        [str(tmp_path / "no such program")],
        FakeIndex(),
        suffixes=SUFFIXES,
    ) as library:
        library.update()
        assert ended(library).message == "无法开始建库：路径不存在。"


def test_leaving_stops_a_build_at_once(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "builder")
    with make(tmp_path, builder, FakeIndex()) as library:
        library.update()
        pid = builder.pid()
        began = time.monotonic()
    assert time.monotonic() - began < 2
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_was_uploaded_before_a_restart_is_built_after_it(tmp_path: Path) -> None:
    put(make(tmp_path, index=FakeIndex()), "年报.txt", "内容")
    builder = Builder(tmp_path / "builder")
    with make(tmp_path, builder, FakeIndex()):
        wait_until(lambda: len(builder.calls()) == 1)


# --- with the real build command -----------------------------------------------------------------


def status_of(library: Library) -> dict[str, str]:
    return {row.doc: row.status for row in library.documents()}


def test_documents_come_change_and_go(building: Library) -> None:
    put(building, "甲.txt", "甲园区共有企业392家。")
    put(building, "乙.txt", "乙园区共有企业25家。")
    (building.folder / "坏.txt").write_bytes(bytes(range(256)) * 3)
    building.update()
    assert ended(building).phase == "finished"
    assert status_of(building) == {"甲.txt": "indexed", "乙.txt": "indexed", "坏.txt": "unreadable"}
    reasons = {row.doc: row.reason for row in building.documents()}
    assert "不是文本" in reasons["坏.txt"]

    put(building, "甲.txt", "甲园区共有企业400家。", replacing=True)
    building.remove("乙.txt")
    building.remove("坏.txt")
    assert status_of(building) == {"甲.txt": "changed", "乙.txt": "leaving"}
    building.update()
    state = ended(building)
    assert "更新 1 篇，移除 1 篇，跳过 0 个" in state.message
    assert status_of(building) == {"甲.txt": "indexed"}


def test_the_last_upload_may_go_where_other_documents_are(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "丙.txt").write_text("丙园区共有企业7家。", "utf-8")
    build_index(replace(Settings(), index_dir=str(tmp_path / "index")), [source])
    with make(tmp_path) as library:
        put(library, "甲.txt", "甲园区共有企业392家。")
        library.update()
        ended(library)
        library.remove("甲.txt")
        library.update()
        assert ended(library).phase == "finished"
        assert status_of(library) == {"丙.txt": "indexed"}

        (source / "私.txt").write_text("没有给过 build 的文件。", "utf-8")
        library.rebuild()
        assert ended(library).phase == "finished"
        assert status_of(library) == {"丙.txt": "indexed"}

        pointer = (tmp_path / "index" / CURRENT).read_bytes()
        source.rename(tmp_path / "moved")
        library.rebuild()
        state = ended(library)
        assert state.phase == "failed"
        assert str(source) in state.message
        assert (tmp_path / "index" / CURRENT).read_bytes() == pointer


def test_a_build_on_the_terminal_is_said(building: Library, tmp_path: Path) -> None:
    put(building, "甲.txt", "甲园区共有企业392家。")
    (tmp_path / "index").mkdir()
    with FileLock(tmp_path / "index" / LOCK_FILE):
        building.update()
        state = ended(building)
    assert state.phase == "failed"
    assert "另一个建库任务" in state.message
    assert status_of(building) == {"甲.txt": "waiting"}


def test_a_build_that_is_stopped_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    with make(tmp_path) as library:
        put(library, "甲.txt", "甲园区共有企业392家。")
        library.update()
        ended(library)
        pointer = (tmp_path / "index" / CURRENT).read_bytes()
        put(library, "乙.txt", "乙园区共有企业25家。")
        library.rebuild()
        wait_until(lambda: library.state.total > 0)
    assert (tmp_path / "index" / CURRENT).read_bytes() == pointer
    assert set(RealIndex(tmp_path / "index").origins()) == {"甲.txt"}
