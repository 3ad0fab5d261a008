"""The heart: a question in, an answer with citations or a refusal out.

Read `trace` first; everything else in this folder is one of its steps.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from index.protocols import Generation
from qa.check import Failure, check_statement
from qa.cite import cite
from qa.comparison import compared
from qa.compose import MAX_ANSWER_CHARS, Draft, Statement, as_told, compose, difference
from qa.question import Question, parts, understand
from qa.ranker import Evidence, Ranker
from qa.reader import Reader, passage_text
from qa.refuse import NOTHING_FOUND, UNMET, Confidence, Grounds, plain_refusal, unmet_demand
from qa.retriever import Retriever
from qa.scope import Scoped, by_document, scoped
from qa.spelling import correct
from schema import (
    UNSURE,
    Answer,
    Article,
    AskResult,
    Citation,
    DocumentSummary,
    History,
    Passage,
    Refusal,
    Reply,
)

OnStage = Callable[[str], None]  # told the name of each stage as it begins

_RELATED = 0.3  # share of the question's words that makes a passage worth suggesting
_SUGGESTIONS = 3


@dataclass(frozen=True)
class Finding:
    """What the documents offer for one part of a question."""

    question: Question
    ranked: list[Evidence]
    confidence: float
    grounds: Grounds | None  # why this part is not answered


@dataclass(frozen=True)
class Stopped:
    """A statement that is not shown, since its quotations do not bear it out."""

    text: str
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Trace:
    """A reply with all that led to it; explain.py puts it into words."""

    question: Question
    findings: tuple[Finding, ...]  # one for each part; none where nothing was searched
    stopped: tuple[Stopped, ...]
    result: AskResult


@dataclass(frozen=True)
class Chatbot:
    """Answers from one index generation. Safe to call from several threads."""

    generation: Generation
    retriever: Retriever
    reader: Reader
    ranker: Ranker
    confidence: Confidence
    passages: int  # whose sentences are ranked
    read: int  # of these, how many the reader reads
    max_question_chars: int
    examples: Sequence[str] = ()

    def ask(
        self, question: str, history: History = (), on_stage: OnStage | None = None
    ) -> AskResult:
        """The reply to one question.

        Args:
            question: as typed.
            history: the earlier turns, oldest first.
            on_stage: told "understand", "retrieve", "read", "rank" and "compose" as each begins,
                some of them once for each part of the question. What it raises ends the work: so
                an answer that nobody waits for any more stops costing.

        Raises:
            BadQuestionError: nothing typed, or too long.
        """
        return self.trace(question, history, on_stage).result

    def trace(self, question: str, history: History = (), on_stage: OnStage | None = None) -> Trace:
        """As `ask`, with all that led to the reply."""
        clock = _Clock(on_stage)
        with clock.stage("understand"):
            understood = understand(question, history, self.max_question_chars)
            understood = correct(understood, self.generation)
        findings: list[Finding] = []
        stopped: list[Stopped] = []
        if grounds := plain_refusal(understood):
            reply: Reply = Refusal(grounds.text, grounds.reason)
        else:
            asked = by_document(understood, self.generation) or [
                scoped(part, self.generation) for part in parts(understood)
            ]
            findings = [self._find(part, clock) for part in asked]
            with clock.stage("compose"):
                reply = self._answer(understood, findings, stopped) or _refuse(
                    findings, self._suggestions(findings)
                )
        result = AskResult(
            question, reply, clock.read(), self.index_version, self.generation.pending_chunks
        )
        return Trace(understood, tuple(findings), tuple(stopped), result)

    def _find(self, part: Scoped, clock: _Clock) -> Finding:
        """Search for one part of the question and decide whether it is answered."""
        question = part.question
        with clock.stage("retrieve"):
            retrieved = self.retriever.retrieve(question, self.passages, part.doc)
        with clock.stage("read"):
            read = [passage_text(passage) for passage in retrieved.passages[: self.read]]
            readings = self.reader.read(question.standalone, read)
        with clock.stage("rank"):
            ranked = self.ranker.rank(question, retrieved, readings)
            confidence = self.confidence.of(question, ranked, self.generation)
            grounds = unmet_demand(question, ranked, self.generation)
        if grounds is not None:
            confidence = min(confidence, UNMET)
        elif confidence < self.confidence.threshold:
            grounds = Grounds("nothing_found", NOTHING_FOUND)
        return Finding(question, ranked, confidence, grounds)

    def _answer(
        self, understood: Question, findings: Sequence[Finding], stopped: list[Stopped]
    ) -> Answer | None:
        """The parts that are answered, each cited and checked; None if none is.

        What the check stops is added to `stopped`.
        """
        answered = [finding for finding in findings if finding.grounds is None]
        room = MAX_ANSWER_CHARS // max(1, len(answered))
        drafts = [self._compose(finding, room) for finding in answered]
        statements = [item for draft in drafts for item in draft.statements]
        told, citations = self._cited(statements, stopped)
        if not citations:
            return None
        short = [_borne_out(draft, told, citations) for draft in drafts]
        computed = None
        if len(findings) == 2 == len(told) and compared(understood.standalone)[1:]:
            computed = difference(short)
        if computed is not None and min(finding.confidence for finding in answered) < UNSURE:
            return None  # a difference hides what it rests on
        if computed is not None:
            one, other = (re.findall(r"\[\d+\]", text)[0] for text in told)
            told.append(f"相差{computed}（由{one}和{other}计算）")
        missing = [finding for finding in findings if finding.grounds is not None]
        return Answer(
            text="；".join(told)
            + "。"
            + "".join(f"（“{item.question.text}”：文中没有答案。）" for item in missing),
            short_answer=computed or ("；".join(filter(None, short)) if all(short) else None),
            confidence=min(finding.confidence for finding in answered),
            citations=citations,
            standalone_question=understood.standalone,
        )

    def _compose(self, finding: Finding, max_chars: int) -> Draft:
        terms = self.ranker.terms(finding.question)
        return compose(finding.question, finding.ranked, terms.words, max_chars)

    def _cited(
        self, statements: Sequence[Statement], stopped: list[Stopped]
    ) -> tuple[list[str], tuple[Citation, ...]]:
        """Statements with their markers.

        A statement that cannot be cited, or that its quotations do not bear out, is left out. A
        sentence that carries two statements keeps one number.
        """
        citations: list[Citation] = []
        texts: list[str] = []
        for statement in statements:
            own: list[Citation] = []
            fresh: list[Citation] = []
            for evidence in statement.evidence:
                n = len(citations) + len(fresh) + 1
                citation = cite(evidence, n, self.generation.table)
                if citation is None:
                    continue
                known = next((c for c in citations if _same_place(c, citation)), None)
                if known is None:
                    fresh.append(citation)
                own.append(known or citation)
            faults = check_statement(
                statement.text,
                [citation.quote for citation in own],
                article_dates=[citation.date for citation in own],
            )
            if faults:
                stopped.append(Stopped(statement.text, tuple(faults)))
            elif own:
                citations += fresh
                text = statement.text + "".join(f"[{one.n}]" for one in own)
                if text not in texts:  # two parts of a question may rest on one sentence
                    texts.append(text)
        return texts, tuple(citations)

    def _suggestions(self, findings: Sequence[Finding]) -> tuple[Citation, ...]:
        """Up to three sentences that share words with the question, best first."""
        related = [
            evidence
            for finding in findings
            for evidence in finding.ranked
            if evidence.features["words"] >= _RELATED
        ]
        cited = (cite(evidence, 0, self.generation.table) for evidence in related[:_SUGGESTIONS])
        return tuple(citation for citation in cited if citation is not None)

    def search(self, query: str, k: int) -> list[Passage]:
        """Passages only, best first."""
        return list(self.retriever.search(query, k).passages)

    def article(self, doc: str) -> Article | None:
        """A whole document, or None if the index does not hold it."""
        return self.generation.table.article(doc)

    def documents(self) -> list[DocumentSummary]:
        """All documents of the index."""
        return self.generation.table.documents()

    def with_examples(self, examples: Sequence[str]) -> Chatbot:
        """The same chatbot with example questions to offer."""
        return replace(self, examples=tuple(examples))

    @property
    def index_version(self) -> str:
        """Which generation of the index answers."""
        return self.generation.version


def _refuse(findings: Sequence[Finding], suggestions: tuple[Citation, ...]) -> Refusal:
    """The first reason given; without one, nothing could be quoted."""
    grounds = next(
        (finding.grounds for finding in findings if finding.grounds),
        Grounds("nothing_quotable", NOTHING_FOUND),
    )
    return Refusal(
        text=grounds.text,
        reason=grounds.reason,
        confidence=min(finding.confidence for finding in findings),
        suggestions=suggestions,
        standalone_question=findings[0].question.standalone,
    )


def _borne_out(draft: Draft, shown: Sequence[str], citations: Sequence[Citation]) -> str | None:
    """The short answer if the quotations and the years told with them bear it out."""
    if draft.short_answer is None:
        return None
    quotes = [citation.quote for citation in citations]
    dates = [citation.date for citation in citations]
    told = [
        as_told(statement.text)
        for statement in draft.statements
        if any(text.startswith(statement.text) for text in shown)
    ]
    faults = check_statement(
        draft.short_answer, [*quotes, *told], article_dates=[*dates, *[None] * len(told)]
    )
    return None if faults else draft.short_answer


def _same_place(one: Citation, other: Citation) -> bool:
    return one.doc == other.doc and one.span == other.span


class _Clock:
    """Milliseconds by stage; a stage entered twice adds up."""

    def __init__(self, on_stage: OnStage | None) -> None:
        self._started = time.perf_counter()
        self._stages: dict[str, float] = {}
        self._on_stage = on_stage

    def stage(self, name: str) -> _Stage:
        """A context manager that adds its duration to `name`."""
        if self._on_stage is not None:
            self._on_stage(name)
        return _Stage(self._stages, name)

    def read(self) -> dict[str, float]:
        """Stages and total so far."""
        return {**self._stages, "total": _ms_since(self._started)}


@dataclass
class _Stage:
    stages: dict[str, float]
    name: str
    started: float = 0.0

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.stages[self.name] = self.stages.get(self.name, 0.0) + _ms_since(self.started)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
