"""A test set and a chatbot in, one outcome a question out, and a table of them.

The test-set form is described in eval/sets/README.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from errors import TestSetError
from eval.metrics import (
    area_under_curve,
    calibration_error,
    exact_match,
    is_right,
    is_verbatim,
    locate,
    overlap_f1,
    overlaps_evidence,
    wilson_interval,
)
from qa.chatbot import Chatbot
from schema import Answer, Article, Citation, Span, Turn

DIFFICULTIES = ("hard", "mid", "easy")
SHORT_TYPES = ("number", "entity", "date")  # whose questions have a short answer


@dataclass(frozen=True)
class Case:
    """One question of a test set with what a right answer holds."""

    id: str
    question: str
    type: str
    answerable: bool
    answers: tuple[str, ...]
    items: tuple[str, ...]
    keypoints: tuple[str, ...]
    evidence: tuple[tuple[str, str], ...]  # (doc, verbatim text without white space)
    history: tuple[Turn, ...]
    difficulty: str | None  # of a question without an answer: hard, mid or easy


@dataclass(frozen=True)
class Outcome:
    """How one question went."""

    id: str
    type: str
    question: str
    answerable: bool
    answer: str
    short_answer: str | None
    refused: bool
    confidence: float
    right: bool  # answerable: concise and holds the gold; unanswerable: refused
    first_cited: bool  # the first citation lies on the evidence
    some_cited: bool
    citations: int
    verbatim: int  # citations that are what stands at their offsets
    short_exact: float  # the short answer is one of the gold answers
    short_f1: float
    difficulty: str | None
    milliseconds: float

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def load_cases(path: Path) -> list[Case]:
    """The cases of a JSON-lines test set.

    Raises:
        TestSetError: unreadable, or a line that is not a case; names the line.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")  # JSON text may hold U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise TestSetError(f"{path}: {error}", f"无法读取测试集 {path}。") from error
    cases = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            cases.append(_case(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise TestSetError(
                f"{path}:{number}: {error!r}", f"测试集 {path} 第 {number} 行格式不对。"
            ) from error
    if not cases:
        raise TestSetError(f"{path}: no case", f"测试集 {path} 里没有题目。")
    return cases


def _case(row: dict[str, Any]) -> Case:
    return Case(
        id=str(row["id"]),
        question=row["question"],
        type=row["type"],
        answerable=bool(row["answerable"]),
        answers=tuple(row["answers"]),
        items=tuple(row.get("items") or ()),
        keypoints=tuple(row.get("keypoints") or ()),
        evidence=tuple((item["doc"], item["text"]) for item in row["evidence"]),
        history=tuple(Turn(turn["role"], turn["content"]) for turn in row.get("history") or ()),
        difficulty=_difficulty(row),
    )


def _difficulty(row: dict[str, Any]) -> str | None:
    """The first word of the note where it is one of the three."""
    word = str(row.get("note") or "").split(":")[0]
    return word if not row["answerable"] and word in DIFFICULTIES else None


def run(chatbot: Chatbot, cases: Iterable[Case]) -> list[Outcome]:
    """Ask every question once, in order."""
    articles = {summary.doc: chatbot.article(summary.doc) for summary in chatbot.documents()}
    return [_outcome(chatbot, case, articles) for case in cases]


def _outcome(chatbot: Chatbot, case: Case, articles: dict[str, Article | None]) -> Outcome:
    result = chatbot.ask(case.question, case.history)
    reply = result.reply
    citations = reply.citations if isinstance(reply, Answer) else ()
    on_evidence = [_on_evidence(citation, case, articles) for citation in citations]
    refused = not isinstance(reply, Answer)
    short = reply.short_answer or "" if isinstance(reply, Answer) else ""
    right = (
        not refused and is_right(reply.text, case.answers, case.items, case.keypoints)
        if case.answerable
        else refused
    )
    return Outcome(
        id=case.id,
        type=case.type,
        question=case.question,
        answerable=case.answerable,
        answer=reply.text,
        short_answer=reply.short_answer if isinstance(reply, Answer) else None,
        refused=refused,
        confidence=reply.confidence,
        right=right,
        first_cited=bool(on_evidence) and on_evidence[0],
        some_cited=any(on_evidence),
        citations=len(citations),
        verbatim=sum(_verbatim(citation, articles) for citation in citations),
        short_exact=exact_match(short, case.answers),
        short_f1=overlap_f1(short, case.answers),
        difficulty=case.difficulty,
        milliseconds=result.timings_ms["total"],
    )


def _on_evidence(citation: Citation, case: Case, articles: dict[str, Article | None]) -> bool:
    article = articles.get(citation.doc)
    if article is None:
        return False
    gold: list[Span] = []
    for doc, text in case.evidence:
        span = locate(article.original, text) if doc == citation.doc else None
        if span is not None:
            gold.append(span)
    return overlaps_evidence(citation.span, gold)


def _verbatim(citation: Citation, articles: dict[str, Article | None]) -> bool:
    article = articles.get(citation.doc)
    return article is not None and is_verbatim(article.original, citation.span, citation.quote)


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures by type and over all, each rate with its 95 % interval."""
    answerable = [outcome for outcome in outcomes if outcome.answerable]
    unanswerable = [outcome for outcome in outcomes if not outcome.answerable]
    lines = ["类型            题数  答对"]
    for kind in dict.fromkeys(outcome.type for outcome in outcomes):
        group = [outcome for outcome in outcomes if outcome.type == kind]
        lines.append(f"{kind:<14}{len(group):>5}  {_rate(group, lambda item: item.right)}")
    cited = sum(outcome.citations for outcome in outcomes)
    verbatim = sum(outcome.verbatim for outcome in outcomes)
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
