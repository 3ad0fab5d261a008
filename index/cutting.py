"""Many texts to tokens, on all cores; the same lists in the same order as with one.

Python cuts on one core however many threads it has, hence processes. They are started afresh
(forking a process in which onnxruntime and FAISS have threads may hang), which takes them a second
or two: few texts are cut in this process. A worker sends numbers and the tokens that they stand
for, each token once: the tokens themselves would take longer to send than to make. It ends with
its builder, also when that is killed: then nobody holds the other end of its pipe.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from multiprocessing.connection import Connection

import numpy as np

from errors import LostProcessError
from index.words import WordTokenizer

FEW_TEXTS = 10_000  # cut in this process; 4 s, of which two workers would save nothing
_BATCH = 500  # texts a worker is given at a time
_TOKENS_KEPT = 200_000  # known to both ends of a pipe, some 30 MB at each; then they start anew

_WORDS, _BIGRAMS = "words", "bigrams"


class Cutter:
    """What WordTokenizer gives, for many texts. Use `cutting`."""

    def __init__(self, tokenizer: WordTokenizer, workers: Sequence[_Worker]) -> None:
        self._tokenizer = tokenizer
        self._workers = workers

    def words(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """`WordTokenizer.words` of each text, in order."""
        return self._cut(_WORDS, texts) if self._workers else map(self._tokenizer.words, texts)

    def bigrams(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """`WordTokenizer.bigrams` of each text, in order."""
        return self._cut(_BIGRAMS, texts) if self._workers else map(self._tokenizer.bigrams, texts)

    def _cut(self, kind: str, texts: Iterable[str]) -> Iterator[list[str]]:
        left = iter(texts)
        busy: list[_Worker] = []  # in the order of their batches

        def go_on(worker: _Worker) -> None:
            if batch := list(islice(left, _BATCH)):
                worker.give(kind, batch)
                busy.append(worker)

        for worker in self._workers:
            go_on(worker)
        while busy:
            worker = busy.pop(0)
            lists = worker.take()
            go_on(worker)
            yield from lists


@contextmanager
def cutting(terms: Sequence[str], count: int, processes: int | None = None) -> Iterator[Cutter]:
    """A Cutter for about `count` texts, with words of the corpus as WordTokenizer takes them.

    Args:
        terms: as for WordTokenizer.
        count: how many texts are to come; FEW_TEXTS and fewer are cut in this process.
        processes: where there are more; as many as there are cores where None.

    Raises (also from the iterators):
        LostProcessError: a worker was killed.
        OSError: one cannot be started.
    """
    from index.model_folder import usable_cores  # imports onnxruntime, which no worker needs

    processes = usable_cores() if processes is None else processes
    with ExitStack() as stack:
        workers: list[_Worker] = []
        if count > FEW_TEXTS and processes > 1:
            for _ in range(processes):
                workers.append(_Worker(terms))
                stack.callback(workers[-1].stop)
        yield Cutter(WordTokenizer(terms), workers)


class _Worker:
    """This end of the pipe to a process that cuts."""

    def __init__(self, terms: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, list(terms), _TOKENS_KEPT), daemon=True
        )
        self._process.start()
        theirs.close()
        self._tokens: list[str] = []

    def give(self, kind: str, texts: Sequence[str]) -> None:
        """Texts to cut; what was given before must have been taken."""
        try:
            self._pipe.send_bytes(json.dumps([kind, texts]).encode())
        except OSError as error:
            raise LostProcessError("cuts words") from error

    def take(self) -> list[list[str]]:
        """The tokens of each text given."""
        try:
            known, new = json.loads(self._pipe.recv_bytes())
            ends = np.frombuffer(self._pipe.recv_bytes(), dtype=np.int64).tolist()
            ids = np.frombuffer(self._pipe.recv_bytes(), dtype=np.int32).tolist()
        except (EOFError, OSError) as error:
            raise LostProcessError("cuts words") from error
        del self._tokens[known:]
        self._tokens.extend(new)
        tokens = list(map(self._tokens.__getitem__, ids))
        return [tokens[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    def stop(self) -> None:
        """End the process, at once."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()
        self._process.close()


def _serve(pipe: Connection, terms: Sequence[str], tokens_kept: int) -> None:
    """Cut what comes until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the builder's to answer
    tokenizer = WordTokenizer(terms)
    cuts = {_WORDS: tokenizer.words, _BIGRAMS: tokenizer.bigrams}
    numbers: dict[str, int] = {}
    while True:
        try:
            kind, texts = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        if len(numbers) > tokens_kept:
            numbers.clear()
        known = len(numbers)
        ids: list[int] = []
        ends: list[int] = []
        for text in texts:
            ids.extend([numbers.setdefault(token, len(numbers)) for token in cuts[kind](text)])
            ends.append(len(ids))
        new = list(islice(numbers, known, None))
        try:
            pipe.send_bytes(json.dumps([known, new]).encode())
            pipe.send_bytes(np.array(ends, dtype=np.int64).tobytes())
            pipe.send_bytes(np.array(ids, dtype=np.int32).tobytes())
        except OSError:
            return
