"""Example questions for the empty page, made from the documents themselves.

A clause with one number becomes a question by rule, if it names whom or what it is about, or its
sentence does; it is offered only if the chatbot then answers it with that very number. So an
example can be understood on its own, and never leads to a refusal or a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import chain, islice, zip_longest
from typing import Protocol

from index.words import WordTokenizer, normalize
from qa.demands import DemandKind, names_in
from qa.expressions import Number, find_dates, find_numbers
from qa.gazetteer import places_in
from schema import Answer, Article, AskResult, DocumentSummary

_DOCUMENTS = 20  # looked at; enough for variety, cheap for an archive
_TRIES = 40  # questions asked at start-up, some 10 ms each
_SENTENCE = re.compile(r"[^；。！？\n]+")
_CLAUSE_END = re.compile("[，：、]")
_CHARS = range(12, 41)  # of a clause that makes a question, with its subject
_COUNTED = frozenset({"家", "项", "个", "条", "单"})  # of something that must be named after it
_MEASURES = frozenset(
    {"元", "欧元", "美元", "人", "人次", "户", "亩", "公里", "平方米", "平方公里", "吨", "标箱"}
)
_SUBJECT = 4  # characters before the number; fewer hold no subject to ask about
_VERBS = ("达到", "达", "突破", "超过")  # of the number's text, but the clause needs them
_NOUN = 2  # characters after it; fewer do not say what is counted, unless the unit is a measure
# A clause that begins so leans on the one before it and makes no question on its own.
_LEANING = re.compile(
    "^(尤其|特别|同时|目前|据|其|该|此|这|那|并|且|而|也|还|为|使|让|以|和|与|及)"
    "|^(实现|形成|帮助|占|[”）)])"
)
_SUBJECTS = frozenset({DemandKind.PLACE, DemandKind.ORGANISATION, DemandKind.PERSON})
_SURE_NAME = 3  # characters; a shorter one is a name where it is a listed place


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
    subjects = _Subjects()
    numbers = (_number_questions(article, subjects) for article in articles)
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


class _Subjects:
    """Finds out who or what a clause is about, by names and by the tags of jieba's dictionary."""

    def __init__(self) -> None:
        self._tokenizer = WordTokenizer()
        self._dictionary = files("jieba").joinpath("dict.txt").read_bytes()

    def name(self, clause: str) -> str:
        """The place, organisation or person that a clause begins with; empty if it does not."""
        return max(
            (
                demand.text
                for demand in names_in(normalize(clause), self._tokenizer)
                if demand.kind in _SUBJECTS
                and clause.startswith(demand.text)
                and not _LEANING.search(demand.text)
                and (len(demand.text) >= _SURE_NAME or places_in(demand.text))
            ),
            key=len,
            default="",
        )

    def begins_with(self, clause: str, tags: str) -> bool:
        """Whether the first word is one of these kinds: n noun, v verb, a adjective, d adverb."""
        word = next(iter(self._tokenizer.dictionary().cut(clause)), "")
        start = self._dictionary.find(f"\n{word} ".encode()) + 1
        if not word or not start:
            return False
        return (
            self._dictionary[start : self._dictionary.index(b"\n", start)].split()[2].decode()[0]
            in tags
        )


def _number_questions(article: Article, subjects: _Subjects) -> Iterator[tuple[str, str]]:
    """(question, the short answer it must get), in reading order."""
    for block in article.blocks:
        if block.kind == "body":
            for sentence in _SENTENCE.findall(block.span.cut(article.text)):
                yield from _questions_of(sentence, subjects)


def _questions_of(sentence: str, subjects: _Subjects) -> Iterator[tuple[str, str]]:
    clauses = [clause.strip() for clause in _CLAUSE_END.split(sentence)]
    if not any(map(_only_number, clauses)):
        return
    subject = ""  # whom the clauses go on about
    for clause in clauses:
        core = clause[_end_of_time(clause) :]
        name = subjects.name(core)
        goes_on = not name and subjects.begins_with(core, "vad")
        number = _only_number(clause)
        if number and (name or (goes_on and subject)):
            before = "" if name else subject
            if _reads_well(before, clause, number):
                yield before + _asking(clause, number), number.text
        if name:
            subject = name if subjects.begins_with(core[len(name) :], "vadp") else ""
        elif not goes_on:
            subject = ""


def _end_of_time(clause: str) -> int:
    """Where what follows a leading date begins."""
    return next((span.end for span, _ in find_dates(clause) if span.start == 0), 0)


def _only_number(clause: str) -> Number | None:
    """The number of a clause that could make a question."""
    if _LEANING.search(clause):
        return None
    numbers = find_numbers(clause)
    return numbers[0] if len(numbers) == 1 and not numbers[0].ordinal else None


def _reads_well(subject: str, clause: str, number: Number) -> bool:
    """Whether asking for the number makes a question: enough before it, what it counts after."""
    before, after = subject + clause[: number.span.start], clause[number.span.end :]
    says_what = number.unit in _MEASURES or (number.unit in _COUNTED and len(after) >= _NOUN)
    fits = len(subject + clause) in _CHARS and len(before) >= _SUBJECT
    return says_what and fits and not before.endswith(("等", "的"))


def _asking(clause: str, number: Number) -> str:
    amount = ("亿" if "亿" in number.text else "万") if number.scaled else ""
    verb = next((verb for verb in _VERBS if number.text.startswith(verb)), "")
    return f"{clause.replace(number.text, f'{verb}多少{amount}{number.unit}', 1)}？"


def _answers(chatbot: Asks, question: str, wanted: str) -> bool:
    reply = chatbot.ask(question).reply
    return isinstance(reply, Answer) and reply.short_answer == wanted
