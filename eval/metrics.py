"""Measures of a question-answering run: small pure functions over strings and spans.

Scoring follows the rules written with the open test set: comparison after folding, a number never
matches inside a longer one, an answer is right only if it is also concise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from index.words import normalize
from schema import Span

MAX_CONCISE_CHARS = 160


def fold(text: str) -> str:
    """Form in which answers are compared: NFKC, simplified, no white space or punctuation.

    Inside a number the decimal point stays; where anything else that is dropped stood between two
    digits, a `|` keeps the two numbers apart (1、2 is not 12).
    """
    plain = normalize(text)
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", plain)
    plain = re.sub(r"(?<=\d)\.(?=\d)", "\0", plain)
    plain = re.sub(r"(?<=\d)[^\w\0%‰]+(?=\d)", "|", plain)
    return re.sub(r"[^\w\0|%‰+]|_", "", plain).replace("\0", ".")


def contains(answer: str, wanted: str) -> bool:
    """Whether `wanted` stands in `answer`, both folded; never inside a longer number."""
    haystack, needle = fold(answer), fold(wanted)
    if not needle:
        return False
    before = r"(?<![\d.])" if needle[0].isdigit() else ""
    after = r"(?!\.?\d)" if needle[-1].isdigit() else ""
    return re.search(before + re.escape(needle) + after, haystack) is not None


def is_concise(answer: str, golds: Sequence[str]) -> bool:
    """At most 160 characters, or four times the longest acceptable answer."""
    limit = max([MAX_CONCISE_CHARS, *(4 * len(gold) for gold in golds)])
    return len(strip_markers(answer)) <= limit


def strip_markers(answer: str) -> str:
    """The answer without its citation markers."""
    return re.sub(r"\[\d+\]", "", answer)


def is_right(
    answer: str, golds: Sequence[str], items: Sequence[str], keypoints: Sequence[str]
) -> bool:
    """Concise, and holds one acceptable variant, or every item, or every key point."""
    text = strip_markers(answer)
    if not is_concise(answer, golds):
        return False
    return (
        any(contains(text, gold) for gold in golds)
        or (bool(items) and all(contains(text, item) for item in items))
        or (bool(keypoints) and all(contains(text, point) for point in keypoints))
    )


def overlaps_evidence(cited: Span, evidence: Sequence[Span]) -> bool:
    """Whether a citation lies on the evidence: they share half of the shorter of the two."""
    return any(
        2 * (min(cited.end, gold.end) - max(cited.start, gold.start))
        >= max(1, min(len(cited), len(gold)))
        for gold in evidence
    )


def locate(original: str, passage: str) -> Span | None:
    """Where `passage` stands in `original`, white space apart; None if nowhere."""
    positions = [i for i, character in enumerate(original) if not character.isspace()]
    packed = "".join(original[i] for i in positions)
    wanted = "".join(passage.split())
    at = packed.find(wanted)
    if at < 0 or not wanted:
        return None
    return Span(positions[at], positions[at + len(wanted) - 1] + 1)


def is_verbatim(original: str, span: Span, quote: str) -> bool:
    """Whether the quotation is what stands at its offsets, white space apart."""
    return bool(quote) and "".join(span.cut(original).split()) == "".join(quote.split())


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a rate; (0, 1) without trials.

    Source: Wilson 1927, doi 10.1080/01621459.1927.10502953.
    """
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    centre = rate + z * z / (2 * trials)
    margin = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1.0 if the answer is one of `golds` apart from case, punctuation and white space, else 0.0.

    Source: evaluation script of CMRC 2018, Cui et al., EMNLP 2019, doi 10.18653/v1/D19-1600.
    """
    return float(any(_tokens(answer) == _tokens(gold) for gold in golds))


def overlap_f1(answer: str, golds: Sequence[str]) -> float:
    """Best F1 of the longest run of tokens that answer and gold share; 0.0 without golds.

    Chinese characters are tokens, and so are runs of other letters and digits.

    Example: overlap_f1("共10.5万人", ["10.5万"]) -> precision 3/5, recall 1, F1 0.75.

    Source: as exact_match.
    """
    return max((_f1(_tokens(answer), _tokens(gold)) for gold in golds), default=0.0)


def _tokens(text: str) -> list[str]:
    return re.findall(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+", text.lower())


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    match = SequenceMatcher(None, answer, gold, autojunk=False).find_longest_match()
    if not match.size:
        return 0.0
    precision, recall = match.size / len(answer), match.size / len(gold)
    return 2 * precision * recall / (precision + recall)


def area_under_curve(scores: Sequence[float], positive: Sequence[bool | float]) -> float:
    """Probability that a positive scores above a negative; ties count half.

    Needs at least one of each.

    Source: the Mann-Whitney statistic, Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747.
    """
    values, labels = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    high, low = values[labels][:, None], values[~labels][None, :]
    return float((high > low).mean() + 0.5 * (high == low).mean())


def calibration_error(
    confidence: Sequence[float], right: Sequence[bool | float], bins: int = 10
) -> float:
    """Mean distance of confidence and accuracy over equal-width bins, by their share; 0.0 of none.

    Source: expected calibration error, Guo et al. 2017, arXiv 1706.04599.
    """
    values, labels = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    places = np.minimum((values * bins).astype(int), bins - 1)
    return float(
        sum(
            (places == i).mean() * abs(values[places == i].mean() - labels[places == i].mean())
            for i in range(bins)
            if (places == i).any()
        )
    )
