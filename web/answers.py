"""One door for every question: the page, the API and OpenAI clients all ask here.

What is common to them stands here: how often a visitor may ask, how many are answered at once,
giving up what nobody waits for, remembering what was answered (feedback refers to it), telling
those who count and log. How an answer is shown is the callers' business.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from errors import BadQuestionError, BusyError, TooManyRequestsError
from qa.question import clean, has_words
from qa.record import NO_QUESTION, answer_record, passage_records
from schema import Answer, AskResult, Turn
from web.limit import AnswerLimit
from web.protocols import ChatService
from web.recent import RecentAnswers
from web.visitor import Visitor

Door = Literal["page", "api", "openai", "search"]
Outcome = Literal[
    "answered", "refused", "bad_question", "limited", "busy", "given_up", "failed", "found"
]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Others come first; told once, when the question is put in line."""

    ahead: int  # questions, those under way included


@dataclass(frozen=True, slots=True)
class StageBegun:
    """Work on the question has come this far."""

    name: str


@dataclass(frozen=True, slots=True)
class Given:
    """The reply, and the id under which it is remembered."""

    id: str
    result: AskResult
    rateable: bool = False  # whether feedback on it would be taken

    @property
    def record(self) -> dict[str, Any]:
        """As CONTRACT.md says, and whether it is rateable."""
        return answer_record(self.result, self.id) | {"rateable": self.rateable}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and what became of it, for those who count and log."""

    door: Door
    visitor: Visitor
    question: str
    outcome: Outcome
    seconds: float
    given: Given | None = None


Step = Waiting | StageBegun
Events = AsyncGenerator[Step | Given]  # the last one is Given


async def given_of(events: Events) -> Given:
    """The reply that a stream ends with; raises what the stream raises."""
    given = None
    async for event in events:
        if isinstance(event, Given):
            given = event
    if given is None:
        raise RuntimeError("a stream of events ended without a reply")
    return given


class Rates(Protocol):
    """How often a visitor may ask."""

    def admit(self, visitor: Visitor) -> None:
        """Count one request; raises TooManyRequestsError if it is one too many."""


class Answers:
    """Asks the service on behalf of visitors. Belongs to one event loop.

    Args:
        service: answers.
        limit: how many are worked on at once.
        rates: how often a visitor may ask.
        recent: remembers what was answered.
        observers: are told of every question when it is over.
        takes_feedback: whether there is a route for it.
    """

    def __init__(
        self,
        service: ChatService,
        limit: AnswerLimit,
        rates: Rates,
        recent: RecentAnswers,
        observers: Sequence[Callable[[Asked], None]] = (),
        *,
        takes_feedback: bool = False,
    ) -> None:
        self.service = service
        self.recent = recent
        self._limit = limit
        self._rates = rates
        self._observers = observers
        self._takes_feedback = takes_feedback

    async def ask(
        self, question: str, history: Sequence[Turn], visitor: Visitor, door: Door
    ) -> Given:
        """The reply; raises as `stream`."""
        return await given_of(self.stream(question, history, visitor, door))

    async def stream(
        self, question: str, history: Sequence[Turn], visitor: Visitor, door: Door
    ) -> Events:
        """The steps as they begin, then the reply. Closing it gives the question up.

        Raises:
            TooManyRequestsError: this visitor must wait.
            BusyError: as many as may are waiting already.
            BadQuestionError: the question is empty or too long.
        """
        began = time.perf_counter()
        outcome: Outcome = "failed"
        given = None
        try:
            self._rates.admit(visitor)
            work = self._watched(partial(self.service.ask, question, history))
            async with aclosing(work.steps()) as steps:
                async for step in steps:
                    yield step
            given = self._given(work.result())
            self.recent.add(given)
            outcome = "answered" if isinstance(given.result.reply, Answer) else "refused"
            yield given
        except (GeneratorExit, asyncio.CancelledError):
            outcome = outcome if given else "given_up"
            raise
        except Exception as error:
            outcome = _outcome_of(error)
            raise
        finally:
            seconds = time.perf_counter() - began
            self._tell(Asked(door, visitor, question, outcome, seconds, given))

    async def search(self, query: str, k: int, visitor: Visitor) -> list[dict[str, Any]]:
        """Records of the passages found, best first.

        Raises:
            TooManyRequestsError, BusyError: as `stream`.
            BadQuestionError: the query is empty.
        """
        began = time.perf_counter()
        outcome: Outcome = "failed"
        try:
            self._rates.admit(visitor)
            words = clean(query)
            if not has_words(words):
                raise BadQuestionError("empty query", "请输入要检索的词。")
            found = await self._limit.run(partial(self._passages, words, k))
            outcome = "found"
            return found
        except Exception as error:
            outcome = _outcome_of(error)
            raise
        finally:
            seconds = time.perf_counter() - began
            self._tell(Asked("search", visitor, query, outcome, seconds))

    def _passages(self, query: str, k: int) -> list[dict[str, Any]]:
        return passage_records(self.service.search(query, k), self.service.article)

    def _given(self, result: AskResult) -> Given:
        is_question = isinstance(result.reply, Answer) or result.reply.reason not in NO_QUESTION
        return Given(uuid.uuid4().hex, result, self._takes_feedback and is_question)

    def _watched(self, ask: Callable[[Callable[[str], None]], AskResult]) -> _Work:
        return _Work(self._limit, ask)

    def _tell(self, asked: Asked) -> None:
        for observer in self._observers:
            observer(asked)


class _GivenUpError(Exception):
    """Raised inside the work on a question that nobody waits for any more."""


class _Work:
    """One question on a thread of its own, its steps seen from the event loop."""

    def __init__(
        self, limit: AnswerLimit, ask: Callable[[Callable[[str], None]], AskResult]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._steps: asyncio.Queue[Step | None] = asyncio.Queue()
        self._given_up = threading.Event()
        work = limit.run(lambda: ask(self._on_stage), self._on_wait)
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(lambda _: self._steps.put_nowait(None))

    async def steps(self) -> AsyncGenerator[Step]:
        """Each as it begins; ends when the work is done or has failed."""
        try:
            while (step := await self._steps.get()) is not None:
                yield step
        finally:
            if not self._task.done():
                self._given_up.set()
                self._task.add_done_callback(_looked_at)
                self._task.cancel()

    def result(self) -> AskResult:
        """What was found; raises what the work raised."""
        return self._task.result()

    def _on_wait(self, ahead: int) -> None:
        self._steps.put_nowait(Waiting(ahead))

    def _on_stage(self, name: str) -> None:
        """Called on the thread of the work."""
        if self._given_up.is_set():
            raise _GivenUpError
        self._loop.call_soon_threadsafe(self._steps.put_nowait, StageBegun(name))


def _looked_at(task: asyncio.Task[AskResult]) -> None:
    """Else asyncio complains of an exception that nobody took."""
    if not task.cancelled():
        task.exception()


def _outcome_of(error: Exception) -> Outcome:
    if isinstance(error, TooManyRequestsError):
        return "limited"
    if isinstance(error, BusyError):
        return "busy"
    if isinstance(error, BadQuestionError):
        return "bad_question"
    return "failed"
