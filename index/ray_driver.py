"""The process between a build and a Ray cluster: tasks in on a pipe, vectors out on another.

A process of its own, because Ray ends the one that it runs in when the head of the cluster is
lost, and prints whatever befalls the cluster on that one's output. Frames, in order:

    <- {"address", "model", "patience"}                 first, once
    -> {"cores"} or {"error"}
    <- {"texts"} [spans, counts]                        a Task; any number, one after the other
    -> {"places"} [vectors, rows], ...                  until all its texts are done
    -> {"done"} or {"error"}
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import numpy as np

from errors import ClusterError
from index.frames import receive, send
from index.ray_worker import embed_on_worker, read_files, release
from index.spread import Made, Task, spread

# How Ray begins to say that our code is not to be found on a worker.
_NEVER_ARRIVED = "failed to import on the worker"


def main() -> None:
    """Serve the parent until it closes our standard input."""
    # Ray prints; what it prints must not get between the frames.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(EOFError, BrokenPipeError):  # the parent has left
        try:
            _serve(sys.stdin.buffer, answers)
        except ClusterError as error:
            send(answers, {"error": [str(error), error.user_message]})


def _serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    order, _ = receive(tasks)
    with _connected(order["address"]) as ray:
        workers = RayWorkers(ray, Path(order["model"]))
        send(answers, {"cores": workers.cores()})
        while True:
            head, (spans, counts) = receive(tasks)
            task = Task(head["texts"], spans, counts)
            for places, made in spread(task, workers, order["patience"]):
                send(answers, {"places": places}, [made.vectors, made.rows])
            send(answers, {"done": True})


@contextmanager
def _connected(address: str) -> Iterator[ModuleType]:
    """Ray, connected to a cluster; never starts one.

    Raises:
        ClusterError: nobody there, or other versions of Ray or Python.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            f"ray cannot be imported: {error}", "没有安装 Ray，请先运行 pip install 'wenju[ray]'。"
        ) from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    # What Ray raises here: ConnectionError, RuntimeError (versions), ValueError, and its own.
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ClusterError.unreachable(address, str(error)) from error
    try:
        yield ray
    finally:
        ray.shutdown()


class RayWorkers:
    """Hands tasks to the cores of a cluster that this process is connected to.

    A task of Ray's for each, one core and one thread of onnxruntime: such tasks go wherever a core
    is free, also to machines that join later.

    Args:
        ray: the module, connected.
        model_dir: an ONNX export. Its bytes are put into the cluster's store once; Ray brings them
            to a machine when its first worker asks.
    """

    def __init__(self, ray: ModuleType, model_dir: Path) -> None:
        self._ray = ray
        errors = ray.exceptions
        self._lost = (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.ObjectLostError,
            errors.OutOfMemoryError,
        )
        with self._told():
            self._model = ray.put(read_files(model_dir))
            # No retries of Ray's own: it would not tell, and repeat what ends every worker.
            self._embed = ray.remote(num_cpus=1, max_retries=0)(embed_on_worker)

    def cores(self) -> int:
        """Cores of the machines that are up."""
        with self._told():
            nodes = self._ray.nodes()
        return sum(int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"])

    def start(self, task: Task) -> Hashable:
        """Hand out a task."""
        with self._told():
            # The reference lies in a list, or Ray would unpack the model for every task.
            job: Hashable = self._embed.remote(
                [self._model], dict(release()), task.texts, task.spans, task.counts
            )
        return job

    def finished(self, jobs: Sequence[Hashable], seconds: float) -> Sequence[Hashable]:
        """Those that have ended; waits for one at most `seconds`."""
        if not jobs:
            time.sleep(seconds)
            return ()
        with self._told():
            ended, rest = self._ray.wait(list(jobs), timeout=seconds, fetch_local=False)
            more, _ = (
                self._ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)
                if ended and rest
                else ((), ())
            )
        return [*ended, *more]

    def result(self, job: Hashable) -> Made | None:
        """Of a finished job; None if its worker, its machine or its result is lost.

        Raises:
            ClusterError: the worker has another program, or cannot use the model.
        """
        with self._told():
            try:
                first, second = self._ray.get(job)
            except self._lost:
                return None
        if isinstance(first, np.ndarray):
            return Made(first, second)
        raise ClusterError(first, second)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Ray's own errors in our words."""
        try:
            yield
        except self._ray.exceptions.RayTaskError as error:
            raise _failed_task(str(error)) from error
        except ImportError as error:  # of the head, where the address is a ray:// one
            raise _without_program(str(error)) from error
        except (OSError, RuntimeError, self._ray.exceptions.RayError) as error:
            raise ClusterError.lost(str(error)) from error


def _without_program(detail: str) -> ClusterError:
    return ClusterError(
        detail,
        "Ray 集群的机器上没有问据的程序，或版本不同；"
        "请在每台机器上、运行 Ray 的同一 Python 环境里安装与本机相同的版本。",
    )


def _failed_task(detail: str) -> ClusterError:
    if _NEVER_ARRIVED in detail:
        return _without_program(detail)
    last = detail.strip().splitlines()[-1]
    return ClusterError(detail, f"Ray 集群的机器上出错：{last}。建库停止，索引照常可用。")
