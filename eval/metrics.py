"""Measures of a question-answering run: small pure functions over strings, spans and confidences.

Scoring follows the rules written with the open test set: comparison after folding, a number never
matches inside a longer one, an answer is right only if it is also concise. Measures of retrieval
are in ranking.py, intervals in intervals.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

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


# What the evaluation script of CMRC 2018 takes for punctuation. Not “…”: it looks for two at once,
# one character at a time.
_CMRC_PUNCTUATION = re.compile(r"[-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』]")
# One Chinese character, or a word, or a mark. A word holds commas before a digit (1,200) and full
# stops (10.5) but for one that ends it before Chinese or at the very end.
_CMRC_TOKEN = re.compile(
    r"""[\u4e00-\u9fa5]
    | (?: [^\s\x00-/:-@\[-`{-\x7f\u4e00-\u9fa5—]
        | ,(?=\d)
        | \.(?![\])}>"'\s]*(?:[\u4e00-\u9fa5]|$))
      )+
    | \S""",
    re.VERBOSE,
)


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1.0 if the answer is one of `golds` apart from case, punctuation and white space, else 0.0.

    Source: evaluation script of CMRC 2018, Cui et al., EMNLP 2019, doi 10.18653/v1/D19-1600. There
    white space inside an answer counts; here not, since repair removes what a layout put in.
    """
    return float(any(_packed(answer) == _packed(gold) for gold in golds))


def _packed(text: str) -> str:
    return "".join(_CMRC_PUNCTUATION.sub("", text.lower()).split())


def overlap_f1(answer: str, golds: Sequence[str]) -> float:
    """Best F1 of the longest run of tokens that answer and gold share; 0.0 without golds.

    Chinese characters are tokens, and so are words and numbers of other scripts and the
    punctuation of ASCII.

    Example: overlap_f1("共10.5万人", ["10.5万"]) -> precision 2/4, recall 1, F1 0.667.

    Source: as exact_match; words of other scripts are cut by expressions that follow the NLTK
    tokenizer used there, but for quotation marks and English contractions.
    """
    return max((_f1(_tokens(answer), _tokens(gold)) for gold in golds), default=0.0)


def _tokens(text: str) -> list[str]:
    return _CMRC_TOKEN.findall(_CMRC_PUNCTUATION.sub("", text.lower()))


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    match = SequenceMatcher(None, answer, gold, autojunk=False).find_longest_match()
    if not match.size:
        return 0.0
    precision, recall = match.size / len(answer), match.size / len(gold)
    return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True)
class Graded:
    """Confidences with yes or no for each, ready to be counted by falling confidence.

    Equal confidences form one group, since no threshold can part them.
    """

    group: NDArray[np.int64]  # of each value, 0 the most confident
    yes: NDArray[np.bool_]
    levels: NDArray[np.float64]  # the confidence of each group, falling

    @classmethod
    def of(cls, confidence: Sequence[float], yes: Sequence[bool | float]) -> Graded:
        """One value for each confidence."""
        rising, group = np.unique(np.asarray(confidence, dtype=float), return_inverse=True)
        return cls(len(rising) - 1 - group, np.asarray(yes, dtype=bool), rising[::-1])

    def counts(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How many of all and how many of yes in each group, shape (samples, groups).

        Args:
            places: samples of the values by place, shape (samples, values).
        """
        samples, groups = len(places), len(self.levels)
        cells = self.group[places] + groups * np.arange(samples)[:, None]
        yes = self.yes[places]
        total = np.bincount(cells.ravel(), minlength=samples * groups)
        hits = np.bincount(cells[yes], minlength=samples * groups)
        return (
            total.reshape(samples, groups).astype(float),
            hits.reshape(samples, groups).astype(float),
        )

    def all(self) -> NDArray[np.int64]:
        """Every value once, as the only sample."""
        return np.arange(len(self.yes))[None, :]


def area_under_curve(scores: Sequence[float], positive: Sequence[bool | float]) -> float:
    """Probability that a positive scores above a negative; ties count half.

    Needs at least one of each.

    Source: the Mann-Whitney statistic, Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747.
    """
    graded = Graded.of(scores, positive)
    return float(areas_under_curve(graded, graded.all())[0])


def areas_under_curve(graded: Graded, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """`area_under_curve` of each of several samples; nan for one that lacks either kind."""
    total, positive = graded.counts(places)
    negative = total - positive
    below = negative.sum(axis=1, keepdims=True) - negative.cumsum(axis=1)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    won = (positive * (below + negative / 2)).sum(axis=1)
    areas: NDArray[np.float64] = np.full(len(pairs), np.nan)
    np.divide(won, pairs, out=areas, where=pairs > 0)
    return areas


def risk_coverage(
    confidence: Sequence[float], wrong: Sequence[bool], questions: int
) -> list[tuple[float, float]]:
    """What a stricter threshold would buy: (coverage, risk) of the most confident answers.

    Args:
        confidence: of the answers given; refused questions are left out.
        wrong: of the same answers.
        questions: all that were asked, refused ones too.

    Returns:
        One point for each confidence that occurs, falling: the share of all questions with an
        answer at least so confident, and the share of these answers that are wrong.

    Source: El-Yaniv and Wiener, JMLR 11, 2010; Geifman and El-Yaniv 2017, arXiv 1705.08500.
    """
    if not confidence:
        return []
    graded = Graded.of(confidence, wrong)
    total, errors = (counted[0].cumsum() for counted in graded.counts(graded.all()))
    return [
        (float(given / questions), float(failed / given))
        for given, failed in zip(total, errors, strict=True)
    ]


def risk_coverage_area(confidence: Sequence[float], wrong: Sequence[bool]) -> float:
    """Mean risk while answers are let through one by one, the most confident first.

    The mean runs over the answers given, so that refusing more does not make it smaller by itself;
    the share of wrong answers where confidence tells nothing, and less where it tells something.
    Answers of equal confidence come in every order with equal chance.

    Needs at least one answer; arguments as `risk_coverage`.

    Source: AURC, Geifman, Uziel and El-Yaniv 2019, arXiv 1805.08206.
    """
    graded = Graded.of(confidence, wrong)
    return float(risk_coverage_areas(graded, graded.all())[0])


def risk_coverage_areas(graded: Graded, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """`risk_coverage_area` of each of several samples, graded by wrong answers."""
    total, wrong = graded.counts(places)
    until, failed = total.cumsum(axis=1), wrong.cumsum(axis=1)
    before, failed_before = until - total, failed - wrong
    rate = np.divide(wrong, total, out=np.zeros_like(wrong), where=total > 0)
    # Within a group the risk after j more answers is (failed_before + j rate) / (before + j); the
    # sum over j = 1 … total follows from harmonic numbers.
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, places.shape[1] + 1))])
    terms = harmonic[until.astype(int)] - harmonic[before.astype(int)]
    sums = total * rate + (failed_before - rate * before) * terms
    areas: NDArray[np.float64] = sums.sum(axis=1) / places.shape[1]
    return areas


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of about the same confidence."""

    low: float  # of the bin, half-open; the last one holds 1.0 too
    high: float
    count: int
    confidence: float  # mean
    accuracy: float  # share that is right


def reliability_bins(
    confidence: Sequence[float], right: Sequence[bool | float], bins: int = 10
) -> list[ReliabilityBin]:
    """Confidence against accuracy in bins of equal width, rising; empty bins are left out.

    Source: reliability diagram, Guo et al. 2017, arXiv 1706.04599.
    """
    values, labels = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    places = np.minimum((values * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(
            low=i / bins,
            high=(i + 1) / bins,
            count=int((places == i).sum()),
            confidence=float(values[places == i].mean()),
            accuracy=float(labels[places == i].mean()),
        )
        for i in range(bins)
        if (places == i).any()
    ]


def calibration_error(
    confidence: Sequence[float], right: Sequence[bool | float], bins: int = 10
) -> float:
    """Mean distance of confidence and accuracy over equal-width bins, by their share; 0.0 of none.

    Source: expected calibration error, Guo et al. 2017, arXiv 1706.04599.
    """
    found = reliability_bins(confidence, right, bins)
    total = sum(one.count for one in found)
    return sum(one.count * abs(one.confidence - one.accuracy) / total for one in found)
