"""An answer as the JSON record that other programs rely on (CONTRACT.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from schema import Answer, Article, AskResult, Citation, Passage

# Why something is refused that was no question: nothing to judge, nothing to learn from.
NO_QUESTION = frozenset({"small_talk", "no_words"})


def answer_record(result: AskResult, record_id: str) -> dict[str, Any]:
    """The answer record; offsets are half-open code points of the document's original text."""
    reply = result.reply
    answered = isinstance(reply, Answer)
    return {
        "id": record_id,
        "question": result.question,
        "answer": reply.text,
        "short_answer": reply.short_answer if isinstance(reply, Answer) else None,
        "refused": not answered,
        "reason": None if isinstance(reply, Answer) else reply.reason,
        "confidence": round(reply.confidence, 4),
        "citations": [
            citation_record(citation)
            for citation in (reply.citations if isinstance(reply, Answer) else ())
        ],
        "suggestions": [
            citation_record(citation)
            for citation in (() if isinstance(reply, Answer) else reply.suggestions)
        ],
        "timings_ms": {stage: round(value, 2) for stage, value in result.timings_ms.items()},
        "index_version": result.index_version,
        "pending_chunks": result.pending_chunks,
        "standalone_question": reply.standalone_question,
    }


def citation_record(citation: Citation) -> dict[str, Any]:
    """One citation or suggestion."""
    return {
        "n": citation.n,
        "doc": citation.doc,
        "title": citation.title,
        "date": citation.date,
        "start": citation.span.start,
        "end": citation.span.end,
        "quote": citation.quote,
    }


def passage_records(
    passages: Sequence[Passage], article_of: Callable[[str], Article | None]
) -> list[dict[str, Any]]:
    """Search results as records; those of a document that is gone meanwhile are left out."""
    records = []
    for passage in passages:
        article = article_of(passage.chunk.doc)
        if article is not None:
            span = article.original_span(passage.chunk.span)
            records.append(passage_record(passage, span.start, span.end))
    return records


def passage_record(passage: Passage, start: int, end: int) -> dict[str, Any]:
    """One search result; start and end are in the original."""
    return {
        "doc": passage.chunk.doc,
        "title": passage.title,
        "date": passage.date,
        "start": start,
        "end": end,
        "context": passage.chunk.context,
        "text": passage.chunk.text,
        "score": round(passage.score, 4),
    }
