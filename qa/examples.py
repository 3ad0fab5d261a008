"""Example questions for the empty page, made from the documents themselves.

A clause with one number becomes a question by rule; it is offered only if the chatbot then answers
it with that very number. So an example never leads to a refusal or a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import Protocol

from qa.expressions import Number, find_numbers
from schema import Answer, Article, AskResult, DocumentSummary

_DOCUMENTS = 20  # looked at; enough for variety, cheap for an archive
_TRIES = 40  # questions asked at start-up, some 10 ms each
_CLAUSE = re.compile(r"[^，；：。！？、\n]{12,34}")
_COUNTED = frozenset({"家", "项", "个", "元", "条", "单", "人次"})
_SUBJECT = 4  # characters before the number; fewer hold no subject to ask about
_NOUN = 2  # characters after it; fewer do not say what is counted, unless the unit does
# A clause that begins so leans on the one before it and makes no question on its own.
_LEANING = re.compile(
    "^(尤其|特别|同时|目前|据|其|该|此|这|那|并|且|而|也|还|为|使|让|以|和|与|及)"
    "|^(实现|形成|帮助|占|[”）)])"
)


class Asks(Protocol):
    """The part of a chatbot that is needed here."""

    def ask(self, question: str) -> AskResult:
        """The reply to a question."""

    def article(self, doc: str) -> Article | None:
        """A document."""

    def documents(self) -> list[DocumentSummary]:
        """All documents."""


def example_questions(chatbot: Asks, limit: int = 5) -> tuple[str, ...]:
    """At most `limit` questions that the documents answer, from several documents in turn."""
    found = (chatbot.article(item.doc) for item in chatbot.documents()[:_DOCUMENTS])
    articles = [article for article in found if article is not None]
    numbers = (_number_questions(article) for article in articles)
    in_turn = chain.from_iterable(zip_longest(*numbers))
    candidates = [pair for pair in islice(in_turn, _TRIES) if pair is not None]
    chosen = [
        *islice((q for q, wanted in candidates if _answers(chatbot, q, wanted)), limit - 1),
        *islice((q for q, wanted in _authors(articles) if _answers(chatbot, q, wanted)), 1),
    ]
    return tuple(dict.fromkeys(chosen))


def _authors(articles: Sequence[Article]) -> Iterator[tuple[str, str]]:
    """(question, the short answer it must get) for articles with a title and a by-line."""
    for article in articles:
        if article.title and article.byline:
            yield f"《{article.title}》的作者是谁？", article.byline


def _number_questions(article: Article) -> Iterator[tuple[str, str]]:
    """(question, the short answer it must get), in reading order."""
    for block in article.blocks:
        if block.kind != "body":
            continue
        for match in _CLAUSE.finditer(block.span.cut(article.text)):
            clause = match.group().strip()
            numbers = find_numbers(clause)
            if len(numbers) != 1 or _LEANING.search(clause):
                continue
            number = numbers[0]
            if number.ordinal or not _reads_well(clause, number):
                continue
            amount = ("亿" if "亿" in number.text else "万") if number.scaled else ""
            asked = f"多少{amount}{number.unit}"
            yield f"{clause.replace(number.text, asked, 1)}？", number.text


def _reads_well(clause: str, number: Number) -> bool:
    """Whether asking for the number makes a question: a subject before it, what it counts after."""
    before, after = clause[: number.span.start], clause[number.span.end :]
    return (
        number.unit in _COUNTED
        and len(before) >= _SUBJECT
        and not before.endswith(("等", "的"))
        and (len(after) >= _NOUN or number.unit in {"元", "人次"})
    )


def _answers(chatbot: Asks, question: str, wanted: str) -> bool:
    reply = chatbot.ask(question).reply
    return isinstance(reply, Answer) and reply.short_answer == wanted
