"""Scoring: what counts as right, cited and verbatim. Every figure is worked by hand."""

import pytest

from eval.metrics import (
    area_under_curve,
    calibration_error,
    contains,
    exact_match,
    fold,
    is_concise,
    is_right,
    is_verbatim,
    locate,
    overlap_f1,
    overlaps_evidence,
    reliability_bins,
    risk_coverage,
    risk_coverage_area,
)
from schema import Span


@pytest.mark.parametrize(
    ("answer", "wanted", "holds"),
    [
        pytest.param("共25家", "5", False, id="5 is not in 25"),
        pytest.param("占180%", "80%", False, id="80% is not in 180%"),
        pytest.param("占80%以上", "80%", True, id="80% is in 80%以上"),
        pytest.param("12.5万标箱", "2.5万", False, id="2.5 is not in 12.5"),
        pytest.param("5.4万家", "5", False, id="5 is not in 5.4"),
        pytest.param("超5.4万家新设企业", "5.4万家", True, id="with unit"),
        pytest.param("企业１０９项", "109项", True, id="full width"),
        pytest.param("湘瓊產業園在東方市", "东方市", True, id="traditional"),
        pytest.param("熊远帆 黄姿", "熊远帆、黄姿", True, id="white space and punctuation"),
        pytest.param("有1、2两项", "12", False, id="two numbers are not one"),
        pytest.param("共1,200家", "1200家", True, id="thousands separator"),
        pytest.param("什么都没有", "", False, id="nothing wanted"),
    ],
)
def test_containment(answer: str, wanted: str, holds: bool) -> None:
    assert contains(answer, wanted) is holds


def test_folding_keeps_decimal_points_and_drops_punctuation() -> None:
    assert fold("“超 5.4 万家”，ＡＢ！") == "超5.4万家ab"


def test_an_answer_that_dumps_a_page_is_not_right() -> None:
    assert not is_right("392家" + "无关的话" * 60, ["392家"], [], [])


def test_markers_do_not_count_towards_the_length() -> None:
    assert is_concise("字" * 160 + "[1][2]", ["短"])
    assert not is_concise("字" * 161, ["短"])


def test_a_list_needs_every_item() -> None:
    items = ["钨", "铋", "白银"]
    assert is_right("钨、铋和白银[1]。", ["钨、铋、白银三种"], items, [])
    assert not is_right("钨和铋[1]。", ["钨、铋、白银三种"], items, [])


def test_a_citation_must_share_half_of_the_shorter_text_with_the_evidence() -> None:
    assert overlaps_evidence(Span(10, 20), [Span(15, 100)])
    assert not overlaps_evidence(Span(10, 20), [Span(16, 100)])
    assert not overlaps_evidence(Span(10, 20), [])


def test_evidence_is_found_across_white_space_of_the_original() -> None:
    original = "有色产\n\n业 规 模"
    span = locate(original, "产业规模")
    assert span is not None
    assert span.cut(original) == "产\n\n业 规 模"
    assert locate(original, "不在文中") is None


def test_a_quotation_is_verbatim_up_to_white_space_only() -> None:
    original = "产值 149 亿\n元，同比"
    assert is_verbatim(original, Span(0, 11), "产值149亿元，")
    assert not is_verbatim(original, Span(0, 11), "产值140亿元，")
    assert not is_verbatim(original, Span(0, 10), "产值149亿元，同")
    assert not is_verbatim(original, Span(0, 0), "")


def test_the_area_under_the_curve_counts_pairs_in_the_right_order() -> None:
    # Pairs: (0.9, 0.5) right, (0.9, 0.2) right, (0.5, 0.5) tie, (0.5, 0.2) right: 3.5 of 4.
    assert area_under_curve([0.9, 0.5, 0.5, 0.2], [True, True, False, False]) == 0.875


def test_calibration_error_is_the_distance_of_confidence_and_accuracy() -> None:
    # Bin 0.9: mean 0.95 against 0.5, half of all; bin 0.1: mean 0.1 against 0, the other half.
    error = calibration_error([0.95, 0.95, 0.1, 0.1], [True, False, False, False])
    assert error == pytest.approx(0.275)


def test_bins_hold_what_is_about_equally_sure_and_empty_ones_are_left_out() -> None:
    low, high = reliability_bins([1.0, 0.9, 0.1], [True, False, False])
    assert (low.low, low.high, low.count, low.confidence, low.accuracy) == (0.1, 0.2, 1, 0.1, 0.0)
    assert (high.low, high.count, high.confidence, high.accuracy) == (0.9, 2, 0.95, 0.5)


def test_no_answers_are_not_badly_calibrated() -> None:
    assert calibration_error([], []) == 0.0


def test_a_stricter_threshold_trades_coverage_for_risk() -> None:
    # Five questions, one refused; the two at 0.6 pass every threshold together.
    points = risk_coverage([0.6, 0.9, 0.2, 0.6], [True, False, True, False], questions=5)
    assert points == [(0.2, 0.0), (0.6, pytest.approx(1 / 3)), (0.8, 0.5)]
    assert risk_coverage([], [], questions=3) == []


def test_the_area_under_risk_and_coverage_is_the_mean_risk_as_answers_are_let_through() -> None:
    # Risks 0, 0, 1/3, 2/4.
    assert risk_coverage_area([0.9, 0.8, 0.7, 0.1], [False, False, True, True]) == pytest.approx(
        (0 + 0 + 1 / 3 + 1 / 2) / 4
    )


def test_equally_sure_answers_come_in_every_order() -> None:
    # Right first: risks 0, 1/2; wrong first: 1, 1/2. The mean of both is 1/2 each.
    assert risk_coverage_area([0.5, 0.5], [False, True]) == pytest.approx(0.5)


def test_confidence_that_tells_nothing_gives_the_share_of_wrong_answers() -> None:
    assert risk_coverage_area([0.7] * 10, [True] * 3 + [False] * 7) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "f1"),
    [
        pytest.param("10.5万人", ["10.5万人。"], 1.0, 1.0, id="punctuation does not count"),
        pytest.param("共10.5万人", ["10.5万"], 0.0, 2 / 3, id="2 of 4 tokens"),
        pytest.param("80", ["80%"], 0.0, 2 / 3, id="the percent sign is a token"),
        pytest.param("1,200家", ["1,200"], 0.0, 2 / 3, id="a grouped number is one token"),
        pytest.param("长沙AGV", ["长沙 agv"], 1.0, 1.0, id="case and white space do not count"),
        pytest.param("深蓝和红", ["深红"], 0.0, 1 / 3, id="a run, not a subsequence"),
        pytest.param("红色", ["蓝", "深红色"], 0.0, 0.8, id="the best gold counts"),
        pytest.param("蓝", ["红"], 0.0, 0.0, id="nothing shared"),
        pytest.param("", ["红"], 0.0, 0.0, id="no answer"),
    ],
)
def test_exact_match_and_f1_follow_the_rules_of_cmrc_2018(
    answer: str, golds: list[str], exact: float, f1: float
) -> None:
    assert exact_match(answer, golds) == exact
    assert overlap_f1(answer, golds) == pytest.approx(f1)
