"""LangChain and txtai, in their own environment, doing what our commands do.

    python -m benchmarks.peer build NAME MODEL ARTICLES.jsonl FOLDER
    python -m benchmarks.peer vectors NAME MODEL CHUNKS.jsonl FOLDER    with CHUNKS.npy beside it
    python -m benchmarks.peer ask NAME MODEL FOLDER                     requests of service.py
    python -m benchmarks.peer http NAME MODEL FOLDER PORT               POST /search, GET /readyz

MODEL is the folder of float32 weights. Both are set up as their own guides begin, with vectors of
length one: HuggingFaceEmbeddings and FAISS with all else at its default; Embeddings(content=True)
run by sentence-transformers. Only what is needed to be fair departs from that: the model's own
prompts, and separators for Chinese.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from benchmarks.service import answer, milliseconds
from eval.peers.langchain_faiss import split


@dataclass(frozen=True)
class Built:
    """What a build came to."""

    pieces: int
    chars: int  # of all pieces: what was embedded


class Peer(Protocol):
    """A library that indexes articles and finds pieces of them."""

    def build(self, articles: Mapping[str, str]) -> Built:
        """Split, embed and index (name, text)."""

    def save(self, folder: str) -> None:
        """Write the index."""

    def open(self, folder: str) -> None:
        """Read what `save` wrote, ready to search."""

    def search(self, question: str, depth: int) -> list[str]:
        """The best pieces, best first, at most `depth`."""


class Langchain:
    """RecursiveCharacterTextSplitter, HuggingFaceEmbeddings, FAISS.from_texts.

    Source: the guides "Splitting recursively", "HuggingFaceEmbeddings" and "FAISS" at
    https://docs.langchain.com/oss/python/integrations .
    """

    def __init__(self, model: str, chunk_size: int, chunk_overlap: int) -> None:
        """Take the model's folder and the splitter's two sizes, in characters."""
        self._model = model
        self._sizes = (chunk_size, chunk_overlap)
        self._store: Any = None

    def _embeddings(self) -> Any:
        from langchain_huggingface import HuggingFaceEmbeddings  # type: ignore[import-not-found, unused-ignore]

        return HuggingFaceEmbeddings(
            model_name=self._model,
            model_kwargs={"device": "cpu", "local_files_only": True},
            encode_kwargs={"prompt_name": "document", "normalize_embeddings": True},
            query_encode_kwargs={"prompt_name": "query", "normalize_embeddings": True},
        )

    def build(self, articles: Mapping[str, str]) -> Built:
        """Split, embed and index (name, text)."""
        from langchain_community.vectorstores import FAISS  # type: ignore[import-not-found, unused-ignore]

        places = split(articles, *self._sizes)
        texts = [articles[place.doc][place.start : place.end] for place in places]
        about = [{"doc": place.doc, "start": place.start} for place in places]
        self._store = FAISS.from_texts(texts, self._embeddings(), metadatas=about)
        return Built(len(texts), sum(map(len, texts)))

    def take(self, texts: Sequence[str], vectors: Sequence[Any]) -> None:
        """Index pieces whose vectors are there already."""
        from langchain_community.vectorstores import FAISS

        self._store = FAISS.from_embeddings(
            list(zip(texts, vectors, strict=True)), self._embeddings()
        )

    def save(self, folder: str) -> None:
        """Write the index."""
        import faiss

        # Not save_local, which pickles the texts.
        places = sorted(self._store.index_to_docstore_id.items())
        found = [self._store.docstore.search(name) for _, name in places]
        pieces = [[one.page_content, one.metadata] for one in found]
        Path(folder).mkdir(parents=True, exist_ok=True)
        faiss.write_index(self._store.index, str(Path(folder) / "index.faiss"))
        Path(folder, "pieces.json").write_text(json.dumps(pieces, ensure_ascii=False), "utf-8")

    def open(self, folder: str) -> None:
        """Read what `save` wrote, ready to search."""
        import faiss
        from langchain_community.docstore.in_memory import (  # type: ignore[import-not-found, unused-ignore]
            InMemoryDocstore,
        )
        from langchain_community.vectorstores import FAISS
        from langchain_core.documents import Document  # type: ignore[import-not-found, unused-ignore]

        pieces = json.loads(Path(folder, "pieces.json").read_text("utf-8"))
        documents = {
            str(place): Document(page_content=text, metadata=about)
            for place, (text, about) in enumerate(pieces)
        }
        self._store = FAISS(
            embedding_function=self._embeddings(),
            index=faiss.read_index(str(Path(folder) / "index.faiss")),
            docstore=InMemoryDocstore(documents),
            index_to_docstore_id=dict(enumerate(documents)),
        )

    def search(self, question: str, depth: int) -> list[str]:
        """The best pieces, best first, at most `depth`."""
        found = self._store.similarity_search(question, k=depth)
        return [document.page_content for document in found]


class Txtai:
    """Embeddings with stored content.

    It does not cut Chinese (its sentence splitter is one for English), so it is given the pieces
    of LangChain's splitter. Its database connection does not stand several threads at once: one
    search waits for the other.

    Source: the guide of the embeddings database at https://neuml.github.io/txtai/embeddings .
    """

    def __init__(self, model: str, chunk_size: int) -> None:
        """Take the model's folder and the size of a piece in characters."""
        self._model = model
        self._chunk_size = chunk_size
        self._embeddings: Any = None
        self._lock = threading.Lock()

    def build(self, articles: Mapping[str, str]) -> Built:
        """Split, embed and index (name, text)."""
        from txtai import Embeddings  # type: ignore[import-not-found, unused-ignore]

        places = split(articles, self._chunk_size, 0)
        texts = [articles[place.doc][place.start : place.end] for place in places]
        self._embeddings = Embeddings(
            path=self._model,
            method="sentence-transformers",
            vectors={"local_files_only": True},
            gpu=False,
            content=True,
        )
        self._embeddings.index(texts)
        return Built(len(texts), sum(map(len, texts)))

    def save(self, folder: str) -> None:
        """Write the index."""
        self._embeddings.save(folder)

    def open(self, folder: str) -> None:
        """Read what `save` wrote, ready to search."""
        from txtai import Embeddings

        self._embeddings = Embeddings()
        self._embeddings.load(folder)

    def search(self, question: str, depth: int) -> list[str]:
        """The best pieces, best first, at most `depth`."""
        with self._lock:
            return [row["text"] for row in self._embeddings.search(question, depth)]


