"""`wenju build` as another program runs it, and over what an index knows already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import app
from assemble import build_index
from settings import Settings
from tests.commands import Finished, wenju, wenju_process


def build(*arguments: object) -> Finished:
    return wenju("build", *arguments)


def summary(*arguments: object) -> dict[str, Any]:
    result = build(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    record: dict[str, Any] = json.loads(result.stdout)
    return record


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "甲.txt").write_text("甲园区共有企业392家。", "utf-8")
    (folder / "乙.txt").write_text("乙园区共有企业25家。", "utf-8")
    return folder


def test_the_summary_is_one_json_document(source: Path, tmp_path: Path) -> None:
    (source / "空.txt").write_bytes(b"")
    record = summary(source, "--index", tmp_path / "index")
    assert (record["added"], record["documents"]) == (2, 2)
    assert record["index_version"].startswith("000001-")
    assert record["skipped"] == [{"path": str(source / "空.txt"), "reason": "文件是空的"}]


def test_a_file_name_with_a_line_feed_is_refused_in_one_line(source: Path, tmp_path: Path) -> None:
    (source / "甲\n乙.txt").write_text("丙园区共有企业7家。", "utf-8")
    result = build(source, "--index", tmp_path / "index")
    assert "新增 2 篇" in result.stdout
    assert result.stderr.splitlines() == [
        f"跳过 {source}/甲�乙.txt：文件名里有换行之类的控制字符，请改名"
    ]


def test_progress_is_a_json_object_a_line(source: Path, tmp_path: Path) -> None:
    (source / "空.txt").write_bytes(b"")
    index = tmp_path / "index"
    result = wenju_process("build", source, "--index", index, "--progress", "json")
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert {"skipped": str(source / "空.txt"), "reason": "文件是空的"} in events
    counts = [{key: event.get(key) for key in ("stage", "done", "total")} for event in events]
    assert {"stage": "read", "done": 3, "total": 3} in counts
    assert counts[-1] == {"stage": "embed", "done": 2, "total": 2}
    assert events[-1]["per_second"] > 0
    assert events[-1]["seconds_left"] == 0


def test_a_build_that_goes_on_from_an_older_version_says_so(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(Settings(), index_dir=str(tmp_path / "index"))
    older = build_index(settings, [source]).report.version
    (source / "丙.txt").write_text("丙园区共有企业7家。", "utf-8")
    newer = build_index(settings, [source]).report.version
    (tmp_path / "index" / "generations" / newer / "terms.json").write_text("[")
    assert app.main(["build", str(source), "--index", settings.index_dir]) == 0
    said = capsys.readouterr()
    assert "新增 1 篇" in said.out
    assert f"目前改用上一个完好的版本 {older}。这次从它接着建。" in said.err


def test_a_failure_is_still_one_chinese_line(tmp_path: Path) -> None:
    none, index = tmp_path / "none", tmp_path / "index"
    result = wenju_process("build", none, "--index", index, "--progress", "json")
    assert result.returncode == 1
    assert "没有找到可以读取的文档" in result.stderr.splitlines()[-1]


def test_an_emptied_folder_is_taken_for_a_mistake_unless_told(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "丙.txt").write_text("丙园区共有企业7家。", "utf-8")
    index = tmp_path / "index"
    summary(source, other, "--index", index)
    for path in source.iterdir():
        path.unlink()
    assert build(source, "--index", index).returncode == 1
    record = summary(source, "--prune", "--index", index)
    assert (record["removed"], record["documents"]) == (2, 1)


def test_a_folder_that_cannot_be_opened_for_once_loses_no_document(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = source / "below"
    below.mkdir()
    (below / "丙.txt").write_text("丙园区共有企业7家。", "utf-8")
    settings = replace(Settings(), index_dir=str(tmp_path / "index"))
    assert build_index(settings, [source]).report.documents == 3
    (source / "乙.txt").unlink()
    iterdir = Path.iterdir

    def refused(path: Path) -> Iterator[Path]:
        if path == below:
            raise PermissionError
        return iterdir(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refused)
        built = build_index(settings, [source])
    assert (built.report.documents, built.report.removed) == (2, 1)
    assert [file.path for file in built.skipped] == [below]
    (below / "丙.txt").unlink()
    assert build_index(settings, [source]).report.removed == 1


def test_what_is_known_is_read_again_and_nothing_else(source: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    summary(source / "甲.txt", "--index", index)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "丁.txt").write_text("丁园区共有企业9家。", "utf-8")
    record = summary(tmp_path / "new", "--known", "--rebuild", "--index", index)
    assert (record["added"], record["documents"]) == (2, 2)  # 甲 and 丁, not 乙


def test_a_known_file_that_is_gone_is_told(source: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    summary(source / "甲.txt", source / "乙.txt", "--index", index)
    (source / "乙.txt").unlink()
    (tmp_path / "empty").mkdir()
    record = summary(tmp_path / "empty", "--known", "--index", index)
    assert record["documents"] == 1
    assert {"path": str(source / "乙.txt"), "reason": "文件已不在原处，不再收录"} in record[
        "skipped"
    ]


def test_a_known_folder_that_is_gone_stops_the_build(source: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    summary(source, "--index", index)
    pointer = (index / "CURRENT").read_bytes()
    source.rename(tmp_path / "moved")
    (tmp_path / "丁.txt").write_text("丁园区共有企业9家。", "utf-8")
    result = build(tmp_path / "丁.txt", "--known", "--rebuild", "--index", index)
    assert result.returncode == 1
    assert f"收录过的文件夹 {source} 不在了（其中 2 篇文档）" in result.stderr
    assert (index / "CURRENT").read_bytes() == pointer
