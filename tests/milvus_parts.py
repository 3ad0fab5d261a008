"""What the tests of Milvus run against: a file, and a server in a process of its own."""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from milvus_lite.server_manager import server_manager_instance
from pymilvus import MilvusClient

from index.build import BuildReport
from index.milvus_build import MilvusWriter
from index.milvus_store import MilvusGeneration, open_generation
from tests.index_parts import ROOT, BigramEmbedder, Entry

_numbers = itertools.count(1)


class LiteServer:
    """A Milvus server for tests, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve, on this machine only: the default is all addresses, without a password."""
        command = [sys.executable, "-m", "milvus_lite", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--data-dir", str(self._folder / "data")]
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                assert self._process.poll() is None, (self._folder / "log.txt").read_text()
                time.sleep(0.05)
        raise AssertionError("no server within half a minute")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()

    def new_database(self) -> str:
        """Address of an empty one."""
        name = f"db{next(_numbers)}"
        client = MilvusClient(self.address)
        client.create_database(name)
        client.close()
        return f"{self.address}/{name}"


@contextmanager
def lite_server(folder: Path) -> Iterator[LiteServer]:
    server = LiteServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def lite_file(folder: Path) -> Iterator[str]:
    """Path of a local store; what serves it inside this process ends with the test."""
    path = str(folder / "store.db")
    try:
        yield path
    finally:
        server_manager_instance.release_server(path)


def store_writer(
    store: str, embedder: BigramEmbedder | None = None, *, rebuild: bool = False, grace: float = 600
) -> MilvusWriter:
    return MilvusWriter(
        store,
        "",
        embedder or BigramEmbedder(),
        corpus_version=1,
        settings_fingerprint="max_chars=180",
        wenju_version="0.1.0",
        rebuild=rebuild,
        grace_seconds=grace,
        patience_seconds=1.0,
    )


def build_store(
    store: str,
    *entries: Entry,
    embedder: BigramEmbedder | None = None,
    rebuild: bool = False,
    grace: float = 600,
) -> BuildReport:
    """What the build command does: put what changed, remove what vanished, publish."""
    with store_writer(store, embedder, rebuild=rebuild, grace=grace) as writer:
        return fill(writer, entries)


def fill(writer: MilvusWriter, entries: Sequence[Entry]) -> BuildReport:
    known = writer.known(ROOT)
    for article, chunks in entries:
        if known.get(article.doc) != article.sha256:
            writer.put(article, chunks, ROOT)
    for doc in writer.held(ROOT) - {article.doc for article, _ in entries}:
        writer.remove(doc)
    return writer.publish()


def opened(store: str) -> MilvusGeneration:
    return open_generation(store)
