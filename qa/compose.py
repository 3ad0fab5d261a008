"""Ordered evidence to what a person reads: statements, each resting on its own sentences.

Every word of a statement stands in its evidence, apart from a leading label (作者：) and the final
stop. Shortens to whole clauses, never inside one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from index.words import normalize
from qa.expressions import FITS, find_dates, find_numbers, number_fit, offers
from qa.question import Kind, Question
from qa.ranker import Evidence, Terms
from schema import Span

MAX_ANSWER_CHARS = 160  # "concise" in the contract
_SAME_STATEMENT = 0.8  # share of the longer sentence that the shorter must hold to say the same
_SECOND_SENTENCE = 0.75  # score below the best, in units of the ranker, that still earns a place


@dataclass(frozen=True)
class Statement:
    """One statement and the sentences it is quoted from, best first."""

    text: str  # without final stop
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Draft:
    """An answer before it is checked and cited."""

    statements: tuple[Statement, ...]
    short_answer: str | None


def compose(question: Question, ranked: Sequence[Evidence], terms: Terms, max_chars: int) -> Draft:
    """An answer of at most `max_chars` from the best evidence (`ranked` must not be empty).

    One sentence where that is enough. A second one where it has the number or date that the best
    one lacks, where it goes on about the same thing, or, for what explains (a list, a reason, a
    manner), where it is nearly as good. Sentences that say the same are merged.
    """
    best = ranked[0]
    merged = (best, *(other for other in ranked[1:] if same_statement(best.text, other.text)))[:3]
    needed = _needed(question, ranked)
    room = max_chars if needed is None else max_chars - 1 - len(needed.text)
    first = Statement(state(question, best, terms, max(max_chars // 2, room)), merged)
    rest = max_chars - 1 - len(first.text)
    second = needed
    if second is None and question.kind in _EXPLAINING and best.sentence.kind == "body":
        second = _rival(ranked, merged, rest)
    statements = [first]
    if second is not None:
        statements.append(Statement(state(question, second, terms, rest), (second,)))
    told = needed if needed is not None and asks_for_expression(question) else best
    return Draft(tuple(statements), short_answer(question, told, terms))


def _needed(question: Question, ranked: Sequence[Evidence]) -> Evidence | None:
    """A second sentence without which the best one does not answer, if there is one."""
    best = ranked[0]
    if best.sentence.kind != "body":
        return None
    if not asks_for_expression(question):
        return _continuation(best, ranked)
    return None if offers(question, best.text) >= FITS else completion(question, ranked)


def asks_for_expression(question: Question) -> bool:
    """Whether only a number or a date can answer."""
    return question.kind in {Kind.NUMBER, Kind.DATE}


def completion(question: Question, ranked: Sequence[Evidence]) -> Evidence | None:
    """The first later sentence of the best one's passage that has the number or date asked for.

    Example: 这是首场直播。观看的网友共计10.2万人次。
    """
    best = ranked[0]
    later = [
        other
        for other in ranked
        if other.passage.chunk_id == best.passage.chunk_id
        and other.sentence.span.start >= best.sentence.span.end
        and offers(question, other.text) >= FITS
    ]
    return min(later, key=lambda other: other.sentence.span.start, default=None)


_EXPLAINING = {Kind.LIST, Kind.DEFINITION, Kind.REASON, Kind.MANNER, Kind.OTHER}
_POINTS_BACK = re.compile(r"该|这|此|其|它|上述|由此|从而|通过|最终|在[这此上两三四五六七八九十]")
_INTRODUCES = 30  # characters; a shorter sentence often only names what the next one tells


def _continuation(best: Evidence, ranked: Sequence[Evidence]) -> Evidence | None:
    """The sentence that follows, if it points back or the best one only introduces it."""
    after = next((other for other in ranked if _follows(other, best)), None)
    if after is None or after.sentence.kind != "body":
        return None
    goes_on = _POINTS_BACK.match(after.text) or len(best.text) < _INTRODUCES
    return after if goes_on else None


def _follows(other: Evidence, best: Evidence) -> bool:
    """Whether nothing but white space stands between the two sentences, best first."""
    gap = other.sentence.span.start - best.sentence.span.end
    return other.passage.chunk.doc == best.passage.chunk.doc and 0 <= gap <= 1


def _rival(
    ranked: Sequence[Evidence], merged: Sequence[Evidence], max_chars: int
) -> Evidence | None:
    """Another sentence, short enough, that the ranker finds nearly as good."""
    return next(
        (
            other
            for other in ranked
            if ranked[0].score - other.score <= _SECOND_SENTENCE
            and other not in merged
            and len(other.text) <= max_chars
            and other.sentence.kind == "body"
        ),
        None,
    )


def same_statement(one: str, other: str) -> bool:
    """Whether two sentences say the same: equal, or one almost all of the other, marks apart.

    Nothing looser: 甲港四期总投资10亿元 and 乙港四期总投资12亿元 share most of their characters.
    """
    shorter, longer = sorted((_words_only(one), _words_only(other)), key=len)
    return shorter in longer and len(shorter) >= _SAME_STATEMENT * len(longer)


def _words_only(text: str) -> str:
    return re.sub(r"\W", "", normalize(text))


def state(question: Question, evidence: Evidence, terms: Terms, max_chars: int) -> str:
    """The sentence as a statement: labelled where it would not read as one, cut to fit."""
    text = " ".join(evidence.text.split()).rstrip("。！!.；;，,")
    label = _LABELS.get(evidence.sentence.kind, "") if question.target else ""
    if len(label) + len(text) <= max_chars:
        return label + text
    told = short_answer(question, evidence, terms)
    return label + best_clauses(text, terms, max_chars - len(label), keep=told or "")


_LABELS = {"byline": "作者：", "title": "标题：", "subtitle": "副标题："}
_CLAUSE = re.compile(r"[^，；：,;:。！？]+[，；：,;:。！？]?[”’」』）)]*")


def best_clauses(text: str, terms: Terms, max_chars: int, keep: str = "") -> str:
    """The run of whole clauses, at most `max_chars`, that holds most of the question's terms.

    A run with `keep` goes before any without it; of equal runs the longest, since its words belong
    to the statement. A single clause that is longer than `max_chars` is cut.
    """
    spans = [Span(*match.span()) for match in _CLAUSE.finditer(text)]
    best, best_value = Span(0, max_chars), (False, -1.0, 0)
    for first, start in enumerate(spans):
        for last in spans[first:]:
            run = Span(start.start, last.end)
            if len(run) > max_chars + 1:
                break
            cut = run.cut(text)
            value = (keep in cut, terms.coverage(normalize(cut)), len(run))
            if value > best_value:
                best, best_value = run, value
    return best.cut(text).rstrip("，；：,;:。")[:max_chars]


def short_answer(question: Question, evidence: Evidence, terms: Terms) -> str | None:
    """The number, date or name asked for, as written in the sentence; None if not certain of one.

    Of several fitting expressions the one that counts the right thing wins, then the one beside
    the most words of the question.
    """
    if question.target == "byline" and evidence.sentence.kind == "byline":
        return "、".join(evidence.text.split())
    text = evidence.text
    if question.kind is Kind.NUMBER:
        fits = [(number_fit(question, n, text), n.span) for n in find_numbers(text) if n.unit]
    elif question.kind is Kind.DATE:
        fits = [(1.0, span) for span, _ in find_dates(text)]
    else:
        return None
    fits = [(fit, span) for fit, span in fits if fit >= FITS]
    if not fits:
        return None
    _, best = max(fits, key=lambda one: (one[0], _nearness(text, one[1], terms), -one[1].start))
    return best.cut(text)


def _nearness(text: str, span: Span, terms: Terms) -> float:
    """How much of the question stands in the clause around an expression, and just before it."""
    clause = next(
        (
            Span(*match.span())
            for match in _CLAUSE.finditer(text)
            if match.start() <= span.start < match.end()
        ),
        span,
    )
    lead = Span(max(0, clause.start - 20), clause.start)
    return terms.coverage(normalize(clause.cut(text))) + 0.5 * terms.coverage(
        normalize(lead.cut(text))
    )
