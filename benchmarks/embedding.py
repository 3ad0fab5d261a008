"""Bulk embedding: the shipped fast path against sentence-transformers in float32.

`python -m benchmarks.embedding [--chunks FILE] [--limit 2000] [--questions SQUAD.json]` embeds the
same chunks with both, in alternating blocks of the same run, from the same weights: the float32
model is read from --float, or built by `train.build_embedder` into a temporary folder (needs the
extra `train`). With --questions it also tells how often the chunk holding the answer comes first.
FILE is text, one article a line, gzipped or not; the environment variable WENJU_NEWS names a
default.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from index.embedder import OnnxEmbedder
from index.protocols import Vectors
from settings import SEED_ARTICLES, SHIPPED_MODEL

BLOCK = 250  # chunks embedded by one side before the other takes its turn
CHUNK_CHARS = 200
RANKS = (1, 5, 10)
WANTED_RATIO, WANTED_COSINE = 3.3, 0.99


def sample_chunks(path: Path, limit: int) -> list[str]:
    """`limit` random slices of CHUNK_CHARS characters, always the same ones."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        texts = [
            line[start : start + CHUNK_CHARS]
            for line in map(str.strip, lines)
            for start in range(0, len(line) - CHUNK_CHARS + 1, CHUNK_CHARS)
        ]
    return random.Random(0).sample(texts, min(limit, len(texts)))


