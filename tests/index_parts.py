"""What the index tests build from: small articles, and an embedder without a model."""

from __future__ import annotations

import hashlib
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index.build import BuildReport, IndexWriter
from index.protocols import Vectors
from schema import Article, Block, Chunk, Sentence, Span

ROOT = "articles"
Entry = tuple[Article, list[Chunk]]


def make_entry(doc: str, *paragraphs: str, title: str = "标题") -> Entry:
    """An article whose original has a leading space; one chunk a paragraph, cut after each 。"""
    text = "\n".join([title, *paragraphs])
    article = Article(
        doc=doc,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        original=f"\u3000{text}",
        text=text,
        offsets=array("I", range(1, len(text) + 1)),
        blocks=(
            Block("title", Span(0, len(title))),
            Block("body", Span(min(len(title) + 1, len(text)), len(text))),
        ),
        title=title,
        byline="张三、李四",
        date="2025-03",
        date_inferred=True,
        warnings=("第一行有乱码",),
    )
    chunks, start = [], len(title) + 1
    for ordinal, paragraph in enumerate(paragraphs):
        span = Span(start, start + len(paragraph))
        chunks.append(Chunk(doc, ordinal, span, paragraph, title, _sentences(paragraph, start)))
        start = span.end + 1
    return article, chunks


def _sentences(paragraph: str, start: int) -> tuple[Sentence, ...]:
    sentences = []
    for piece in paragraph.split("。"):
        if piece:
            end = start + len(piece) + 1
            sentences.append(Sentence(Span(start, end), "body"))
            start = end
    return tuple(sentences)


class BigramEmbedder:
    """Unit vectors from hashed character bigrams; remembers what it was given."""

    def __init__(self, dim: int = 64, fingerprint: str = "bigrams-1") -> None:
        self.dim = dim
        self.fingerprint = fingerprint
        self.embedded: list[str] = []

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for i in range(len(text)):
                row[zlib.crc32(text[i : i + 2].encode()) % self.dim] += 1
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self.embed_queries(texts)

    def embed_passages_with_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[Span]]
    ) -> tuple[Vectors, list[Vectors]]:
        self.embedded.extend(texts)
        cut = [
            self.embed_queries([span.cut(text) for span in spans])
            for text, spans in zip(texts, parts, strict=True)
        ]
        return self.embed_passages(texts), cut


def open_writer(
    index_dir: Path,
    embedder: BigramEmbedder | None = None,
    *,
    corpus_version: int = 1,
    rebuild: bool = False,
) -> IndexWriter:
    return IndexWriter(
        index_dir,
        embedder or BigramEmbedder(),
        corpus_version=corpus_version,
        settings_fingerprint="max_chars=180",
        wenju_version="0.1.0",
        rebuild=rebuild,
    )


def build(
    index_dir: Path, *entries: Entry, embedder: BigramEmbedder | None = None, rebuild: bool = False
) -> BuildReport:
    """What the build command does: put what changed, remove what vanished, publish."""
    with open_writer(index_dir, embedder, rebuild=rebuild) as writer:
        known = writer.known(ROOT)
        for article, chunks in entries:
            if known.get(article.doc) != article.sha256:
                writer.put(article, chunks, ROOT)
        for doc in writer.held(ROOT) - {article.doc for article, _ in entries}:
            writer.remove(doc)
        return writer.publish()
