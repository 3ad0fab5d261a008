"""A question and passages to the spans that answer it: extractive reading.

The reader sees the question beside one passage at a time and gives every token a score for
starting and for ending the answer; the first token stands for "this passage does not answer". A
span's score is measured against that, so scores of different passages compare. Knows nothing of
ranking, of composing an answer or of when to refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from index.model_folder import map_over_threads, read_model_folder, usable_cores
from index.words import simplified
from schema import Passage, Span

READER_FORMAT = "wenju-onnx-reader-1"
MAX_TOKENS = 512  # positions of the encoder
MAX_QUESTION_TOKENS = 96
MAX_HEADING_CHARS = 60
MAX_ANSWER_CHARS = 120  # a longer span is a passage, not an answer
_BEGIN, _END = "<s>", "</s>"

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReadSpan:
    """One possible answer in a passage."""

    span: Span  # in the passage's text
    score: float  # log odds against "this passage does not answer"; larger is better


@dataclass(frozen=True, slots=True)
class PassageText:
    """What is read: the text, the heading that it stands under, the parts that are asked about."""

    text: str
    heading: str = ""
    parts: tuple[Span, ...] = ()  # in text, such as its sentences; none: the whole text is one


def passage_text(passage: Passage) -> PassageText:
    """A retrieved passage as it is read, sentence by sentence."""
    start = passage.chunk.span.start
    return PassageText(
        text=passage.chunk.text,
        heading=passage.chunk.context[:MAX_HEADING_CHARS],
        parts=tuple(sentence.span.moved(-start) for sentence in passage.chunk.sentences),
    )


Reading = list[list[ReadSpan]]  # for each part of a passage its spans, best first


class Reader(Protocol):
    """Finds answers in passages."""

    @property
    def fingerprint(self) -> str:
        """Name of the model and of its weights."""

    def read(self, question: str, passages: Sequence[PassageText]) -> list[Reading]:
        """For each passage and each of its parts the best spans inside; none overlaps a better."""


class OnnxReader:
    """Runs the int8 ONNX export that train/export_reader.py writes, one passage at a time.

    Passages are not batched: activations are quantised over all that runs together, so that a
    passage's scores would depend on its neighbours. Safe to share between threads.
    """

    def __init__(self, model_dir: Path, spans: int, threads: int | None = None) -> None:
        """Open a model folder.

        Args:
            model_dir: holds model.onnx, tokenizer.json and manifest.json.
            spans: most spans returned of a part.
            threads: passages read at once; the cores of this process where None.

        Raises:
            ModelError: a file is missing or is not the one that the manifest names.
        """
        model = read_model_folder(model_dir, READER_FORMAT, ())
        self._fingerprint = model.fingerprint
        self._spans = spans
        self._threads = threads or usable_cores()
        self._session, self._tokenizer = model.open()

    @property
    def fingerprint(self) -> str:
        """Name and first 16 hexadecimal digits of the weights' sha256."""
        return self._fingerprint

    def read(self, question: str, passages: Sequence[PassageText]) -> list[Reading]:
        """For each passage and each of its parts the best spans inside; none overlaps a better."""
        asked = simplified(question)
        return list(
            map_over_threads(lambda passage: self._read(asked, passage), passages, self._threads)
        )

    def _read(self, question: str, passage: PassageText) -> Reading:
        plain = replace(passage, text=simplified(passage.text), heading=simplified(passage.heading))
        encoded = encode(self._tokenizer, question, plain)
        ids = np.array([encoded.ids], dtype=np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.array([encoded.types], dtype=np.int64),
        }
        (logits,) = self._session.run(None, inputs)
        scores = np.asarray(logits[0])
        return [
            best_spans(scores, encoded.places, passage.text, part, self._spans)
            for part in passage.parts or (Span(0, len(passage.text)),)
        ]


