"""Kinds of FAISS index on real vectors: what each finds, and what it costs.

    python -m benchmarks.vector_index INDEX [--sets FILE ...] [--sizes 20000 50000] [--sentences]

INDEX is an index folder, whose chunk vectors are taken, or with --sentences those of its sentences,
which are more. Questions are those of test sets (by default the shipped one), embedded by the
shipped model. Each kind is built by one thread and written; a process of its own opens the file,
mapped, and searches one question after the other with one thread. Recall counts what scores as well
as the k-th of exact search, since texts repeat. After all kinds that store no exact rows, exact
rows of the candidates decide ("+ N"). Times are the thread's processor time, which a busy machine
does not blur. Prints a Markdown table a size.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from eval.sets import load_set
from index.embedder import load_embedder
from index.generation import Generation
from index.protocols import Vectors
from settings import ROOT, SHIPPED_MODEL

KS = (10, 50)  # of an answer's passages, and of retrieval's candidates
HEAD = (
    "| 索引 | 训练＋加入（秒） | 文件 MB | 私有＋映射内存 MB | "
    + " | ".join(f"recall@{k}" for k in KS)
    + " | p50／p95（毫秒） |"
)


@dataclass(frozen=True)
class Kind:
    """One way to search."""

    factory: str  # FAISS's description; "{dim}" stands for the dimension
    parameters: str = ""  # set after loading, in FAISS's form
    candidates: int = 0  # whose exact rows decide; 0 where the index scores exactly by itself

    @property
    def name(self) -> str:
        """As in the table."""
        parts = (self.factory.removesuffix(",RFlat"), self.parameters)
        name = " ".join(part for part in parts if part)
        return f"{name} + {self.candidates}" if self.candidates else name


KINDS = (
    Kind("Flat"),
    Kind("SQfp16"),
    Kind("SQ8,RFlat", candidates=200),
    Kind("PQ{dim}x4fs,RFlat", candidates=200),
    Kind("PQ{half}x4fs,RFlat", candidates=400),
    Kind("PQ{half}x4fs,RFlat", candidates=1000),
    Kind("HNSW32", "efSearch=128"),
    Kind("HNSW32", "efSearch=512"),
    Kind("IVF1024,SQ8,RFlat", "nprobe=32", candidates=200),
    Kind("IVF1024,SQ8,RFlat", "nprobe=128", candidates=200),
)


@dataclass(frozen=True)
class Seen:
    """What the measuring process saw."""

    found: NDArray[np.int64]  # (questions, largest k)
    milliseconds: list[float]  # of the smaller k and of the larger one, together
    private: float  # MB more than before loading
    mapped: float


def memory() -> tuple[float, float]:
    """Private and file-backed resident MB of this process, as Linux counts them."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    counts = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    return int(counts["RssAnon"]) / 1024, int(counts["RssFile"]) / 1024


def search_all(path: Path, kind: Kind, questions: Vectors) -> Seen:
    """Open an index and search it; runs in a process of its own."""
    faiss.omp_set_num_threads(1)
    before = memory()
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    base = index
    if isinstance(index, faiss.IndexRefineFlat):
        base = faiss.downcast_index(index.base_index)
    if kind.parameters:
        space = faiss.ParameterSpace()
        space.set_index_parameters(base, kind.parameters)  # type: ignore[arg-type]
    found = np.full((len(questions), max(KS)), -1, dtype=np.int64)
    milliseconds = []
    for row, question in zip(found, questions, strict=True):
        for k in KS:
            started = time.thread_time()
            _, ids = index.search(question[np.newaxis], max(k, kind.candidates))
            milliseconds.append((time.thread_time() - started) * 1000)
            row[:] = -1
            row[:k] = ids[0, :k]
    after = memory()
    return Seen(found, milliseconds, after[0] - before[0], after[1] - before[1])


