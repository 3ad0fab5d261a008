"""The eval command as an office worker, an editor and a developer use it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import app
import eval.gate
from assemble import build_index
from settings import SEED_ARTICLES, Settings

DOC = "004_43073762742753e7.txt"
ROWS = [
    {
        "id": "1",
        "question": "三一科学城总投资多少亿元？",
        "type": "number",
        "answerable": True,
        "answers": ["180亿元"],
        "evidence": [{"doc": DOC, "text": "总投资180亿元"}],
    },
    {
        "id": "2",
        "question": "火星基地什么时候建成？",
        "type": "unanswerable",
        "answerable": False,
        "answers": [],
        "evidence": [],
        "note": "easy: 别的话题",
    },
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = str(tmp_path_factory.mktemp("eval") / "index")
    build_index(replace(Settings(), index_dir=folder), [SEED_ARTICLES])
    yield folder


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), "utf-8")
    return path


Capture = pytest.CaptureFixture[str]


def test_a_set_is_scored_with_its_figures_and_intervals(
    index: str, lines: Path, capsys: Capture
) -> None:
    assert app.main(["eval", str(lines), "--index", index]) == 0
    printed = capsys.readouterr().out
    assert "100.0%" in printed
    assert "95% 区间" in printed


def test_json_is_one_document_with_every_question(index: str, lines: Path, capsys: Capture) -> None:
    assert app.main(["eval", str(lines), "--index", index, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in document["outcomes"]] == ["1", "2"]
    assert document["index_version"]


def test_the_same_run_twice_gives_the_same_figures_times_apart(
    index: str, lines: Path, capsys: Capture
) -> None:
    runs = []
    for _ in range(2):
        app.main(["eval", str(lines), "--index", index, "--json"])
        document = json.loads(capsys.readouterr().out)
        overall = document["figures"]["overall"]
        runs.append([one for one in overall if one["unit"] != "milliseconds"])
    assert runs[0] == runs[1]


def test_a_bad_row_of_an_office_table_is_named_and_the_rest_is_scored(
    index: str, tmp_path: Path, capsys: Capture
) -> None:
    table = tmp_path / "题.csv"
    table.write_text(
        f"问题,答案,出处\n三一科学城总投资多少？,180亿元,{DOC}：总投资180亿元\n,180亿元,{DOC}\n",
        "gb18030",
    )
    assert app.main(["eval", str(table), "--index", index]) == 0
    captured = capsys.readouterr()
    assert "第 3 行" in captured.err
    assert "1/1" in captured.out


def test_a_squad_file_is_asked_of_its_own_paragraphs(tmp_path: Path, capsys: Capture) -> None:
    context = "甲湖长12公里。乙湖长30公里，湖上有三座岛，最大的叫青屿。"
    answers = [{"text": "青屿", "answer_start": context.index("青屿")}]
    qas = [{"id": "q", "question": "乙湖最大的岛叫什么？", "answers": answers}]
    data = {"data": [{"title": "湖", "paragraphs": [{"context": context, "qas": qas}]}]}
    path = tmp_path / "lake_dev.json.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False)
    assert app.main(["eval", str(path), "--index", str(tmp_path / "unused"), "--json"]) == 0
    (outcome,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert outcome["right"]
    assert not (tmp_path / "unused").exists()


def test_a_report_is_written_and_the_next_one_compares_with_it(
    index: str, lines: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "report"
    command = ["eval", str(lines), "--index", index, "--report", str(folder)]
    assert app.main(command) == 0
    assert "上一次" not in (folder / "report.html").read_text("utf-8").split("<script")[0]
    assert json.loads((folder / "report.json").read_text("utf-8"))["set"] == "mine.jsonl"
    assert app.main(command) == 0
    assert (folder / "report.html").is_file()
    assert str(folder) in capsys.readouterr().err


def test_the_gate_passes_on_the_recorded_run_and_fails_on_another_set(
    index: str, lines: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval.gate, "RECORDS", tmp_path)
    command = ["eval", str(lines), "--index", index]
    assert app.main([*command, "--gate"]) == 1
    assert "没有可比较的记录" in capsys.readouterr().err
    assert app.main([*command, "--record"]) == 0
    assert app.main([*command, "--gate"]) == 0
    assert "通过" in capsys.readouterr().err
    lines.write_text(lines.read_text("utf-8").replace("180亿元", "190亿元"), "utf-8")
    assert app.main([*command, "--gate"]) == 1
    assert "未通过" in capsys.readouterr().err


def test_a_draft_is_made_from_documents_and_can_be_scored(
    index: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "草稿.xlsx"
    made = ["eval", "new", "--from", str(SEED_ARTICLES), "--out", str(out), "--questions", "6"]
    assert app.main(made) == 0
    assert "6 题" in capsys.readouterr().out
    assert app.main(["eval", str(out), "--index", index]) == 0
    assert "草稿" in capsys.readouterr().err


def test_distractors_are_put_beside_the_documents(
    lines: Path, tmp_path: Path, capsys: Capture
) -> None:
    news = tmp_path / "news.txt"
    news.write_text("乙城新桥通车，全长2公里。\n丙城地铁开工，投资90亿元。\n", "utf-8")
    assert app.main(["eval", str(lines), "--distractors", str(news), "--most", "2", "--json"]) == 0
    trials = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in trials] == ["0", "2"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new"], "--from"),
        (["a.jsonl", "--out", "b.jsonl"], "eval new"),
        (["a.jsonl", "--compare", "--gate"], "不能同用"),
        (["a.jsonl", "--embedder", "x"], "--compare"),
    ],
)
def test_options_that_do_not_go_together_are_said(
    arguments: list[str], said: str, capsys: Capture
) -> None:
    with pytest.raises(SystemExit) as left:
        app.main(["eval", *arguments])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_a_set_that_is_not_there_is_one_line(capsys: Capture) -> None:
    assert app.main(["eval", "不存在.jsonl"]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
