"""Server processes for the tests.

They are forked from one process that has imported the server, since Gradio alone takes seconds to
import. Processes, because Gradio leaves event loops open behind it, and because people get one too.
Other tests that fork do so from the same one: there is only one, and who is first says what it has
imported.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["serving", "app"])


@dataclass(frozen=True)
class RunningServer:
    """A server process of its own."""

    address: str
    port: int
    process: ForkServerProcess
    log: Path  # a file, since nobody reads on while the server writes

    def output(self) -> str:
        """What it has printed and logged so far; all of it once the process has ended."""
        return self.log.read_text("utf-8")

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 10) -> int:
        """Send the signal and wait; the exit code, which must come within the seconds."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)
        self.process.join(seconds)
        assert self.process.exitcode is not None, self.output()
        return self.process.exitcode


def in_a_process(function: Callable[..., Result], *arguments: object) -> Result:
    """What a function at the top of its module returns in a process of its own."""
    with ProcessPoolExecutor(1, FORKS) as process:
        return process.submit(function, *arguments).result()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def served(
    run: Callable[..., object], *arguments: object, port: int, folder: Path
) -> Iterator[RunningServer]:
    """A process that runs a function which serves on the port; entered once it can be asked.

    Args:
        run: a function at the top of its module.
        arguments: its own.
        port: the one that it will listen on.
        folder: where it works and where its output goes, to output.txt.
    """
    log = folder / "output.txt"
    process = FORKS.Process(target=_run, args=(folder, log, run, arguments), daemon=True)
    process.start()
    server = RunningServer(f"http://127.0.0.1:{port}", port, process, log)
    try:
        deadline = time.monotonic() + 120  # the first one waits for the imports too
        while not _listens(port):
            assert process.is_alive(), server.output()
            assert time.monotonic() < deadline, server.output()
            time.sleep(0.02)
        yield server
    finally:
        process.terminate()
        process.join()
        process.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def _run(
    folder: Path, log: Path, run: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    with log.open("wb") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    os.chdir(folder)
    run(*arguments)
