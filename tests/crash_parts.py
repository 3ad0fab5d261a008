"""Builds that are killed, and what an index answers afterwards.

Run as a program it is a server that forks: it has everything imported and jieba's dictionary
loaded, so that a build of a few articles takes a fraction of a second, and three hundred of them
can be killed in a few minutes. It starts no thread, hence may fork.
"""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from errors import MissingIndexError, WenjuError
from index import vectors
from index.build import BuildReport, IndexWriter
from index.generation import CURRENT, GENERATIONS, Generation
from index.journal import JOURNAL
from index.lock import LOCK_FILE
from index.words import WordTokenizer
from tests.index_parts import ROOT, BigramEmbedder, Entry, make_entry

CORPORA = 6
DIM = 512  # so that the vectors of sentences take several pages
DURABLE_CALLS = ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir")
_QUESTIONS = ("园区有多少家企业", "海水淡化", "道路修到哪里", "第3期的产值", "没有的事")
_TOPICS = ("园区吸引企业", "海水淡化项目有企业", "道路修到村口，沿路有企业", "《灵犀纪要》写到企业")


@dataclass(frozen=True)
class Kill:
    """When a build dies.

    `step`: `at` is the name of a step of IndexWriter. `before` and `after`: `at` is the number of
    a call of DURABLE_CALLS, from 0. `delay`: `at` is in seconds from the start. `call`: `at` is
    "NAME NUMBER", the number of a system call of that name, from 1; needs strace.
    """

    how: Literal["step", "before", "after", "delay", "call"]
    at: str | int | float


@dataclass(frozen=True)
class Ended:
    """How a build ended: by the signal, with its message, or as a report of a finished one."""

    killed: bool
    error: str = ""
    steps: tuple[str, ...] = ()
    calls: int = 0  # of DURABLE_CALLS
    seconds: float = 0.0


def corpus(number: int) -> list[Entry]:
    """One of CORPORA sets of articles: some are in all of them, some differ, some are missing."""
    entries = [make_entry("总是.txt", "园区吸引企业入驻。产值增长。", "道路修到村口。")]
    for name, topic in enumerate(_TOPICS * 2):
        if (name + number) % 3:
            edition = number if name % 2 else 0
            text = f"第{edition}期：{topic}{10 * name + edition}家。产值为{edition + 3}亿元。"
            entries.append(make_entry(f"{name}.txt", text, f"《灵犀纪要》第{edition}期。"))
    return entries


