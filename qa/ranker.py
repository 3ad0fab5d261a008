"""Sentences of the retrieved passages, ordered for one question.

A linear score over a handful of readable features; the weights are fitted by train/fit_ranker.py
on reading-comprehension data apart from every test set and stand in ranker.json with their origin.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from index.protocols import Generation, Vectors
from index.words import normalize
from qa.expressions import offers
from qa.question import Question
from qa.reader import Reading, ReadSpan
from qa.retriever import COSINE_MIDDLE, Retrieved
from qa.second_look import rarity
from schema import BlockKind, Passage, Sentence

WEIGHTS_FILE = Path(__file__).with_name("ranker.json")

FEATURES = (
    "passage",  # fused retrieval score below the best passage's
    "cosine",  # question vector and sentence vector
    "words",  # share of the question's words in the sentence, by rarity
    "bigrams",  # the same for character pairs of the focus: phrases, and words with typos
    "near",  # words in the sentence and the one before, which it may point back to
    "around",  # words in the whole passage, its title and heading
    "focus",  # words of what is new in a follow-up
    "type",  # the sentence offers the kind of answer asked for
    "short",  # fewer than twelve characters: rarely a statement
    "asks",  # is itself a question, as newspapers put before their answer
    "target",  # a by-line, caption or title where one of these is asked for
    "furniture",  # a heading, by-line or title where none is asked for
    "reader",  # what the reader thinks of the best span in the sentence
)

# Blocks that state nothing; a caption does: it tells what happened on its picture.
_FURNITURE: frozenset[BlockKind] = frozenset({"title", "subtitle", "byline", "date", "heading"})
_READER_SPREAD = 10.0  # log odds; beyond it the reader is as sure as it gets
UNREAD = -1.0  # "reader" of a sentence that was not read or holds no span
_COSINE_SPREAD = 0.05


@dataclass(frozen=True)
class Evidence:
    """A sentence that may answer, with why it was chosen."""

    passage: Passage
    sentence: Sentence
    text: str
    features: dict[str, float]
    score: float
    spans: tuple[ReadSpan, ...] = ()  # in `text`, best first


@dataclass(frozen=True)
class Terms:
    """The question's words or character pairs, each with its rarity."""

    weights: dict[str, float]

    def coverage(self, text: str) -> float:
        """Share of the weight whose terms stand in the (normalised) text; 0 without terms."""
        if not self.total:
            return 0.0
        return sum(weight for term, weight in self.weights.items() if term in text) / self.total

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return sum(self.weights.values())


@dataclass(frozen=True)
class QuestionTerms:
    """The terms of one question."""

    words: Terms
    focus: Terms
    bigrams: Terms


