"""Outcomes added up. Every figure is worked by hand on a handful of made outcomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eval.figures import Figure, aligned, figure, figures_of, terminal_table
from eval.outcome import Cited, Outcome

NAMES = [
    *["answer_right", "all_right", "short_exact", "short_f1", "item_recall", "keypoint_recall"],
    *["first_cited", "some_cited", "citation_precision", "citation_recall", "verbatim"],
    *["recall_at_1", "recall_at_3", "recall_at_5", "recall_at_10", "mrr", "ndcg_at_10"],
    *["answerable_refused", "unanswerable_refused", "refused_hard", "refused_mid", "refused_easy"],
    *["risk_coverage_area", "area_under_curve", "calibration_error", "latency_p50", "latency_p95"],
]


def cited(*, on_evidence: bool = True, verbatim: bool = True) -> Cited:
    return Cited("a.txt", None, None, 0, 4, "城市公园", on_evidence, verbatim)


ANSWERED = Outcome(
    id="q1",
    type="number",
    question="公园有几座桥？",
    history=(),
    answerable=True,
    difficulty=None,
    golds=("3座",),
    items=(),
    keypoints=(),
    evidence=(("a.txt", "园内有3座桥"),),
    answer="3座[1]。",
    short_answer="3座",
    standalone="公园有几座桥？",
    refused=False,
    reason=None,
    confidence=0.95,
    right=True,
    concise=True,
    short_exact=1.0,
    short_f1=1.0,
    items_found=0,
    keypoints_found=0,
    citations=(cited(),),
    evidence_cited=1,
    relevant=(True, False),
    evidence_ranks=(1,),
    cause=None,
    milliseconds=100.0,
)
REFUSED = replace(
    ANSWERED,
    id="u1",
    type="unanswerable",
    answerable=False,
    difficulty="hard",
    evidence=(),
    refused=True,
    confidence=0.05,
    short_exact=0.0,
    short_f1=0.0,
    citations=(),
    evidence_cited=0,
    relevant=(False, False),
    evidence_ranks=(),
)


def overall(name: str, *outcomes: Outcome) -> Figure:
    return figure(figures_of(outcomes).overall, name)


def test_every_run_has_the_same_figures_in_the_same_order() -> None:
    for outcomes in ([], [ANSWERED], [REFUSED], [ANSWERED, REFUSED]):
        assert [one.name for one in figures_of(outcomes).overall] == NAMES


def test_what_there_is_nothing_of_has_no_value() -> None:
    assert [one.name for one in figures_of([]).overall if one.value is not None] == []
    assert overall("unanswerable_refused", ANSWERED).value is None
    assert overall("answer_right", REFUSED).value is None
    assert overall("area_under_curve", ANSWERED).value is None


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        overall("beauty", ANSWERED)


def test_right_is_counted_over_the_answerable_and_over_all() -> None:
    wrong = replace(ANSWERED, right=False)
    outcomes = (ANSWERED, wrong, REFUSED, REFUSED)
    assert overall("answer_right", *outcomes).value == 0.5
    assert overall("all_right", *outcomes).value == 0.75


def test_a_rate_has_wilsons_interval_even_where_nothing_failed() -> None:
    one = overall("answer_right", *[ANSWERED] * 10)
    assert (one.value, one.count, one.unit) == (1.0, 10, "rate")
    assert (one.low, one.high) == pytest.approx((10 / (10 + 1.96**2), 1.0), abs=1e-4)


def test_a_mean_of_yes_and_no_has_wilsons_interval_too() -> None:
    one = overall("recall_at_5", *[ANSWERED] * 10)
    assert (one.value, one.unit) == (1.0, "mean")
    assert one.low == pytest.approx(10 / (10 + 1.96**2), abs=1e-4)


def test_a_mean_of_shares_has_a_bootstrap_interval() -> None:
    half = replace(ANSWERED, items=("甲", "乙"), items_found=1)
    full = replace(half, items_found=2)
    one = overall("item_recall", half, full, full, half, ANSWERED)
    assert (one.value, one.count) == (0.75, 4)
    assert one.low is not None
    assert one.high is not None
    assert 0.5 <= one.low < 0.75 < one.high <= 1.0


def test_an_interval_without_width_is_not_shown() -> None:
    half = replace(ANSWERED, items=("甲", "乙"), items_found=1)
    one = overall("item_recall", half, half)
    assert (one.value, one.low, one.high) == (0.5, None, None)
    assert overall("latency_p50", ANSWERED).low is None


def test_precision_is_over_citations_and_recall_over_evidence() -> None:
    two = replace(
        ANSWERED,
        evidence=(("a.txt", "园内有3座桥"), ("b.txt", "桥有3座")),
        evidence_cited=1,
        citations=(cited(on_evidence=False), cited(), cited()),
    )
    refused = replace(ANSWERED, refused=True, citations=(), evidence_cited=0)
    outcomes = (ANSWERED, two, refused)
    precision = overall("citation_precision", *outcomes)
    assert (precision.value, precision.count) == (0.75, 4)
    assert overall("citation_recall", *outcomes).value == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert overall("first_cited", *outcomes).value == pytest.approx(1 / 3)
    assert overall("some_cited", *outcomes).value == pytest.approx(2 / 3)


def test_every_citation_must_be_verbatim_those_of_the_unanswerable_too() -> None:
    answered = replace(
        REFUSED, refused=False, citations=(cited(on_evidence=False, verbatim=False),)
    )
    one = overall("verbatim", ANSWERED, answered)
    assert (one.value, one.count) == (0.5, 2)
    assert overall("citation_precision", ANSWERED, answered).count == 1


def test_questions_without_evidence_say_nothing_of_citations_and_retrieval() -> None:
    bare = replace(ANSWERED, evidence=(), evidence_ranks=(), relevant=(False,))
    for name in ("first_cited", "citation_recall", "recall_at_10", "mrr", "ndcg_at_10"):
        assert overall(name, bare).value is None
        assert overall(name, bare, ANSWERED).count == 1


def test_retrieval_is_a_mean_over_questions() -> None:
    late = replace(ANSWERED, relevant=(False, False, False, True), evidence_ranks=(4,))
    assert overall("recall_at_3", ANSWERED, late).value == 0.5
    assert overall("recall_at_5", ANSWERED, late).value == 1.0
    assert overall("mrr", ANSWERED, late).value == pytest.approx((1 + 1 / 4) / 2)


def test_short_answers_are_of_numbers_names_and_dates() -> None:
    close = replace(ANSWERED, type="date", short_exact=0.0, short_f1=0.8)
    other = replace(ANSWERED, type="howwhy", short_exact=0.0, short_f1=0.0)
    assert overall("short_exact", ANSWERED, close, other).value == 0.5
    assert overall("short_f1", ANSWERED, close, other).value == pytest.approx(0.9)


def test_refusal_is_counted_both_ways_and_by_difficulty() -> None:
    answered = replace(REFUSED, refused=False, right=False, difficulty="easy")
    wrongly = replace(ANSWERED, refused=True, right=False)
    outcomes = (ANSWERED, wrongly, REFUSED, answered, REFUSED)
    assert overall("answerable_refused", *outcomes).value == 0.5
    assert overall("unanswerable_refused", *outcomes).value == pytest.approx(2 / 3)
    assert overall("refused_hard", *outcomes).value == 1.0
    assert overall("refused_mid", *outcomes).value is None
    assert overall("refused_easy", *outcomes).value == 0.0


def test_confidence_is_held_against_being_right_over_the_answers_given() -> None:
    unsure = replace(ANSWERED, confidence=0.45, right=False)
    figures = figures_of([ANSWERED, unsure, REFUSED, REFUSED])
    assert figures.risk_coverage == ((0.25, 0.0), (0.5, 0.5))
    assert [(one.low, one.count, one.accuracy) for one in figures.reliability] == [
        (0.4, 1, 0.0),
        (0.9, 1, 1.0),
    ]
    assert figure(figures.overall, "risk_coverage_area").value == pytest.approx((0 + 1 / 2) / 2)
    assert figure(figures.overall, "calibration_error").value == pytest.approx((0.05 + 0.45) / 2)
    assert figure(figures.overall, "area_under_curve").value == 1.0


def test_latency_is_the_nearest_rank() -> None:
    outcomes = [replace(ANSWERED, milliseconds=float(i)) for i in range(1, 101)]
    assert overall("latency_p50", *outcomes).value == 50.0
    slow = overall("latency_p95", *outcomes)
    assert (slow.value, slow.unit) == (95.0, "milliseconds")
    assert slow.low is not None
    assert slow.high is not None
    assert 85 < slow.low < 95 < slow.high <= 100


def test_types_and_documents_have_the_figures_that_apply() -> None:
    both = replace(ANSWERED, type="cross", evidence=(("a.txt", "甲"), ("b.txt", "乙")), right=False)
    figures = figures_of([ANSWERED, both, REFUSED])
    assert list(figures.by_type) == ["number", "cross", "unanswerable"]
    assert "short_f1" in [one.name for one in figures.by_type["number"]]
    assert "short_f1" not in [one.name for one in figures.by_type["cross"]]
    assert figure(figures.by_type["unanswerable"], "all_right").value == 1.0
    assert list(figures.by_document) == ["a.txt", "b.txt"]
    assert figure(figures.by_document["a.txt"], "answer_right").value == 0.5
    assert figure(figures.by_document["b.txt"], "answer_right").value == 0.0


def test_the_same_outcomes_give_the_same_figures() -> None:
    outcomes = [replace(ANSWERED, confidence=i / 10, right=i % 3 > 0) for i in range(10)]
    assert figures_of(outcomes) == figures_of(outcomes)


def test_the_terminal_shows_types_then_figures_with_their_intervals() -> None:
    printed = terminal_table(figures_of([ANSWERED, replace(ANSWERED, right=False), REFUSED]))
    lines = {line.split("  ")[0]: " ".join(line.split()) for line in printed.splitlines()}
    assert lines["数字"] == "数字 2 50.0% 9.5%–90.5%"
    assert lines["可回答的题答对"] == "可回答的题答对 1/2 50.0% 9.5%–90.5%"
    assert lines["引文与原文逐字一致"].startswith("引文与原文逐字一致 2/2 100.0%")
    assert lines["用时中位数"] == "用时中位数 3 100 毫秒 –"
    assert "列举项答出的比例" not in printed


def test_an_empty_run_prints_headings_alone() -> None:
    assert terminal_table(figures_of([])).split() == [
        *["类型", "题数", "答对", "95%", "区间"],
        *["指标", "题数", "数值", "95%", "区间"],
    ]


def test_columns_line_up_where_a_han_character_takes_two() -> None:
    assert aligned([["题", "1"], ["abc", "22"]]) == "题   1\nabc  22"