@dataclass(frozen=True)
class System:
    """One of the others."""

    label: str  # Chinese
    make: Callable[[str], Peer]  # from the model's folder
    packages: tuple[str, ...]  # whose versions belong to the figures


_COMMON = ("torch", "transformers", "sentence-transformers", "faiss-cpu")
_LANGCHAIN = (
    *("langchain-community", "langchain-core", "langchain-huggingface"),
    *("langchain-text-splitters", *_COMMON),
)
_TXTAI = ("txtai", "langchain-text-splitters", *_COMMON)
# The sizes are those of many tutorials, and then the length of our own passages.
SYSTEMS: dict[str, System] = {
    "langchain-500": System(
        "LangChain + FAISS，500/50 字", lambda model: Langchain(model, 500, 50), _LANGCHAIN
    ),
    "langchain-180": System(
        "LangChain + FAISS，180/0 字", lambda model: Langchain(model, 180, 0), _LANGCHAIN
    ),
    "txtai": System("txtai，180 字", lambda model: Txtai(model, 180), _TXTAI),
}


def articles_of(path: Path) -> dict[str, str]:
    """(id, text) of a JSON-lines file."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["id"]: row["text"] for row in rows}


def build(options: argparse.Namespace) -> None:
    """Index a file of articles; print what it came to."""
    system = SYSTEMS[options.name]
    peer = system.make(options.model)
    built = peer.build(articles_of(options.file))
    peer.save(options.folder)
    versions = {package: version(package) for package in system.packages}
    print(json.dumps({"pieces": built.pieces, "chars": built.chars, "versions": versions}))


def take_vectors(options: argparse.Namespace) -> None:
    """Index pieces whose vectors are there already."""
    import numpy as np

    peer = SYSTEMS[options.name].make(options.model)
    assert isinstance(peer, Langchain)  # the only one that takes vectors and keeps its model
    peer.take(
        list(articles_of(options.file).values()), list(np.load(options.file.with_suffix(".npy")))
    )
    peer.save(options.folder)


def ask(options: argparse.Namespace) -> None:
    """Answer the requests of the process that started this one."""
    peer = SYSTEMS[options.name].make(options.model)

    def opened() -> None:
        peer.open(options.folder)

    def search(questions: list[str], depth: int) -> dict[str, Any]:
        return {"retrieve": milliseconds(lambda one: peer.search(one, depth), questions)}

    answer({"open": opened, "search": search})


def http(options: argparse.Namespace) -> None:
    """Serve over HTTP: the smallest wrapper that FastAPI's own guide suggests."""
    import uvicorn
    from fastapi import Body, FastAPI

    peer = SYSTEMS[options.name].make(options.model)
    peer.open(options.folder)
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/search")
    def search(query: str = Body(), top_k: int = Body()) -> dict[str, list[str]]:
        return {"passages": peer.search(query, top_k)}

    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="error")


def main() -> None:
    """Do one of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer", description=__doc__)
    commands = parser.add_subparsers(required=True)
    runs = {"build": build, "vectors": take_vectors, "ask": ask, "http": http}
    for name, run in runs.items():
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("name", choices=SYSTEMS)
        command.add_argument("model")
        if run in (build, take_vectors):
            command.add_argument("file", type=Path)
        command.add_argument("folder")
        if run is http:
            command.add_argument("port", type=int)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
