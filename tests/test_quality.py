"""The figures that the project promises on its open test set; `wenju eval` prints them all."""

from __future__ import annotations

import pytest

from eval.case import SHORT_TYPES
from eval.gate import compare, read_record, record_path, set_sha256
from eval.outcome import Outcome
from eval.run import run
from eval.sets import load_set
from qa.chatbot import Chatbot
from settings import ROOT

OPEN_SET = ROOT / "eval" / "sets" / "zimao_open.jsonl"


@pytest.fixture(scope="module")
def outcomes(seed_chatbot: Chatbot) -> list[Outcome]:
    return run(seed_chatbot, load_set(OPEN_SET).cases)


@pytest.fixture(scope="module")
def answerable(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.answerable]


def test_the_whole_set_is_asked(outcomes: list[Outcome]) -> None:
    assert len(outcomes) == 131


def test_at_least_88_percent_of_the_answerable_are_right(answerable: list[Outcome]) -> None:
    assert sum(outcome.right for outcome in answerable) >= 0.88 * len(answerable)


def test_at_least_80_percent_of_all_are_right(outcomes: list[Outcome]) -> None:
    assert sum(outcome.right for outcome in outcomes) >= 0.8 * len(outcomes)


def test_short_answers_to_numbers_names_and_dates_match(outcomes: list[Outcome]) -> None:
    group = [one for one in outcomes if one.type in SHORT_TYPES and one.answerable]
    assert sum(one.short_exact for one in group) >= 0.75 * len(group)
    assert sum(one.short_f1 for one in group) >= 0.86 * len(group)


def test_at_most_5_percent_of_the_answerable_are_refused(answerable: list[Outcome]) -> None:
    assert sum(outcome.refused for outcome in answerable) <= 0.05 * len(answerable)


def test_the_first_citation_is_on_the_evidence_for_85_percent(answerable: list[Outcome]) -> None:
    assert sum(outcome.first_cited for outcome in answerable) >= 0.85 * len(answerable)


def test_some_citation_is_on_the_evidence_for_92_percent(answerable: list[Outcome]) -> None:
    assert sum(outcome.some_cited for outcome in answerable) >= 0.92 * len(answerable)


def test_every_citation_is_verbatim_at_its_offsets(outcomes: list[Outcome]) -> None:
    citations = [citation for outcome in outcomes for citation in outcome.citations]
    assert len(citations) >= 100
    assert all(citation.verbatim for citation in citations)


def test_a_question_without_an_answer_in_the_plain_cases_is_refused(
    outcomes: list[Outcome],
) -> None:
    plain = {"una-039", "una-040", "una-042", "una-043"}  # sport, films, a poem, trains
    assert {outcome.id for outcome in outcomes if outcome.id in plain and outcome.refused} == plain


def test_nothing_is_significantly_worse_than_in_the_committed_record(
    outcomes: list[Outcome],
) -> None:
    verdict = compare(read_record(record_path(OPEN_SET)), outcomes, set_sha256(OPEN_SET))
    assert verdict.passed, verdict.text()
