"""The measures agree with outside authorities on random cases.

Ranking with ir-measures, which wraps trec_eval; exact match and F1 with the published rules of
CMRC 2018, written down here once more from the description of its evaluation script.
"""

from __future__ import annotations

import random
import re
from typing import Any

import ir_measures
import pytest

from eval.metrics import exact_match, overlap_f1
from eval.ranking import ndcg_at, recall_at, reciprocal_rank, relevant_passages

CASES = 200


def random_ranking(draw: random.Random) -> tuple[list[bool], list[int | None]]:
    """Up to 15 passages of which each relevant one holds a piece of its own; some are missed."""
    relevant = [draw.random() < 0.3 for _ in range(draw.randint(0, 15))]
    ranks: list[int | None] = [rank for rank, hit in enumerate(relevant, start=1) if hit]
    missed: list[int | None] = [None] * draw.randint(0 if ranks else 1, 3)
    return relevant, ranks + missed


def authority(
    relevant: list[bool], ranks: list[int | None], measures: list[Any]
) -> dict[Any, float]:
    judged = [
        ir_measures.Qrel("q", f"d{rank}", 1) for rank, hit in enumerate(relevant, start=1) if hit
    ]
    judged += [ir_measures.Qrel("q", f"missed{i}", 1) for i in range(ranks.count(None))]
    found = [
        ir_measures.ScoredDoc("q", f"d{rank}", 100.0 - rank) for rank in range(1, len(relevant) + 1)
    ]
    found = found or [ir_measures.ScoredDoc("q", "other", 0.0)]  # it skips questions without any
    return dict(ir_measures.calc_aggregate(measures, judged, found))


def test_recall_reciprocal_rank_and_ndcg_agree_with_ir_measures() -> None:
    recalls = {k: ir_measures.R @ k for k in (1, 3, 5, 10)}
    gains = {k: ir_measures.nDCG @ k for k in (3, 10)}
    draw = random.Random(2018)
    for _ in range(CASES):
        relevant, ranks = random_ranking(draw)
        theirs = authority(relevant, ranks, [ir_measures.RR, *recalls.values(), *gains.values()])
        assert reciprocal_rank(relevant) == pytest.approx(theirs[ir_measures.RR], abs=1e-9)
        for k, measure in recalls.items():
            assert recall_at(ranks, k) == pytest.approx(theirs[measure], abs=1e-9)
        total = relevant_passages(relevant, ranks)
        for k, measure in gains.items():
            assert ndcg_at(relevant, k, total) == pytest.approx(theirs[measure], abs=1e-9)


# The script's punctuation, one character each, as it compares them.
PUNCTUATION = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
PIECES: tuple[str, ...] = (
    *"湖南长沙岳阳郴州片区产值亿元家人中国自贸试验",
    *PUNCTUATION,
    *["10.5", "80%", "1,200", "2024", "AGV", "5G", "iPhone 15", "(2023)", "B2B", "GDP", "…", "—"],
)


def cut_as_published(text: str) -> list[str]:
    """Lower case, punctuation out, Chinese characters one by one, the rest word by word."""
    tokens: list[str] = []
    rest = ""
    for character in text.lower().strip():
        if character in PUNCTUATION:
            continue
        if "\u4e00" <= character <= "\u9fa5":
            tokens += [*words(rest), character]
            rest = ""
        else:
            rest += character
    return tokens + words(rest)


def words(text: str) -> list[str]:
    """What the Penn Treebank rules make of it: marks on their own, but for those in numbers."""
    text = re.sub(r"([%&?!;()\[\]—])", r" \1 ", text)
    text = re.sub(r",(?!\d)", " , ", text)
    text = re.sub(r"(?<=[^.])\.\s*$", " .", text)
    return text.split()


def longest_common_run(one: list[str], other: list[str]) -> int:
    best = 0
    lengths = [0] * (len(other) + 1)
    for token in one:
        lengths = [0] + [lengths[j] + 1 if token == wanted else 0 for j, wanted in enumerate(other)]
        best = max(best, *lengths)
    return best


def f1_as_published(answer: str, golds: list[str]) -> float:
    scores = [0.0]
    for gold in golds:
        mine, theirs = cut_as_published(answer), cut_as_published(gold)
        if shared := longest_common_run(mine, theirs):
            precision, recall = shared / len(mine), shared / len(theirs)
            scores.append(2 * precision * recall / (precision + recall))
    return max(scores)


def exact_as_published(answer: str, golds: list[str]) -> float:
    def kept(text: str) -> str:
        return "".join(one for one in text.lower().strip() if one not in PUNCTUATION)

    return float(any(kept(answer) == kept(gold) for gold in golds))


def random_answer(draw: random.Random) -> tuple[str, list[str]]:
    """An answer and up to three golds: parts of one text, at times with other marks or case."""
    text = [draw.choice(PIECES) for _ in range(draw.randint(3, 20))]

    def part() -> str:
        start = draw.randrange(len(text))
        chosen = "".join(text[start : start + draw.randint(1, 12)])
        return draw.choice(
            [chosen, chosen.swapcase(), f"“{chosen}”。", chosen + draw.choice(PIECES)]
        )

    golds = [part() for _ in range(draw.randint(1, 3))]
    same = draw.choice(golds)
    return draw.choice(
        [part(), same[2:], same[:-1], same + part(), f"《{same}》", same.upper()]
    ), golds


def test_exact_match_and_f1_agree_with_the_rules_of_cmrc_2018() -> None:
    draw = random.Random(3219)
    exact, f1 = [], []
    for _ in range(CASES):
        answer, golds = random_answer(draw)
        exact.append(exact_as_published(answer, golds))
        f1.append(f1_as_published(answer, golds))
        assert exact_match(answer, golds) == exact[-1], (answer, golds)
        assert overlap_f1(answer, golds) == pytest.approx(f1[-1], abs=1e-9), (answer, golds)
    # The cases would show a difference: neither all right nor all wrong.
    assert 0.2 < sum(exact) / CASES < 0.9
    assert sum(0 < one < 1 for one in f1) > CASES / 5
