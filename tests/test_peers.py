"""Comparing our retrieval with that of others: one job for all, one row a system.

The others' libraries are not needed: small stand-ins take the places of LangChain and txtai where
their pieces or findings matter, and a real process is started for what cannot be installed here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from errors import TestSetError
from eval.case import Case, CaseSet
from eval.peers.__main__ import main
from eval.peers.compare import (
    DEPTH,
    askable,
    compare,
    comparison_table,
    holds_gold,
    in_process,
    record,
    scored,
    text_documents,
    write_documents,
)
from eval.peers.langchain_faiss import places_of
from eval.peers.ours import CommandError
from eval.peers.run_one import System, findings_or_reason
from eval.peers.system import Findings, Found, Job, Place, measure, own_peak_megabytes
from schema import Turn

BRIDGE = "大桥全长三千米。\n大桥由李明设计，\n2019年通车。"
LAKE = "湖面面积为四十二平方公里。湖中有两座小岛。"
TEXTS = {"桥.txt": BRIDGE, "湖.txt": LAKE}


def case(name: str, question: str, answer: str, doc: str, evidence: str, **more: Any) -> Case:
    return Case(
        id=name,
        question=question,
        type="extractive",
        answerable=True,
        answers=(answer,),
        evidence=((doc, evidence),),
        **more,
    )


DESIGNER = case("q1", "大桥是谁设计的？", "李明", "桥.txt", "大桥由李明设计，2019年通车。")
AREA = case("q2", "湖面有多大？", "四十二平方公里", "湖.txt", "湖面面积为四十二平方公里。")


def place(doc: str, piece: str) -> Place:
    start = TEXTS[doc].index(piece)
    return Place(doc, start, start + len(piece))


LENGTH_PIECE = place("桥.txt", "大桥全长三千米。")
DESIGN_PIECE = place("桥.txt", "大桥由李明设计，\n2019年通车。")
AREA_PIECE = place("湖.txt", "湖面面积为四十二平方公里。")
ISLANDS_PIECE = place("湖.txt", "湖中有两座小岛。")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for doc, text in TEXTS.items():
        (tmp_path / doc).write_bytes(text.encode())
    return tmp_path


def findings(*found: tuple[str, list[Place], float]) -> dict[str, Any]:
    by_question = {name: Found(tuple(places), spent) for name, places, spent in found}
    return Findings(by_question, build_seconds=2.5, peak_megabytes=300.0).record()


def test_evidence_that_spans_lines_is_found_in_the_file_as_it_stands() -> None:
    (asked,) = askable([DESIGNER], TEXTS)
    assert asked.evidence == (DESIGN_PIECE,)


def test_a_question_without_evidence_in_the_documents_is_not_compared() -> None:
    elsewhere = case("q3", "山有多高？", "八百米", "山.txt", "山高八百米。")
    unanswerable = Case("q4", "谁写的？", "unanswerable", answerable=False, answers=())
    assert askable([elsewhere, unanswerable], TEXTS) == []


def test_a_question_of_a_conversation_is_asked_so_that_it_stands_alone() -> None:
    history = (Turn("user", "大桥由谁设计？"), Turn("assistant", "李明。"))
    follow = case("q5", "哪年通车？", "2019年", "桥.txt", "2019年通车。", history=history)
    assert "大桥" in askable([follow], TEXTS)[0].text


def test_the_first_relevant_passage_at_rank_two_scores_one_half() -> None:
    (asked,) = askable([DESIGNER], TEXTS)
    got = scored(asked, Found((LENGTH_PIECE, DESIGN_PIECE), 1.0), TEXTS)
    assert (got["recall_at_1"], got["recall_at_3"], got["mrr"]) == (0.0, 1.0, 0.5)
    assert got["ndcg_at_10"] == pytest.approx(0.6309, abs=1e-4)  # 1 / log2(3)
    assert got["first_holds_gold"] == 0.0


def test_the_same_offsets_in_another_document_are_not_relevant() -> None:
    (asked,) = askable([DESIGNER], TEXTS)
    elsewhere = Place("湖.txt", DESIGN_PIECE.start, DESIGN_PIECE.end)
    assert scored(asked, Found((elsewhere,), 1.0), TEXTS)["mrr"] == 0.0


def test_a_passage_is_relevant_from_half_of_the_shorter_on() -> None:
    (asked,) = askable([AREA], TEXTS)  # 13 characters of evidence, from 0
    enough, short = Place("湖.txt", 6, 21), Place("湖.txt", 7, 21)
    assert scored(asked, Found((enough,), 1.0), TEXTS)["recall_at_1"] == 1.0
    assert scored(asked, Found((short,), 1.0), TEXTS)["recall_at_1"] == 0.0


def test_passages_beyond_the_tenth_do_not_count() -> None:
    (asked,) = askable([AREA], TEXTS)
    late = Found((*[LENGTH_PIECE] * DEPTH, AREA_PIECE), 1.0)
    assert scored(asked, late, TEXTS)["mrr"] == 0.0


def test_nothing_found_scores_nothing() -> None:
    (asked,) = askable([AREA], TEXTS)
    assert set(scored(asked, Found((), 1.0), TEXTS).values()) == {0.0}


@pytest.mark.parametrize(
    ("passage", "holds"),
    [
        pytest.param("共有苹果、\n梨和桃。", True, id="every item, white space apart"),
        pytest.param("共有苹果和梨。", False, id="an item is missing"),
    ],
)
def test_a_list_is_held_by_a_passage_with_every_item(passage: str, holds: bool) -> None:
    fruits = Case("f", "有哪些水果？", "list", True, (), items=("苹果", "梨", "桃"))
    assert holds_gold(passage, fruits) is holds


def test_every_system_gets_the_same_job(folder: Path) -> None:
    jobs: list[Job] = []

    def run(name: str, job: Job) -> dict[str, Any]:
        jobs.append(job)
        return findings(("q1", [DESIGN_PIECE], 3.0))

    compare(askable([DESIGNER], TEXTS), folder, ["wenju", "txtai"], Path("model"), run)
    assert jobs[0] == jobs[1]
    assert jobs[0].texts() == TEXTS
    assert jobs[0].questions == (("q1", "大桥是谁设计的？"),)


def test_a_row_holds_means_over_the_questions_and_the_difference_from_ours(folder: Path) -> None:
    results = {
        "wenju": findings(("q1", [DESIGN_PIECE], 4.0), ("q2", [AREA_PIECE], 8.0)),
        "txtai": findings(
            ("q1", [LENGTH_PIECE, DESIGN_PIECE], 10.0), ("q2", [ISLANDS_PIECE, AREA_PIECE], 30.0)
        ),
    }
    asked = askable([DESIGNER, AREA], TEXTS)
    ours, theirs = compare(
        asked, folder, ["wenju", "txtai"], Path("model"), lambda name, _: results[name]
    )
    assert ours.qualities is not None
    assert theirs.qualities is not None
    assert (ours.qualities["mrr"].value, theirs.qualities["mrr"].value) == (1.0, 0.5)
    assert theirs.mrr_change is not None
    assert theirs.mrr_change.value == theirs.mrr_change.low == theirs.mrr_change.high == -0.5
    assert ours.mrr_change is None
    assert (theirs.milliseconds_p50, theirs.milliseconds_p95) == (10.0, 30.0)
    assert theirs.passage_chars == 8.0  # 大桥全长三千米。 and 湖中有两座小岛。


def test_what_is_not_installed_is_told_and_its_row_left_out(folder: Path) -> None:
    results: Mapping[str, dict[str, Any]] = {
        "wenju": findings(("q1", [DESIGN_PIECE], 4.0)),
        "langchain-500": {"missing": "langchain_huggingface"},
        "txtai": {"failed": "磁盘已满"},
    }
    rows = compare(
        askable([DESIGNER], TEXTS), folder, list(results), Path("model"), lambda n, _: results[n]
    )
    table, _, below = comparison_table(rows).partition("\n\n")
    assert "未安装：langchain_huggingface" in below
    assert "未能运行：磁盘已满" in below
    assert len(table.splitlines()) == 3  # headings, rule, ours


def test_the_table_gives_each_mean_with_its_interval(folder: Path) -> None:
    rows = compare(
        askable([DESIGNER], TEXTS),
        folder,
        ["wenju"],
        Path("model"),
        lambda *_: findings(("q1", [DESIGN_PIECE], 4.2)),
    )
    table = comparison_table(rows)
    headings, _, ours = (line.split(" | ") for line in table.splitlines())
    assert len(headings) == len(ours)
    assert "1.000（1.000 至 1.000）" in ours
    assert ours[-2:] == ["4 / 4", "300 |"]


def test_the_record_tells_set_time_machine_and_what_was_left_out(folder: Path) -> None:
    rows = compare(
        askable([DESIGNER], TEXTS),
        folder,
        ["wenju"],
        Path("model"),
        lambda *_: findings(("q1", [DESIGN_PIECE], 4.2)),
    )
    kept = json.loads(record(rows, name="s", when="2026-01-01", asked=1, left_out=2))
    assert (kept["set"], kept["questions"], kept["left_out"]) == ("s", 1, 2)
    assert "cores" in kept["machine"]
    assert kept["rows"][0]["scores"]["mrr"] == [1.0]


def test_a_comparison_without_a_question_is_refused(folder: Path) -> None:
    with pytest.raises(TestSetError):
        compare([], folder, ["wenju"], Path("model"), lambda *_: {})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("甲.docx", b"PK", id="no text file"),
        pytest.param("甲.txt", "文".encode("gb18030"), id="no UTF-8"),
    ],
)
def test_documents_that_the_others_cannot_read_are_refused(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(TestSetError) as caught:
        text_documents(tmp_path)
    assert name in caught.value.user_message


def test_hidden_files_are_no_documents_and_line_ends_stay(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_bytes(b"\xff")
    (tmp_path / "甲.txt").write_bytes("一\r\n二".encode())
    assert text_documents(tmp_path) == {"甲.txt": "一\r\n二"}


def test_a_set_that_brings_its_documents_gets_them_as_files(tmp_path: Path) -> None:
    write_documents(CaseSet("s", (), documents=tuple(TEXTS.items())), tmp_path)
    assert text_documents(tmp_path) == TEXTS


def test_pieces_are_placed_in_order_and_may_overlap() -> None:
    text = "甲乙。甲乙。丙"
    places = places_of("d", text, ["甲乙。", "甲乙。丙", "。丙"])
    assert [(one.start, one.end) for one in places] == [(0, 3), (3, 7), (5, 7)]


def test_a_piece_that_is_no_slice_of_its_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="substring"):
        places_of("d", "甲乙", ["丙"])


class Recorder:
    """A peer that finds the same place every time."""

    def __init__(self) -> None:
        self.built: dict[str, str] = {}
        self.asked: list[tuple[str, int]] = []

    def build(self, texts: Mapping[str, str]) -> None:
        self.built = dict(texts)

    def search(self, question: str, depth: int) -> list[Place]:
        self.asked.append((question, depth))
        return [AREA_PIECE]


def job(folder: Path) -> Job:
    return Job(str(folder), tuple(TEXTS), (("q1", "甲？"), ("q2", "乙？")), 10, "model")


def test_a_peer_is_built_once_warmed_and_asked_each_question_on_the_clock(folder: Path) -> None:
    peer = Recorder()
    ticks = iter([0.0, 5.0, 10.0, 10.25, 20.0, 20.5])
    measured = measure(peer, job(folder), clock=lambda: next(ticks))
    assert peer.built == TEXTS
    assert peer.asked == [("甲？", 10), ("甲？", 10), ("乙？", 10)]
    assert measured.build_seconds == 5.0
    assert [one.milliseconds for one in measured.found.values()] == [250.0, 500.0]
    assert measured.peak_megabytes > 10


def test_the_peak_of_memory_counts_what_was_given_back() -> None:
    before = own_peak_megabytes()
    held = bytearray(int((before + 50) * 2**20))
    held[:: 2**12] = b"x" * len(held[:: 2**12])  # touch every page
    del held
    assert own_peak_megabytes() > before + 40


def test_job_and_findings_pass_between_processes_unchanged(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "job.json"
    job(folder).write(kept)
    assert Job.read(kept) == job(folder)
    whole = Findings({"q1": Found((AREA_PIECE,), 1.5)}, 2.0, 3.0)
    assert Findings.of(json.loads(json.dumps(whole.record()))) == whole


def failing(error: Exception) -> System:
    def run(job: Job) -> Findings:
        raise error

    return System("某", run)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModuleNotFoundError("No module named 'x'", name="x"), {"missing": "x"}),
        (ImportError('install "vectors" extra'), {"missing": 'install "vectors" extra'}),
        (CommandError("索引已损坏"), {"failed": "索引已损坏"}),
    ],
)
def test_why_a_system_did_not_run_is_told(
    folder: Path, error: Exception, told: dict[str, str]
) -> None:
    assert findings_or_reason(failing(error), job(folder)) == told


def test_a_python_with_nothing_installed_tells_what_is_missing(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bare = tmp_path_factory.mktemp("bare") / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', "utf-8")
    bare.chmod(0o755)
    run = in_process(str(bare))
    assert run("langchain-500", job(folder)) == {"missing": "langchain_community"}
    assert run("txtai", job(folder)) == {"missing": "txtai"}


def test_a_process_that_breaks_is_told_by_its_last_line(folder: Path) -> None:
    gone = Job(str(folder), ("fort.txt",), (), 10, "model")
    told = in_process(sys.executable)("langchain-500", gone)
    assert "fort.txt" in told["failed"]


def test_a_set_without_documents_needs_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "set.jsonl"
    row = {"id": "1", "question": "谁？", "type": "entity", "answerable": True, "answers": ["甲"]}
    path.write_text(json.dumps(row), "utf-8")
    assert main([str(path)]) == 1
    assert "--docs" in capsys.readouterr().err
