"""Outcomes added up: the figures of a run, by type and over all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

from eval.case import DIFFICULTIES, SHORT_TYPES
from eval.metrics import area_under_curve, calibration_error, wilson_interval
from eval.outcome import Outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures by type and over all, each rate with its 95 % interval."""
    answerable = [outcome for outcome in outcomes if outcome.answerable]
    unanswerable = [outcome for outcome in outcomes if not outcome.answerable]
    lines = ["类型            题数  答对"]
    for kind in dict.fromkeys(outcome.type for outcome in outcomes):
        group = [outcome for outcome in outcomes if outcome.type == kind]
        lines.append(f"{kind:<14}{len(group):>5}  {_rate(group, lambda item: item.right)}")
    cited = sum(len(outcome.citations) for outcome in outcomes)
    verbatim = sum(one.verbatim for outcome in outcomes for one in outcome.citations)
    lines += [
        "",
        f"可回答的题答对      {_rate(answerable, lambda item: item.right)}",
        f"首条引用落在证据上  {_rate(answerable, lambda item: item.first_cited)}",
        f"有引用落在证据上    {_rate(answerable, lambda item: item.some_cited)}",
        f"简短答案（{'、'.join(SHORT_TYPES)}）  {_short(outcomes)}",
        f"可回答的题被误拒    {_rate(answerable, lambda item: item.refused)}",
        f"不可回答的题已拒答  {_rate(unanswerable, lambda item: item.refused)}",
    ]
    for difficulty in DIFFICULTIES:
        group = [outcome for outcome in unanswerable if outcome.difficulty == difficulty]
        if group:
            lines.append(f"  其中 {difficulty:<14} {_rate(group, lambda item: item.refused)}")
    if answerable and unanswerable:
        area = area_under_curve(
            [outcome.confidence for outcome in outcomes],
            [outcome.answerable for outcome in outcomes],
        )
        lines.append(f"可答与不可答的曲线下面积  {area:.3f}")
    given = [outcome for outcome in outcomes if not outcome.refused]
    error = calibration_error(
        [outcome.confidence for outcome in given],
        [outcome.answerable and outcome.right for outcome in given],
    )
    lines += [
        f"把握的校准误差      {error:.3f}（{len(given)} 个回答）",
        f"全部答对            {_rate(outcomes, lambda item: item.right)}",
        f"引文与原文逐字一致  {verbatim}/{cited}",
        f"用时中位数 / p95    {_milliseconds(outcomes)}",
    ]
    return "\n".join(lines)


def _milliseconds(outcomes: Sequence[Outcome]) -> str:
    """Median and 95th percentile."""
    times = sorted(one.milliseconds for one in outcomes)
    return f"{median(times):.0f} / {times[math.ceil(0.95 * len(times)) - 1]:.0f} 毫秒"


def _short(outcomes: Sequence[Outcome]) -> str:
    """Exact match and F1 of the short answers to answerable questions that have one."""
    group = [one for one in outcomes if one.type in SHORT_TYPES and one.answerable]
    if not group:
        return "–"
    exact = sum(one.short_exact for one in group) / len(group)
    f1 = sum(one.short_f1 for one in group) / len(group)
    return f"EM {exact:.1%}，F1 {f1:.1%}（{len(group)} 题）"


def _rate(outcomes: Sequence[Outcome], test: Callable[[Outcome], bool]) -> str:
    hits = sum(test(outcome) for outcome in outcomes)
    if not outcomes:
        return "–"
    low, high = wilson_interval(hits, len(outcomes))
    return f"{hits / len(outcomes):6.1%}（{hits}/{len(outcomes)}，95% 区间 {low:.0%}–{high:.0%}）"
