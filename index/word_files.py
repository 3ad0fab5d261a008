"""The words of a generation: learnt terms, and BM25 by words and by bigrams over all chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from index.bm25 import Bm25Index
from index.chunk_table import SqliteChunkTable
from index.cutting import cutting
from index.generation import BIGRAMS, TERMS, WORDS
from index.words import learn_terms

_READ_BATCH = 1000  # chunks held in memory while their words are counted


def write_words(folder: Path, table: SqliteChunkTable, chunks: int) -> None:
    """Learn the corpus's terms, then index all chunks by words and by bigrams.

    Args:
        folder: of the generation.
        table: its documents and chunks.
        chunks: how many it holds.
    """
    terms = learn_terms(table.texts())
    (folder / TERMS).write_text(json.dumps(terms, ensure_ascii=False), "utf-8")
    with cutting(terms, chunks) as cutter:
        for name, cut in ((WORDS, cutter.words), (BIGRAMS, cutter.bigrams)):
            Bm25Index.build(cut(_search_texts(table, chunks))).save(folder / name)


def _search_texts(table: SqliteChunkTable, chunks: int) -> Iterator[str]:
    for first in range(0, chunks, _READ_BATCH):
        for passage in table.passages(range(first, min(first + _READ_BATCH, chunks))):
            yield passage.chunk.search_text
