"""The same questions asked twice: what changed, and whether chance explains it.

Also the table of several trials of one set beside the first of them, which ablation.py and
distractors.py print.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.case import Case
from eval.figures import Figure, aligned, figure, figures_of
from eval.intervals import mcnemar, paired_difference
from eval.outcome import Outcome

Progress = Callable[
    [str, Sequence[Case]], Iterable[Case]
]  # (label, cases) -> the cases, one by one

SIGNIFICANT = 0.05  # p-value below which a difference is not put down to chance
SHOWN = (
    ("answer_right", "可答题答对"),
    ("first_cited", "首条引用对"),
    ("recall_at_5", "检索前5含证据"),
    ("unanswerable_refused", "不可答已拒"),
    ("latency_p50", "中位用时"),
)


@dataclass(frozen=True)
class Paired:
    """A yes-or-no property of the same questions before and after."""

    before: int  # questions that had it
    after: int
    lost: tuple[str, ...]  # ids of those that had it and have it no more
    won: tuple[str, ...]
    count: int
    p: float  # two-sided, exact: of so uneven a change if either direction were equally likely

    @property
    def fell(self) -> bool:
        """More was lost than won, beyond chance."""
        return len(self.lost) > len(self.won) and self.p < SIGNIFICANT


def paired(before: Mapping[str, bool], after: Mapping[str, bool]) -> Paired:
    """Compare by question id, over the ids that both hold, in the order of `before`.

    Source: McNemar 1947, doi 10.1007/BF02295996, in its exact binomial form.
    """
    shared = [one for one in before if one in after]
    lost = tuple(one for one in shared if before[one] and not after[one])
    won = tuple(one for one in shared if after[one] and not before[one])
    return Paired(
        before=sum(before[one] for one in shared),
        after=sum(after[one] for one in shared),
        lost=lost,
        won=won,
        count=len(shared),
        p=mcnemar(len(lost), len(won)),
    )


@dataclass(frozen=True)
class Trial:
    """One way of asking the whole set, kept small: an archive's outcomes would fill memory."""

    name: str
    label: str  # Chinese
    figures: tuple[Figure, ...]  # those of SHOWN, in its order
    right: Mapping[str, bool]  # by question id; the unanswerable too
    failure: str | None = None  # Chinese; it could not be tried, and the rest is empty

    def record(self, first: Trial) -> dict[str, Any]:
        """As JSON, with the difference from the first trial."""
        change = paired(first.right, self.right)
        return {
            "name": self.name,
            "label": self.label,
            "failure": self.failure,
            "figures": {
                one.name: {"value": one.value, "low": one.low, "high": one.high, "count": one.count}
                for one in self.figures
            },
            "newly_wrong": list(change.lost),
            "newly_right": list(change.won),
            "p": change.p,
        }


def trial(name: str, label: str, outcomes: Sequence[Outcome]) -> Trial:
    """The trial that gave these outcomes."""
    overall = figures_of(outcomes).overall
    return Trial(
        name=name,
        label=label,
        figures=tuple(figure(overall, one) for one, _ in SHOWN),
        right={outcome.id: outcome.right for outcome in outcomes},
    )


def trials_table(heading: str, trials: Sequence[Trial]) -> str:
    """Chinese, for the terminal: a line for each trial, differences from the first one.

    `heading` names the first column; `trials` is not empty and its first did not fail.
    """
    rows = [[heading, *(label for _, label in SHOWN), "答对的变化（全部题）"]]
    for one in trials:
        if one.failure is not None:
            rows.append([one.label, f"没有比成：{one.failure}"])
            continue
        change = "—" if one is trials[0] else _change(trials[0].right, one.right)
        rows.append([one.label, *map(_cell, one.figures), change])
    note = (
        f"括号内为 95% 区间；变化与第一行逐题相比，p 为精确 McNemar 检验（双侧），"
        f"小于 {SIGNIFICANT} 标 *，未按比较的次数校正。"
    )
    return f"{aligned(rows)}\n{note}"


def _cell(one: Figure) -> str:
    if one.value is None:
        return "–"
    if one.unit == "milliseconds":
        return f"{one.value:.0f} 毫秒"
    within = "" if one.low is None or one.high is None else f"（{one.low:.0%}–{one.high:.0%}）"
    return f"{one.value:.1%}{within}"


def _change(before: Mapping[str, bool], after: Mapping[str, bool]) -> str:
    change = paired(before, after)
    if not change.count:
        return "–"
    shared = [one for one in before if one in after]
    low, high = paired_difference([before[one] for one in shared], [after[one] for one in shared])
    points = (change.after - change.before) / change.count
    star = " *" if change.p < SIGNIFICANT else ""
    moved = f"对 {len(change.won)} 错 {len(change.lost)}"
    return (
        f"{100 * points:+.1f} 点（{100 * low:+.1f} 至 {100 * high:+.1f}）"
        f"，新{moved}，p {_p_value(change.p)}{star}"
    )


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