class NoReader:
    """Reads nothing: sentences are ranked by words and vectors alone."""

    fingerprint = "none"

    def read(self, question: str, passages: Sequence[PassageText]) -> list[Reading]:
        """No span for any part of any passage."""
        return [[[] for _ in passage.parts or (passage.text,)] for passage in passages]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A question beside a passage as the model takes it."""

    ids: list[int]
    types: list[int]  # 0 question and marks; 1 passage; 2 passage, shared with the question
    places: list[Span | None]  # of each token in the passage's text; None outside it


def encode(tokenizer: Tokenizer, question: str, passage: PassageText) -> Encoded:
    """`<s> question </s></s> heading </s> text </s>`, cut to MAX_TOKENS at the end of the text.

    The type 2 tells the model directly which characters of the passage the question shares, which
    a small encoder would otherwise spend layers to find out.
    """
    begin, end = token_id(tokenizer, _BEGIN), token_id(tokenizer, _END)
    asked = tokenizer.encode(question, add_special_tokens=False).ids[:MAX_QUESTION_TOKENS]
    shared = _pairs(question)
    ids = [begin, *asked, end, end]
    types = [0] * len(ids)
    places: list[Span | None] = [None] * len(ids)
    if passage.heading:
        heading = tokenizer.encode(passage.heading, add_special_tokens=False)
        ids += [*heading.ids, end]
        types += [*_types(passage.heading, heading.offsets, shared), 0]
        places += [None] * (len(heading.ids) + 1)
    text = tokenizer.encode(passage.text, add_special_tokens=False)
    room = MAX_TOKENS - len(ids) - 1
    ids += [*text.ids[:room], end]
    types += [*_types(passage.text, text.offsets[:room], shared), 0]
    places += [*(Span(*place) for place in text.offsets[:room]), None]
    return Encoded(ids, types, places)


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that the tokenizer must have."""
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ValueError(f"the tokenizer lacks {token}")
    return number


def _pairs(text: str) -> set[str]:
    return {pair for i in range(len(text) - 1) if (pair := text[i : i + 2].lower()).isalnum()}


def _types(text: str, offsets: Sequence[tuple[int, int]], shared: set[str]) -> list[int]:
    """2 for each token with a character of a pair that the question has too, otherwise 1."""
    lower = text.lower()
    matched = [False] * (len(text) + 1)
    for i in range(len(text) - 1):
        if lower[i : i + 2] in shared:
            matched[i] = matched[i + 1] = True
    return [2 if any(matched[start:end]) else 1 for start, end in offsets]


def best_spans(
    logits: Floats, places: Sequence[Span | None], text: str, part: Span, count: int
) -> list[ReadSpan]:
    """The best spans inside one part of a passage, best first, none overlapping a better one.

    Args:
        logits: shape (tokens, 2), scores for the start and the end; row 0 is "no answer".
        places: of each token in `text`.
        text: the passage.
        part: of `text`, in which the span must begin and end.
        count: spans wanted.
    """
    inside = np.array(
        [
            place is not None and place.end > part.start and place.start < part.end
            for place in places
        ]
    )
    starts = np.where(inside, logits[:, 0], -np.inf)
    ends = np.where(inside, logits[:, 1], -np.inf)
    nothing = float(logits[0].sum())
    found: list[ReadSpan] = []
    candidates = sorted(
        (
            (float(starts[i] + ends[j]), i, j)
            for i in _highest(starts)
            for j in _highest(ends)
            if i <= j
        ),
        reverse=True,
    )
    for score, i, j in candidates:
        first, last = places[i], places[j]
        if first is None or last is None or not np.isfinite(score):
            continue
        span = trimmed(text, Span(max(first.start, part.start), min(last.end, part.end)))
        if not 0 < len(span) <= MAX_ANSWER_CHARS:
            continue
        if all(span.end <= other.span.start or span.start >= other.span.end for other in found):
            found.append(ReadSpan(span, score - nothing))
        if len(found) == count:
            break
    return found


_EDGES_CONSIDERED = 24


def _highest(scores: Floats) -> list[int]:
    return [int(i) for i in np.argsort(-scores)[:_EDGES_CONSIDERED]]


# Edges that tokens carry over: a piece such as 的主要 or 年开始 is one token.
_NEVER_FIRST = "的是了，。、；：！？,.;:!?）)》」』” "
_NEVER_LAST = "的在了从至，。、；：！？,.;:!?（(《『「“ "
_OPENING = {"）": "（", ")": "(", "》": "《", "」": "「", "』": "『", "”": "“"}


def trimmed(text: str, span: Span) -> Span:
    """The span without stops and particles at its edges; a bracket opened inside is closed."""
    start, end = span.start, span.end
    while start < end and text[start] in _NEVER_FIRST:
        start += 1
    while start < end and text[end - 1] in _NEVER_LAST:
        end -= 1
    closing = text[end : end + 1]
    opening = _OPENING.get(closing)
    if opening and text.count(opening, start, end) > text.count(closing, start, end):
        end += 1
    return Span(start, end)
