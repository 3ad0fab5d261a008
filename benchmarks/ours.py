"""问据 as a process that is asked for its times: python -m benchmarks.ours INDEX.

Answers the requests of service.py. The stages of a retrieval are timed where they happen, inside
the search of a real chatbot, by stand-ins that pass every call on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import assemble
from benchmarks.service import answer, milliseconds
from index.generation import Generation
from index.protocols import Embedder
from qa.chatbot import Chatbot
from qa.retriever import Retriever
from settings import Settings

# Where a retrieval spends its time; what is left of the whole is fusion and the second look.
STAGES = ("embed", "tokenise", "vectors", "words", "texts")


class Stages:
    """Milliseconds of each stage of the retrieval that is going on."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STAGES, 0.0)

    def timed(self, part: object, **stages: str) -> Any:
        """`part`, with the time in some of its methods added up under the stages given."""
        return _Timed(part, {name: self._wrap(part, name, at) for name, at in stages.items()})

    def _wrap(self, part: object, name: str, stage: str) -> Callable[..., Any]:
        method = getattr(part, name)

        def call(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return method(*arguments)
            finally:
                self.spent[stage] += 1000 * (time.perf_counter() - started)

        return call

    def taken(self, whole: float) -> dict[str, float]:
        """The stages of a retrieval that took `whole`, with what is left; begins anew."""
        spent = self.spent | {"fuse": whole - sum(self.spent.values()), "retrieve": whole}
        self.spent = dict.fromkeys(STAGES, 0.0)
        return spent


class _Timed:
    def __init__(self, part: object, methods: dict[str, Any]) -> None:
        self._part = part
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


def timed_retriever(retriever: Retriever, stages: Stages) -> Retriever:
    """The same retriever over stand-ins for its parts."""
    generation = retriever.generation
    parts = {
        "tokenizer": stages.timed(generation.tokenizer, words="tokenise", bigrams="tokenise"),
        "vectors": stages.timed(generation.vectors, search="vectors"),
        "words": stages.timed(generation.words, search="words"),
        "bigrams": stages.timed(generation.bigrams, search="words"),
        "table": stages.timed(generation.table, passages="texts"),
    }
    return replace(
        retriever,
        generation=cast(Generation, _Timed(generation, parts)),
        embedder=cast(Embedder, stages.timed(retriever.embedder, embed_queries="embed")),
    )


class Ours:
    """The requests."""

    def __init__(self, index: str) -> None:
        self._index = index
        self._stages = Stages()
        self._chatbot: Chatbot | None = None
        self._retriever: Retriever | None = None

    def open(self) -> None:
        """Load models and index."""
        self._chatbot = assemble.open_chatbot(Settings(index_dir=self._index))
        self._retriever = timed_retriever(self._chatbot.retriever, self._stages)

    def search(self, questions: Sequence[str], depth: int) -> dict[str, list[float]]:
        """Milliseconds of each retrieval, whole and by stage."""
        assert self._retriever is not None
        found: dict[str, list[float]] = {}
        for question in questions:
            (whole,) = milliseconds(lambda one: self._search(one, depth), [question])
            for stage, spent in self._stages.taken(whole).items():
                found.setdefault(stage, []).append(spent)
        return found

    def _search(self, question: str, depth: int) -> None:
        assert self._retriever is not None
        self._retriever.search(question, depth)

    def answer(self, questions: Sequence[str]) -> dict[str, list[float]]:
        """Milliseconds of each answer, whole and by stage, and of processor time."""
        assert self._chatbot is not None
        found: dict[str, list[float]] = {}
        for question in questions:
            processor, started = time.process_time(), time.perf_counter()
            stages = self._chatbot.ask(question).timings_ms
            whole = 1000 * (time.perf_counter() - started)
            core = 1000 * (time.process_time() - processor)
            own = {f"answer_{stage}": spent for stage, spent in stages.items()}
            for name, spent in (own | {"answer": whole, "answer_core": core}).items():
                found.setdefault(name, []).append(spent)
        return found


def main() -> None:
    """Answer requests."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ours")
    parser.add_argument("index")
    ours = Ours(parser.parse_args().index)
    answer({"open": ours.open, "search": ours.search, "answer": ours.answer})


if __name__ == "__main__":
    main()
