"""Reading-comprehension files and made questions to the windows that a reader is trained on.

SQuAD-style files give paragraphs with questions and answers at known places. Traditional characters
become simplified one by one, so that offsets stay. Paragraphs are dealt to three folds by a hash of
their article: `train`; `fit`, for ranking and confidence; `report`, for nothing but figures.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from corpus.split import split_sentences
from index.bm25 import Bm25Index
from index.words import WordTokenizer, simplified
from schema import Span

Fold = Literal["train", "fit", "report"]
_EIGHTHS: dict[int, Fold] = {0: "report", 1: "fit"}  # the other six eighths train

SHORTEST, LONGEST = 60, 240  # characters of a training window; a chunk of an index has up to 180
_TITLED = 0.3  # share of windows with the article's title before them, as a chunk has its heading
_RIVALS = 4  # windows of other paragraphs kept as hard negatives of a question


@dataclass(frozen=True, slots=True)
class WrittenQuestion:
    """A question that a person wrote, with the paragraph it was written for."""

    id: str
    question: str
    title: str
    context: str
    answers: tuple[Span, ...]  # in context; several people may have answered
    fold: Fold
    tempting: Span | None = None  # of a question without an answer: where one would look for it
    everyday: bool = False  # asked as people do who have not read the text


@dataclass(frozen=True, slots=True)
class Window:
    """What the reader sees at once."""

    question: str
    heading: str  # may be empty; never part of an answer
    text: str
    answer: Span | None  # in text; None: the text does not answer


def load_written(path: Path) -> list[WrittenQuestion]:
    """All questions of a SQuAD-style JSON file (.gz), in simplified characters."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    return [
        WrittenQuestion(
            id=str(qa["id"]),
            question=simplified(qa["question"]),
            title=simplified(str(article["title"])),
            context=simplified(paragraph["context"]),
            answers=_spans(paragraph["context"], qa["answers"]),
            fold=fold_of(f"{path.name.split('_')[0]} {article['title']}"),
        )
        for article in articles
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


def fold_of(group: str) -> Fold:
    """The fold of an article, the same in every run and for both files of a data set."""
    return _EIGHTHS.get(hashlib.sha256(group.encode()).digest()[0] % 8, "train")


def _spans(context: str, answers: Iterable[dict[str, object]]) -> tuple[Span, ...]:
    """Where the answers stand; a place that the file gives wrongly is searched for."""
    found = []
    for answer in answers:
        text, start = str(answer["text"]), int(str(answer.get("answer_start", -1)))
        if start < 0 or context[start : start + len(text)] != text:
            start = context.find(text)
        if start >= 0 and text:
            found.append(Span(start, start + len(text)))
    return tuple(found)


def window_around(
    text: str,
    span: Span,
    generator: random.Random,
    shortest: int = SHORTEST,
    longest: int = LONGEST,
) -> Span:
    """A run of whole sentences that holds `span`, of a random length where there is room."""
    sentences = split_sentences(text)
    first = next((i for i, s in enumerate(sentences) if s.end > span.start), 0)
    last = next((i for i, s in enumerate(sentences) if s.end >= span.end), len(sentences) - 1)
    wanted = generator.randint(SHORTEST, LONGEST)
    while True:
        sides = [side for side in (-1, 1) if 0 <= (first, last)[side > 0] + side < len(sentences)]
        if not sides:
            break
        side = generator.choice(sides)
        start = sentences[first - 1 if side < 0 else first].start
        end = sentences[last + 1 if side > 0 else last].end
        if end - start > wanted:
            break
        first, last = (first - 1, last) if side < 0 else (first, last + 1)
    start = min(sentences[first].start, span.start)
    end = max(sentences[last].end, span.end)
    if end - start > 2 * LONGEST:  # an endless sentence: keep what is beside the answer
        return Span(max(start, span.start - LONGEST), min(end, span.end + LONGEST))
    return Span(start, end)


