"""Outcomes added up: the figures of a run with their intervals, over all, by type, by document.

Outcomes in, one Figures out. Rates carry the Wilson interval, means, percentiles and areas the
bootstrap interval; what there is nothing of to count has no value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from eval.case import DIFFICULTIES, SHORT_TYPES, TYPES_ZH
from eval.intervals import (
    bootstrap_interval,
    mean_interval,
    percentile,
    percentile_interval,
    wilson_interval,
)
from eval.metrics import (
    Graded,
    area_under_curve,
    areas_under_curve,
    calibration_error,
    reliability_bins,
    risk_coverage,
    risk_coverage_area,
    risk_coverage_areas,
)
from eval.metrics import ReliabilityBin as ReliabilityBin
from eval.outcome import Outcome
from eval.ranking import ndcg_at, recall_at, reciprocal_rank, relevant_passages

T = TypeVar("T")
Unit = Literal["rate", "mean", "milliseconds", "count"]
_DEPTHS = (1, 3, 5, 10)
_DIFFICULTIES_ZH = {"hard": "难题", "mid": "中等题", "easy": "易题"}


@dataclass(frozen=True)
class Figure:
    """One number of a run."""

    name: str  # stable
    label: str  # Chinese
    value: float | None  # None where there is nothing to count
    low: float | None  # 95 % interval; None where it has none
    high: float | None
    count: int  # of questions (or citations, or answers) it is over
    unit: Unit  # rate and mean lie in 0 to 1


@dataclass(frozen=True)
class Figures:
    """All numbers of a run."""

    questions: int
    overall: tuple[Figure, ...]
    by_type: dict[str, tuple[Figure, ...]]  # those that have a value, in the order of overall
    by_document: dict[str, tuple[Figure, ...]]  # by the documents that evidence comes from
    reliability: tuple[ReliabilityBin, ...]  # of the answers given
    risk_coverage: tuple[tuple[float, float], ...]  # (coverage, risk), by falling confidence


def figures_of(outcomes: Sequence[Outcome]) -> Figures:
    """Everything there is to count.

    A question whose evidence comes from two documents counts for both, one without evidence for
    none.
    """
    types: dict[str, list[Outcome]] = {}
    documents: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        types.setdefault(outcome.type, []).append(outcome)
        for doc in outcome.docs:
            documents.setdefault(doc, []).append(outcome)
    given = [outcome for outcome in outcomes if not outcome.refused]
    confidence = [outcome.confidence for outcome in given]
    return Figures(
        questions=len(outcomes),
        overall=tuple(_figures(outcomes)),
        by_type={kind: _present(group) for kind, group in types.items()},
        by_document={doc: _present(group) for doc, group in documents.items()},
        reliability=tuple(reliability_bins(confidence, [outcome.right for outcome in given])),
        risk_coverage=tuple(
            risk_coverage(confidence, [not outcome.right for outcome in given], len(outcomes))
        ),
    )


def figure(figures: Sequence[Figure], name: str) -> Figure:
    """The one of that name.

    Raises:
        KeyError: there is none.
    """
    return {one.name: one for one in figures}[name]


def _present(outcomes: Sequence[Outcome]) -> tuple[Figure, ...]:
    return tuple(one for one in _figures(outcomes) if one.value is not None)


def _figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    return [
        *_answers(outcomes),
        *_citations(outcomes),
        *_retrieval(outcomes),
        *_refusals(outcomes),
        *_confidences(outcomes),
        *_latencies(outcomes),
    ]


def _answers(outcomes: Sequence[Outcome]) -> list[Figure]:
    answerable = [one for one in outcomes if one.answerable]
    short = [one for one in answerable if one.type in SHORT_TYPES]
    return [
        _rate("answer_right", "可回答的题答对", answerable, lambda one: one.right),
        _rate("all_right", "全部题答对（含正确拒答）", outcomes, lambda one: one.right),
        _rate("short_exact", "简短答案完全一致（EM）", short, lambda one: one.short_exact == 1.0),
        _mean("short_f1", "简短答案 F1", [one.short_f1 for one in short]),
        _mean(
            "item_recall",
            "列举项答出的比例",
            [one.items_found / len(one.items) for one in answerable if one.items],
        ),
        _mean(
            "keypoint_recall",
            "要点答出的比例",
            [one.keypoints_found / len(one.keypoints) for one in answerable if one.keypoints],
        ),
    ]


def _citations(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Precision over citations, recall over questions (a refused one cites nothing).

    Source: citation precision and recall, Gao et al., EMNLP 2023, arXiv 2305.14627, with the
    written evidence in place of a model's judgement.
    """
    grounded = [one for one in outcomes if one.answerable and one.evidence]
    cited = [citation for one in grounded for citation in one.citations]
    every = [citation for one in outcomes for citation in one.citations]
    return [
        _rate("first_cited", "首条引用落在证据上", grounded, lambda one: one.first_cited),
        _rate("some_cited", "有引用落在证据上", grounded, lambda one: one.some_cited),
        _rate("citation_precision", "每条引用落在证据上", cited, lambda one: one.on_evidence),
        _mean(
            "citation_recall",
            "证据被引用的比例",
            [one.evidence_cited / len(one.evidence) for one in grounded],
        ),
        _rate("verbatim", "引文与原文逐字一致", every, lambda one: one.verbatim),
    ]