@dataclass(frozen=True)
class Ranker:
    """Orders sentences; holds the weights of FEATURES."""

    generation: Generation
    weights: dict[str, float]

    def rank(
        self, question: Question, retrieved: Retrieved, readings: Sequence[Reading]
    ) -> list[Evidence]:
        """All sentences of the passages, best first; ties keep the order of retrieval.

        Args:
            question: as understood.
            retrieved: passages, best first.
            readings: of the first passages, sentence by sentence; the others were not read.
        """
        terms = self.terms(question)
        ranked = []
        for number, passage in enumerate(retrieved.passages):
            found = self._features(question, terms, passage, retrieved, retrieved.cosines[number])
            unread: Reading = [[]] * len(passage.chunk.sentences)
            reading = readings[number] if number < len(readings) else unread
            for (sentence, features), spans in zip(found, reading, strict=True):
                features["reader"] = read_score(spans)
                ranked.append(self._evidence(passage, sentence, features, spans))
        return sorted(ranked, key=lambda evidence: -evidence.score)

    def _evidence(
        self,
        passage: Passage,
        sentence: Sentence,
        features: dict[str, float],
        spans: Sequence[ReadSpan],
    ) -> Evidence:
        score = sum(self.weights[name] * value for name, value in features.items())
        shift = sentence.span.start - passage.chunk.span.start
        return Evidence(
            passage,
            sentence,
            cut(passage, sentence),
            features,
            score,
            tuple(ReadSpan(one.span.moved(-shift), one.score) for one in spans),
        )

    def _features(
        self,
        question: Question,
        terms: QuestionTerms,
        passage: Passage,
        retrieved: Retrieved,
        cosines: Vectors,
    ) -> Iterator[tuple[Sentence, dict[str, float]]]:
        """The features of each sentence but the reader's."""
        around = terms.words.coverage(normalize(passage.chunk.search_text))
        before = ""
        for sentence, cosine in zip(passage.chunk.sentences, cosines, strict=True):
            plain = normalize(cut(passage, sentence))
            # A caption or by-line is read with what stands in its context line: its title and
            # what it is (照片, 作者), since it says neither itself.
            seen = plain if sentence.kind == "body" else _with_context(passage, plain)
            on_target = _on_target(question, sentence)
            yield (
                sentence,
                {
                    "passage": passage.score - retrieved.passages[0].score,
                    "cosine": (float(cosine) - COSINE_MIDDLE) / _COSINE_SPREAD,
                    "words": terms.words.coverage(seen),
                    "bigrams": terms.bigrams.coverage(seen),
                    "near": terms.words.coverage(before + seen),
                    "around": around,
                    "focus": terms.focus.coverage(seen),
                    "type": offers(question, cut(passage, sentence)),
                    "short": float(len(plain) < 12),
                    "asks": float(plain.rstrip("”’\"' ").endswith(("?", "？"))),
                    "target": float(on_target),
                    "furniture": float(sentence.kind in _FURNITURE and not on_target),
                },
            )
            before = plain

    def terms(self, question: Question) -> QuestionTerms:
        """What of the question is looked for in a sentence, with its rarity in this index."""
        tokenizer, generation = self.generation.tokenizer, self.generation
        total = len(generation.words)

        def words(text: str) -> Terms:
            return Terms(
                {
                    word: rarity(generation.words.document_frequency(word), total)
                    for word in tokenizer.words(text)
                }
            )

        return QuestionTerms(
            words=words(question.standalone),
            focus=words(question.focus),
            bigrams=Terms(
                {
                    pair: rarity(generation.bigrams.document_frequency(pair), total)
                    for pair in self._pairs(question.focus)
                }
            ),
        )

    def _pairs(self, text: str) -> list[str]:
        """Character pairs, without those that only straddle two words of the question."""
        tokenizer = self.generation.tokenizer
        inside = {pair for word in tokenizer.words(text) for pair in tokenizer.bigrams(word)}
        return [
            pair
            for pair in tokenizer.bigrams(text)
            if pair in inside or self.generation.bigrams.document_frequency(pair)
        ]


def read_score(spans: Sequence[ReadSpan]) -> float:
    """The best span's log odds, -1 to 1; UNREAD without a span."""
    if not spans:
        return UNREAD
    return max(-1.0, min(1.0, spans[0].score / _READER_SPREAD))


def load_weights(path: Path = WEIGHTS_FILE) -> dict[str, float]:
    """The fitted weights by feature name."""
    weights: dict[str, float] = json.loads(path.read_text("utf-8"))["weights"]
    if set(weights) != set(FEATURES):
        raise ValueError(f"{path}: weights for {sorted(weights)}, expected {sorted(FEATURES)}")
    return weights


def cut(passage: Passage, sentence: Sentence) -> str:
    """The sentence's text."""
    offset = passage.chunk.span.start
    return passage.chunk.text[sentence.span.start - offset : sentence.span.end - offset]


def _with_context(passage: Passage, plain: str) -> str:
    return f"{normalize(passage.chunk.context)} {plain}"


def _on_target(question: Question, sentence: Sentence) -> bool:
    return question.target is not None and sentence.kind == question.target


def feature_matrix(evidence: Sequence[Evidence]) -> np.ndarray:
    """Shape (len(evidence), len(FEATURES)), float64, columns in the order of FEATURES."""
    return np.array([[item.features[name] for name in FEATURES] for item in evidence])