def seed_chunks(limit: int) -> list[str]:
    """Overlapping windows of the two seed articles: right in length, poor in variety."""
    text = "".join(p.read_text("utf-8") for p in sorted(SEED_ARTICLES.glob("*.txt")))
    text = re.sub(r"\s+", "", text)
    step = max(1, (len(text) - CHUNK_CHARS) // limit)
    return [text[i : i + CHUNK_CHARS] for i in range(0, len(text) - CHUNK_CHARS, step)][:limit]


def timed(embed: Callable[[Sequence[str]], Vectors], texts: Sequence[str]) -> tuple[float, Vectors]:
    """Seconds and vectors."""
    start = time.perf_counter()
    vectors = embed(texts)
    return time.perf_counter() - start, vectors


@dataclass(frozen=True)
class Comparison:
    """The fast path beside the reference."""

    chunks: int
    fast_rate: float  # chunks a second, median of the blocks
    reference_rate: float
    ratio: float  # of the time of the whole run, theirs to ours
    cosine_mean: float
    cosine_least: float


def compare(
    fast: OnnxEmbedder, reference: SentenceTransformer, chunks: Sequence[str]
) -> Comparison:
    """Embed the chunks with both sides, block by block in turn."""

    def encode(texts: Sequence[str]) -> Vectors:
        return np.asarray(reference.encode_document(list(texts), show_progress_bar=False))

    timed(fast.embed_passages, chunks[:16]), timed(encode, chunks[:16])  # warm up
    rates, cosines = [], []
    for start in range(0, len(chunks), BLOCK):
        block = chunks[start : start + BLOCK]
        fast_seconds, ours = timed(fast.embed_passages, block)
        reference_seconds, theirs = timed(encode, block)
        rates.append((len(block) / fast_seconds, len(block) / reference_seconds))
        cosines.extend(np.sum(ours * theirs, axis=1).tolist())
    seconds = [sum(BLOCK / rate for rate in side) for side in zip(*rates, strict=True)]
    fast_rate, reference_rate = np.median(rates, axis=0)
    return Comparison(
        chunks=len(chunks),
        fast_rate=float(fast_rate),
        reference_rate=float(reference_rate),
        ratio=seconds[1] / seconds[0],
        cosine_mean=float(np.mean(cosines)),
        cosine_least=min(cosines),
    )


def compared_with(folder: Path, chunks: Sequence[str]) -> Comparison:
    """The shipped model beside sentence-transformers on the float32 weights in `folder`."""
    reference = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return compare(OnnxEmbedder(SHIPPED_MODEL), reference, chunks)


def told(found: Comparison) -> str:
    """For the terminal."""
    return "\n".join(
        [
            f"{found.chunks} chunks of {CHUNK_CHARS} characters, blocks of {BLOCK}, medians:",
            f"  fast path (int8 ONNX)          {found.fast_rate:6.1f} chunks/s",
            f"  sentence-transformers float32  {found.reference_rate:6.1f} chunks/s",
            f"  ratio over the whole run {found.ratio:.2f} (wanted {WANTED_RATIO})",
            f"  cosine mean {found.cosine_mean:.4f} (wanted {WANTED_COSINE}), "
            f"least {found.cosine_least:.4f}",
        ]
    )


def query_latency(fast: OnnxEmbedder, questions: Sequence[str]) -> None:
    """Print median and 95th percentile of one question at a time."""
    seconds = [timed(fast.embed_queries, [question])[0] for question in questions]
    median, high = np.percentile(seconds, [50, 95]) * 1000
    print(f"one question: median {median:.1f} ms, 95th percentile {high:.1f} ms")


def recall(fast: OnnxEmbedder, path: Path, limit: int) -> None:
    """Print how often a chunk with the answer is among the first, over all the paragraphs.

    Args:
        fast: embeds paragraphs and questions.
        path: a SQuAD-like file.
        limit: how many random questions.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    chunks = [
        paragraph["context"][start : start + CHUNK_CHARS]
        for paragraph in paragraphs
        for start in range(0, len(paragraph["context"]), CHUNK_CHARS * 3 // 4)
    ]
    questions = [question for paragraph in paragraphs for question in paragraph["qas"]]
    asked = random.Random(0).sample(questions, min(limit, len(questions)))
    vectors = fast.embed_passages(chunks)
    scores = fast.embed_queries([question["question"] for question in asked]) @ vectors.T
    best = np.argsort(-scores, axis=1)[:, : max(RANKS)]
    first = [
        next(
            (
                rank
                for rank, chunk in enumerate(row, start=1)
                if any(answer["text"] in chunks[chunk] for answer in question["answers"])
            ),
            len(chunks),
        )
        for question, row in zip(asked, best, strict=True)
    ]
    shares = ", ".join(f"@{k} {np.mean([rank <= k for rank in first]):.3f}" for k in RANKS)
    print(f"{path.name}: {len(asked)} questions over {len(chunks)} chunks, answer found {shares}")
    query_latency(fast, [question["question"] for question in asked[:200]])


def build_reference(folder: Path) -> Path:
    """Write the float32 model of the same weights and vocabulary below `folder`."""
    command = [sys.executable, "-m", "train.build_embedder"]
    subprocess.run([*command, "--out", folder / "int8", "--float", folder / "float"], check=True)
    return folder / "float"


def main(arguments: list[str] | None = None) -> int:
    """Measure; 0 as good as wanted, 1 not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedding", description=__doc__)
    parser.add_argument("--chunks", default=os.environ.get("WENJU_NEWS"), help="text file")
    parser.add_argument("--limit", type=int, default=2000, help="number of chunks and questions")
    parser.add_argument("--float", help="folder written by train.build_embedder --float")
    parser.add_argument("--questions", type=Path, nargs="*", default=(), help="SQuAD-like files")
    options = parser.parse_args(arguments)
    fast = OnnxEmbedder(SHIPPED_MODEL)
    for path in options.questions:
        recall(fast, path, options.limit)
    if options.chunks:
        chunks = sample_chunks(Path(options.chunks), options.limit)
    else:
        print("no --chunks: overlapping windows of the seed articles, right in length only")
        chunks = seed_chunks(options.limit)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.float or build_reference(Path(scratch))
        found = compared_with(Path(folder), chunks)
    print(told(found))
    return 0 if found.ratio >= WANTED_RATIO and found.cosine_mean >= WANTED_COSINE else 1


if __name__ == "__main__":
    sys.exit(main())
