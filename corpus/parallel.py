"""Raw documents in, articles with their chunks out: over all cores where there is much to read.

Processes, since repair is Python and Python runs on one core. They are started only when so many
documents have been read that their start (half a second each) is worth it; the order of results is
that of the documents however many cores there are.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread

from corpus.load import RawDocument, article_of
from corpus.split import split_article
from errors import LostProcessError, UnreadableDocumentError
from schema import Article, Chunk

READ_FIRST = 200  # documents read by this process before others are started: half a second
_BATCH = 32  # documents a process takes at a time
_AHEAD = 3  # batches for each process that may be read before they are asked for


@dataclass(frozen=True, slots=True)
class Read:
    """What became of a document; without an article, why."""

    raw: RawDocument
    article: Article | None
    chunks: tuple[Chunk, ...] = ()
    problem: str = ""  # Chinese


@dataclass(frozen=True, slots=True)
class Reading:
    """How documents are read.

    Attributes:
        mend: undo what page layout did to lines and spaces.
        max_chars: of a chunk.
    """

    mend: bool
    max_chars: int

    def read(self, raw: RawDocument) -> Read:
        """One document."""
        try:
            article = article_of(raw, mend=self.mend)
        except UnreadableDocumentError as error:
            return Read(raw, None, problem=error.user_message)
        return Read(raw, article, tuple(split_article(article, self.max_chars)))


def read_all(raws: Iterable[RawDocument], reading: Reading, processes: int) -> Iterator[Read]:
    """Read documents, in order.

    Args:
        raws: taken a few hundred ahead of the results, never all at once.
        reading: how.
        processes: that may be started beside this one; 1 or less starts none.

    Raises:
        LostProcessError: one of them was killed.
    """
    waiting = iter(raws)
    if processes > 1:
        yield from map(reading.read, islice(waiting, READ_FIRST))
        first = list(islice(waiting, _BATCH))
        if len(first) == _BATCH:
            yield from _read_in_processes(first, waiting, reading, processes)
            return
        waiting = iter(first)
    yield from map(reading.read, waiting)


def _read_in_processes(
    first: list[RawDocument], waiting: Iterator[RawDocument], reading: Reading, processes: int
) -> Iterator[Read]:
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _follow_the_parent)
    try:
        running: deque[Future[list[Read]]] = deque()
        batch = first
        while batch or running:
            if batch:
                running.append(pool.submit(partial(_read_batch, reading), batch))
                batch = list(islice(waiting, _BATCH))
            if not batch or len(running) >= processes * _AHEAD:
                yield from running.popleft().result()
    except BrokenProcessPool as error:
        raise LostProcessError("reads documents") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _read_batch(reading: Reading, batch: list[RawDocument]) -> list[Read]:
    return [reading.read(raw) for raw in batch]


def _follow_the_parent() -> None:
    """End with the process that asked, however it dies; Ctrl+C is for that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:

        def end_with_it() -> None:
            parent.join()
            os._exit(1)

        Thread(target=end_with_it, daemon=True).start()
