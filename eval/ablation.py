"""What each part is worth: the same questions with one part changed or taken away at a time.

Knows the settings' names as plain data only; what they change is built by the caller. The weights
of ranking and of confidence were fitted for the system as shipped and are not fitted anew, so a
variant built with care could do better than its row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from errors import WenjuError
from eval.case import Case
from eval.paired import Progress, Trial, trial, trials_table
from eval.run import run
from qa.chatbot import Chatbot


@dataclass(frozen=True)
class Variant:
    """The system with settings changed."""

    name: str  # stable
    label: str  # Chinese
    changes: Mapping[str, Any]  # as in a settings file, tables nested
    own_index: bool = False  # changes what is in the index, so needs the documents themselves


OpenVariant = Callable[[Variant], AbstractContextManager[Chatbot]]


def variants(embedder: str | None = None) -> list[Variant]:
    """What is compared, as shipped first.

    Args:
        embedder: folder or name of another sentence-transformers model to try.
    """
    chosen = [
        Variant("shipped", "现状", {}),
        Variant("dense", "只用向量检索", _weights(1.0, 0.0, 0.0)),
        Variant("words", "只用 BM25（词）", _weights(0.0, 1.0, 0.0)),
        Variant("bigrams", "只用 BM25（字对）", _weights(0.0, 0.0, 1.0)),
        Variant(
            "reciprocal_rank",
            "按名次倒数融合（现状按 z 分数）",
            {"retrieval": {"fusion": "reciprocal-rank"}},
        ),
        Variant(
            "no_second_look",
            "候选段落不再看第二遍",
            {"retrieval": {"second_look": False}},
        ),
        Variant("no_repair", "不修复断行和字距", {"repair": False}, own_index=True),
        Variant("no_reader", "不用阅读模型", {"reader": ""}),
    ]
    if embedder is not None:
        chosen.append(Variant("embedder", f"向量模型 {embedder}", {"model": embedder}, True))
    return chosen


def _weights(dense: float, words: float, bigrams: float) -> dict[str, Any]:
    """One kind of search alone: nor does another have a say in the second look."""
    chosen = {"dense_weight": dense, "word_weight": words, "bigram_weight": bigrams}
    return {"retrieval": {**chosen, "second_look": False}}


def compare_variants(
    chosen: Sequence[Variant],
    cases: Sequence[Case],
    open_variant: OpenVariant,
    progress: Progress = lambda _, cases: cases,
) -> list[Trial]:
    """Ask every question of every variant.

    Args:
        chosen: the first is what the others are compared with.
        cases: the questions.
        open_variant: makes the chatbot that a variant's changes give; closed before the next.
        progress: shows how far a variant is.

    Returns:
        In order; one that cannot be opened says why instead.

    Raises:
        WenjuError: the first one cannot be opened.
    """
    trials: list[Trial] = []
    for variant in chosen:
        try:
            with open_variant(variant) as chatbot:
                outcomes = run(chatbot, progress(variant.label, cases))
            trials.append(trial(variant.name, variant.label, outcomes))
        except WenjuError as error:
            if not trials:
                raise
            trials.append(Trial(variant.name, variant.label, (), {}, failure=error.user_message))
    return trials


def ablation_table(trials: Sequence[Trial]) -> str:
    """Chinese, for the terminal."""
    return f"{trials_table('做法', trials)}\n排序和把握的权重按现状拟合，换做法时没有重新拟合。"
