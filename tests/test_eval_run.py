"""Reading test sets and adding up what came of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from errors import TestSetError
from eval.case import Case
from eval.figures import table
from eval.outcome import Outcome
from eval.run import run
from eval.sets import load_cases
from qa.chatbot import Chatbot

ROW = {
    "id": "a-1",
    "question": "三一科学城总投资多少亿元？",
    "type": "number",
    "answerable": True,
    "answers": ["180亿元"],
    "evidence": [{"doc": "004_43073762742753e7.txt", "text": "总投资180亿元"}],
}


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def case(tmp_path: Path, **changes: object) -> Case:
    return load_cases(written(tmp_path, json.dumps(ROW | changes)))[0]


def test_a_case_is_read_with_its_gold(tmp_path: Path) -> None:
    read = case(tmp_path, keypoints=["180亿元"])
    assert (read.answers, read.keypoints) == (("180亿元",), ("180亿元",))
    assert read.evidence == (("004_43073762742753e7.txt", "总投资180亿元"),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "第 2 行"),
        ('{"id": 1}', "第 2 行"),
        (json.dumps(ROW | {"evidence": [{}]}), "第 2 行"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(TestSetError) as caught:
        load_cases(written(tmp_path, json.dumps(ROW), line))
    assert said in caught.value.user_message


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_set_without_a_case_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(TestSetError):
        load_cases(written(tmp_path, content))


def outcome(chatbot: Chatbot, one: Case) -> Outcome:
    (only,) = run(chatbot, [one])
    return only


def test_a_right_answer_is_right_and_cited(tmp_path: Path, seed_chatbot: Chatbot) -> None:
    got = outcome(seed_chatbot, case(tmp_path))
    assert (got.right, got.first_cited, got.some_cited) == (True, True, True)
    assert [citation.verbatim for citation in got.citations] == [True]


def test_another_gold_makes_the_same_answer_wrong(tmp_path: Path, seed_chatbot: Chatbot) -> None:
    assert not outcome(seed_chatbot, case(tmp_path, answers=["80亿元"])).right


def test_evidence_elsewhere_makes_the_same_citation_miss(
    tmp_path: Path, seed_chatbot: Chatbot
) -> None:
    elsewhere = [{"doc": "000_633663b307547015.txt", "text": "吸引392家再制造维修企业入驻"}]
    got = outcome(seed_chatbot, case(tmp_path, evidence=elsewhere))
    assert got.right
    assert not got.some_cited


def test_answering_what_has_no_answer_is_wrong(tmp_path: Path, seed_chatbot: Chatbot) -> None:
    got = outcome(seed_chatbot, case(tmp_path, answerable=False, answers=[]))
    assert not got.refused
    assert not got.right


def test_the_table_counts_rates_by_type_and_over_all(tmp_path: Path, seed_chatbot: Chatbot) -> None:
    good = outcome(seed_chatbot, case(tmp_path))
    forged = replace(good.citations[0], verbatim=False)
    bad = replace(good, id="b", right=False, citations=(forged,))
    printed = table([good, bad])
    assert "1/2" in printed
    assert "引文与原文逐字一致  1/2" in printed


def test_the_table_tells_short_answers_and_refusals_by_difficulty(
    tmp_path: Path, seed_chatbot: Chatbot
) -> None:
    good = outcome(seed_chatbot, case(tmp_path))
    assert (good.short_exact, good.short_f1) == (1.0, 1.0)
    hard = replace(
        good, id="u", type="unanswerable", answerable=False, refused=True, difficulty="hard"
    )
    printed = table([good, replace(hard, confidence=0.0)])
    assert "EM 100.0%，F1 100.0%（1 题）" in printed
    assert "其中 hard" in printed
    assert "曲线下面积  1.000" in printed


def test_the_difficulty_of_an_unanswerable_question_is_the_first_word_of_its_note(
    tmp_path: Path,
) -> None:
    assert (
        case(tmp_path, answerable=False, answers=[], note="hard: 只有前一年").difficulty == "hard"
    )
    assert case(tmp_path, answerable=False, answers=[], note="其他").difficulty is None
    assert case(tmp_path, note="hard: 要算").difficulty is None
