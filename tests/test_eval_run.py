"""Asking the questions of a test set and adding up what came of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.case import Case
from eval.outcome import Outcome, cause_of
from eval.run import run
from eval.sets import load_set
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
    return load_set(written(tmp_path, json.dumps(ROW | changes))).cases[0]


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


def test_a_question_that_is_too_long_counts_as_refused(
    tmp_path: Path, seed_chatbot: Chatbot
) -> None:
    got = outcome(seed_chatbot, case(tmp_path, question="投资多少？" * 300))
    assert (got.refused, got.reason, got.cause) == (True, "bad_question", "not_retrieved")


def test_evidence_without_a_sentence_is_its_whole_document(
    tmp_path: Path, seed_chatbot: Chatbot
) -> None:
    one = case(tmp_path)
    anywhere = replace(one, evidence=(("004_43073762742753e7.txt", ""),))
    assert outcome(seed_chatbot, anywhere).first_cited
    elsewhere = replace(one, evidence=(("000_633663b307547015.txt", ""),))
    assert not outcome(seed_chatbot, elsewhere).first_cited


def test_the_ranks_of_the_evidence_are_those_of_retrieval(
    tmp_path: Path, seed_chatbot: Chatbot
) -> None:
    got = outcome(seed_chatbot, case(tmp_path))
    (rank,) = got.evidence_ranks
    assert rank is not None
    assert got.relevant[rank - 1]
    assert not any(got.relevant[: rank - 1])
    assert len(got.relevant) == seed_chatbot.passages


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, None),
        ({"right": False}, "wrong_span"),
        ({"right": False, "citations": ()}, "not_read"),
        ({"right": False, "citations": (), "relevant": (False,)}, "not_retrieved"),
        ({"right": False, "citations": (), "refused": True}, "wrongly_refused"),
        ({"citations": ()}, "badly_cited"),
        ({"answerable": False, "right": False}, "should_have_refused"),
        ({"answerable": False, "refused": True}, None),
    ],
)
def test_the_cause_is_what_went_wrong_first(
    tmp_path: Path, seed_chatbot: Chatbot, changes: dict[str, Any], cause: str | None
) -> None:
    good = outcome(seed_chatbot, case(tmp_path))
    assert cause_of(replace(good, **changes)) == cause