def of_dim(text: str, dim: int) -> str:
    """With the dimension, or half of it, filled in."""
    return text.format(dim=dim, half=dim // 2)


def build(kind: Kind, vectors: Vectors, path: Path) -> tuple[float, float]:
    """Write an index; seconds of training and of adding, by one thread."""
    faiss.omp_set_num_threads(1)
    dim = vectors.shape[1]
    index = faiss.index_factory(dim, of_dim(kind.factory, dim), faiss.METRIC_INNER_PRODUCT)
    started = time.thread_time()
    index.train(vectors)
    trained = time.thread_time()
    index.add(vectors)
    added = time.thread_time()
    faiss.write_index(index, str(path))
    return trained - started, added - trained


def recall(found: NDArray[np.int64], exact: Vectors, vectors: Vectors, questions: Vectors) -> float:
    """Share of the found rows that score as well as the last of the k best, `exact`."""
    good = 0
    for ids, least, question in zip(found, exact, questions, strict=True):
        scores = vectors[ids[ids >= 0]] @ question
        good += int(np.count_nonzero(scores >= least - 1e-6))
    return good / found.size


def measure(vectors: Vectors, questions: Vectors, kinds: Sequence[Kind]) -> None:
    """Print the table of one size."""
    print(f"\n{len(vectors)} vectors of {vectors.shape[1]}, {len(questions)} questions\n\n{HEAD}")
    print("|" + "---|" * (HEAD.count("|") - 1))
    exact = np.sort(questions @ vectors.T, axis=1)[:, ::-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index")
        for kind in kinds:
            trained, added = build(kind, vectors, path)
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                seen = pool.submit(search_all, path, kind, questions).result()
            recalls = [recall(seen.found[:, :k], exact[:, k - 1], vectors, questions) for k in KS]
            p50, p95 = np.percentile(seen.milliseconds, [50, 95])
            name, megabytes = of_dim(kind.name, vectors.shape[1]), path.stat().st_size / 1e6
            print(
                f"| {name} | {trained:.1f} + {added:.1f} | {megabytes:.0f} "
                f"| {seen.private:.0f} + {seen.mapped:.0f} | "
                + " | ".join(f"{value:.4f}" for value in recalls)
                + f" | {p50:.2f} / {p95:.2f} |",
                flush=True,
            )


def vectors_of(index_dir: Path, *, sentences: bool) -> Vectors:
    """All vectors of chunks or of sentences, those of zeros left out, in random order."""
    with Generation.open(index_dir) as generation:
        chunks = range(generation.manifest.chunks)
        if sentences:
            rows = np.concatenate([generation.sentence_vectors(i) for i in chunks])
        else:
            rows = generation.vectors.reconstruct(chunks)
    rows = rows[np.linalg.norm(rows, axis=1) > 0.5]
    shuffled: Vectors = rows[np.random.default_rng(0).permutation(len(rows))]
    return shuffled


def main(arguments: list[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vector_index", description=__doc__)
    parser.add_argument("index", type=Path)
    shipped = ROOT / "eval" / "sets" / "zimao_open.jsonl"
    parser.add_argument("--sets", type=Path, nargs="+", default=[shipped])
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--sizes", type=int, nargs="*", default=[], help="all if none")
    parser.add_argument("--sentences", action="store_true")
    parser.add_argument("--kinds", nargs="*", help="only those whose name starts like this")
    options = parser.parse_args(arguments)
    asked = [case.question for path in options.sets for case in load_set(path).cases]
    asked = random.Random(0).sample(asked, min(options.questions, len(asked)))
    questions = load_embedder(str(SHIPPED_MODEL)).embed_queries(asked)
    vectors = vectors_of(options.index, sentences=options.sentences)
    wanted = tuple(options.kinds or [""])
    kinds = [kind for kind in KINDS if kind.name.startswith(wanted)]
    for size in options.sizes or [len(vectors)]:
        measure(np.ascontiguousarray(vectors[:size]), questions, kinds)


if __name__ == "__main__":
    main()