def _retrieval(outcomes: Sequence[Outcome]) -> list[Figure]:
    grounded = [one for one in outcomes if one.answerable and one.evidence]
    recalls = [
        _mean(
            f"recall_at_{k}",
            f"检索前 {k} 段含证据",
            [recall_at(one.evidence_ranks, k) for one in grounded],
        )
        for k in _DEPTHS
    ]
    gains = [
        ndcg_at(one.relevant, 10, relevant_passages(one.relevant, one.evidence_ranks))
        for one in grounded
    ]
    return [
        *recalls,
        _mean(
            "mrr", "首个相关段名次的倒数（MRR）", [reciprocal_rank(o.relevant) for o in grounded]
        ),
        _mean("ndcg_at_10", "检索前 10 段的次序（nDCG@10）", gains),
    ]


def _refusals(outcomes: Sequence[Outcome]) -> list[Figure]:
    answerable = [one for one in outcomes if one.answerable]
    unanswerable = [one for one in outcomes if not one.answerable]

    def refused(outcome: Outcome) -> bool:
        return outcome.refused

    return [
        _rate("answerable_refused", "可回答的题被误拒", answerable, refused),
        _rate("unanswerable_refused", "不可回答的题已拒答", unanswerable, refused),
        *(
            _rate(
                f"refused_{difficulty}",
                f"其中{_DIFFICULTIES_ZH[difficulty]}",
                [one for one in unanswerable if one.difficulty == difficulty],
                refused,
            )
            for difficulty in DIFFICULTIES
        ),
    ]


def _confidences(outcomes: Sequence[Outcome]) -> list[Figure]:
    given = [one for one in outcomes if not one.refused]
    sure = [one.confidence for one in given]
    wrong = [not one.right for one in given]
    scores = [one.confidence for one in outcomes]
    answerable = [one.answerable for one in outcomes]
    area = _unknown("risk_coverage_area", "风险—覆盖曲线下面积（越小越好）", "mean", len(given))
    curve = _unknown("area_under_curve", "可答与不可答的曲线下面积", "mean", len(outcomes))
    error = _unknown("calibration_error", "把握的校准误差（ECE）", "mean", len(given))
    if given:
        graded = Graded.of(sure, wrong)
        within = bootstrap_interval(len(given), lambda at: risk_coverage_areas(graded, at))
        area = _valued(area, risk_coverage_area(sure, wrong), within)
        # No interval: resampling alone makes this measure larger.
        error = _valued(error, calibration_error(sure, [not one for one in wrong]), None)
    if any(answerable) and not all(answerable):
        parted = Graded.of(scores, answerable)
        within = bootstrap_interval(len(outcomes), lambda at: areas_under_curve(parted, at))
        curve = _valued(curve, area_under_curve(scores, answerable), within)
    return [area, curve, error]