class WrittenWindows:
    """Deals windows of written questions: one that answers, and ones that do not."""

    def __init__(self, questions: Sequence[WrittenQuestion], generator: random.Random) -> None:
        self.generator = generator
        self.rivals = similar_paragraphs(questions)
        self.names = _titles(questions)

    def unanswered(self, item: WrittenQuestion) -> Window:
        """A window around what tempts to answer a question that its text does not answer."""
        if item.tempting is None:
            raise ValueError(f"{item.id}: nothing tempts")
        around = window_around(item.context, item.tempting, self.generator)
        return Window(item.question, self._heading(item), around.cut(item.context), None)

    def positive(self, item: WrittenQuestion) -> Window:
        """A window of the paragraph that holds one of the answers."""
        answer = self.generator.choice(item.answers)
        around = window_around(item.context, answer, self.generator)
        return Window(
            question=item.question,
            heading=self._heading(item),
            text=around.cut(item.context),
            answer=Span(answer.start - around.start, answer.end - around.start),
        )

    def negative(self, item: WrittenQuestion) -> Window | None:
        """One that does not answer: same paragraph, a similar paragraph, or the question changed.

        None where the chosen sort cannot be made of this question.
        """
        make = self.generator.choices(
            (self._elsewhere, self._similar, self._changed), weights=(4, 4, 3)
        )[0]
        return make(item)

    def _heading(self, item: WrittenQuestion) -> str:
        return item.title if self.generator.random() < _TITLED else ""

    def _elsewhere(self, item: WrittenQuestion) -> Window | None:
        """Sentences of the same paragraph without any of the answers."""
        sentences = split_sentences(item.context)
        answers = {answer.cut(item.context) for answer in item.answers}
        free = [s for s in sentences if not any(a in s.cut(item.context) for a in answers)]
        if not free:
            return None
        around = window_around(item.context, self.generator.choice(free), self.generator)
        text = around.cut(item.context)
        if any(answer in text for answer in answers):
            text = self.generator.choice(free).cut(item.context)
        return Window(item.question, self._heading(item), text, None)

    def _similar(self, item: WrittenQuestion) -> Window | None:
        """A paragraph of another article that shares words with the question."""
        rivals = self.rivals.get(item.id, [])
        if not rivals:
            return None
        other = self.generator.choice(rivals)
        sentence = self.generator.choice(split_sentences(other.context))
        around = window_around(other.context, sentence, self.generator)
        return Window(item.question, self._heading(other), around.cut(other.context), None)

    def _changed(self, item: WrittenQuestion) -> Window | None:
        """The question asks about another year or another subject than the paragraph's."""
        question = self.changed_question(item)
        if question is None:
            return None
        return replace(self.positive(item), question=question, answer=None, heading="")

    def changed_question(self, item: WrittenQuestion) -> str | None:
        """The question about a year or subject that its paragraph does not name, if it can be."""
        return self._other_year(item) or self._other_subject(item)

    def _other_year(self, item: WrittenQuestion) -> str | None:
        years = re.findall(r"(?<!\d)(?:1[0-9]|20)\d\d(?=年)", item.question)
        if not years:
            return None
        year = self.generator.choice(years)
        other = str(int(year) + self.generator.choice((-10, -5, -3, -2, -1, 1, 2, 3, 5, 10)))
        return None if other in item.context else item.question.replace(year, other)

    def _other_subject(self, item: WrittenQuestion) -> str | None:
        subject = re.split(r"[（(]", item.title)[0].strip()
        if len(subject) < 2 or subject not in item.question:
            return None
        alike = [name for name in self.names[_form(subject)] if name not in item.context]
        return item.question.replace(subject, self.generator.choice(alike)) if alike else None


def _form(name: str) -> str:
    """Names of one form may stand for each other: 莲花山 and 天柱山, 日本队 and 中国队."""
    return name[-1]


def _titles(questions: Sequence[WrittenQuestion]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for title in sorted({re.split(r"[（(]", item.title)[0].strip() for item in questions}):
        if len(title) > 1:
            names[_form(title)].append(title)
    return names


def similar_paragraphs(questions: Sequence[WrittenQuestion]) -> dict[str, list[WrittenQuestion]]:
    """For each question, paragraphs of other articles that BM25 ranks highest for it."""
    holders: dict[str, WrittenQuestion] = {}
    for item in questions:
        holders.setdefault(item.context, item)
    paragraphs = list(holders.values())
    tokenizer = WordTokenizer()
    index = Bm25Index.build([tokenizer.bigrams(item.context) for item in paragraphs])
    rivals: dict[str, list[WrittenQuestion]] = {}
    for item in questions:
        answers = {answer.cut(item.context) for answer in item.answers}
        similar = index.search(tokenizer.bigrams(item.question), 3 * _RIVALS)
        rivals[item.id] = [
            paragraphs[i]
            for i, _ in similar
            if paragraphs[i].title != item.title
            and not any(answer in paragraphs[i].context for answer in answers)
        ][:_RIVALS]
    return rivals
