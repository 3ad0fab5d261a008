"""Bulk embedding spread over many workers: cut into batches, kept going, whoever drops out.

How a batch reaches a worker is the business of `Workers`; ray_driver.py has the one for Ray. A
batch whose worker died is handed out again, so that a build ends well as long as anyone is left.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from errors import ClusterError
from index.protocols import Vectors
from schema import Span

_PER_CORE = 4  # batches for each core: whoever is slower than the others takes fewer
_LEAST = 1000  # characters of a batch, some 0.2 s of work: a hundred times the cost of sending it
_MOST = 8000  # some 2 s: what is lost with a worker, and a third of a megabyte of vectors
_FIXED = 30  # characters' worth of work that every text costs, however short
_IN_FLIGHT = 2  # batches for each core: one being worked on, the next one there already
_TRIES = 5  # of a batch; one that ended that many workers would end the others too
_TICK = 1.0  # seconds between two looks at who is there


@dataclass(frozen=True, slots=True)
class Task:
    """Texts and the spans of their parts, all in one array, as they travel."""

    texts: list[str]
    spans: NDArray[np.int64]  # (start, end) of the parts of all texts, in order
    counts: NDArray[np.int64]  # how many parts each text has

    @classmethod
    def of(cls, texts: Sequence[str], parts: Sequence[Sequence[Span]]) -> Task:
        """From what embed_passages_with_parts takes."""
        spans = [(span.start, span.end) for own in parts for span in own]
        return cls(
            list(texts),
            np.array(spans, dtype=np.int64).reshape(-1, 2),
            np.array([len(own) for own in parts], dtype=np.int64),
        )

    def parts(self) -> list[list[Span]]:
        """As embed_passages_with_parts takes them."""
        spans = [Span(int(start), int(end)) for start, end in self.spans]
        starts = self._starts()
        return [spans[s : s + n] for s, n in zip(starts, self.counts, strict=True)]

    def take(self, places: Sequence[int]) -> Task:
        """Some of the texts with their parts, in the order of `places`."""
        starts = self._starts()
        rows = [np.arange(starts[i], starts[i] + self.counts[i]) for i in places]
        spans = self.spans[np.concatenate(rows)] if rows else self.spans[:0]
        return Task([self.texts[i] for i in places], spans, self.counts[list(places)])

    def _starts(self) -> NDArray[np.int64]:
        starts: NDArray[np.int64] = np.cumsum(self.counts) - self.counts
        return starts


@dataclass(frozen=True, slots=True)
class Made:
    """The vectors of a task."""

    vectors: Vectors  # (texts, dim)
    rows: Vectors  # (spans, dim), in the order of the spans


class Workers(Protocol):
    """Processes elsewhere that embed."""

    def cores(self) -> int:
        """How many tasks can be worked on at once, at present; 0 when nobody is left."""

    def start(self, task: Task) -> Hashable:
        """Hand out a task; returns what names the job."""

    def finished(self, jobs: Sequence[Hashable], seconds: float) -> Sequence[Hashable]:
        """Those jobs that have ended, well or not; waits for one at most `seconds`."""

    def result(self, job: Hashable) -> Made | None:
        """Of a finished job; None if its worker died. Raises ClusterError for what would recur."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts of a task that go to a worker together."""

    places: tuple[int, ...]  # in the task
    tries: int = 0  # how often it was lost


def spread(task: Task, workers: Workers, patience: float) -> Iterator[tuple[Sequence[int], Made]]:
    """The vectors of all texts of a task, some at a time, as workers have made them.

    Args:
        task: may be empty.
        workers: may come and go.
        patience: seconds without any worker after which it gives up.

    Yields:
        Places of texts in the task, every one once, and their vectors.

    Raises:
        ClusterError: no worker is left, or what is wrong would be so with any of them.
    """
    crew = _Crew(workers, patience)
    waiting = deque(cut_batches(task.texts, crew.cores()))
    running: dict[Hashable, Batch] = {}
    while waiting or running:
        # No more than that are out, so that neither side gathers what the other cannot take.
        while waiting and len(running) < crew.cores() * _IN_FLIGHT:
            batch = waiting.popleft()
            running[workers.start(task.take(batch.places))] = batch
        crew.cores()  # also where nothing is to be handed out: everybody may be gone
        for job in workers.finished(list(running), _TICK):
            batch = running.pop(job)
            made = workers.result(job)
            if made is None:
                waiting.appendleft(_once_more(batch))
            else:
                yield batch.places, made


class _Crew:
    """Who is there, asked at most once a tick; gives up when nobody has been for too long."""

    def __init__(self, workers: Workers, patience: float) -> None:
        self._workers = workers
        self._patience = patience
        self._count = workers.cores()
        self._asked = self._seen = time.monotonic()

    def cores(self) -> int:
        """How many.

        Raises:
            ClusterError: none, for longer than is waited.
        """
        now = time.monotonic()
        if now - self._asked >= _TICK:
            self._count = self._workers.cores()
            self._asked = now
        if self._count:
            self._seen = now
        elif now - self._seen >= self._patience:
            raise ClusterError(
                f"no worker for {now - self._seen:.0f} s",
                "Ray 集群里已没有可用的机器，建库停止，索引照常可用；"
                "请用 ray status 查看集群，恢复后重新运行同一命令。",
            )
        return self._count


def cut_batches(texts: Sequence[str], cores: int) -> list[Batch]:
    """Batches of about equal work, each of texts of similar length, the longest first.

    Short texts come last, so that at the end no core waits long for another.
    """
    order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))
    whole = sum(len(text) + _FIXED for text in texts)
    share = min(max(whole // (max(1, cores) * _PER_CORE), _LEAST), _MOST)
    batches: list[Batch] = []
    places: list[int] = []
    work = 0
    for place in order:
        places.append(place)
        work += len(texts[place]) + _FIXED
        if work >= share:
            batches.append(Batch(tuple(places)))
            places, work = [], 0
    return [*batches, Batch(tuple(places))] if places else batches


def _once_more(batch: Batch) -> Batch:
    if batch.tries + 1 >= _TRIES:
        raise ClusterError(
            f"a batch of {len(batch.places)} texts was lost {_TRIES} times",
            f"同一批文字在 Ray 集群上连续 {_TRIES} 次没有做完（工作进程退出或机器失联），"
            "建库停止，索引照常可用；常见原因是机器内存不足，请查看集群日志。",
        )
    return replace(batch, tries=batch.tries + 1)