def _latencies(outcomes: Sequence[Outcome]) -> list[Figure]:
    times = [one.milliseconds for one in outcomes]
    figures = []
    for name, label, share in (
        ("latency_p50", "用时中位数", 0.5),
        ("latency_p95", "用时 p95", 0.95),
    ):
        empty = _unknown(name, label, "milliseconds", len(times))
        figures.append(
            _valued(empty, percentile(times, share), percentile_interval(times, share))
            if times
            else empty
        )
    return figures


def _rate(name: str, label: str, group: Sequence[T], test: Callable[[T], bool]) -> Figure:
    return _mean(name, label, [float(test(one)) for one in group], "rate")


def _mean(name: str, label: str, values: Sequence[float], unit: Unit = "mean") -> Figure:
    """With Wilson's interval where every value is 0 or 1.

    A mean of such values is a rate; resampling them would call 10 of 10 certain.
    """
    empty = _unknown(name, label, unit, len(values))
    if not values:
        return empty
    if all(value in (0.0, 1.0) for value in values):
        within = wilson_interval(round(sum(values)), len(values))
    else:
        within = mean_interval(values)
    return _valued(empty, sum(values) / len(values), within)


def _unknown(name: str, label: str, unit: Unit, count: int) -> Figure:
    return Figure(name, label, None, None, None, count, unit)


def _valued(empty: Figure, value: float, within: tuple[float, float] | None) -> Figure:
    low, high = within or (None, None)
    if low == high:  # every resample came out alike, which is no knowledge of the spread
        low = high = None
    return Figure(empty.name, empty.label, value, low, high, empty.count, empty.unit)


def terminal_table(figures: Figures) -> str:
    """Chinese, for the terminal: what was right by type, then every figure that has a value."""
    types = [["类型", "题数", "答对", "95% 区间"]]
    for kind, own in figures.by_type.items():
        one = figure(own, "all_right")
        types.append([TYPES_ZH.get(kind, kind), str(one.count), *_shown(one)])
    rows = [["指标", "题数", "数值", "95% 区间"]]
    rows += [
        [one.label, _counted(one), *_shown(one)] for one in figures.overall if one.value is not None
    ]
    return f"{aligned(types)}\n\n{aligned(rows)}"


def _counted(one: Figure) -> str:
    if one.unit != "rate" or one.value is None:
        return str(one.count)
    return f"{round(one.value * one.count)}/{one.count}"


def _shown(one: Figure) -> list[str]:
    """Value and interval."""

    def text(number: float) -> str:
        if one.unit == "milliseconds":
            return f"{number:.0f}"
        return f"{number:.1%}" if one.unit == "rate" else f"{number:.3f}"

    unit = " 毫秒" if one.unit == "milliseconds" else ""
    value = "–" if one.value is None else text(one.value) + unit
    if one.low is None or one.high is None:
        return [value, "–"]
    return [value, f"{text(one.low)}–{text(one.high)}{unit}"]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, as wide as a terminal shows them; the last of a row may run on."""
    columns = max(map(len, rows))
    widths = [
        max((_columns(row[i]) for row in rows if i < len(row) - 1), default=0)
        for i in range(columns)
    ]
    lines = []
    for row in rows:
        padded = [
            cell + " " * (width - _columns(cell))
            for cell, width in zip(row[:-1], widths, strict=False)
        ]
        lines.append("  ".join([*padded, row[-1]]))
    return "\n".join(lines)


def _columns(text: str) -> int:
    """Columns of a terminal: a full-width character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
