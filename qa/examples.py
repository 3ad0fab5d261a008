"""Example questions for the empty page, made from the documents themselves.

A clause with one number becomes a question by rule; it is offered only if the chatbot then answers
it with that very number. So an example never leads to a refusal or a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice, zip_longest
from typing import Protocol

from qa.expressions import find_numbers
from schema import Answer, Article, AskResult, DocumentSummary

_DOCUMENTS = 20  # looked at; enough for variety, cheap for an archive
_TRIES = 40  # questions asked at start-up, some 10 ms each
_CLAUSE = re.compile(r"[^，；：。！？、\n]{12,34}")
# A clause that begins so leans on the one before it and makes no question on its own.
_LEANING = re.compile(
    r"^(其中|其|该|此|这|那|并|且|而|也|还|为|使|让|以|和|与|及|实现|形成|帮助|占|”|）|\))"
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
    articles = [chatbot.article(item.doc) for item in chatbot.documents()[:_DOCUMENTS]]
    by_article = [_candidates(article) for article in articles if article is not None]
    in_turn = (pair for pair in chain.from_iterable(zip_longest(*by_article)) if pair is not None)
    answered = (
        question
        for question, wanted in islice(in_turn, _TRIES)
        if _answers(chatbot, question, wanted)
    )
    return tuple(islice(answered, limit))


def _candidates(article: Article) -> Iterator[tuple[str, str]]:
    """(question, the short answer it must get), in reading order."""
    if article.title and article.byline:
        yield f"《{article.title}》的作者是谁？", article.byline
    for block in article.blocks:
        if block.kind != "body":
            continue
        for match in _CLAUSE.finditer(block.span.cut(article.text)):
            clause = match.group().strip()
            numbers = [number for number in find_numbers(clause) if number.text[-1] != "年"]
            if len(numbers) != 1 or _LEANING.search(clause):
                continue
            number = numbers[0]
            if number.unit in {"家", "项", "个", "元", "条", "单", "人次"} and not number.ordinal:
                amount = ("亿" if "亿" in number.text else "万") if number.scaled else ""
                asked = f"多少{amount}{number.unit}"
                yield f"{clause.replace(number.text, asked, 1)}？", number.text


def _answers(chatbot: Asks, question: str, wanted: str) -> bool:
    reply = chatbot.ask(question).reply
    return isinstance(reply, Answer) and reply.short_answer == wanted
