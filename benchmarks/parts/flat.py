"""Many questions in a row to one server, and whether its memory stays flat.

Half of the questions are those of the test set, over and over; the others are sentences of the
indexed articles, every one another, so that something kept by question would show. What counts is
private memory: pages of mapped files come in as questions touch them, and the system can take them
back.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.bench import Bench, Size, tell
from benchmarks.load import Crowd, Seen, ask_for_events, ask_for_json
from benchmarks.load import measure as ask_server
from benchmarks.server import our_server
from benchmarks.watch import memory_of
from index.generation import Generation
from qa.question import has_words

EVERY = 1000  # questions between two looks at the memory
_PEOPLE = 8  # as many as the server answers at once
_MOST_CHARS = 60  # of a question that is a sentence
_FLAT_PERCENT = 2.0
_FEWEST = 4  # looks at the memory that a line is drawn through


@dataclass(frozen=True)
class Point:
    """The server's memory at one moment, in MB."""

    asked: int
    private: float
    mapped: float


def measure(bench: Bench) -> dict[str, Any]:
    """The memory every 1,000 questions, over the largest index, and the verdict."""
    size = bench.indexes()[-1]
    questions = itertools.islice(varied_questions(size, bench.questions), bench.many)
    crowd = Crowd(_PEOPLE, (ask_for_json, ask_for_events))
    seen = Seen()
    points = []
    with our_server(size.index) as server:
        while True:
            memory = memory_of(server.pid)
            points.append(Point(seen.asked, memory.private, memory.mapped))
            tell(f"{seen.asked} 问：{memory.private:.0f} + {memory.mapped:.0f} MB")
            if seen.asked == bench.many:
                break
            seen.add(ask_server(server, crowd, itertools.islice(questions, EVERY)))
    return {
        "articles": size.articles,
        "people": _PEOPLE,
        "answered": len(seen.answer_seconds),
        "lost": len(seen.lost),
        "lost_examples": seen.lost[:3],
        "points": [[one.asked, round(one.private, 1), round(one.mapped, 1)] for one in points],
        **growth(points),
    }


def growth(points: Sequence[Point]) -> dict[str, Any]:
    """How much private memory grows over the last half of the questions, in percent of its mean.

    By the line of least squares. `flat` is None where there are too few points to draw one.
    """
    half = points[len(points) // 2 :]
    if len(half) < _FEWEST:
        return {"last_half_percent": None, "flat": None}
    asked = np.array([one.asked for one in half], dtype=np.float64)
    private = np.array([one.private for one in half])
    slope = float(np.polyfit(asked - asked.mean(), private, 1)[0])
    percent = 100 * slope * float(asked[-1] - asked[0]) / float(private.mean())
    return {"last_half_percent": round(percent, 2), "flat": percent <= _FLAT_PERCENT}


def varied_questions(size: Size, questions: Sequence[str]) -> Iterator[str]:
    """Questions of the set and sentences of the articles in turn, without end."""
    choose = random.Random(0)
    with Generation.open(size.index) as generation:
        for question in itertools.cycle(questions):
            yield question
            yield _sentence(generation, choose)


def _sentence(generation: Generation, choose: random.Random) -> str:
    """Some sentence with words; nearly every one has."""
    while True:
        (passage,) = generation.table.passages([choose.randrange(generation.manifest.chunks)])
        chunk = passage.chunk
        span = choose.choice(chunk.sentences).span.moved(-chunk.span.start)
        text = span.cut(chunk.text)[:_MOST_CHARS]
        if has_words(text):
            return text
