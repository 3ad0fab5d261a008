"""What one more article, chunk or question costs: the figures that docs/scale.md reckons with.

    python -m benchmarks.unit_costs --index DIR [--questions SET.jsonl] [--ray ADDRESS]

Work is given in seconds of processor time, so that a machine busy with other things gives nearly
the figures of an idle one; questions in elapsed time too. The index is only read; its documents
must still be where it was built from. With --ray, the chunks embedded here are embedded by the
cluster as well: once so that its workers have the model, then against the clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

import assemble
from corpus.load import SourceFile, read_article
from corpus.split import split_article
from index.chunk_table import sentence_parts
from index.embedder import OnnxEmbedder
from index.generation import Generation, generation_path
from index.protocols import Embedder
from index.ray_embedder import ray_embedder
from qa.chatbot import Chatbot
from schema import Chunk
from settings import ROOT, Settings

QUESTIONS = ROOT / "eval" / "sets" / "zimao_open.jsonl"
_CANDIDATES = 50  # as RetrievalSettings has it


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--sample", type=int, default=400, help="articles and chunks measured")
    parser.add_argument("--ray", metavar="ADDRESS")
    arguments = parser.parse_args()
    settings = Settings(index_dir=str(arguments.index))
    with Generation.open(arguments.index) as generation:
        sizes(arguments.index, generation)
        reading(generation, settings, arguments.sample)
        chunks = sample_chunks(generation, arguments.sample)
        tokenising(generation, chunks)
    embedding(chunks, settings, arguments.ray)
    questions = [json.loads(line)["question"] for line in arguments.questions.open("rb")]
    asking(assemble.open_chatbot(settings), questions)


def tell(name: str, value: float, unit: str) -> None:
    """One line of the result."""
    print(f"{name:<44}{value:>12,.2f} {unit}", flush=True)


def cpu(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of processor time (all threads) and elapsed ones that `work` takes."""
    processor, elapsed = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - elapsed


def sizes(index_dir: Path, generation: Generation) -> None:
    """Bytes on disk a chunk, by file."""
    manifest = generation.manifest
    tell("documents", manifest.documents, "")
    tell("chunks a document", manifest.chunks / manifest.documents, "")
    tell("sentences a chunk", manifest.sentences / manifest.chunks, "")
    folder = generation_path(index_dir, generation.version)
    for path in sorted(folder.iterdir()):
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files)
        tell(f"disk: {path.name}", size / manifest.chunks, "bytes/chunk")


def reading(generation: Generation, settings: Settings, most: int) -> None:
    """Decode, repair, structure and split."""
    stored = generation.table.stored_documents()
    places = np.linspace(0, len(stored) - 1, min(most, len(stored)), dtype=int)
    chosen = [stored[place] for place in places]
    sources = [SourceFile(Path(d.root) / d.doc, d.doc, Path(d.root)) for d in chosen]

    def read() -> None:
        for source in sources:
            split_article(read_article(source), settings.split.max_chars)

    tell("read, repair, split", 1000 * cpu(read)[0] / len(sources), "core-ms/article")


def sample_chunks(generation: Generation, most: int) -> list[Chunk]:
    """Chunks from all over the index."""
    total = generation.manifest.chunks
    places = np.linspace(0, total - 1, min(most, total), dtype=int)
    return [passage.chunk for passage in generation.table.passages(places.tolist())]


def tokenising(generation: Generation, chunks: Sequence[Chunk]) -> None:
    """Words and bigrams, without the dictionary's start."""
    cut = generation.tokenizer
    cut.words("预热")
    for name, function in (("words", cut.words), ("bigrams", cut.bigrams)):
        seconds, _ = cpu(lambda function=function: [function(c.search_text) for c in chunks])  # type: ignore[misc]
        tell(f"tokenise: {name}", 1000 * seconds / len(chunks), "core-ms/chunk")


def embedding(chunks: Sequence[Chunk], settings: Settings, address: str | None) -> None:
    """One thread; all cores; a cluster."""
    lengths = [len(chunk.search_text) for chunk in chunks]
    tell("characters a chunk, context included", float(np.mean(lengths)), "")
    model = Path(settings.model)
    seconds, elapsed = embedded(OnnxEmbedder(model, threads=1), chunks)
    tell("embed, one thread", len(chunks) / seconds, "chunks/core-s")
    tell("embed, one thread, elapsed", len(chunks) / elapsed, "chunks/s")
    local = OnnxEmbedder(model)
    _, elapsed = embedded(local, chunks)
    tell(f"embed, {local.threads} threads, elapsed", len(chunks) / elapsed, "chunks/s")
    if address is None:
        return
    with ray_embedder(settings.model, address) as embedder:
        embedded(embedder, chunks)
        _, over_there = embedded(embedder, chunks)
        tell("embed, the cluster, elapsed", len(chunks) / over_there, "chunks/s")
        _, elapsed = embedded(local, chunks)
        tell("cluster against here, just after", elapsed / over_there, "times")


def embedded(embedder: Embedder, chunks: Sequence[Chunk]) -> tuple[float, float]:
    """Processor and elapsed seconds for the vectors of chunks and of their sentences."""
    texts = [chunk.search_text for chunk in chunks]
    parts = [sentence_parts(chunk) for chunk in chunks]
    return cpu(lambda: embedder.embed_passages_with_parts(texts, parts))


def asking(chatbot: Chatbot, questions: Sequence[str]) -> None:
    """Stages of retrieval one by one, then whole answers."""
    generation, embedder = chatbot.generation, chatbot.retriever.embedder
    cut = generation.tokenizer
    chatbot.ask(questions[0])
    vectors = [embedder.embed_queries([question])[0] for question in questions]
    words = [cut.words(question) for question in questions]
    bigrams = [cut.bigrams(question) for question in questions]
    each("search: vectors", vectors, lambda v: generation.vectors.search(v, _CANDIDATES))
    each("search: words", words, lambda w: generation.words.search(w, _CANDIDATES))
    each("search: bigrams", bigrams, lambda b: generation.bigrams.search(b, _CANDIDATES))
    each("embed the question", questions, lambda q: embedder.embed_queries([q]))
    each("retrieve, whole", questions, lambda q: chatbot.search(q, chatbot.passages))
    timings: list[dict[str, float]] = []
    each("answer, whole", questions, lambda q: timings.append(chatbot.ask(q).timings_ms))
    for stage in ("understand", "retrieve", "read", "compose", "check"):
        spent = [timing[stage] for timing in timings if stage in timing]
        if spent:
            tell(f"answer, of which {stage}", median(spent), "ms, median")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tell("memory of this process, peak", peak, "MB")


def each(name: str, items: Sequence[object], work: Callable[..., object]) -> None:
    """Processor time and median elapsed time of one."""
    elapsed: list[float] = []
    processor = time.process_time()
    for item in items:
        started = time.perf_counter()
        work(item)
        elapsed.append(time.perf_counter() - started)
    processor = time.process_time() - processor
    tell(name, 1000 * processor / len(items), "core-ms")
    tell(f"{name}, elapsed", 1000 * median(elapsed), "ms, median")


if __name__ == "__main__":
    main()
