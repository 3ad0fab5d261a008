"""What the report's table of questions shows: outcomes in, plain data for its script out.

Paragraphs and documents are held once, however many questions cite them: a set of thousands stays a
page that opens. Spans count code points of the paragraph they stand in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from eval.metrics import contains, locate, strip_markers
from eval.outcome import Outcome
from schema import Article, Span

Change = Literal["newly_right", "newly_wrong", "changed", "edited", "added"]
GetArticle = Callable[[str], Article | None]
Mark = tuple[
    Span, int, int
]  # (place in Article.text, number of the citation or 0, of the evidence)

_WHOLE = 500  # characters of a paragraph that is shown whole
_AROUND = 140  # characters shown before and after the marks of a longer one
_ARTICLES_KEPT = 256


def change_of(now: Outcome, before: Outcome | None) -> Change | None:
    """What became of a question since the previous run; None where nothing did."""
    if before is None:
        return "added"
    if _asked(now) != _asked(before):
        return "edited"
    if now.right != before.right:
        return "newly_right" if now.right else "newly_wrong"
    return "changed" if _replied(now) != _replied(before) else None


def rows(
    outcomes: Sequence[Outcome], previous: Mapping[str, Outcome] | None, article: GetArticle
) -> dict[str, Any]:
    """The rows with the texts that they refer to.

    Args:
        outcomes: of this run, in the order of its set.
        previous: the outcomes of the run before by id; None if there was none.
        article: a document of the index by name; None where it holds none of that name.

    Returns:
        JSON data: `rows`, `docs` as [name, title] and `texts`; rows refer to the latter two by
        position.
    """
    shelf = _Shelf(lru_cache(_ARTICLES_KEPT)(article))
    listed = [_row(outcome, previous, shelf) for outcome in outcomes]
    return {"rows": listed, "docs": list(map(list, shelf.docs.items())), "texts": [*shelf.texts]}


@dataclass
class _Shelf:
    """Documents and paragraphs in order of first use."""

    article: GetArticle
    docs: dict[str, str | None] = field(default_factory=dict)  # name -> title
    texts: dict[str, int] = field(default_factory=dict)  # text -> position
    _places: dict[str, int] = field(default_factory=dict)

    def doc(self, name: str, title: str | None = None) -> int:
        """The position of a document."""
        if name not in self.docs:
            source = self.article(name)
            self.docs[name] = title or (source.title if source else None)
            self._places[name] = len(self._places)
        return self._places[name]

    def text(self, text: str) -> int:
        """The position of a paragraph."""
        return self.texts.setdefault(text, len(self.texts))


def _row(outcome: Outcome, previous: Mapping[str, Outcome] | None, shelf: _Shelf) -> dict[str, Any]:
    before = None if previous is None else previous.get(outcome.id)
    change = None if previous is None else change_of(outcome, before)
    told = "" if outcome.refused else strip_markers(outcome.answer)
    cited = [(one, shelf.doc(one.doc, one.title)) for one in outcome.citations]
    row = {
        "id": outcome.id,
        "type": outcome.type,
        "question": outcome.question,
        "history": outcome.history,
        "standalone": outcome.standalone if outcome.standalone != outcome.question else None,
        "answerable": outcome.answerable,
        "difficulty": outcome.difficulty,
        "docs": [shelf.doc(doc) for doc in outcome.docs] or sorted({doc for _, doc in cited}),
        "right": outcome.right,
        "concise": outcome.concise,
        "cause": outcome.cause,
        "answer": outcome.answer,
        "short": outcome.short_answer,
        "refused": outcome.refused,
        "reason": outcome.reason,
        "golds": _found(outcome.golds, told),
        "items": _found(outcome.items, told),
        "keypoints": _found(outcome.keypoints, told),
        "confidence": round(outcome.confidence, 4),
        "milliseconds": round(outcome.milliseconds),
        "citations": [
            [doc, one.date, one.quote, one.start, one.end, one.on_evidence, one.verbatim]
            for one, doc in cited
        ],
        "ranks": outcome.evidence_ranks,
        "retrieved": len(outcome.relevant),
        "relevant": [rank for rank, on in enumerate(outcome.relevant, start=1) if on],
        **_sources(outcome, shelf),
        "change": change,
        "before": _replied(before) if before and _replied(before) != _replied(outcome) else None,
    }
    return {key: value for key, value in row.items() if value not in (None, (), [])}


def _asked(outcome: Outcome) -> tuple[object, ...]:
    """The question with its gold."""
    gold = (outcome.answerable, outcome.golds, outcome.items, outcome.keypoints, outcome.evidence)
    return (outcome.question, outcome.history, *gold)


def _replied(outcome: Outcome) -> tuple[str, str | None]:
    return outcome.answer, outcome.short_answer


def _found(wanted: Sequence[str], told: str) -> list[tuple[str, bool]]:
    """Each wanted piece with whether the answer holds it."""
    return [(piece, contains(told, piece)) for piece in wanted]


def _sources(outcome: Outcome, shelf: _Shelf) -> dict[str, Any]:
    """The paragraphs that hold citations and evidence, and the evidence that was found nowhere."""
    marks: dict[str, list[Mark]] = {}
    for n, one in enumerate(outcome.citations, start=1):
        source = shelf.article(one.doc)
        if source is not None:
            span = source.text_span(Span(one.start, one.end))
            marks.setdefault(one.doc, []).append((span, n, 0))
    missing = []
    for n, (doc, text) in enumerate(outcome.evidence, start=1):
        source = shelf.article(doc)
        place = locate(source.original, text) if source is not None else None
        if source is None or place is None:
            missing.append([shelf.doc(doc), text])
        else:
            marks.setdefault(doc, []).append((source.text_span(place), 0, n))
    return {
        "sources": [
            [shelf.doc(doc), *piece]
            for doc, own in marks.items()
            if (source := shelf.article(doc)) is not None
            for piece in _pieces(source, own, shelf)
        ],
        "missing": missing,
    }


def _pieces(source: Article, marks: Sequence[Mark], shelf: _Shelf) -> Iterator[list[Any]]:
    """Pieces of an article with the marks on them, in reading order.

    Yields:
        [position of the text, is something cut off before, after, [[start, end, citation,
        evidence], ...]].
    """
    for block in _blocks(source, marks):
        inside = sorted(
            (Span(max(span.start, block.start), min(span.end, block.end)), citation, evidence)
            for span, citation, evidence in marks
            if span.start < block.end and block.start < span.end
        )
        for window in _windows(block, [span for span, _, _ in inside]):
            yield [
                shelf.text(window.cut(source.text)),
                window.start > block.start,
                window.end < block.end,
                [
                    [span.start - window.start, span.end - window.start, citation, evidence]
                    for span, citation, evidence in inside
                    if window.start <= span.start and span.end <= window.end
                ],
            ]


def _blocks(source: Article, marks: Sequence[Mark]) -> list[Span]:
    """The blocks that some mark touches, in reading order."""
    starts = [block.span.start for block in source.blocks]
    touched = set()
    for span, _, _ in marks:
        at = max(0, bisect_right(starts, span.start) - 1)
        while at < len(starts) and starts[at] < span.end:
            touched.add(source.blocks[at].span)
            at += 1
    return sorted(touched)


def _windows(block: Span, marks: Sequence[Span]) -> Iterator[Span]:
    """A short block whole; of a longer one the surroundings of its marks, joined where they meet.

    `marks` lie inside `block` and are ordered.
    """
    if len(block) <= _WHOLE or not marks:
        yield block
        return
    start, end = marks[0].start, marks[0].end
    for mark in marks[1:]:
        if mark.start - end > 2 * _AROUND:
            yield Span(max(block.start, start - _AROUND), min(block.end, end + _AROUND))
            start = mark.start
        end = max(end, mark.end)
    yield Span(max(block.start, start - _AROUND), min(block.end, end + _AROUND))