def write(
    index_dir: Path,
    number: int,
    *,
    rebuild: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> BuildReport:
    """Bring the index to `corpus(number)`, as the build command does."""
    with IndexWriter(
        index_dir,
        BigramEmbedder(DIM),
        corpus_version=1,
        settings_fingerprint="max_chars=180",
        wenju_version="0.1.0",
        rebuild=rebuild,
        on_step=on_step,
    ) as writer:
        known, entries = writer.known(ROOT), corpus(number)
        for article, chunks in entries:
            if known.get(article.doc) != article.sha256:
                writer.put(article, chunks, ROOT)
        for doc in writer.held(ROOT) - {article.doc for article, _ in entries}:
            writer.remove(doc)
        return writer.publish()


def answers(opened: Generation) -> dict[str, object]:
    """Everything that a generation says: its articles, and the probe questions in all searches."""
    query = BigramEmbedder(DIM).embed_queries(_QUESTIONS)
    said: dict[str, object] = {
        summary.doc: (summary, opened.table.article(summary.doc))
        for summary in opened.table.documents()
    }
    for question, vector in zip(_QUESTIONS, query, strict=True):
        for kind, found in (
            ("dense", opened.vectors.search(vector, 10)),
            ("words", opened.words.search(opened.tokenizer.words(question), 10)),
            ("bigrams", opened.bigrams.search(opened.tokenizer.bigrams(question), 10)),
        ):
            passages = opened.table.passages([chunk_id for chunk_id, _ in found])
            said[f"{kind} {question}"] = [
                (passage.chunk, score) for passage, (_, score) in zip(passages, found, strict=True)
            ]
            said[f"vectors {kind} {question}"] = [
                opened.sentence_vectors(passage.chunk_id).tolist() for passage in passages
            ]
    return said


def by_words(said: dict[str, object] | None) -> dict[str, object] | None:
    """What was said without the searches by vectors, as a generation of words alone says it."""
    if said is None:
        return None
    return {key: value for key, value in said.items() if not key.startswith(("dense ", "vectors "))}


def said_by(index_dir: Path, *, notice: bool = False) -> dict[str, object] | None:
    """What the index answers after a check of every byte; None where nothing was published.

    Args:
        index_dir: the index folder.
        notice: whether an older generation may serve in place of a damaged one.
    """
    try:
        opened = Generation.open(index_dir, verify=True)
    except MissingIndexError:
        return None
    with opened:
        assert notice or opened.notice is None, opened.notice
        return answers(opened)


@functools.cache
def expected(number: int) -> dict[str, object]:
    """What a clean build of `corpus(number)` answers."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "index", number)
        said = said_by(Path(folder) / "index")
        assert said is not None
        return said


def leftovers(index_dir: Path) -> list[str]:
    """What lies in the folder beyond the generation that serves and the one before it."""
    serving = (index_dir / CURRENT).read_text().strip()
    names = sorted(path.name for path in (index_dir / GENERATIONS).iterdir())
    older = [name for name in names if name < serving and not name.startswith(".")]
    # The journal of a build that never ended stays until some build has written vectors.
    wanted = {CURRENT, GENERATIONS, LOCK_FILE, JOURNAL}
    return [path.name for path in index_dir.iterdir() if path.name not in wanted] + [
        name for name in names if name not in {serving, *older[-1:]}
    ]


class Builders:
    """The server that forks, as its client sees it."""

    def __init__(self, requests: IO[str], replies: IO[str]) -> None:
        self._requests = requests
        self._replies = replies

    def build(
        self,
        index_dir: Path,
        number: int,
        kill: Kill | None = None,
        *,
        rebuild: bool = False,
        large: bool = False,
    ) -> Ended:
        """Run a build in a process of its own, to its end or to its death.

        With `large` as one of many chunks does: with a journal, and with words published first.
        """
        request = {"index": str(index_dir), "number": number, "rebuild": rebuild, "large": large}
        request["kill"] = None if kill is None else asdict(kill)
        print(json.dumps(request), file=self._requests, flush=True)
        reply = json.loads(self._replies.readline())
        return Ended(**{**reply, "steps": tuple(reply["steps"])})


@contextmanager
def builders() -> Iterator[Builders]:
    """Builds in processes of their own."""
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        yield Builders(server.stdin, server.stdout)
        server.stdin.close()


def random_kill(rng: random.Random, whole: Ended, *, with_strace: bool) -> Kill:
    """Anywhere in a build like `whole`."""
    how = rng.choice(["step", "before", "after", "delay", *(["call"] if with_strace else [])])
    if how == "step":
        return Kill("step", rng.choice(whole.steps))
    if how == "delay":
        return Kill("delay", rng.uniform(0, 1.2 * whole.seconds))
    if how == "call":
        name = rng.choice(["write", "pwrite64", "fsync", "unlinkat", "rename", "openat", "close"])
        return Kill("call", f"{name} {rng.randint(1, 40)}")
    return Kill("before" if how == "before" else "after", rng.randrange(whole.calls))


def _serve() -> None:
    WordTokenizer().words("预热")
    for line in sys.stdin:
        print(json.dumps(asdict(_run(json.loads(line)))), flush=True)


def _run(request: dict[str, Any]) -> Ended:
    kill = Kill(**request["kill"]) if request["kill"] else None
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _build_in_child(request, kill, report)
        if kill and kill.how == "call":
            status = _wait_under_strace(child, str(kill.at))
        else:
            status = _wait(child, float(kill.at) if kill and kill.how == "delay" else None)
        seconds = time.monotonic() - started
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if report.exists() and not killed:
            return Ended(False, **json.loads(report.read_text("utf-8")), seconds=seconds)
    return Ended(killed, "" if killed else f"ended with status {status}", seconds=seconds)


def _wait(child: int, limit: float | None) -> int:
    """Wait status of the child, which is killed after `limit` seconds."""
    if limit is None:
        return os.waitpid(child, 0)[1]
    deadline = time.monotonic() + limit
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1]
        time.sleep(0.0005)


def _wait_under_strace(child: int, at: str) -> int:
    name, number = at.split()
    os.waitpid(child, os.WUNTRACED)  # it stops itself first
    inject = f"inject={name}:signal=KILL:when={number}"
    command = ["strace", "-qq", "-o", os.devnull, "-p", str(child), "-e", f"trace={name}"]
    with subprocess.Popen([*command, "-e", inject]) as strace:
        while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
            assert strace.poll() is None, "strace could not attach"
            time.sleep(0.001)
        os.kill(child, signal.SIGCONT)
        return os.waitpid(child, 0)[1]


def _build_in_child(request: dict[str, Any], kill: Kill | None, report: Path) -> None:
    """Ends the process; an error that is no refusal ends it with a traceback."""
    if request["large"]:
        vectors.BATCH, vectors._WORDS_FIRST, vectors._KEPT = 2, 4, 0
    steps: list[str] = []
    calls = _count_durable_calls(kill)

    def on_step(name: str) -> None:
        steps.append(name)
        if kill == Kill("step", name):
            os.kill(os.getpid(), signal.SIGKILL)

    if kill and kill.how == "call":
        os.kill(os.getpid(), signal.SIGSTOP)
    error = ""
    try:
        index_dir = Path(request["index"])
        write(index_dir, request["number"], rebuild=request["rebuild"], on_step=on_step)
    except WenjuError as refusal:
        error = refusal.user_message
    done = {"error": error, "steps": steps, "calls": len(calls)}
    report.write_text(json.dumps(done), "utf-8")
    os._exit(0)


def _count_durable_calls(kill: Kill | None) -> Sequence[str]:
    """Watch DURABLE_CALLS and die at the one chosen; the list returned grows with each call."""
    made: list[str] = []

    def watched(name: str, original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: Any, **kwargs: Any) -> object:
            made.append(name)
            if kill == Kill("before", len(made) - 1):
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*args, **kwargs)
            if kill == Kill("after", len(made) - 1):
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in DURABLE_CALLS:
        setattr(os, name, watched(name, getattr(os, name)))
    return made


def copy(index_dir: Path, target: Path) -> Path:
    """The folder as it is, to try something on."""
    with suppress(FileNotFoundError):
        shutil.rmtree(target)
    return shutil.copytree(index_dir, target)


if __name__ == "__main__":
    _serve()
