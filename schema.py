"""Records that cross a folder border, in the order the data flows.

Article -> Chunk (corpus) -> Passage (index) -> Answer or Refusal (qa) -> web, eval, terminal

Records are frozen: a stage returns new ones, it never edits what it was given.
Every Span is half-open [start, end) and counts Unicode code points. Two texts are counted in:
*original* (the file as decoded, never changed) and *text* (the readable, repaired form). Which one
a span refers to is said where it is declared.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal[
    "title", "subtitle", "byline", "date", "heading", "body", "pull_quote", "caption"
]
Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Half-open range [start, end) of code points."""

    start: int
    end: int

    def cut(self, text: str) -> str:
        """The slice of `text` that this span names."""
        return text[self.start : self.end]

    def moved(self, by: int) -> Span:
        """The same span where its text begins `by` characters later."""
        return Span(self.start + by, self.end + by)

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Block:
    """One run of `Article.text` with a single role; blocks are separated by one line feed."""

    kind: BlockKind
    span: Span  # in Article.text


@dataclass(frozen=True, slots=True)
class Article:
    """One source document: the untouched original and the text made readable from it.

    `offsets[i]` is the place in `original` of character i of `text`; it rises strictly, so repair
    can drop characters but neither invent nor reorder them. A line feed between two blocks maps to
    a white-space character of the original.
    """

    doc: str  # path below the folder given to `build`, with "/" on every system
    sha256: str  # of the file's bytes
    original: str
    text: str
    offsets: array[int]  # typecode "I", one entry per character of text
    blocks: tuple[Block, ...]
    title: str | None = None
    subtitle: str | None = None
    byline: str | None = None  # names as printed, joined by 、 where several
    date: str | None = None  # ISO 8601, as precise as known: 2025, 2025-03 or 2025-03-30
    date_inferred: bool = False  # true: read from years in the body, not from a date line
    warnings: tuple[str, ...] = ()  # Chinese, for the operator

    def original_span(self, span: Span) -> Span:
        """Where a non-empty span of `text` stands in `original`."""
        return Span(self.offsets[span.start], self.offsets[span.end - 1] + 1)

    def text_span(self, span: Span) -> Span:
        """Where a span of `original` stands in `text`; empty if repair kept nothing of it."""
        return Span(bisect_left(self.offsets, span.start), bisect_left(self.offsets, span.end))


@dataclass(frozen=True, slots=True)
class Sentence:
    """Unit of quotation: one sentence, heading, by-line or caption."""

    span: Span  # in Article.text
    kind: BlockKind


@dataclass(frozen=True, slots=True)
class Chunk:
    """Unit of embedding and search: consecutive sentences of one article."""

    doc: str
    ordinal: int  # position within its article, from 0
    span: Span  # in Article.text
    text: str  # == span.cut(article.text)
    context: str  # title, section heading and role; searched with the text but never quoted
    sentences: tuple[Sentence, ...]  # at least one; ordered, inside span

    @property
    def search_text(self) -> str:
        """What is embedded and indexed by words: the context line, then the text."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as stored in an index, with what a reader needs to know of its document."""

    chunk_id: int  # dense row number, valid within one index generation only
    chunk: Chunk
    title: str | None
    date: str | None
    score: float = 0.0  # of the retrieval that returned it; larger is better


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """One line of the document list."""

    doc: str
    title: str | None
    date: str | None
    chars: int  # of the repaired text
    chunks: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, oldest first in a history."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A quotation that can be opened and checked (CONTRACT: `citations`)."""

    n: int  # the number in the answer's [n]; 0 for a suggestion
    doc: str
    title: str | None
    date: str | None
    span: Span  # in Article.original
    quote: str  # the repaired sentence


@dataclass(frozen=True, slots=True)
class Answer:
    """What the documents say, each statement followed by its [n]."""

    text: str
    short_answer: str | None
    confidence: float  # 0 to 1
    citations: tuple[Citation, ...]  # n = 1, 2, ... in order of appearance
    standalone_question: str = ""  # the question as understood with the history


@dataclass(frozen=True, slots=True)
class Refusal:
    """Declining to answer is a result, not an error."""

    text: str  # one polite Chinese sentence
    reason: str  # machine-readable: small_talk, no_words, nothing_found, unmet_year, ...
    confidence: float = 0.0
    suggestions: tuple[Citation, ...] = ()  # at most three related passages
    standalone_question: str = ""


Reply = Answer | Refusal

UNSURE = 0.3  # an answer less confident than this says so; calibrated on held-out data only


@dataclass(frozen=True, slots=True)
class AskResult:
    """A reply with how it came about."""

    question: str
    reply: Reply
    timings_ms: dict[str, float] = field(default_factory=dict)
    index_version: str = ""
    pending_chunks: int = 0  # of the index, found by words only: their vectors are being made


History = Sequence[Turn]
