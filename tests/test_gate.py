"""A run held against the committed record: what fails, what passes, what is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from errors import TestSetError
from eval.case import Case
from eval.figures import figures_of
from eval.gate import GateResult, Record, compare, make_record, read_record, record_path, set_sha256
from eval.outcome import Outcome, score
from eval.run import run
from qa.chatbot import Chatbot

SANY = "004_43073762742753e7.txt"
INVESTED = Case(
    "n-00",
    "三一科学城总投资多少亿元？",
    "number",
    True,
    ("180亿元",),
    evidence=((SANY, "总投资180亿元"),),
)
MOON = Case("u-00", "月球背面的平均温度是多少？", "unanswerable", False, ())


@pytest.fixture(scope="module")
def outcomes(seed_chatbot: Chatbot) -> list[Outcome]:
    """Twelve questions with an answer and eight without, all as they should be."""
    right, refused = run(seed_chatbot, [INVESTED, MOON])
    assert (right.right, right.some_cited, refused.right) == (True, True, True)
    return [
        *(replace(right, id=f"n-{number:02}", question=f"第{number}问") for number in range(12)),
        *(replace(refused, id=f"u-{number:02}", question=f"无{number}问") for number in range(8)),
    ]


@pytest.fixture
def test_set(tmp_path: Path) -> Path:
    path = tmp_path / "parks_open.jsonl"
    path.write_text("twenty questions", "utf-8")
    return path


def record_of(path: Path, outcomes: list[Outcome]) -> Record:
    return make_record(
        path,
        index_version="000001-0a1b2c3d",
        code_version="0.1.0",
        when="2026-11-25T02:00:00+00:00",
        figures=figures_of(outcomes),
        outcomes=outcomes,
    )


def held(path: Path, before: list[Outcome], after: list[Outcome]) -> GateResult:
    return compare(record_of(path, before), after, set_sha256(path))


def wrong(outcomes: list[Outcome], count: int) -> list[Outcome]:
    return [*(replace(one, right=False) for one in outcomes[:count]), *outcomes[count:]]


def test_the_same_run_passes_and_names_no_question(test_set: Path, outcomes: list[Outcome]) -> None:
    result = held(test_set, outcomes, outcomes)
    assert result.passed
    assert result.text().startswith("通过")
    assert "n-0" not in result.text()


def test_six_newly_wrong_fail(test_set: Path, outcomes: list[Outcome]) -> None:
    # All six changes in one direction: 2 / 2^6 = 0.031.
    result = held(test_set, outcomes, wrong(outcomes, 6))
    assert not result.passed
    assert "答对显著变差" in result.text()
    assert "p = 0.031" in result.text()


def test_five_newly_wrong_pass_but_are_named(test_set: Path, outcomes: list[Outcome]) -> None:
    # 2 / 2^5 = 0.0625.
    result = held(test_set, outcomes, wrong(outcomes, 5))
    assert result.passed
    for number in range(5):
        assert f"新答错 n-0{number}：第{number}问" in result.text()


def test_what_is_newly_right_makes_up_for_what_is_newly_wrong(
    test_set: Path, outcomes: list[Outcome]
) -> None:
    # Six of seven changes in one direction: 2 * (1 + 7) / 2^7 = 0.125.
    before = [*outcomes[:-1], replace(outcomes[-1], right=False)]
    result = held(test_set, before, wrong(outcomes, 6))
    assert result.passed
    assert f"新答对 {outcomes[-1].id}" in result.text()


def test_getting_better_never_fails(test_set: Path, outcomes: list[Outcome]) -> None:
    assert held(test_set, wrong(outcomes, 12), outcomes).passed


def test_citations_off_the_evidence_fail_though_the_answers_stay_right(
    test_set: Path, outcomes: list[Outcome]
) -> None:
    astray = [replace(one, citations=()) for one in outcomes]
    result = held(test_set, outcomes, astray)
    assert not result.passed
    assert "有引用落在证据上显著变差" in result.text()
    assert "新引偏 n-00" in result.text()


def test_answering_what_has_no_answer_fails_though_as_many_are_right(
    test_set: Path, outcomes: list[Outcome]
) -> None:
    before = wrong(outcomes, 8)
    after = [replace(one, refused=one.answerable and one.refused) for one in before]
    result = held(test_set, before, after)
    assert "未通过" in result.text()
    assert "不可回答的题已拒答显著变差" in result.text()
    assert "新漏拒 u-00" in result.text()


def test_refusing_what_has_an_answer_is_no_gain_in_refusals(
    test_set: Path, outcomes: list[Outcome]
) -> None:
    refusing = [replace(one, refused=True) for one in outcomes]
    assert "新拒对 n-" not in held(test_set, outcomes, refusing).text()


def test_a_set_with_other_questions_fails_and_tells_them(
    test_set: Path, outcomes: list[Outcome]
) -> None:
    other = [*outcomes[1:], replace(outcomes[0], id="n-99")]
    result = held(test_set, outcomes, other)
    assert not result.passed
    assert (result.added, result.missing) == (("n-99",), ("n-00",))
    assert "没有的题 1 道：n-99" in result.text()
    assert "这次没有的题 1 道：n-00" in result.text()


def test_a_set_whose_file_has_changed_fails_though_its_questions_keep_their_names(
    test_set: Path, outcomes: list[Outcome]
) -> None:
    record = record_of(test_set, outcomes)
    test_set.write_text("twenty easier questions", "utf-8")
    result = compare(record, outcomes, set_sha256(test_set))
    assert not result.passed
    assert "内容改过" in result.text()


def test_a_long_list_of_questions_is_cut_and_counted(
    test_set: Path, outcomes: list[Outcome]
) -> None:
    many = [replace(outcomes[0], id=f"m-{number:03}") for number in range(100)]
    text = held(test_set, many, wrong(many, 100)).text()
    assert "新答错 m-029" in text
    assert "新答错 m-030" not in text
    assert "新答错的另有 70 题" in text


def test_a_record_is_read_as_it_was_written(test_set: Path, outcomes: list[Outcome]) -> None:
    record = record_of(test_set, outcomes)
    path = test_set.with_suffix(".json")
    path.write_text(record.to_json(), "utf-8")
    assert read_record(path) == record


def test_a_record_has_a_line_for_each_question(test_set: Path, outcomes: list[Outcome]) -> None:
    lines = record_of(test_set, outcomes).to_json().splitlines()
    assert sum('"refused":' in line for line in lines) == len(outcomes)


def test_a_record_holds_no_times(test_set: Path, outcomes: list[Outcome]) -> None:
    slow = [replace(one, milliseconds=9000.0) for one in outcomes]
    assert record_of(test_set, slow) == record_of(test_set, outcomes)


def test_a_missing_record_is_said(tmp_path: Path) -> None:
    with pytest.raises(TestSetError) as caught:
        read_record(tmp_path / "none.json")
    assert "没有可比较的记录" in caught.value.user_message


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"format": "another"}, id="another format"),
        pytest.param({"sha256": 5}, id="a number for a text"),
        pytest.param({"questions": {"n-00": {"right": 1}}}, id="marks missing"),
        pytest.param(
            {"questions": {"n-00": {"right": 1, "some_cited": 0, "refused": 0}}}, id="no booleans"
        ),
        pytest.param({"figures": []}, id="a list for a table"),
    ],
)
def test_a_damaged_record_is_refused(
    test_set: Path, outcomes: list[Outcome], change: dict[str, object]
) -> None:
    stored = json.loads(record_of(test_set, outcomes).to_json())
    path = test_set.with_suffix(".json")
    path.write_text(json.dumps(stored | change), "utf-8")
    with pytest.raises(TestSetError) as caught:
        read_record(path)
    assert "不是完好的评测记录" in caught.value.user_message


def test_the_record_of_a_set_bears_its_name() -> None:
    assert record_path(Path("any/parks_open.jsonl")).name == "parks_open.json"
    assert record_path(Path("any/dev.json.gz")).name == "dev.json"


def test_asking_twice_passes_the_gate(test_set: Path, seed_chatbot: Chatbot) -> None:
    first = run(seed_chatbot, [INVESTED, MOON])
    article = seed_chatbot.article
    second = [score(one, seed_chatbot.trace(one.question), article) for one in (INVESTED, MOON)]
    result = held(test_set, first, second)
    assert result.passed
    assert [(one.change.lost, one.change.won) for one in result.measured] == [((), ())] * 3
