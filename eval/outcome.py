"""One question asked and what came of it: scored against its gold, with the cause of a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from eval.case import Case
from eval.metrics import (
    contains,
    exact_match,
    is_concise,
    is_right,
    is_verbatim,
    locate,
    overlap_f1,
    overlaps_evidence,
    strip_markers,
)
from qa.chatbot import Trace
from schema import Answer, Article, Citation, Passage, Span

Cause = Literal[
    "not_retrieved",  # no passage that was found lies on the evidence
    "not_read",  # one does, but neither answer nor citation came from it
    "wrong_span",  # the evidence is cited, but the answer does not hold the gold
    "wrongly_refused",  # the evidence was found, and the question refused
    "should_have_refused",  # answered though the documents do not say
    "badly_cited",  # right, but no citation lies on the evidence
]
CAUSES_ZH: dict[Cause, str] = {
    "not_retrieved": "没有检索到",
    "not_read": "检索到但没有读出",
    "wrong_span": "引对了但答错了",
    "wrongly_refused": "误拒",
    "should_have_refused": "应拒未拒",
    "badly_cited": "答对但引用不在证据上",
}
GetArticle = Callable[[str], Article | None]


@dataclass(frozen=True)
class Cited:
    """One citation of an answer."""

    doc: str
    title: str | None
    date: str | None
    start: int  # of the original, half-open
    end: int
    quote: str
    on_evidence: bool
    verbatim: bool  # it is what stands at its offsets


@dataclass(frozen=True)
class Outcome:
    """How one question went. All lists are tuples, so that it can be compared and hashed."""

    id: str
    type: str
    question: str
    history: tuple[tuple[str, str], ...]  # (role, content)
    answerable: bool
    difficulty: str | None
    golds: tuple[str, ...]
    items: tuple[str, ...]
    keypoints: tuple[str, ...]
    evidence: tuple[tuple[str, str], ...]  # (doc, text)
    answer: str
    short_answer: str | None
    standalone: str  # the question as understood with its history
    refused: bool
    reason: str | None  # of a refusal
    confidence: float
    right: bool  # answerable: concise and holds the gold; unanswerable: refused
    concise: bool
    short_exact: float  # the short answer is one of the golds
    short_f1: float
    items_found: int  # of `items`, in the answer
    keypoints_found: int
    citations: tuple[Cited, ...]
    evidence_cited: int  # of `evidence`, by some citation
    relevant: tuple[bool, ...]  # of each passage retrieved, best first: does it lie on evidence
    evidence_ranks: tuple[int | None, ...]  # from 1, of each evidence among the passages retrieved
    cause: Cause | None  # None where all is well
    milliseconds: float

    @property
    def first_cited(self) -> bool:
        """The first citation lies on the evidence."""
        return bool(self.citations) and self.citations[0].on_evidence

    @property
    def some_cited(self) -> bool:
        """Some citation lies on the evidence."""
        return any(citation.on_evidence for citation in self.citations)

    @property
    def docs(self) -> tuple[str, ...]:
        """The documents of the evidence, each once."""
        return tuple(dict.fromkeys(doc for doc, _ in self.evidence))

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def score(case: Case, trace: Trace, article: GetArticle) -> Outcome:
    """Compare a reply with the gold of its question."""
    reply = trace.result.reply
    answered = isinstance(reply, Answer)
    gold = [(doc, _place(doc, text, article)) for doc, text in case.evidence]
    citations = reply.citations if isinstance(reply, Answer) else ()
    cited = tuple(_cited(citation, gold, article) for citation in citations)
    places = [place for passage in _retrieved(trace) if (place := _original(passage, article))]
    short = (reply.short_answer or "") if isinstance(reply, Answer) else ""
    text = strip_markers(reply.text) if answered else ""
    right = (
        answered and is_right(text, case.answers, case.items, case.keypoints)
        if case.answerable
        else not answered
    )
    outcome = Outcome(
        id=case.id,
        type=case.type,
        question=case.question,
        history=tuple((turn.role, turn.content) for turn in case.history),
        answerable=case.answerable,
        difficulty=case.difficulty,
        golds=case.answers,
        items=case.items,
        keypoints=case.keypoints,
        evidence=case.evidence,
        answer=reply.text,
        short_answer=reply.short_answer if isinstance(reply, Answer) else None,
        standalone=reply.standalone_question or trace.question.standalone,
        refused=not answered,
        reason=None if isinstance(reply, Answer) else reply.reason,
        confidence=reply.confidence,
        right=right,
        concise=is_concise(reply.text, case.answers),
        short_exact=exact_match(short, case.answers),
        short_f1=overlap_f1(short, case.answers),
        items_found=sum(contains(text, item) for item in case.items),
        keypoints_found=sum(contains(text, point) for point in case.keypoints),
        citations=cited,
        evidence_cited=sum(
            any(_on([one], citation.doc, citation.span) for citation in citations) for one in gold
        ),
        relevant=tuple(_on(gold, *place) for place in places),
        evidence_ranks=tuple(_rank(one, places) for one in gold),
        cause=None,
        milliseconds=trace.result.timings_ms["total"],
    )
    return replace(outcome, cause=cause_of(outcome))


Gold = tuple[str, Span | None]  # (doc, place in its original; None where it was not found)


def _place(doc: str, text: str, article: GetArticle) -> Span | None:
    """Of the evidence in its original; all of it where no sentence is named."""
    source = article(doc)
    if source is None:
        return None
    return locate(source.original, text) if text else Span(0, len(source.original))


def _on(gold: Sequence[Gold], doc: str, span: Span) -> bool:
    """Whether a place lies on some of the evidence."""
    return overlaps_evidence(
        span, [place for owner, place in gold if owner == doc and place is not None]
    )


def _cited(citation: Citation, gold: Sequence[Gold], article: GetArticle) -> Cited:
    source = article(citation.doc)
    return Cited(
        doc=citation.doc,
        title=citation.title,
        date=citation.date,
        start=citation.span.start,
        end=citation.span.end,
        quote=citation.quote,
        on_evidence=_on(gold, citation.doc, citation.span),
        verbatim=source is not None and is_verbatim(source.original, citation.span, citation.quote),
    )


def _retrieved(trace: Trace) -> list[Passage]:
    """The passages that were found, best first; a question of several parts takes turns."""
    parts = []
    for finding in trace.findings:
        passages = {one.passage.chunk_id: one.passage for one in finding.ranked}
        parts.append(sorted(passages.values(), key=lambda passage: -passage.score))
    longest = max((len(part) for part in parts), default=0)
    turns = [part[i] for i in range(longest) for part in parts if i < len(part)]
    return list({passage.chunk_id: passage for passage in turns}.values())


def _original(passage: Passage, article: GetArticle) -> tuple[str, Span] | None:
    source = article(passage.chunk.doc)
    if source is None:
        return None
    return passage.chunk.doc, source.original_span(passage.chunk.span)


def _rank(one: Gold, places: Sequence[tuple[str, Span]]) -> int | None:
    return next((n for n, place in enumerate(places, start=1) if _on([one], *place)), None)


def cause_of(outcome: Outcome) -> Cause | None:
    """What went wrong first on the way to the answer; None where nothing did."""
    if not outcome.answerable:
        return None if outcome.refused else "should_have_refused"
    if outcome.right:
        return None if outcome.some_cited or not outcome.evidence else "badly_cited"
    if outcome.some_cited:
        return "wrong_span"
    if outcome.evidence and not any(outcome.relevant):
        return "not_retrieved"
    return "wrongly_refused" if outcome.refused else "not_read"
