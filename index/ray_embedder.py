"""An embedder whose bulk work is done by the machines of a Ray cluster (extra `wenju[ray]`).

Vectors are those of the local embedder, to the bit, where the processors have the same vector
instructions: the same code runs there, one text at a time. On others, int8 arithmetic is rounded
elsewhere and vectors differ a little, as they would if the index were built on such a machine.

Ray itself lives in a process of its own: see ray_driver.py.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import BinaryIO, cast

import numpy as np

from errors import ClusterError, ModelError
from index.embedder import OnnxEmbedder
from index.frames import Array, Head, receive, send
from index.model_folder import MANIFEST
from index.protocols import Embedder, Vectors
from index.spread import Task
from schema import Span

Progress = Callable[[int], None]

_ROOT = Path(__file__).resolve().parent.parent
_PATIENCE = 30.0  # seconds without a machine: a cluster that is being restarted is back by then
_CONNECT_SECONDS = 10.0
_STOP_SECONDS = 10.0  # for a driver to say goodbye to its cluster
_WINDOW = 256  # texts for each core in a call: 5 s of work, of which the last batch idles others
_WINDOW_MOST = 65_536  # texts: with their sentences some 350 MB of vectors


@contextmanager
def ray_embedder(model: str, address: str, patience: float = _PATIENCE) -> Iterator[RayEmbedder]:
    """An embedder over a cluster, connected as long as the context lasts.

    Args:
        model: folder of an ONNX export.
        address: as ray.init takes it: HOST:PORT or "auto" on a machine of the cluster, or
            ray://HOST:PORT from any other.
        patience: seconds without any machine after which a call gives up.

    Raises:
        ClusterError: Ray is not installed here, or the cluster cannot be reached or has no core.
        ModelError: the model is no ONNX export, or is damaged.
    """
    if not (Path(model) / MANIFEST).is_file():
        raise ModelError(
            f"{model} is no ONNX export",
            f"--ray 只能分发 ONNX 形式的向量模型，{model} 不是；"
            "请先用 python -m train.export_onnx 转换，再用 --model 给出转换后的文件夹。",
        )
    local = OnnxEmbedder(Path(model))
    _require_listener(address)
    order = {"address": address, "model": str(Path(model).resolve()), "patience": patience}
    with _running_driver() as driver:
        driver.say(order)
        cores = int(driver.hear()[0]["cores"])
        if not cores:
            raise ClusterError(
                f"no core at {address}", f"Ray 集群 {address} 里没有可用的处理器核，请先加入机器。"
            )
        yield RayEmbedder(local, driver, cores)


class RayEmbedder:
    """Bulk calls go to the cluster, one after the other; questions are embedded here.

    Args:
        local: names the model, and embeds questions.
        driver: connected to a cluster with the same model.
        cores: of the cluster when it was connected to.
    """

    def __init__(self, local: Embedder, driver: Driver, cores: int) -> None:
        self._local = local
        self._driver = driver
        # Texts that a bulk call should hold to keep all cores busy.
        self.window = min(cores * _WINDOW, _WINDOW_MOST)

    @property
    def fingerprint(self) -> str:
        """That of the local embedder."""
        return self._local.fingerprint

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._local.dim

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """By the local embedder: a question is not worth the journey."""
        return self._local.embed_queries(texts)

    def embed_passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Shape (len(texts), dim), float32; row i belongs to texts[i]; each L2 norm is 1."""
        return self.embed_passages_with_parts(texts, [()] * len(texts), progress)[0]

    def embed_passages_with_parts(
        self,
        texts: Sequence[str],
        parts: Sequence[Sequence[Span]],
        progress: Progress | None = None,
    ) -> tuple[Vectors, list[Vectors]]:
        """Vectors of the texts, and for each text one vector per part (spans in that text).

        Args:
            texts: may be empty, and may hold empty texts.
            parts: one sequence for each text.
            progress: called in this thread with the number of texts done so far.

        Returns:
            (len(texts), dim) and a list of (len(parts[i]), dim).

        Raises:
            ClusterError: no machine is left, or they cannot do this work.
        """
        task = Task.of(texts, parts)
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        rows = [np.empty((0, self.dim), dtype=np.float32)] * len(texts)
        done = 0
        for places, found, found_rows in self._driver.run(task):
            vectors[places] = found
            ends = np.cumsum(task.counts[places])
            for place, own in zip(places, np.split(found_rows, ends[:-1]), strict=True):
                rows[place] = own
            done += len(places)
            if progress:
                progress(done)
        return vectors, rows


class Driver:
    """A running ray_driver.

    Args:
        process: of it, with pipes.
        log: where its standard error goes.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: BinaryIO) -> None:
        self._log = log
        self._busy = Lock()  # a task at a time
        if process.stdin is None or process.stdout is None:
            raise ValueError("a driver needs pipes")
        self._tasks = cast(BinaryIO, process.stdin)
        self._answers = cast(BinaryIO, process.stdout)

    def say(self, head: Head, arrays: Sequence[Array] = ()) -> None:
        """Send a frame.

        Raises:
            ClusterError: the driver has ended.
        """
        try:
            send(self._tasks, head, arrays)
        except OSError as error:
            raise ClusterError.lost(self._last_words()) from error

    def hear(self) -> tuple[Head, list[Array]]:
        """Wait for a frame.

        Raises:
            ClusterError: it tells of an error, or the driver has ended.
        """
        try:
            head, arrays = receive(self._answers)
        except EOFError as error:
            raise ClusterError.lost(self._last_words()) from error
        if "error" in head:
            raise ClusterError(*head["error"])
        return head, arrays

    def run(self, task: Task) -> Iterator[tuple[list[int], Vectors, Vectors]]:
        """Places in the task, the vectors of the texts there, and those of their parts in order."""
        with self._busy:
            self.say({"texts": task.texts}, [task.spans, task.counts])
            while "places" in (answer := self.hear())[0]:
                head, (vectors, rows) = answer
                yield head["places"], vectors, rows

    def _last_words(self) -> str:
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 2000))
        return self._log.read().decode("utf-8", "replace")


@contextmanager
def _running_driver() -> Iterator[Driver]:
    # Not by its path or as a module: Ray would put the folder `index` on the path of its workers,
    # where names such as `lock` and `words` would hide others.
    command = [sys.executable, "-c", "from index.ray_driver import main; main()"]
    with TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the parent, who then ends it in good order
        )
        try:
            yield Driver(process, log)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # what was not sent any more
            if pipe is not None:
                pipe.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _require_listener(address: str) -> None:
    """Ray itself would try for a minute before it says that nobody is there.

    Raises:
        ClusterError: the address has no such form, or nobody listens.
    """
    if address == "auto":
        return
    found = re.fullmatch(r"(?:ray://)?\[?([^/\s]+?)\]?:(\d{1,5})", address)
    if found is None:
        raise ClusterError(
            f"no address: {address}",
            f"--ray 的地址 {address} 不对，应为 主机:端口、ray://主机:端口 或 auto。",
        )
    try:
        socket.create_connection((found[1], int(found[2])), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError.unreachable(address, str(error)) from error
