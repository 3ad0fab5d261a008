"""Bulk embedding beside sentence-transformers in float32, in turn: benchmarks/embedding.py."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from benchmarks.bench import Bench

_CHUNKS = 2000


def measure(bench: Bench) -> dict[str, Any]:
    """Chunks a second of both sides, their ratio, and how near the vectors are."""
    if bench.news is None:
        sys.exit("这一部分需要 --news 文件（一行一篇）。")
    from benchmarks import embedding  # imports torch, which no other part of this process needs

    chunks = embedding.sample_chunks(bench.news, min(_CHUNKS, bench.articles * 4))
    found = embedding.compared_with(bench.model(), chunks)
    return {name: round(value, 4) for name, value in asdict(found).items()}
