"""What every part of `make bench` is given, and what they share: files, indexes, commands."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks import watch
from benchmarks.service import Service
from index.generation import Generation
from settings import ROOT, SEED_ARTICLES

OURS = "wenju"
DEPTH = 10  # passages wanted of every system
OFFLINE = {"HF_HUBOFFLINE": "1"}  # the libraries would ask the hub about a local folder
_AT_ONCE = 5000  # chunks read from an index


@dataclass(frozen=True)
class Size:
    """An index to measure on."""

    articles: int
    chunks: int
    index: Path
    version: str  # of its generation


@dataclass(frozen=True)
class Bench:
    """All of it."""

    work: Path  # indexes and files made on the way; kept, so that parts can be run again
    news: Path | None  # an article a line, gzipped or not
    ready: tuple[Path, ...]  # indexes to measure on; none: they are built
    sizes: tuple[int, ...]  # news articles in each index that is built; 0 is the seeds alone
    python: str | None  # of the other systems; None leaves them out
    float_model: Path | None  # float32 weights of our model; None: made from them
    systems: tuple[str, ...]  # the other systems
    questions: tuple[str, ...]
    articles: int  # of the part `build`
    rounds: int
    peer_articles: int  # the most that the other systems are made to embed for one index
    seconds: float  # of one trial of the part `load`
    people: tuple[int, ...]  # trials of the part `load`
    many: int  # questions of the part `flat`

    @property
    def others(self) -> tuple[str, ...]:
        """The other systems, where there is a Python for them."""
        return self.systems if self.python else ()

    def news_file(self, count: int) -> Path:
        """The first articles of the news, as JSON lines that every system can read.

        Raises:
            SystemExit: no news were given, or too few.
        """
        if self.news is None:
            sys.exit("这一部分需要 --news 文件（一行一篇）。")
        path = self.work / f"{self.news.name.split('.')[0]}-{count}.jsonl"
        if not path.exists():
            rows = list(islice(_lines(self.news), count))
            if len(rows) < count:
                sys.exit(f"{self.news} 只有 {len(rows)} 篇，要的是 {count} 篇。")
            write_articles(path, ((str(number), text) for number, text in enumerate(rows)))
        return path

    def model(self) -> Path:
        """The folder of float32 weights, made from ours where none was given."""
        if self.float_model is not None:
            return self.float_model
        folder = self.work / "float"
        if not folder.exists():
            tell("写出同一权重的 float32 模型")
            made = self.work / "made"
            command = [sys.executable, "-m", "train.build_embedder"]
            watch.run([*command, "--out", str(made / "int8"), "--float", str(made / "float")])
            (made / "float").rename(folder)
        return folder

    def peer(self, command: str, name: str, *arguments: str) -> list[str]:
        """A command of peer.py, in the other systems' Python."""
        assert self.python is not None
        module = [self.python, "-m", "benchmarks.peer", command, name]
        return [*module, str(self.model()), *arguments]

    def run_peer(self, command: str, name: str, *arguments: str) -> tuple[watch.Cost, str]:
        """Run one to its end."""
        return watch.run(self.peer(command, name, *arguments), OFFLINE)

    def service(self, name: str, folder: Path) -> Service:
        """A system over an index folder of its own, to be asked."""
        if name == OURS:
            return Service([sys.executable, "-m", "benchmarks.ours", str(folder)])
        return Service(self.peer("ask", name, str(folder)), OFFLINE)

    def indexes(self) -> list[Size]:
        """Those given, or else built (or brought up to date) by our command; smallest first."""
        folders = list(self.ready) or [self._built(count) for count in self.sizes]
        return sorted((size_of(folder) for folder in folders), key=lambda size: size.articles)

    def built_index(self, count: int) -> Path:
        """Where the index of so many news articles is built."""
        return self.work / f"index-{count}"

    def build_command(self, count: int) -> list[str]:
        """Builds it, or brings it up to date."""
        news = [str(self.news_file(count))] if count else []
        return app("build", str(SEED_ARTICLES), *news, "--index", str(self.built_index(count)))

    def _built(self, count: int) -> Path:
        tell(f"索引：自带文章和 {count} 篇新闻")
        watch.run(self.build_command(count))
        return self.built_index(count)

    def peer_index(self, name: str, size: Size) -> Path | None:
        """The index of another system over the articles of one of ours; None if that is too much.

        Beyond `peer_articles`, LangChain is given the texts and vectors of our index: its search
        costs the same over any vectors of that number and length. txtai has no way to take vectors
        and still embed questions by its model.
        """
        whole = size.articles <= self.peer_articles
        if not whole and not name.startswith("langchain"):
            return None
        given = "articles" if whole else "chunks"
        folder = self.work / f"{name}-{size.version}-{given}"
        if folder.exists():
            return folder
        tell(f"{name} 的索引，{size.articles} 篇")
        partial = folder.with_suffix(".part")
        source = self.work / f"{size.version}-{given}.jsonl"
        with Generation.open(size.index) as generation:
            write_articles(source, (articles_in if whole else chunks_in)(generation))
            if not whole:
                rows = generation.vectors.reconstruct(range(size.chunks))
                np.save(source.with_suffix(".npy"), rows)
        self.run_peer("build" if whole else "vectors", name, str(source), str(partial))
        partial.rename(folder)
        return folder


def app(*arguments: str) -> list[str]:
    """A command of ours."""
    return [sys.executable, str(ROOT / "app.py"), *arguments]


def tell(text: str) -> None:
    """What goes on, for the one who waits."""
    print(text, file=sys.stderr, flush=True)


def size_of(folder: Path) -> Size:
    """Of an index folder.

    Raises:
        IndexStateError: it cannot be used.
    """
    with Generation.open(folder) as generation:
        manifest = generation.manifest
        return Size(manifest.documents, manifest.chunks, folder, generation.version)


def articles_in(generation: Generation) -> Iterator[tuple[str, str]]:
    """The articles of an index, as their files have them."""
    for summary in generation.table.documents():
        article = generation.table.article(summary.doc)
        assert article is not None  # the table has just named it
        yield summary.doc, article.original


def chunks_in(generation: Generation) -> Iterator[tuple[str, str]]:
    """The chunks of an index as they are embedded, in the order of their vectors."""
    for start in range(0, generation.manifest.chunks, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, generation.manifest.chunks))
        for passage in generation.table.passages(numbers):
            yield str(passage.chunk_id), passage.chunk.search_text


def write_articles(path: Path, articles: Iterator[tuple[str, str]]) -> None:
    """(id, text) as JSON lines; the file appears only when it is whole."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8") as file:
        for name, text in articles:
            file.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
    partial.replace(path)


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        yield from filter(None, map(str.strip, lines))


def blocks(items: Sequence[str], size: int) -> list[Sequence[str]]:
    """Consecutive runs of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]
